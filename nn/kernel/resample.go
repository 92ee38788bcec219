package kernel

// Resample brings images to another size by adaptive average pooling, as PyTorch's
// adaptive_avg_pool2d: row y of the result, of height h, is the mean of the rows
// floor(y H/h) to ceil((y+1) H/h), not included, of the H that there are, and so
// for columns. A result that is larger repeats rows and mixes neighbours. to and
// from have the same channels and number of images; borders are left alone.
func Resample(w *Workers, dst []float32, to Image, src []float32, from Image, rows int) {
	checkResample("Resample", dst, to, src, from, rows)
	t := &w.scratch.resample
	*t = resampleTask{dst: dst, src: src, to: to, from: from}
	w.Do(rows, t)
}

// ResampleBackward computes dsrc, the gradient at what Resample read, from ddst,
// that at its result. It is 0 wherever src, which Resample read and which comes
// out of a ReLU, is 0. dsrc may be src.
func ResampleBackward(w *Workers, dsrc []float32, from Image, ddst []float32, to Image, src []float32, rows int) {
	checkResample("ResampleBackward", ddst, to, dsrc, from, rows)
	from.check("ResampleBackward", "src", src, rows)
	t := &w.scratch.resample
	*t = resampleTask{dst: dsrc, src: ddst, mask: src, to: to, from: from}
	w.Do(rows, t)
}

func checkResample(kernel string, dst []float32, to Image, src []float32, from Image, rows int) {
	to.check(kernel, "the result", dst, rows)
	from.check(kernel, "src", src, rows)
	check(kernel, to.C == from.C, "the images have different channels")
}

// resampleTask is a Resample or, if mask is set, a ResampleBackward.
type resampleTask struct {
	dst, src, mask []float32
	to, from       Image
}

func (t *resampleTask) Run(_, n int) {
	if t.mask == nil {
		t.forward(n)
	} else {
		t.backward(n)
	}
}

// cells are the rows or columns of h that are averaged for place i of n.
func cells(i, h, n int) (first, last int) { return i * h / n, ((i+1)*h + n - 1) / n }

func (t *resampleTask) forward(n int) {
	to, from := t.to, t.from
	for y := range to.H {
		top, bottom := cells(y, from.H, to.H)
		for x := range to.W {
			left, right := cells(x, from.W, to.W)
			dst := t.dst[to.At(n, y, x):][:to.C]
			clear(dst)
			for i := top; i < bottom; i++ {
				for j := left; j < right; j++ {
					for c, v := range t.src[from.At(n, i, j):][:to.C] {
						dst[c] += v
					}
				}
			}
			share := 1 / float32((bottom-top)*(right-left))
			for c := range dst {
				dst[c] *= share
			}
		}
	}
}

// backward gathers, for each pixel, what comes from the places that it has a
// share in, so that dsrc may be src.
func (t *resampleTask) backward(n int) {
	from := t.from
	for i := range from.H {
		for j := range from.W {
			at := from.At(n, i, j)
			dst := t.dst[at:][:from.C]
			copy(dst, t.mask[at:][:from.C]) // the mask, until the sum takes its place
			t.gather(dst, n, i, j)
		}
	}
}

// gather replaces the elements of dst, of pixel (i, j), that are not 0 by their
// gradients.
func (t *resampleTask) gather(dst []float32, n, i, j int) {
	const some = 64 // channels, whose sums are kept aside
	to, from := t.to, t.from
	var sums [some]float32
	for first := 0; first < len(dst); first += some {
		part := dst[first:min(first+some, len(dst))]
		sum := sums[:len(part)]
		clear(sum)
		for y := range to.H {
			top, bottom := cells(y, from.H, to.H)
			if i < top || i >= bottom {
				continue
			}
			for x := range to.W {
				left, right := cells(x, from.W, to.W)
				if j < left || j >= right {
					continue
				}
				share := 1 / float32((bottom-top)*(right-left))
				for c, v := range t.src[to.At(n, y, x)+first:][:len(part)] {
					sum[c] += float32(v * share)
				}
			}
		}
		for c, v := range part {
			if v != 0 {
				part[c] = sum[c]
			}
		}
	}
}
