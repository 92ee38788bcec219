// Package score says how good a classifier's probabilities are, given the true
// classes: loss, accuracy, top-5, precision and recall of each class, the
// confusion matrix, the calibration error (score.go), and which mistakes are the
// worst (worst.go). It knows no network and no images.
package score

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Score is how good the probabilities of some images are. In the formulas, p(i)
// are those of image i, y(i) is its class, and the class said, c(i), is that of
// the largest probability, the first of equals.
type Score struct {
	// Loss is the cross-entropy, the mean of -ln p(i)[y(i)].
	Loss float64 `json:"loss"`
	// Accuracy is the share of images with c(i) = y(i), Top5 of those whose class
	// is among the five largest probabilities.
	Accuracy float64 `json:"accuracy"`
	Top5     float64 `json:"top5"`
	// CalibrationError is the expected calibration error of Guo et al., On
	// Calibration of Modern Neural Networks, 2017: images fall into [Bins] bins of
	// equal width by the probability of the class said; it is the mean over the
	// images of the distance, in their bin, between the share that is right and
	// the mean of these probabilities.
	CalibrationError float64 `json:"calibration_error"`
	Classes          []Class `json:"classes"`
	// Confusion counts images by [true class][class said].
	Confusion [][]int `json:"confusion"`
}

// Class is what is known of one class.
type Class struct {
	Name string `json:"name"`
	// Precision is the share, of the images said to be of the class, that are,
	// and Recall the share, of the images of the class, said to be.
	Precision Share `json:"precision"`
	Recall    Share `json:"recall"`
	Count     int   `json:"count"` // images of the class
}

// Share is a part of a number of images, NaN where there are none: null in JSON.
type Share float64

// MarshalJSON implements [json.Marshaler].
func (s Share) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(s)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Share) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*s = Share(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(s))
}

// Bins is how many bins the calibration error has, as in the paper.
const Bins = 15

// top is how many classes Top5 looks at.
const top = 5

// least is the smallest probability that counts in a loss: the smallest that is
// not 0 in float32, in which probabilities are given. Its loss is 103.3.
const least = math.SmallestNonzeroFloat32

// Of scores probabilities, [images][classes], of images whose true classes are
// labels. names are those of the classes.
func Of(prob []float32, labels []byte, names []string) (Score, error) {
	if err := check(prob, labels, names); err != nil {
		return Score{}, err
	}
	n := len(names)
	s := Score{Classes: make([]Class, n), Confusion: make([][]int, n)}
	for i := range n {
		s.Confusion[i] = make([]int, n)
	}
	var bins [Bins]struct{ images, right, sum float64 }
	for i, label := range labels {
		p := prob[i*n : (i+1)*n]
		said := largest(p)
		s.Confusion[label][said]++
		s.Loss -= math.Log(max(float64(p[label]), least))
		if rank(p, int(label)) < top {
			s.Top5++
		}
		// Bin k holds what is over k/Bins, up to and including (k+1)/Bins.
		b := &bins[min(max(int(math.Ceil(float64(p[said])*Bins))-1, 0), Bins-1)]
		b.images++
		b.sum += float64(p[said])
		if said == int(label) {
			b.right++
			s.Accuracy++
		}
	}
	for _, b := range bins {
		s.CalibrationError += math.Abs(b.right - b.sum)
	}
	images := float64(len(labels))
	s.Loss, s.Accuracy, s.Top5, s.CalibrationError = s.Loss/images, s.Accuracy/images, s.Top5/images, s.CalibrationError/images
	for c := range n {
		said := 0
		for _, row := range s.Confusion {
			said += row[c]
		}
		count := 0
		for _, v := range s.Confusion[c] {
			count += v
		}
		right := float64(s.Confusion[c][c])
		s.Classes[c] = Class{Name: names[c], Precision: Share(right / float64(said)), Recall: Share(right / float64(count)), Count: count}
	}
	return s, nil
}

// check refuses what cannot be scored.
func check(prob []float32, labels []byte, names []string) error {
	n := len(names)
	if len(labels) == 0 || n == 0 {
		return fmt.Errorf("score: %d images of %d classes: there is nothing to score", len(labels), n)
	}
	if len(prob) != len(labels)*n {
		return fmt.Errorf("score: %d probabilities, want %d for %d images of %d classes", len(prob), len(labels)*n, len(labels), n)
	}
	if i := slices.IndexFunc(labels, func(l byte) bool { return int(l) >= n }); i >= 0 {
		return fmt.Errorf("score: image %d is of class %d of %d", i, labels[i], n)
	}
	if i := slices.IndexFunc(prob, func(p float32) bool { return !(p >= 0 && p <= 1.0001) }); i >= 0 {
		return fmt.Errorf("score: image %d: %v is no probability", i/n, prob[i])
	}
	return nil
}

// largest is the place of the largest probability, the first of equals.
func largest(p []float32) int {
	best := 0
	for i, v := range p {
		if v > p[best] {
			best = i
		}
	}
	return best
}

// rank is how many classes come before one when they are sorted by probability.
func rank(p []float32, class int) int {
	before := 0
	for i, v := range p {
		if v > p[class] || v == p[class] && i < class {
			before++
		}
	}
	return before
}

// Mean is the mean of several models' probabilities of the same images.
func Mean(of ...[]float32) []float32 {
	out := make([]float32, len(of[0]))
	for i := range out {
		sum := 0.0
		for _, p := range of {
			sum += float64(p[i])
		}
		out[i] = float32(sum / float64(len(of)))
	}
	return out
}
