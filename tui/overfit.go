package tui

import (
	"fmt"
	"math"

	"cifartui/tui/chart"
)

// What counts as the validation loss having turned up for good.
const (
	overfitWeight = 0.6  // smoothing, whatever the charts show
	overfitEpochs = 5    // epochs since the lowest point, at least
	overfitRise   = 0.05 // above the lowest point, as a share of it
	overfitBefore = 4    // epochs by which smoothing may be late
)

// overfitting is where a run began to overfit: its validation loss rises for good
// while its training loss still falls.
type overfitting struct {
	row                int // of the epochs
	epoch              float64
	valLow, valNow     float64
	trainThen, trainIs float64
}

// findOverfitting looks for it in the epochs' training and validation losses.
func findOverfitting(epochs *chart.Series, train, val int) (overfitting, bool) {
	smooth := epochs.Values[val].Smooth(overfitWeight)
	low, end := -1, -1
	for i, v := range smooth {
		if math.IsNaN(v) {
			continue
		}
		end = i
		if low < 0 || v <= smooth[low] {
			low = i
		}
	}
	if low < 0 {
		return overfitting{}, false
	}
	// The lowest raw value lies a little before the lowest smoothed one.
	at := low
	means := epochs.Values[val].Mean
	for i := max(0, low-overfitBefore); i < low; i++ {
		if means[i] < means[at] { // false for NaN
			at = i
		}
	}
	at0, at1 := epochs.At[chart.ByEpoch][at], epochs.At[chart.ByEpoch][end]
	trains := epochs.Values[train].Smooth(overfitWeight)
	t := overfitting{
		row: at, epoch: at0,
		valLow: smooth[low], valNow: smooth[end],
		trainThen: trains[at], trainIs: trains[end],
	}
	return t, at1-at0 >= overfitEpochs && t.valNow > t.valLow*(1+overfitRise) && t.trainIs < t.trainThen
}

// words say what it looks like.
func (o overfitting) words() string {
	return fmt.Sprintf("Overfitting since epoch %.0f: validation loss rose from %.4f to %.4f while training loss fell from %.4f to %.4f.",
		o.epoch, o.valLow, o.valNow, o.trainThen, o.trainIs)
}
