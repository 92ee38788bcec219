package cifar

import (
	"context"
	"errors"
	"time"
)

// errLocked is what tryLock returns while another process holds the lock.
var errLocked = errors.New("another process holds it")

// lockEvery is how often a held lock is tried again.
const lockEvery = 200 * time.Millisecond

// waitLock takes the lock on the file called name, which it makes. The system
// lets go of the lock when the process dies, however it dies; the file stays,
// since deleting it would let two processes hold locks on two files of one
// name. waiting is called once if the lock isn't free.
func waitLock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	for {
		unlock, err = tryLock(name)
		if !errors.Is(err, errLocked) {
			return unlock, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
