package kernel

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Task is work that can be cut into pieces.
type Task interface {
	// Run does the i-th piece. worker, from 0 to the number of workers minus
	// 1, is the caller's own until it returns: workspaces are indexed by it.
	// Run must not call Do.
	Run(worker, i int)
}

// Workers runs tasks on a fixed number of goroutines, which wait for work
// between calls: busily for a short while, as the next layer of a network comes
// within microseconds, then asleep. One Workers serves one caller at a time.
//
// A worker begins with a range of pieces of its own, the same part of every
// task, and takes from the others' when it is done. So what a worker reads is
// mostly what it wrote for the layer before: where two workers share no
// third-level cache, it reads 13 GB/s of what the other wrote, and 40 to 75 of
// its own.
type Workers struct {
	helpers []helper // the goroutines other than the caller of Do
	quit    atomic.Bool
	closed  sync.WaitGroup

	busy      atomic.Bool // a Do is under way
	task      Task        // the task of that Do; see claim
	pieces    int64       // and how many pieces it has
	backwards atomic.Bool // and whether they are taken from the last to the first
	spans     []span      // the pieces that are left, a span for each worker

	_     [64]byte      // the words that all workers read or write have their own lines
	count atomic.Uint64 // of all Do so far: a helper looks for work when it has changed
	_     [64]byte
	done  atomic.Int64 // pieces that are finished
	_     [64]byte

	caller sleeper // the caller of Do, when it waits for the last pieces
	failed atomic.Pointer[TaskPanic]

	// workspace is memory that every kernel may use while it runs; see reserve.
	workspace []float32

	// scratch holds the tasks of this package, so that handing one to Do
	// allocates nothing.
	scratch struct {
		pad         padTask
		dropout     dropoutTask
		dropoutRows dropoutRowsTask
		dense       denseTask
		denseData   denseDataTask
		denseFilter denseFilterTask
		adadelta    adadeltaTask
		sgd         sgdTask
		adam        adamTask
		muon        muonTask
		average     averageTask
		resample    resampleTask
	}
}

type helper struct {
	sleeper
	_ [64]byte // one line each
}

// TaskPanic is what [Workers.Do] panics with when a task has panicked, on
// whichever goroutine it was.
type TaskPanic struct {
	Value any    // of the task's panic
	Stack []byte // where it was
}

// Error gives the panic's value and the stack of the task.
func (p *TaskPanic) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns the panic's value if it is an error.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// NewWorkers starts n-1 goroutines, which with the caller of Do make n workers.
// n below 1 counts as 1. Close ends them.
func NewWorkers(n int) *Workers {
	w := &Workers{helpers: make([]helper, max(n, 1)-1), spans: make([]span, max(n, 1))}
	w.caller.init()
	for i := range w.helpers {
		w.helpers[i].init()
	}
	w.closed.Add(len(w.helpers))
	for i := range w.helpers {
		go w.help(i)
	}
	return w
}

// N returns the number of workers.
func (w *Workers) N() int { return len(w.helpers) + 1 }

// reserve makes workspace hold at least n values. What they are is left open.
func (w *Workers) reserve(n int) {
	if n > len(w.workspace) {
		w.workspace = Alloc(n)
	}
}

// Close ends the goroutines and waits for them. No Do may be under way or
// follow.
func (w *Workers) Close() {
	w.quit.Store(true)
	for i := range w.helpers {
		w.helpers[i].wake()
	}
	w.closed.Wait()
}

// Do calls t.Run(worker, i) once for every i in [0, n) and returns when all have
// returned. Each worker begins with its own range of them, in ascending order,
// and goes on with what the others have not begun, so pieces may differ in cost.
// It allocates nothing. When a Run panics, the others are still run, and then Do
// panics with a [*TaskPanic].
func (w *Workers) Do(n int, t Task) { w.do(n, t, false) }

// DoBackwards is Do with each worker's range in descending order: a pass that
// follows another begins with what that one used last.
func (w *Workers) DoBackwards(n int, t Task) { w.do(n, t, true) }

func (w *Workers) do(n int, t Task, backwards bool) {
	if n <= 0 {
		return
	}
	if !w.busy.CompareAndSwap(false, true) {
		panic("kernel: Workers.Do is called by two goroutines at once, or by a task")
	}
	w.task, w.pieces = t, int64(n)
	w.backwards.Store(backwards)
	w.done.Store(0)
	some := min(n, w.N())
	for i := range some {
		w.spans[i].set(i*n/some, (i+1)*n/some)
	}
	w.count.Add(1)
	for i := range some - 1 {
		w.helpers[i].wake()
	}
	w.work(0)
	w.caller.wait(func() bool { return w.done.Load() == int64(n) })
	w.task = nil
	failed := w.failed.Swap(nil)
	w.busy.Store(false)
	if failed != nil {
		panic(failed)
	}
}

// span is a range of pieces: those that its worker has not begun, and nobody
// has taken from it. It is one word, so that a piece is claimed in one step: the
// first piece in the lower half, the one behind the last in the upper.
type span struct {
	word atomic.Uint64
	_    [120]byte // lines of their own, also where they are fetched in pairs
}

func (s *span) set(first, end int) { s.word.Store(uint64(end)<<32 | uint64(first)) }

// take takes the last piece, or the first.
func (s *span) take(last bool) (i int, ok bool) {
	for {
		word := s.word.Load()
		first, end := uint32(word), uint32(word>>32)
		if first >= end {
			return 0, false
		}
		i, rest := first, word+1
		if last {
			i, rest = end-1, word-1<<32
		}
		if s.word.CompareAndSwap(word, rest) {
			return int(i), true
		}
	}
}

// claim takes the next piece of a worker's own, or one that another would come
// to last. From then until the piece is counted in done, Do can't return, and so
// w.task is the task of this piece.
func (w *Workers) claim(worker int) (i int, ok bool) {
	backwards := w.backwards.Load()
	if i, ok = w.spans[worker].take(backwards); ok {
		return i, true
	}
	for k := range len(w.spans) - 1 {
		if i, ok = w.spans[(worker+1+k)%len(w.spans)].take(!backwards); ok {
			return i, true
		}
	}
	return 0, false
}

// work runs pieces until there are no more to claim.
func (w *Workers) work(worker int) {
	for {
		i, ok := w.claim(worker)
		if !ok {
			return
		}
		total := w.pieces
		w.run(worker, i)
		if w.done.Add(1) == total && worker != 0 {
			w.caller.wake()
		}
	}
}

func (w *Workers) run(worker, i int) {
	defer func() {
		if v := recover(); v != nil {
			w.failed.CompareAndSwap(nil, &TaskPanic{Value: v, Stack: debug.Stack()})
		}
	}()
	w.task.Run(worker, i)
}

// help is the life of helper number h, which is worker h+1.
func (w *Workers) help(h int) {
	defer w.closed.Done()
	seen := uint64(0)
	ready := func() bool { return w.count.Load() != seen || w.quit.Load() }
	for {
		w.helpers[h].wait(ready)
		if w.quit.Load() {
			return
		}
		seen = w.count.Load()
		w.work(h + 1)
	}
}

// sleeper lets one goroutine wait for a condition that others bring about.
type sleeper struct {
	asleep atomic.Bool
	token  chan struct{} // holds one token when the sleeper was woken
}

func (s *sleeper) init() { s.token = make(chan struct{}, 1) }

// patience is how long a sleeper looks for itself before it goes to sleep: long
// enough for what lies between two layers, short enough that a paused program
// takes no processor.
const patience = 60 * time.Microsecond

// looks are those between two offers of the thread to other goroutines. They
// take 3 to 12 µs: an offer takes a lock that all threads share, and dozens of
// waiting workers must not fight for it.
const looks = 300

// wait returns when ready does, which wake must follow if a sleeper could be
// waiting for it.
func (s *sleeper) wait(ready func() bool) {
	for {
		if ready() {
			return
		}
		start := time.Now()
		for time.Since(start) < patience {
			for range looks {
				if ready() {
					return
				}
				pause()
			}
			// Others may need this thread, the one waited for among them.
			runtime.Gosched()
		}
		s.asleep.Store(true)
		if ready() && s.asleep.CompareAndSwap(true, false) {
			return
		}
		// Asleep, or woken since: then the token is there or on its way.
		<-s.token
	}
}

// wake ends the sleep of s, if it sleeps.
func (s *sleeper) wake() {
	if s.asleep.Load() && s.asleep.CompareAndSwap(true, false) {
		s.token <- struct{}{}
	}
}
