package whiten

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"cifartui/cifar"
	"cifartui/nn/kernel"
)

// How the sums of products are taken. Of so many images of bytes from -128 to
// 127 they are whole numbers below 2^24, which float32 holds: they are exact, in
// any order, on every processor.
const (
	images = 1024
	block  = 48 // pixels: a block of sums has their square
)

// covariance returns, [n][n], the mean product of each two numbers of an image,
// in [0,1] and less their channel's mean.
func covariance(ctx context.Context, set *cifar.Set, progress func(part float64)) ([]float64, error) {
	n := set.ImageBytes()
	sums, sum := make([]float64, n*n), make([]float64, n)
	x := make([]float32, n*images) // [n][images]
	for first := 0; first < set.Len(); first += images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := set.Slice(first, min(first+images, set.Len()))
		transpose(x, part, sum)
		products(sums, x, n)
		progress(float64(first+part.Len()) / float64(set.Len()))
	}
	centre(sums, sum, set.Len())
	return sums, nil
}

// transpose writes the images' numbers less 128 to x, [n][images], in the order
// [height][width][channels], zeros for images that are missing, and adds them to
// sum.
func transpose(x []float32, set *cifar.Set, sum []float64) {
	plane := set.Size * set.Size
	clear(x)
	for i := range set.Len() {
		image := set.Image(i)
		for p := range plane {
			for c := range cifar.Channels {
				at := cifar.Channels*p + c
				v := float64(image[c*plane+p]) - 128
				x[at*images+i] = float32(v)
				sum[at] += v
			}
		}
	}
}

// products adds to sums, on and below the diagonal, the products of x's rows.
func products(sums []float64, x []float32, n int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			alone, zero := kernel.NewWorkers(1), make([]float32, block)
			defer alone.Close()
			y := make([]float32, block*block)
			// The longest rows of blocks first.
			for {
				i := n - int(next.Add(1))*block
				if i <= -block {
					return
				}
				from := max(i, 0)
				rows := i + block - from
				for j := 0; j < from+rows; j += block {
					columns := min(block, from+rows-j)
					kernel.Dense(alone, y[:rows*columns], x[from*images:][:rows*images], x[j*images:][:columns*images], zero[:columns], rows, images, columns)
					for r := range rows {
						for k, v := range y[r*columns:][:columns] {
							sums[(from+r)*n+j+k] += float64(v)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

// centre makes sums of products the covariance, which is symmetric.
func centre(sums, sum []float64, count int) {
	n := len(sum)
	var mean [cifar.Channels]float64
	for i, s := range sum {
		mean[i%cifar.Channels] += s / float64(n/cifar.Channels) / float64(count)
	}
	for i := range n {
		mi := mean[i%cifar.Channels]
		for j := range i + 1 {
			mj := mean[j%cifar.Channels]
			// The conversions keep a compiler from fusing.
			v := sums[i*n+j] - float64(mj*sum[i]) - float64(mi*sum[j])
			v = (v/float64(count) + float64(mi*mj)) / (255 * 255)
			sums[i*n+j], sums[j*n+i] = v, v
		}
	}
}
