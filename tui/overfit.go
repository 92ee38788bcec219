package tui

import (
	"math"

	"cifartui/tui/chart"
)

// What counts as the validation loss having turned up for good.
const (
	turnWeight = 0.6  // smoothing, whatever the charts show
	turnEpochs = 5    // epochs since the lowest point, at least
	turnRise   = 0.05 // above the lowest point, as a share of it
	turnBefore = 4    // epochs by which smoothing may be late
)

// A turn is where a run began to overfit: its validation loss rises for good
// while its training loss still falls.
type turn struct {
	row                int // of the epochs
	epoch              float64
	valLow, valNow     float64
	trainThen, trainIs float64
}

// findTurn looks for the turn in the epochs' training and validation losses.
func findTurn(epochs *chart.Series, train, val int) (turn, bool) {
	smooth := epochs.Values[val].Smooth(turnWeight)
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
		return turn{}, false
	}
	// The lowest raw value lies a little before the lowest smoothed one.
	at := low
	means := epochs.Values[val].Mean
	for i := max(0, low-turnBefore); i < low; i++ {
		if means[i] < means[at] { // false for NaN
			at = i
		}
	}
	at0, at1 := epochs.At[chart.ByEpoch][at], epochs.At[chart.ByEpoch][end]
	trains := epochs.Values[train].Smooth(turnWeight)
	t := turn{
		row: at, epoch: at0,
		valLow: smooth[low], valNow: smooth[end],
		trainThen: trains[at], trainIs: trains[end],
	}
	return t, at1-at0 >= turnEpochs && t.valNow > t.valLow*(1+turnRise) && t.trainIs < t.trainThen
}
