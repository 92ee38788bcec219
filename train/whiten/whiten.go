// Package whiten makes the pixels of images uncorrelated: --preprocess zca. It
// finds the matrix for a set of images, and multiplies images by it.
//
// The matrix is that of Keras's ImageDataGenerator with zca_whitening: of the
// covariance C of the images' numbers, the mean of each channel taken away, it
// is (C + epsilon I)^(-1/2), the one of all matrices that whiten which changes
// an image least (Bell and Sejnowski, The "independent components" of natural
// scenes are edge filters, 1997). An image's numbers are in the order
// [height][width][channels].
package whiten

import (
	"context"
	"fmt"

	"cifartui/cifar"
)

// epsilon is what Keras adds to the covariance's eigenvalues.
const epsilon = 1e-6

// Matrix returns the matrix, [n][n] row by row, for images of a set of which
// n = 3*Size*Size. It takes a minute or so, most of it the reduction of the
// covariance to three diagonals; progress, which may be nil, is told how much of
// it is done. The same images give the same bits whatever the threads. When ctx
// ends it returns at once, and leaves the reduction to itself.
func Matrix(ctx context.Context, set *cifar.Set, progress func(part float64)) ([]float32, error) {
	if set.Size > cifar.Size {
		return nil, fmt.Errorf("whiten images of %d pixels: want at most %d, for which the matrix has %d numbers a side", set.Size, cifar.Size, cifar.Pixels)
	}
	if progress == nil {
		progress = func(float64) {}
	}
	c, err := covariance(ctx, set, func(part float64) { progress(0.3 * part) })
	if err != nil {
		return nil, err
	}
	m, err := orAbandon(ctx, func() ([]float32, error) { return inverseRoot(ctx, c, set.ImageBytes(), epsilon) })
	progress(1)
	return m, err
}

// orAbandon returns what f does, or ctx's error as soon as that ends: f, which may be
// within a step that nothing can end, is no more waited for then. A panic in f is
// the caller's.
func orAbandon(ctx context.Context, f func() ([]float32, error)) ([]float32, error) {
	type result struct {
		m     []float32
		err   error
		fault any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.fault = recover()
			done <- r
		}()
		r.m, r.err = f()
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.fault != nil {
			panic(r.fault)
		}
		return r.m, r.err
	}
}
