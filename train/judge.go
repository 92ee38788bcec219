package train

import (
	"slices"

	"cifartui/cifar"
)

// maxSamples is how many mistakes an Evaluated shows.
const maxSamples = 24

// judge adds a batch to a validation.
func (r *run) judge(v *validation, b *cifar.Batch) error {
	sum, correct, err := r.eval.Run(b.X, b.Labels)
	if err != nil {
		return err
	}
	v.sum += sum
	v.correct += correct
	v.images += len(b.Labels)
	p := r.eval.Probabilities()
	classes := r.spec.Classes
	for i, label := range b.Labels {
		row := p[i*classes : (i+1)*classes]
		best := 0
		for c, q := range row {
			if q > row[best] {
				best = c
			}
		}
		v.confusion[label][best]++
		if best != int(label) {
			v.mistake(Sample{Index: b.Index[i], Label: int(label), Predicted: best, Confidence: float64(row[best])})
		}
	}
	return nil
}

// mistake keeps s if it is among the most confident mistakes so far. They are
// sorted by confidence, then by index.
func (v *validation) mistake(s Sample) {
	at, _ := slices.BinarySearchFunc(v.mistakes, s, func(a, b Sample) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		}
		return a.Index - b.Index
	})
	if at >= maxSamples {
		return
	}
	if len(v.mistakes) == maxSamples {
		v.mistakes = v.mistakes[:maxSamples-1]
	}
	v.mistakes = slices.Insert(v.mistakes, at, s)
}

// worst returns the mistakes with their images, worst first.
func (v *validation) worst(set *cifar.Set) []Sample {
	for i := range v.mistakes {
		v.mistakes[i].Pixels = set.Image(v.mistakes[i].Index)
	}
	return v.mistakes
}
