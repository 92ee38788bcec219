package train

import (
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
)

// standing is where a run stands: the position that a checkpoint holds, the
// clock and the state. It moves when a batch or a validation is done, and says
// what there is to tell of it.
type standing struct {
	checkpoint.Position
	clock stopwatch
	state event.State
	// lastResult is when the newest batch was done.
	lastResult time.Time
}

// standAt is where a run starts: at a checkpoint, or at the beginning if that is
// nil.
func standAt(from *checkpoint.Checkpoint, now func() time.Time) standing {
	s := standing{Position: checkpoint.Position{Epoch: 1}}
	if from != nil {
		s.Position = from.Position
	}
	s.clock = stopwatch{now: now}
	s.clock.rewind(s.Elapsed)
	return s
}

// over reports whether no epoch is left to train. The patience is looked at
// between epochs only: within one it cannot have run out, unless a resume has
// made it shorter.
func (s *standing) over(c config.Config) bool {
	return s.Epoch > s.epochs(c) || s.Step == 0 && s.Monitor.Over(c)
}

// epochs are those of the whole run, as far as is known.
func (s *standing) epochs(c config.Config) int {
	if s.Plan != nil {
		return s.Plan.Epochs
	}
	return c.Epochs
}

// small are those of the epochs, the first, that train on smaller images.
func (s *standing) small(c config.Config) int {
	if s.Plan != nil && s.Plan.Small != 0 {
		return max(0, s.Plan.Small)
	}
	return c.SmallOf(s.epochs(c))
}

// steps are the batches of the epoch under way, of which a whole one has so many.
func (s *standing) steps(whole int) int {
	if s.Plan != nil && s.Plan.LastSteps > 0 && s.Epoch == s.Plan.Epochs {
		return s.Plan.LastSteps
	}
	return whole
}

// totalSteps are the batches of the whole run, as far as is known. Those of the
// epochs done are counted, as one that was a run's last may have had fewer.
func (s *standing) totalSteps(c config.Config, whole int) int64 {
	left := s.epochs(c) - s.Epoch + 1
	if left <= 0 {
		return s.Total
	}
	steps := left * whole
	if s.Plan != nil && s.Plan.LastSteps > 0 {
		steps -= whole - s.Plan.LastSteps
	}
	return s.Total - int64(s.Step) + int64(steps)
}

// newestSteps are the batches of the newest epoch that is done.
func (s *standing) newestSteps() int {
	n := len(s.History)
	if n < 2 {
		return int(s.History[n-1].Total)
	}
	return int(s.History[n-1].Total - s.History[n-2].Total)
}

// trained moves over a batch, one of steps in an epoch.
func (s *standing) trained(b trained, steps int) *event.StepDone {
	s.Step++
	s.Total++
	s.Sums.Loss += event.Float(b.Loss * float64(b.Rows))
	s.Sums.Correct += b.Correct
	s.Sums.Rows += b.Rows
	s.Sums.LR = b.rate
	s.Sums.Phases.Add(b.phases)
	s.Sums.Trained = s.clock.seconds()
	e := &event.StepDone{
		Epoch: s.Epoch, Step: s.Step, Steps: steps, Total: s.Total,
		Count: 1, Loss: event.Float(b.Loss), MinLoss: event.Float(b.Loss), MaxLoss: event.Float(b.Loss),
		Acc: event.Float(float64(b.Correct) / float64(b.Rows)), LR: b.rate, Elapsed: s.Sums.Trained, Phases: b.phases,
	}
	now, from := s.clock.now(), b.at
	if s.lastResult.After(from) { // others were under way before it
		from = s.lastResult
	}
	s.lastResult = now
	if d := now.Sub(from).Seconds(); d > 0 {
		e.ImagesPerSecond = float64(b.Rows) / d
	}
	return e
}

// validated takes in what the epoch's validation found.
func (s *standing) validated(c config.Config, v validation) *event.EpochDone {
	value := v.acc()
	if c.Monitor == "val_loss" {
		value = v.loss()
	}
	best := s.Monitor.Observe(c, s.Epoch, value)
	if best {
		s.Test = nil // it was of other weights
	}
	elapsed := s.clock.seconds()
	e := &event.EpochDone{
		Epoch: s.Epoch, Epochs: s.epochs(c), Batch: c.Batch, Total: s.Total,
		Loss: s.Sums.Loss / event.Float(s.Sums.Rows), Acc: event.Float(s.Sums.Correct) / event.Float(s.Sums.Rows),
		ValLoss: event.Float(v.loss()), ValAcc: event.Float(v.acc()), LR: s.Sums.LR,
		Seconds: elapsed - s.EpochStart, Elapsed: elapsed, Phases: s.Sums.Phases,
		Best: best, PatienceLeft: s.Monitor.Left(c),
	}
	if d := s.Sums.Trained - s.EpochStart; d > 0 {
		e.ImagesPerSecond = float64(s.Sums.Rows) / d
	}
	s.History = append(s.History, e)
	return e
}

// nextEpoch moves to the beginning of the next epoch.
func (s *standing) nextEpoch() {
	s.Epoch++
	s.Step = 0
	s.Sums = checkpoint.Sums{}
}

// stopwatch measures training time: it stands still while the run is paused or
// waits for its turn.
type stopwatch struct {
	now     func() time.Time
	total   time.Duration
	since   time.Time
	running bool
}

func (c *stopwatch) start() {
	if !c.running {
		c.since, c.running = c.now(), true
	}
}

func (c *stopwatch) stop() {
	if c.running {
		c.total += c.now().Sub(c.since)
		c.running = false
	}
}

// rewind stops the watch at what it showed at a time.
func (c *stopwatch) rewind(seconds float64) {
	c.total, c.running = time.Duration(seconds*float64(time.Second)), false
}

func (c *stopwatch) seconds() float64 {
	total := c.total
	if c.running {
		total += c.now().Sub(c.since)
	}
	return total.Seconds()
}
