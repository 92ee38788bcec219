// Package cifartest makes images for the tests of other packages.
package cifartest

import (
	"math/rand/v2"

	"cifartui/cifar"
)

// Colours draws n images whose class is a matter of colour, with noise: a small
// network learns them in a few steps.
func Colours(n int, seed uint64) *cifar.Set { return ColoursOf(cifar.Size, n, seed) }

// ColoursOf draws images of a size.
func ColoursOf(size, n int, seed uint64) *cifar.Set {
	r := rand.New(rand.NewPCG(seed, 1))
	s := cifar.NewSet(size, n)
	for i := range n {
		class := i % cifar.Classes
		s.Labels[i] = byte(class)
		for j, image := 0, s.Image(i); j < len(image); j++ {
			plane := j / (size * size)
			image[j] = byte(20*((class>>plane)&3) + 60*(class%3) + r.IntN(60))
		}
	}
	return s
}
