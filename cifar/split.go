package cifar

import (
	"fmt"
	"slices"
	"sort"
)

// Split parts n images from s, drawn by seed, to validate on while the test
// set waits for the end. It is stratified: each class gives its share of n,
// rounded so that the shares add up (largest remainder). Both parts keep the
// order of s. They are copies; s may be let go. A class of few images may be left
// with none to train on, see SplitEmpties.
func (s *Set) Split(n int, seed uint64) (train, held *Set, err error) {
	places, err := s.HeldOut(n, seed)
	if err != nil {
		return nil, nil, err
	}
	train, held = NewSet(s.Size, s.Len()-n), NewSet(s.Size, n)
	t, h := 0, 0
	for i, label := range s.Labels {
		dst, at := train, &t
		if h < n && places[h] == i {
			dst, at = held, &h
		}
		dst.Labels[*at] = label
		copy(dst.Image(*at), s.Image(i))
		*at++
	}
	return train, held, nil
}

// HeldOut returns the images that Split holds out, as their places in s, of which it
// copies none.
func (s *Set) HeldOut(n int, seed uint64) (places []int, err error) {
	if n <= 0 || n >= s.Len() {
		return nil, fmt.Errorf("cifar: hold %s images out for validation: want 1 to %s, since there are %s training images",
			commas(int64(n)), commas(int64(s.Len()-1)), commas(int64(s.Len())))
	}
	take := shares(s.Counts(MaxClasses), n, s.Len())
	var byClass [MaxClasses][]int
	for i, label := range s.Labels {
		byClass[label] = append(byClass[label], i)
	}
	for class, images := range byClass {
		r := newRNG(seed, forSplit, uint64(class))
		for i := range take[class] { // the first steps of a Fisher-Yates shuffle
			j := r.between(i, len(images)-1)
			images[i], images[j] = images[j], images[i]
		}
		places = append(places, images[:take[class]]...)
	}
	slices.Sort(places)
	return places, nil
}

// SplitEmpties returns the classes, by their labels, all images of which a Split of
// n takes.
func (s *Set) SplitEmpties(n int) (classes []int) {
	counts := s.Counts(MaxClasses)
	for class, taken := range shares(counts, n, s.Len()) {
		if taken > 0 && taken == counts[class] {
			classes = append(classes, class)
		}
	}
	return classes
}

// shares divides n among classes in proportion to counts, whose sum is total.
func shares(counts []int, n, total int) []int {
	take, order := make([]int, len(counts)), make([]int, len(counts))
	left := n
	for c, count := range counts {
		take[c] = n * count / total
		left -= take[c]
		order[c] = c
	}
	sort.SliceStable(order, func(i, j int) bool {
		return n*counts[order[i]]%total > n*counts[order[j]]%total
	})
	for _, c := range order[:left] {
		take[c]++
	}
	return take
}
