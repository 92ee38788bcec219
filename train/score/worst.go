package score

import "slices"

// Mistake is an image that was taken for another class.
type Mistake struct {
	Index int // of the image
	Label int // its class
	Said  int // the class of the largest probability
	// Prob is the probability of the class said, True that of its own.
	Prob, True float64
}

// Worst returns the most confident mistakes, at most n, the worst first: by the
// probability of what was said, then by that of the true class, the least first,
// then by the image's place. It takes what [Of] has accepted.
func Worst(prob []float32, labels []byte, classes, n int) []Mistake {
	var list []Mistake
	for i, label := range labels {
		p := prob[i*classes : (i+1)*classes]
		if said := largest(p); said != int(label) {
			list = append(list, Mistake{Index: i, Label: int(label), Said: said, Prob: float64(p[said]), True: float64(p[label])})
		}
	}
	slices.SortStableFunc(list, func(a, b Mistake) int {
		switch {
		case a.Prob != b.Prob:
			return sign(b.Prob - a.Prob)
		case a.True != b.True:
			return sign(a.True - b.True)
		}
		return a.Index - b.Index
	})
	return list[:min(n, len(list))]
}

func sign(v float64) int {
	if v < 0 {
		return -1
	}
	return 1
}
