package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// eachKernel runs f as a subtest with every set of kernels of the program. Sets
// that this machine can't run are skipped, with what it lacks.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	was := Name()
	defer func() { mustUse(t, was) }()
	for _, c := range candidates {
		t.Run(c.name, func(t *testing.T) {
			if c.lacks != "" {
				t.Skipf("the %s kernels are not tested here: this processor lacks %s", c.name, c.lacks)
			}
			mustUse(t, c.name)
			f(t)
		})
	}
}

func mustUse(t testing.TB, name string) {
	t.Helper()
	if err := Use(name); err != nil {
		t.Fatal(err)
	}
}

// guard is the value round every buffer that guarded returns.
const guard = -1.2345e-30

// guarded returns n values between two guards, and a check that the guards
// are untouched.
func guarded(t testing.TB, name string, n int) ([]float32, func()) {
	const wall = 64
	b := Alloc(n + 2*wall)
	for i := range wall {
		b[i], b[wall+n+i] = guard, guard
	}
	return b[wall : wall+n : wall+n], func() {
		t.Helper()
		for i := range wall {
			if b[i] != guard || b[wall+n+i] != guard {
				t.Fatalf("%s: written outside its %d values", name, n)
			}
		}
	}
}

func guardedBytes(t testing.TB, name string, n int) ([]uint8, func()) {
	const wall = 64
	b := make([]uint8, n+2*wall)
	for i := range b {
		b[i] = 0xa5
	}
	return b[wall : wall+n : wall+n], func() {
		t.Helper()
		for i := range wall {
			if b[i] != 0xa5 || b[wall+n+i] != 0xa5 {
				t.Fatalf("%s: written outside its %d values", name, n)
			}
		}
	}
}

// layer is one convolution with everything its passes read and write.
type layer struct {
	spec                ConvSpec
	rows                int
	in, out, small      Image
	x, weights, bias, y []float32
	dy, dx, dw, db      []float32
	arg                 []uint8
	checks              []func()
}

func newLayer(t testing.TB, s ConvSpec, rows int, rng *rand.Rand) *layer {
	l := &layer{spec: s, rows: rows}
	l.in, l.out = Image{s.Images, s.H, s.W, s.In}, Image{s.Images, s.H, s.W, s.Out}
	if s.first() {
		l.in.C = 4
	}
	l.small = Image{s.Images, s.H / 2, s.W / 2, s.Out}
	alloc := func(name string, n int) []float32 {
		b, check := guarded(t, name, n)
		l.checks = append(l.checks, check)
		return b
	}
	l.x = alloc("x", l.in.Len())
	l.weights = alloc("weights", 9*s.In*s.Out)
	l.bias = alloc("bias", s.Out)
	if s.Pool {
		l.y = alloc("y", l.small.Len())
	} else {
		l.y = alloc("y", l.out.Len())
	}
	l.dy = alloc("dy", l.out.Len())
	l.dx = alloc("dx", l.in.Len())
	l.dw = alloc("dw", 9*s.In*s.Out)
	l.db = alloc("db", s.Out)
	var check func()
	l.arg, check = guardedBytes(t, "arg", s.Images*l.small.H*l.small.W*s.Out)
	l.checks = append(l.checks, check)

	// A ReLU's output at the input, He-normal weights, a gradient with the
	// zeros of a ReLU mask.
	l.in.each(rows, func(i, c int) {
		l.x[i] = max(0, float32(rng.NormFloat64()))
		if s.first() && c == 3 {
			l.x[i] = 1
		}
	})
	for i := range l.weights {
		l.weights[i] = float32(rng.NormFloat64() * math.Sqrt(2/9.0/float64(s.In)))
	}
	for i := range l.bias {
		l.bias[i] = float32(rng.NormFloat64() * 0.1)
	}
	l.out.each(rows, func(i, _ int) {
		if rng.IntN(2) == 0 {
			l.dy[i] = float32(rng.NormFloat64())
		}
	})
	return l
}

func (l *layer) check(t testing.TB) {
	t.Helper()
	for _, f := range l.checks {
		f()
	}
}

// each calls f with the index and channel of every interior value of the first
// rows images.
func (m Image) each(rows int, f func(i, c int)) {
	for n := range rows {
		for y := range m.H {
			for x := range m.W {
				for c := range m.C {
					f(m.At(n, y, x)+c, c)
				}
			}
		}
	}
}

// checkBorder fails unless everything but the interior of the first rows
// images is zero.
func (m Image) checkBorder(t testing.TB, name string, data []float32, rows int) {
	t.Helper()
	inside := make([]bool, len(data))
	m.each(rows, func(i, _ int) { inside[i] = true })
	for i, v := range data {
		if !inside[i] && v != 0 {
			t.Fatalf("%s: index %d of the border, or of an image past the last row, is %v", name, i, v)
		}
	}
}

// refForward returns the pre-activation, conv(x) + bias, in float64.
func (l *layer) refForward() []float64 {
	s := l.spec
	ref := make([]float64, l.out.Len())
	for n := range l.rows {
		for y := range s.H {
			for x := range s.W {
				dst := ref[l.out.At(n, y, x):][:s.Out]
				for o := range dst {
					dst[o] = float64(l.bias[o])
				}
				for k := range 9 {
					for i, v := range l.x[l.in.At(n, y+k/3-1, x+k%3-1):][:s.In] {
						u := l.weights[(k*s.In+i)*s.Out:][:s.Out]
						for o := range dst {
							dst[o] += float64(v) * float64(u[o])
						}
					}
				}
			}
		}
	}
	return ref
}

// refBackwardData returns the gradient at the input, before any mask.
func (l *layer) refBackwardData() []float64 {
	s := l.spec
	ref := make([]float64, l.in.Len())
	for n := range l.rows {
		for y := range s.H {
			for x := range s.W {
				dst := ref[l.in.At(n, y, x):][:s.In]
				for k := range 9 {
					dy := l.dy[l.out.At(n, y-k/3+1, x-k%3+1):][:s.Out]
					for i := range dst {
						u := l.weights[(k*s.In+i)*s.Out:][:s.Out]
						for o, v := range dy {
							dst[i] += float64(v) * float64(u[o])
						}
					}
				}
			}
		}
	}
	return ref
}

// refBackwardFilter returns the gradients of weights and bias.
func (l *layer) refBackwardFilter() (dw, db []float64) {
	s := l.spec
	dw, db = make([]float64, 9*s.In*s.Out), make([]float64, s.Out)
	for n := range l.rows {
		for y := range s.H {
			for x := range s.W {
				dy := l.dy[l.out.At(n, y, x):][:s.Out]
				for o, d := range dy {
					db[o] += float64(d)
				}
				for k := range 9 {
					for i, v := range l.x[l.in.At(n, y+k/3-1, x+k%3-1):][:s.In] {
						dst := dw[(k*s.In+i)*s.Out:][:s.Out]
						for o, d := range dy {
							dst[o] += float64(v) * float64(d)
						}
					}
				}
			}
		}
	}
	return dw, db
}

// wanted is what the references say of a layer.
type wanted struct{ y, dx, dw, db []float64 }

// layers are the last ones that were computed, as each set of kernels is asked for
// the same ones and the references take longer than they do.
var layers = map[string]wanted{}

// want is the layer's references: y of one that does not pool, dx of one that is not
// the first, and no gradients of one for inference.
func (l *layer) want() wanted {
	key := fmt.Sprintf("%+v %d", l.spec, l.rows)
	if r, ok := layers[key]; ok {
		return r
	}
	var r wanted
	if !l.spec.Pool {
		r.y = l.refForward()
	}
	if !l.spec.Inference {
		if !l.spec.first() {
			r.dx = l.refBackwardData()
		}
		r.dw, r.db = l.refBackwardFilter()
	}
	if len(layers) >= 100 { // while shapes are fuzzed
		clear(layers)
	}
	layers[key] = r
	return r
}

// normError is the norm of the error over the norm of the reference.
func normError(got []float32, want []float64) float64 {
	var e, s float64
	for i, w := range want {
		d := float64(got[i]) - w
		e += d * d
		s += w * w
	}
	if s == 0 {
		return math.Sqrt(e)
	}
	return math.Sqrt(e / s)
}

// tolerance bounds the norm error of every pass.
const tolerance float64 = 3e-6

// testLayer runs the three passes and compares each with the reference.
func testLayer(t *testing.T, w *Workers, s ConvSpec, rows int) {
	t.Helper()
	tolerance := tolerance
	if rows*s.H*s.W*min(s.In, s.Out) < 4096 {
		tolerance *= 10 // the norm of a few values may be small by chance
	}
	l := newLayer(t, s, rows, rand.New(rand.NewPCG(1, uint64(rows))))
	c := NewConv(w, s)
	c.SetWeights(l.weights)
	c.Forward(l.y, l.arg, l.x, l.bias, rows)
	l.check(t)
	want := l.want()
	wrong := 0
	if s.Pool {
		l.checkPooled(t, c, w)
	} else {
		ref := slices.Clone(want.y)
		for i, v := range ref {
			if (v > 0) != (l.y[i] > 0) {
				wrong++
			}
			ref[i] = max(v, 0)
		}
		l.out.checkBorder(t, "y", l.y, rows)
		if e := normError(l.y, ref); !(e <= tolerance) {
			t.Errorf("Forward: norm error %.2e", e)
		} else {
			t.Logf("%+v rows %d: Forward: norm error %.2e, wrong signs %.1e", s, rows, e, float64(wrong)/float64(rows*s.H*s.W*s.Out))
		}
	}
	if s.Inference {
		return
	}
	if s.Pool {
		l.checkPooledGradients(t, c, w)
	}

	if !s.first() {
		ref := slices.Clone(want.dx)
		c.BackwardData(l.dx, l.dy, nil, rows)
		l.check(t)
		l.in.checkBorder(t, "dx", l.dx, rows)
		if e := normError(l.dx, ref); !(e <= tolerance) {
			t.Errorf("BackwardData: norm error %.2e", e)
		}
		for i, v := range l.x {
			if v == 0 {
				ref[i] = 0
			}
		}
		c.BackwardData(l.dx, l.dy, l.x, rows)
		l.check(t)
		for i, v := range l.x {
			if v == 0 && l.dx[i] != 0 {
				t.Fatal("BackwardData: a gradient where the ReLU was off")
			}
		}
		if e := normError(l.dx, ref); !(e <= tolerance) {
			t.Errorf("BackwardData with mask: norm error %.2e", e)
		} else {
			t.Logf("BackwardData: norm error %.2e", e)
		}
	}

	for range 2 { // the second pass must overwrite, not add
		c.BackwardFilter(l.dw, l.db, l.x, l.dy, rows)
	}
	l.check(t)
	if e := normError(l.dw, want.dw); !(e <= tolerance) {
		t.Errorf("BackwardFilter: norm error %.2e", e)
	} else {
		t.Logf("BackwardFilter: norm error %.2e", e)
	}
	size := make([]float64, s.Out) // of the terms, whose sum may be near 0
	l.out.each(rows, func(i, c int) { size[c] += math.Abs(float64(l.dy[i])) })
	for o, sum := range want.db {
		if e := math.Abs(float64(l.db[o]) - sum); !(e <= tolerance*size[o]) {
			t.Errorf("BackwardFilter: the bias's gradient %d is %v, want %v", o, l.db[o], sum)
		}
	}
}

// checkPooled compares a pooled forward pass, bit for bit, with the maxima of
// the same layer without pooling.
func (l *layer) checkPooled(t *testing.T, c *Conv, w *Workers) {
	t.Helper()
	s := l.spec
	s.Pool = false
	full := Alloc(l.out.Len())
	flat := NewConv(w, s)
	flat.SetWeights(l.weights)
	flat.Forward(full, nil, l.x, l.bias, l.rows)
	l.small.checkBorder(t, "pooled y", l.y, l.rows)
	for n := range l.rows {
		for y := range l.small.H {
			for x := range l.small.W {
				for o := range s.Out {
					best, pos := float32(-1), uint8(0)
					for k := range 4 {
						if v := full[l.out.At(n, 2*y+k/2, 2*x+k%2)+o]; v > best {
							best, pos = v, uint8(k)
						}
					}
					if best == 0 {
						pos = 4
					}
					if got := l.y[l.small.At(n, y, x)+o]; got != best {
						t.Fatalf("pooled y at %d,%d,%d,%d: %v, want %v", n, y, x, o, got, best)
					}
					if got := l.arg[((n*l.small.H+y)*l.small.W+x)*s.Out+o]; !s.Inference && got != pos {
						t.Fatalf("arg at %d,%d,%d,%d: %d, want %d", n, y, x, o, got, pos)
					}
				}
			}
		}
	}
}

// checkPooledGradients compares the passes that take a pooled gradient, bit for
// bit, with spreadPool and those that take a full one.
func (l *layer) checkPooledGradients(t *testing.T, c *Conv, w *Workers) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	dp, checkDP := guarded(t, "dp", l.small.Len())
	l.small.each(l.rows, func(i, _ int) { dp[i] = float32(rng.NormFloat64()) })
	dy := Alloc(l.out.Len())
	spreadPool(dy, l.out, dp, l.arg, l.rows)
	same := func(what string, got, want []float32) {
		t.Helper()
		l.check(t)
		for i, v := range want {
			if l.spec.first() && math.Abs(float64(got[i]-v)) <= 1e-4 {
				continue // the first layer copies such gradients, and sums in other chunks
			}
			if math.Float32bits(got[i]) != math.Float32bits(v) {
				t.Fatalf("%s: index %d is %v, want %v", what, i, got[i], v)
			}
		}
	}
	if !l.spec.first() {
		dx := Alloc(len(l.dx))
		c.BackwardData(dx, dy, l.x, l.rows)
		c.BackwardDataPooled(l.dx, dp, l.arg, l.x, l.rows)
		same("BackwardDataPooled", l.dx, dx)
	}
	dw, db := Alloc(len(l.dw)), Alloc(len(l.db))
	c.BackwardFilter(dw, db, l.x, dy, l.rows)
	c.BackwardFilterPooled(l.dw, l.db, l.x, dp, l.arg, l.rows)
	same("dw of BackwardFilterPooled", l.dw, dw)
	same("db of BackwardFilterPooled", l.db, db)
	checkDP()
}

func TestConvMatchesReference(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		for _, s := range []ConvSpec{
			{Images: 2, H: 32, W: 32, In: 3, Out: 64},
			{Images: 1, H: 32, W: 32, In: 64, Out: 64, Pool: true},
			{Images: 1, H: 16, W: 16, In: 64, Out: 128},
			{Images: 1, H: 16, W: 16, In: 128, Out: 128, Pool: true},
			{Images: 1, H: 8, W: 8, In: 128, Out: 256},
			{Images: 2, H: 8, W: 8, In: 256, Out: 256},
			{Images: 2, H: 8, W: 8, In: 256, Out: 256, Pool: true, Inference: true},
		} {
			testLayer(t, w, s, s.Images)
		}
	})
}

// Odd shapes go through copies of their border tiles and padded channels.
func TestConvOddShapes(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		for _, s := range []ConvSpec{
			{Images: 1, H: 1, W: 1, In: 1, Out: 1},
			{Images: 2, H: 2, W: 3, In: 5, Out: 7, Pool: true},
			{Images: 1, H: 4, W: 4, In: 16, Out: 16},
			{Images: 2, H: 5, W: 4, In: 16, Out: 32},
			{Images: 2, H: 7, W: 9, In: 17, Out: 33, Pool: true},
			{Images: 3, H: 12, W: 8, In: 20, Out: 48, Pool: true},
			{Images: 1, H: 6, W: 10, In: 48, Out: 80},
			{Images: 2, H: 10, W: 13, In: 16, Out: 80, Pool: true},
			{Images: 2, H: 5, W: 7, In: 3, Out: 5},
			{Images: 2, H: 5, W: 7, In: 3, Out: 5, Inner: true},
			{Images: 2, H: 6, W: 4, In: 1, Out: 3, Inner: true, Pool: true},
			{Images: 2, H: 6, W: 6, In: 3, Out: 40, Pool: true},
			{Images: 1, H: 9, W: 33, In: 3, Out: 16},
		} {
			t.Run(fmt.Sprintf("%dx%dx%dto%d", s.H, s.W, s.In, s.Out), func(t *testing.T) { testLayer(t, w, s, s.Images) })
		}
	})
}

func TestConvBatchSizes(t *testing.T) {
	w := NewWorkers(3)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		for _, rows := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 64} {
			testLayer(t, w, ConvSpec{Images: rows, H: 4, W: 4, In: 16, Out: 32}, rows)
			testLayer(t, w, ConvSpec{Images: rows, H: 4, W: 8, In: 3, Out: 32}, rows)
			testLayer(t, w, ConvSpec{Images: rows + 3, H: 8, W: 4, In: 32, Out: 16, Pool: true}, rows)
		}
	})
}

// The filter's gradient is summed in groups of tiles, the last of them shorter
// or missing where the batch is, and in stretches of a group.
func TestConvGroupsOfTiles(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		s := ConvSpec{Images: 64, H: 8, W: 8, In: 16, Out: 16}
		for _, rows := range []int{64, 50, 33, 1} {
			testLayer(t, w, s, rows)
		}
		s = ConvSpec{Images: 20, H: 32, W: 32, In: 16, Out: 16, Pool: true}
		if f := NewConv(w, s).filter; f.groups != 4 || f.stretch >= f.groupTiles(20*64) {
			t.Errorf("%d groups in stretches of %d tiles, want 4 groups of more than one stretch", f.groups, f.stretch)
		}
		testLayer(t, w, s, 17)
	})
}

func TestGradientGroups(t *testing.T) {
	for _, c := range []struct{ tiles, in, out, want int }{
		{64 * 64, 64, 64, 4}, // the network at batch 64
		{64 * 16, 64, 128, 2},
		{64 * 16, 128, 128, 2},
		{64 * 4, 128, 256, 1},
		{64 * 4, 256, 256, 1},
		{512 * 16, 128, 128, 4}, // and at 512
		{512 * 4, 256, 256, 2},
		{1, 16, 16, 1},
	} {
		if got := gradientGroups(c.tiles, c.in, c.out); got != c.want {
			t.Errorf("%d tiles of %d to %d channels: %d groups, want %d", c.tiles, c.in, c.out, got, c.want)
		}
	}
}

func TestConvDoesNotAllocate(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		w := NewWorkers(2)
		defer w.Close()
		for _, s := range []ConvSpec{
			{Images: 2, H: 8, W: 8, In: 3, Out: 32},
			{Images: 2, H: 8, W: 8, In: 16, Out: 48},
			{Images: 2, H: 8, W: 8, In: 16, Out: 32, Pool: true},
			{Images: 2, H: 7, W: 6, In: 5, Out: 7, Pool: true},
			{Images: 2, H: 7, W: 6, In: 3, Out: 7, Pool: true},
		} {
			l := newLayer(t, s, 2, rand.New(rand.NewPCG(1, 1)))
			c := NewConv(w, s)
			dp := Alloc(l.small.Len())
			n := testing.AllocsPerRun(10, func() {
				c.SetWeights(l.weights)
				c.Forward(l.y, l.arg, l.x, l.bias, 2)
				if !s.first() {
					c.BackwardData(l.dx, l.dy, l.x, 2)
				}
				c.BackwardFilter(l.dw, l.db, l.x, l.dy, 2)
				if s.Pool {
					if !s.first() {
						c.BackwardDataPooled(l.dx, dp, l.arg, l.x, 2)
					}
					c.BackwardFilterPooled(l.dw, l.db, l.x, dp, l.arg, 2)
				}
			})
			if n != 0 {
				t.Errorf("%+v: %v allocations a step", s, n)
			}
		}
	})
}
