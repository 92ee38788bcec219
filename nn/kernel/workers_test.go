package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// countTask counts how often each piece ran, and checks that no two pieces run
// at once as the same worker.
type countTask struct {
	t       *testing.T
	ran     []atomic.Int32
	running []atomic.Int32
}

func (c *countTask) Run(worker, i int) {
	if c.running[worker].Add(1) != 1 {
		c.t.Errorf("two pieces run as worker %d", worker)
	}
	c.ran[i].Add(1)
	if i%7 == 0 {
		runtime.Gosched()
	}
	c.running[worker].Add(-1)
}

func TestEveryPieceRunsOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 8, 33} {
		for _, procs := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("workers=%d/procs=%d", n, procs), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				w := NewWorkers(n)
				defer w.Close()
				if w.N() != max(n, 1) {
					t.Fatalf("N() = %d, want %d", w.N(), max(n, 1))
				}
				for _, pieces := range []int{0, 1, 2, 3, 7, 8, 9, 64, 1000} {
					c := &countTask{t: t, ran: make([]atomic.Int32, pieces), running: make([]atomic.Int32, w.N())}
					for range 10 {
						w.Do(pieces, c)
						w.DoBackwards(pieces, c)
					}
					for i := range c.ran {
						if got := c.ran[i].Load(); got != 20 {
							t.Fatalf("piece %d of %d ran %d times, want 20", i, pieces, got)
						}
					}
				}
			})
		}
	}
}

// orderTask notes each worker's pieces. A worker's first piece ends when all
// workers have begun one.
type orderTask struct {
	pieces [][]int
	begun  sync.WaitGroup
}

func (o *orderTask) Run(worker, i int) {
	o.pieces[worker] = append(o.pieces[worker], i)
	if len(o.pieces[worker]) == 1 {
		o.begun.Done()
		o.begun.Wait()
	}
}

func TestWorkersBeginWithTheirOwnRange(t *testing.T) {
	for _, c := range []struct {
		workers   int
		backwards bool
		want      []int // the first piece of each
	}{
		{1, false, []int{0}},
		{1, true, []int{10}},
		{2, false, []int{0, 5}},
		{2, true, []int{4, 10}},
		{3, false, []int{0, 3, 7}},
		{3, true, []int{2, 6, 10}},
	} {
		w := NewWorkers(c.workers)
		defer w.Close()
		o := &orderTask{pieces: make([][]int, c.workers)}
		o.begun.Add(c.workers)
		if c.backwards {
			w.DoBackwards(11, o)
		} else {
			w.Do(11, o)
		}
		for i, pieces := range o.pieces {
			if pieces[0] != c.want[i] {
				t.Errorf("%d workers, backwards %v: worker %d has pieces %v, want %d first", c.workers, c.backwards, i, pieces, c.want[i])
			}
		}
	}
}

func TestSleepingWorkersWake(t *testing.T) {
	w := NewWorkers(3)
	defer w.Close()
	for range 20 {
		time.Sleep(3 * time.Millisecond) // far beyond patience
		c := &countTask{t: t, ran: make([]atomic.Int32, 50), running: make([]atomic.Int32, 3)}
		w.Do(50, c)
	}
	for i := range w.helpers {
		for deadline := time.Now().Add(2 * time.Minute); !w.helpers[i].asleep.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("helper %d is still awake without work", i)
			}
		}
	}
}

type panicTask struct {
	at  int
	ran atomic.Int32
}

var errTask = errors.New("broken piece")

func (p *panicTask) Run(_, i int) {
	p.ran.Add(1)
	if i == p.at {
		panic(errTask)
	}
}

func TestPanicReachesTheCaller(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		w := NewWorkers(n)
		defer w.Close()
		for _, at := range []int{0, 11, 39} {
			p := &panicTask{at: at}
			func() {
				defer func() {
					v, ok := recover().(*TaskPanic)
					if !ok || !errors.Is(v, errTask) || len(v.Stack) == 0 {
						t.Errorf("recovered %v, want a TaskPanic with the task's error and stack", v)
					}
				}()
				w.Do(40, p)
				t.Error("Do returned after a panic")
			}()
			if p.ran.Load() != 40 {
				t.Errorf("%d pieces ran, want 40", p.ran.Load())
			}
		}
		w.Do(40, &panicTask{at: -1}) // still of use
	}
}

type nestedTask struct{ w *Workers }

func (n nestedTask) Run(_, _ int) { n.w.Do(1, n) }

func TestNestedDoPanics(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	defer func() {
		if recover() == nil {
			t.Error("a task that calls Do was let through")
		}
	}()
	w.Do(2, nestedTask{w})
}

func TestCloseEndsTheGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		w := NewWorkers(4)
		w.Do(8, &panicTask{at: -1})
		w.Close()
	}
	// A goroutine that has ended its work may take a moment to be gone.
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

func TestDoAllocatesNothing(t *testing.T) {
	w := NewWorkers(3)
	defer w.Close()
	p := &panicTask{at: -1}
	if n := testing.AllocsPerRun(100, func() { w.Do(10, p) }); n != 0 {
		t.Errorf("%v allocations a Do, want 0", n)
	}
}

type emptyTask struct{}

func (emptyTask) Run(_, _ int) {}

func BenchmarkDo(b *testing.B) {
	for _, n := range []int{1, 2, 4} {
		for _, gap := range []time.Duration{0, 20 * time.Microsecond, 500 * time.Microsecond} {
			b.Run(fmt.Sprintf("workers=%d/gap=%v", n, gap), func(b *testing.B) {
				w := NewWorkers(n)
				defer w.Close()
				var took time.Duration
				for b.Loop() {
					for start := time.Now(); time.Since(start) < gap; {
					}
					start := time.Now()
					w.Do(16, emptyTask{})
					took += time.Since(start)
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/Do")
			})
		}
	}
}
