//go:build unix

package control

import (
	"fmt"
	"testing"
	"time"

	"cifartui/train/event"

	"golang.org/x/sys/unix"
)

// BenchmarkAttached publishes 50 steps a second, which is what a fast GPU makes
// at batch 64, to a number of attached clients, one of which never reads. It
// reports the time that a step spends in Publish, and the processor time that a
// step costs in all: the server's work and, as they are in this process here,
// the clients' too. Over 20 ms a step, 200 µs are 1% of one core.
//
//	go test -run - -bench Attached -benchtime 150x ./train/control
func BenchmarkAttached(b *testing.B) {
	for _, clients := range []int{0, 1, 8} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			r := newRig(b, b.TempDir())
			r.logLag = time.Second
			r.emit(&event.RunStarted{StepsPerEpoch: rigSteps})
			for i := range clients {
				if i == 7 {
					if _, err := fmt.Fprintln(r.raw(), `{"id":1,"cmd":"events"}`); err != nil {
						b.Fatal(err)
					}
					continue
				}
				c := r.dial()
				go func() {
					for {
						if _, err := c.Next(b.Context(), 100); err != nil {
							return
						}
					}
				}()
			}
			until(b, "all are there", func() bool { return r.server.clients() == clients })
			time.Sleep(100 * time.Millisecond) // the past is told
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			var publish time.Duration
			before := processorTime(b)
			for b.Loop() {
				<-tick.C
				start := time.Now()
				r.train(1, func() {})
				publish += time.Since(start)
			}
			used := processorTime(b) - before
			b.ReportMetric(float64(publish.Nanoseconds())/float64(b.N), "publish-ns/step")
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/step")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
