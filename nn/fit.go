package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxSize bounds the images of a network that comes from outside.
const maxSize = 512

// Fits reports whether tensors are the parameters of s, by names and shapes, in
// any order. It takes no memory for what s says: s and the tensors may come from
// a file that nobody has checked.
func (s Spec) Fits(ts []Tensor) error {
	if s.Size > maxSize {
		return fmt.Errorf("nn: images of %d pixels: want at most %d", s.Size, maxSize)
	}
	if len(s.Filters) > 9 { // which halve maxSize to one pixel
		return fmt.Errorf("nn: %d blocks of filters: want at most 9", len(s.Filters))
	}
	if err := s.Validate(); err != nil {
		return err
	}
	for _, t := range ts {
		for _, n := range t.Shape {
			if n < 1 || n > math.MaxInt32 {
				return fmt.Errorf("nn: %s has shape %v", t.Name, t.Shape)
			}
		}
	}
	return fits(describeParams(s), ts)
}

// maxMisfits is how many tensors that don't fit are named.
const maxMisfits = 12

// fits checks the names and shapes of tensors that are to be the parameters. The
// error names each one that is missing, that the network has not, and that has
// another shape.
func fits(params []param, ts []Tensor) error {
	byName, err := index(ts)
	if err != nil {
		return err
	}
	var wrong []string
	for _, p := range params {
		t, ok := byName[p.name]
		delete(byName, p.name)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is missing: %v is wanted", p.name, p.order.shape))
			continue
		}
		if !slices.Equal(t.Shape, p.order.shape) {
			wrong = append(wrong, fmt.Sprintf("%s has shape %v, %v is wanted", p.name, t.Shape, p.order.shape))
			continue
		}
		if err := p.order.check(t); err != nil {
			return err
		}
	}
	for _, t := range ts { // ts for the first in order
		if _, ok := byName[t.Name]; ok {
			wrong = append(wrong, fmt.Sprintf("%s %v is one too many: this network has none", t.Name, t.Shape))
		}
	}
	if more := len(wrong) - maxMisfits; more > 1 {
		wrong = append(wrong[:maxMisfits], fmt.Sprintf("and %d more", more))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("nn: the file is of another network:\n  %s", strings.Join(wrong, "\n  "))
}

// SpecOf finds the network that tensors are the parameters of by their names and
// shapes, where no description of it has come with them. Dropout, of which the
// parameters tell nothing, is 0.
func SpecOf(ts []Tensor) (Spec, error) {
	shape := func(name string) []int {
		i := slices.IndexFunc(ts, func(t Tensor) bool { return t.Name == name })
		if i < 0 {
			return nil
		}
		return ts[i].Shape
	}
	var s Spec
	for block := 0; ; block++ {
		first := shape(fmt.Sprintf("conv%d.weight", 2*block+1))
		if first == nil {
			break
		}
		if len(first) != 4 {
			return Spec{}, fmt.Errorf("nn: conv%d.weight has shape %v, want four axes: the file is of another network", 2*block+1, first)
		}
		s.Filters = append(s.Filters, first[0])
	}
	first, last := shape("dense.weight"), shape("dense.weight")
	for i := 1; ; i++ {
		hidden := shape(fmt.Sprintf("fc%d.weight", i))
		if hidden == nil {
			break
		}
		if len(hidden) != 2 {
			return Spec{}, fmt.Errorf("nn: fc%d.weight has shape %v, want two axes: the file is of another network", i, hidden)
		}
		if i == 1 {
			first = hidden
		}
		s.Dense = append(s.Dense, hidden[0])
	}
	if len(s.Filters) == 0 || len(last) != 2 {
		return Spec{}, fmt.Errorf("nn: there is no conv1.weight or no dense.weight of two axes among the %d tensors: the file is of another network", len(ts))
	}
	s.Classes = last[0]
	if f := s.Filters[len(s.Filters)-1]; f > 0 && len(s.Filters) <= 9 {
		side := int(math.Round(math.Sqrt(float64(first[1] / f))))
		s.Size = side << len(s.Filters)
	}
	return s, s.Fits(ts)
}
