package nn

import "fmt"

// Pipeline is a Backend that runs steps behind the host's back, several at a
// time: the host need not wait for one's result before it submits the next.
type Pipeline interface {
	Backend
	// Submit puts a step behind those under way. run calls the backend's methods
	// as for any step. Loss.Result must not be called for it: what it would
	// return, Finished does. From a loss on that is not finite no step
	// changes parameters or the optimiser's state, until Resume.
	Submit(run func() error) error
	// Finished waits for the oldest step under way and returns its losses,
	// summed over the rows, and how many rows had their label as the largest
	// logit.
	Finished() (sum float64, correct int, err error)
	// Ahead is how many steps should be under way, 1 or more: enough to keep the
	// device busy, few enough to be waited for.
	Ahead() int
	// Resume lets steps change parameters again. None may be under way.
	Resume() error
}

// Holder is a Backend that keeps data sets in its memory and makes the batches
// there.
type Holder interface {
	Backend
	Hold(Data) (Held, error)
}

// Data is a set of images on the host.
type Data struct {
	Pixels []byte           // [images][3][32][32]: planes of red, green and blue
	Labels []byte           // class numbers
	Table  *[3][256]float32 // the value of each byte in each plane
	// Augment shifts and flips each image as package cifar does, by Seed, the
	// epoch and the image's number; Reflect and Alternate as its LoaderConfig
	// has them.
	Augment, Reflect, Alternate bool
	Seed                        uint64
}

// Held is a data set that a backend keeps.
type Held interface {
	// Order sets the epoch and the order of its images, for the batches made
	// from now on. Those of the epoch before may still be under way.
	Order(epoch int, order []int) error
	// Load fills the inputs of a graph with the images from place first on, made as
	// small as images are, as package cifar's LoaderConfig.Size does.
	Load(images, labels *Buffer, first, rows int)
	Close()
}

// flow is the steps of a Step that are under way or done but not yet asked
// for, the oldest first.
type flow struct {
	rows []int // of those under way in a Pipeline
	done []Result
}

// Ahead is how many steps should be under way before Result is called: 1 where
// Submit itself computes.
func (s *Step) Ahead() int {
	if p, ok := s.graph.batch.on.(Pipeline); ok && !s.profile {
		return p.Ahead()
	}
	return 1
}

// Submit trains on a batch as Run does, but may return before it is done. The
// results are read with Result, in the order of the calls.
func (s *Step) Submit(x []float32, labels []uint8, dropoutKey uint64) error {
	return s.submit(len(labels), func() error { return s.graph.load(x, labels, dropoutKey) })
}

// SubmitHeld is Submit for the rows images of a held data set that begin at
// place first of its order.
func (s *Step) SubmitHeld(set Held, first, rows int, dropoutKey uint64) error {
	return s.submit(rows, func() error { return s.graph.loadHeld(set, first, rows, dropoutKey) })
}

func (s *Step) submit(rows int, load func() error) error {
	p, ok := s.graph.batch.on.(Pipeline)
	if !ok || s.profile {
		r, err := s.run(rows, load)
		if err == nil {
			s.flow.done = append(s.flow.done, r)
		}
		return err
	}
	for i, c := range s.graph.convs { // no part of what is the same at each step
		c.refresh(s.graph.convWeights[i])
	}
	err := p.Submit(func() error {
		if err := load(); err != nil {
			return err
		}
		if err := s.machine.RunAll(); err != nil {
			return err
		}
		return s.update()
	})
	if err == nil {
		s.flow.rows = append(s.flow.rows, rows)
	}
	return err
}

// Pending is the number of submitted steps whose result was not read.
func (s *Step) Pending() int { return len(s.flow.rows) + len(s.flow.done) }

// Result waits for the oldest step submitted and returns what it found. After
// one whose loss is not finite, those submitted behind it have done nothing
// and are forgotten.
func (s *Step) Result() (Result, error) {
	f := &s.flow
	if len(f.done) > 0 {
		r := f.done[0]
		f.done = append(f.done[:0], f.done[1:]...)
		return r, nil
	}
	if len(f.rows) == 0 {
		return Result{}, fmt.Errorf("nn: no step was submitted")
	}
	p := s.graph.batch.on.(Pipeline) // or there were no rows
	r, err := s.finished(p)
	if err != nil || r.finite() {
		return r, err
	}
	s.solver.undo(1 + len(f.rows))
	for len(f.rows) > 0 {
		if _, err := s.finished(p); err != nil {
			return Result{}, err
		}
	}
	return r, p.Resume()
}

// finished reads the oldest step's result.
func (s *Step) finished(p Pipeline) (Result, error) {
	rows := s.flow.rows[0]
	s.flow.rows = append(s.flow.rows[:0], s.flow.rows[1:]...)
	sum, correct, err := p.Finished()
	if err != nil {
		return Result{}, fmt.Errorf("nn: read the loss: %w", err)
	}
	return Result{Loss: sum / float64(rows), Correct: correct, Rows: rows}, nil
}
