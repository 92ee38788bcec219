package checkpoint

import (
	"math"

	"cifartui/train/config"
	"cifartui/train/event"
)

// Monitor follows the monitored value over the epochs: which epoch is the best,
// and how long ago it last got better by more than the smallest change that
// counts. Its fields are in the checkpoint, so that a resume neither forgets
// the best value (and overwrites its file with a worse one) nor starts the
// patience again.
type Monitor struct {
	// Best is the best value, at epoch BestEpoch (0: none yet).
	Best      event.Float `json:"best"`
	BestEpoch int         `json:"best_epoch"`
	// Mark is the value that the next has to beat by min_delta, and Wait the
	// epochs since it was set. Mark is Best when min_delta is 0.
	Mark      event.Float `json:"mark"`
	MarkEpoch int         `json:"mark_epoch"`
	Wait      int         `json:"wait"`
}

// Observe takes an epoch's value and reports whether it is the best so far.
// Equal is not better, as in Keras. A value that is not finite is never better.
func (m *Monitor) Observe(c config.Config, epoch int, value float64) (best bool) {
	m.Wait++
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return false
	}
	if m.BestEpoch == 0 || gain(c.Monitor, float64(m.Best), value) > 0 {
		m.Best, m.BestEpoch, best = event.Float(value), epoch, true
	}
	if m.MarkEpoch == 0 || gain(c.Monitor, float64(m.Mark), value) > c.MinDelta {
		m.Mark, m.MarkEpoch, m.Wait = event.Float(value), epoch, 0
	}
	return best
}

// gain is by how much value is better than old: more is better for an accuracy,
// less for a loss.
func gain(monitored string, old, value float64) float64 {
	if monitored == "val_loss" {
		return old - value
	}
	return value - old
}

// Left is how many epochs without a better value are left before stopping; -1
// when early stopping is off. With patience 20 and the best at epoch 85 the run
// stops after epoch 105. (The article's run went to 106: Keras 2.0 counted one
// more.)
func (m *Monitor) Left(c config.Config) int {
	if c.Patience == 0 {
		return -1
	}
	return max(0, c.Patience-m.Wait)
}

// Over reports whether the patience has run out.
func (m *Monitor) Over(c config.Config) bool { return c.Patience > 0 && m.Wait >= c.Patience }
