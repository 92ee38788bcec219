//go:build unix

package survey

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"cifartui/train/survey/surveytest"
)

// The work of listing 1,000 runs of 200 epochs is under a second of one core, and
// watching them, 200 of them live, under 1% of it.
func TestWatchingCostsLittle(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("takes a minute: set CIFARTUI_LONG=1")
	}
	dir := t.TempDir()
	must(t, surveytest.Many(dir, 800, 200))
	var live []*surveytest.Writer
	for i := range 200 {
		s := here(surveytest.Default(time.Now()))
		s.Config.Seed, s.Steps = uint64(i), 200
		live = append(live, begin(t, filepath.Join(dir, "live-"+string(rune('a'+i/26))+string(rune('a'+i%26))), s))
	}
	runtime.GC()
	before := used(t)
	c := watch(t, dir)
	c.until(t, "all runs", func() bool { return c.listed && len(c.runs) == 1000 })
	listing := used(t) - before
	t.Logf("listing 1,000 runs: %v of CPU time", listing)
	if listing > 2*time.Second {
		t.Errorf("listing 1,000 runs took %v of CPU time", listing)
	}
	// The writers' own work is done between the looks at the clock.
	const seconds = 60
	watching, told := time.Duration(0), 0
	for range seconds {
		for _, w := range live {
			must(t, w.Step())
		}
		before := used(t)
		time.Sleep(time.Second)
		watching += used(t) - before
		select {
		case <-c.w.wake:
			c.w.wake <- struct{}{}
			u, err := c.w.Next(t.Context())
			must(t, err)
			told += len(u.Runs)
		default:
		}
	}
	t.Logf("watching 1,000 runs, 200 of them live, took %v of CPU time in %d s; %d changes were told", watching, seconds, told)
	if told < seconds*10 { // some 100 a second on a quiet machine
		t.Errorf("only %d changes were told", told)
	}
	if watching > seconds*time.Second/50 { // a busy machine counts more than a quiet one
		t.Errorf("watching took %v of CPU time in %d s", watching, seconds)
	}
}

// used is the CPU time that this process has taken.
func used(t *testing.T) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
