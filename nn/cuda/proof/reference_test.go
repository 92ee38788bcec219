package proof

import "cifartui/nn/cuda/ptx"

// What the kernels compute, in float64, in the plainest way.

// shape is that of a convolution's images.
type shape struct {
	images  int // of the batch; rows of them are valid
	rows    int
	lh, lw  int  // logarithms of height and width
	by3     bool // which are three times as large
	in, out int
	pool    bool
}

func (s shape) odd() int {
	if s.by3 {
		return 3
	}
	return 1
}
func (s shape) height() int { return s.odd() << s.lh }
func (s shape) width() int  { return s.odd() << s.lw }

// area is the pixels of an image, pixels those of the valid rows.
func (s shape) area() int   { return s.height() * s.width() }
func (s shape) pixels() int { return s.rows * s.area() }

// kernel is the name of a kernel for such images.
func (s shape) kernel(name string) string {
	if s.by3 {
		return name + ptx.By3
	}
	return name
}

// convolve returns the 3x3 convolution of x [rows][H][W][in], w [9][in][out].
func convolve(s shape, x, w []float64) []float64 {
	y := make([]float64, s.pixels()*s.out)
	s.taps(func(to, from, tap int) {
		for i, v := range x[from*s.in : (from+1)*s.in] {
			if v == 0 {
				continue
			}
			row := w[(tap*s.in+i)*s.out:][:s.out]
			sum := y[to*s.out:][:s.out]
			for o, f := range row {
				sum[o] += v * f
			}
		}
	})
	return y
}

// taps calls f for each pixel, each tap of its window and the pixel under it.
func (s shape) taps(f func(to, from, tap int)) {
	h, w := s.height(), s.width()
	for p := range s.pixels() {
		n, y, x := p/(h*w), p/w%h, p%w
		for tap := range 9 {
			if yy, xx := y+tap/3-1, x+tap%3-1; yy >= 0 && yy < h && xx >= 0 && xx < w {
				f(p, (n*h+yy)*w+xx, tap)
			}
		}
	}
}

// dataGradient returns the gradient of convolve by x.
func dataGradient(s shape, dy, w []float64) []float64 {
	dx := make([]float64, s.pixels()*s.in)
	s.taps(func(to, from, tap int) {
		g := dy[to*s.out:][:s.out]
		for i := range s.in {
			sum := 0.0
			for o, f := range w[(tap*s.in+i)*s.out:][:s.out] {
				sum += g[o] * f
			}
			dx[from*s.in+i] += sum
		}
	})
	return dx
}

// filterGradient returns the gradient of convolve by w.
func filterGradient(s shape, x, dy []float64) []float64 {
	dw := make([]float64, 9*s.in*s.out)
	s.taps(func(to, from, tap int) {
		g := dy[to*s.out:][:s.out]
		for i, v := range x[from*s.in : (from+1)*s.in] {
			if v == 0 {
				continue
			}
			sum := dw[(tap*s.in+i)*s.out:][:s.out]
			for o, f := range g {
				sum[o] += v * f
			}
		}
	})
	return dw
}

// pooled returns the 2x2 maxima of y [rows][H][W][out] and the place of each,
// the first of equals.
func pooled(s shape, y []float64) (best []float64, place []byte) {
	h, w := s.height()/2, s.width()/2
	best, place = make([]float64, s.rows*h*w*s.out), make([]byte, s.rows*h*w*s.out)
	for q := range s.rows * h * w {
		n, py, px := q/(h*w), q/w%h, q%w
		for o := range s.out {
			for k := range 4 {
				v := y[((n*2*h+2*py+k/2)*2*w+2*px+k%2)*s.out+o]
				if k == 0 || v > best[q*s.out+o] {
					best[q*s.out+o], place[q*s.out+o] = v, byte(k)
				}
			}
		}
	}
	return best, place
}

// columns returns the sums over the rows of v [rows][n].
func columns(v []float64, n int) []float64 {
	sum := make([]float64, n)
	for i, x := range v {
		sum[i%n] += x
	}
	return sum
}
