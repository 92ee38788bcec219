package train

import (
	"math"
	"slices"
	"testing"

	"cifartui/nn"
	"cifartui/nn/bittest"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
)

// lateCPU is a processor whose results come late, as a GPU's do: what has been
// submitted has changed the weights before its result is read.
type lateCPU struct {
	*nn.CPU
	newest  nn.Loss
	results []lateResult
	most    int  // results that were ever under way
	halted  bool // by a loss that was not finite
	spoil   int  // steps until one whose loss is not a number; 0: there is none
}

type lateResult struct {
	sum     float64
	correct int
}

func (b *lateCPU) NewLoss(batch, classes int, smoothing float32) (nn.Loss, error) {
	l, err := b.CPU.NewLoss(batch, classes, smoothing)
	return &lateLoss{l, b}, err
}

type lateLoss struct {
	nn.Loss
	on *lateCPU
}

func (l *lateLoss) Forward(loss, logits, labels *nn.Buffer, rows int) {
	l.Loss.Forward(loss, logits, labels, rows)
	l.on.newest = l.Loss
}

func (b *lateCPU) Submit(run func() error) error {
	if err := run(); err != nil {
		return err
	}
	sum, correct, err := b.newest.Result()
	if b.spoil--; b.spoil == 0 {
		sum = math.NaN()
	}
	b.results = append(b.results, lateResult{sum, correct})
	b.most = max(b.most, len(b.results))
	return err
}

func (b *lateCPU) Finished() (float64, int, error) {
	r := b.results[0]
	b.results = b.results[1:]
	return r.sum, r.correct, nil
}

func (b *lateCPU) Ahead() int    { return 3 }
func (b *lateCPU) Resume() error { b.halted = false; return nil }

func (b *lateCPU) Adadelta(x, g, eg2, ed2 *nn.Buffer, lr, rho, eps float32) {
	sum, _, _ := b.newest.Result() // the processor's can't fail
	if b.halted = b.halted || math.IsNaN(sum) || math.IsInf(sum, 0); !b.halted {
		b.CPU.Adadelta(x, g, eg2, ed2, lr, rho, eps)
	}
}

// late are tinyOptions on a lateCPU.
func late(t testing.TB, change ...func(*config.Config)) (Options, *lateCPU) {
	o := tinyOptions(t, change...)
	b := &lateCPU{CPU: o.Backend.(*nn.CPU)}
	o.Backend = b
	return o, b
}

// Whether results come at once or late, a run is the same, whole or stopped
// anywhere and resumed.
func TestLateResultsChangeNothing(t *testing.T) {
	t.Parallel()
	plain := tinyOptions(t)
	want, _ := mustTrain(t, plain, nil)
	for stop := range 14 {
		o, b := late(t)
		stopped := false
		got, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
			if s, ok := e.(*event.StepDone); ok && s.Total == int64(stop) {
				stopped = true
				_ = tr.Send(event.Stop{After: event.AfterBatch})
			}
		})
		if b.most != 3 {
			t.Errorf("at most %d steps under way, want 3", b.most)
		}
		if stopped {
			o.Resume = got
			var more *recorder
			got, more = mustTrain(t, o, nil)
			rec.events = append(rec.events, more.events...)
		}
		var totals []int64
		for _, s := range of[*event.StepDone](rec.events) {
			totals = append(totals, s.Total)
		}
		if !slices.IsSorted(totals) || len(totals) != 15 {
			t.Errorf("stopped at %d: steps %v, want 1 to 15", stop, totals)
		}
		bittest.Values(t, "weights", checkpointtest.Last(t, got).Weights, checkpointtest.Last(t, want).Weights)
		bittest.Values(t, "optimizer", checkpointtest.Last(t, got).Solver, checkpointtest.Last(t, want).Solver)
	}
}
