package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// hardSpec has whole tiles and cut ones, and a panel that is not full.
var hardSpec = ConvSpec{Images: 2, H: 6, W: 8, In: 16, Out: 48}

func TestConvWithHugeTinyAndZeroInputs(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	negativeZero := float32(math.Copysign(0, -1))
	eachKernel(t, func(t *testing.T) {
		for _, test := range []struct {
			name      string
			tolerance float64
			change    func(i int, v float32) float32
		}{
			{"one huge value", tolerance, func(i int, v float32) float32 {
				if i == hardInside(hardSpec) {
					return 1e30
				}
				return v
			}},
			// Denormal numbers have few bits, and their products fewer.
			{"denormals", 1e-3, func(_ int, v float32) float32 { return v * 1e-39 }},
			{"zeros", 0, func(int, float32) float32 { return 0 }},
			{"negative zeros", 0, func(int, float32) float32 { return negativeZero }},
			{"zeros among others", tolerance, func(i int, v float32) float32 {
				if i%3 > 0 {
					return negativeZero
				}
				return v
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				l := newLayer(t, hardSpec, 2, rand.New(rand.NewPCG(5, 6)))
				clear(l.bias)
				l.in.each(2, func(i, _ int) { l.x[i] = test.change(i, l.x[i]) })
				l.out.each(2, func(i, _ int) { l.dy[i] = test.change(i, l.dy[i]) })
				c := NewConv(w, hardSpec)
				c.SetWeights(l.weights)
				c.Forward(l.y, nil, l.x, l.bias, 2)
				ref := l.refForward()
				for i := range ref {
					ref[i] = max(ref[i], 0)
				}
				verify := func(pass string, got []float32, want []float64) {
					t.Helper()
					if e := normError(got, want); !(e <= test.tolerance) {
						t.Errorf("%s: norm error %.2e", pass, e)
					}
				}
				verify("Forward", l.y, ref)
				c.BackwardData(l.dx, l.dy, nil, 2)
				verify("BackwardData", l.dx, l.refBackwardData())
				if test.name == "denormals" {
					return // their products are below all numbers
				}
				c.BackwardFilter(l.dw, l.db, l.x, l.dy, 2)
				dw, db := l.refBackwardFilter()
				verify("BackwardFilter", l.dw, dw)
				verify("BackwardFilter of the bias", l.db, db)
			})
		}
	})
}

// hardInside is the index of a value well inside the second image.
func hardInside(s ConvSpec) int { return Image{s.Images, s.H, s.W, s.In}.At(1, 2, 3) + 5 }

func TestConvLetsNaNAndInfThrough(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	eachKernel(t, func(t *testing.T) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -float32(math.NaN())} {
			for _, s := range []ConvSpec{hardSpec, {Images: 2, H: 8, W: 8, In: 16, Out: 32, Pool: true}, {Images: 2, H: 4, W: 8, In: 3, Out: 32}} {
				t.Run(fmt.Sprintf("%v in %d to %d", bad, s.In, s.Out), func(t *testing.T) {
					fresh := func() *layer { return newLayer(t, s, 2, rand.New(rand.NewPCG(7, 8))) }
					c := NewConv(w, s)
					// Wherever the reference is not finite, got must not be.
					verify := func(pass string, got []float32, want []float64) {
						t.Helper()
						n := 0
						for i, v := range want {
							if finite(v) {
								continue
							}
							n++
							if finite(float64(got[i])) {
								t.Fatalf("%s: index %d is %v, want %v", pass, i, got[i], v)
							}
						}
						if n == 0 {
							t.Fatalf("%s: the reference is finite everywhere", pass)
						}
					}

					l := fresh()
					l.x[l.in.At(1, 2, 3)] = bad
					c.SetWeights(l.weights)
					c.Forward(l.y, l.arg, l.x, l.bias, 2)
					ref := l.refForward()
					for i, v := range ref {
						if v <= 0 {
							ref[i] = 0
						}
					}
					if s.Pool {
						verify("Forward", l.y, pool(ref, l.out))
						for i, a := range l.arg {
							if a > dead {
								t.Fatalf("arg[%d] is %d", i, a)
							}
						}
					} else {
						verify("Forward", l.y, ref)
					}
					c.BackwardFilter(l.dw, l.db, l.x, l.dy, 2)
					dw, _ := l.refBackwardFilter()
					verify("BackwardFilter, bad x", l.dw, dw)

					l = fresh()
					l.dy[l.out.At(1, 2, 3)] = bad
					if s.In != 3 {
						c.BackwardData(l.dx, l.dy, nil, 2)
						verify("BackwardData", l.dx, l.refBackwardData())
					}
					c.BackwardFilter(l.dw, l.db, l.x, l.dy, 2)
					dw, db := l.refBackwardFilter()
					verify("BackwardFilter, bad dy", l.dw, dw)
					verify("BackwardFilter of the bias, bad dy", l.db, db)

					l = fresh()
					l.weights[(4*s.In+1)*s.Out+2] = bad
					c.SetWeights(l.weights)
					c.Forward(l.y, l.arg, l.x, l.bias, 2)
					if n := notFinite(l.y); n == 0 {
						t.Error("Forward: a bad weight leaves every output finite")
					}
				})
			}
		}
	})
}

func notFinite(x []float32) (n int) {
	for _, v := range x {
		if v-v != 0 {
			n++
		}
	}
	return n
}

// pool returns the maxima of 2x2 windows, NaN before everything.
func pool(y []float64, img Image) []float64 {
	small := Image{img.N, img.H / 2, img.W / 2, img.C}
	p := make([]float64, small.Len())
	for n := range small.N {
		for h := range small.H {
			for w := range small.W {
				for c := range small.C {
					at := func(i, j int) float64 { return y[img.At(n, 2*h+i, 2*w+j)+c] }
					p[small.At(n, h, w)+c] = max(at(0, 0), at(0, 1), at(1, 0), at(1, 1))
				}
			}
		}
	}
	return p
}

// A mask is 0 where x is 0 or -0, and lets NaN pass.
func TestConvMask(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		l := newLayer(t, hardSpec, 2, rand.New(rand.NewPCG(9, 9)))
		c := NewConv(w, hardSpec)
		c.SetWeights(l.weights)
		plain := Alloc(len(l.dx))
		c.BackwardData(plain, l.dy, nil, 2)
		special := []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), 1e-45, -1, float32(math.Inf(1))}
		l.in.each(2, func(i, _ int) { l.x[i] = special[i%len(special)] })
		c.BackwardData(l.dx, l.dy, l.x, 2)
		l.in.each(2, func(i, _ int) {
			want := plain[i]
			if l.x[i] == 0 {
				want = 0
			}
			if l.dx[i] != want {
				t.Fatalf("dx[%d] is %v where x is %v, want %v", i, l.dx[i], l.x[i], want)
			}
		})
	})
}

func TestConvBitsDoNotDependOnWorkers(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range []ConvSpec{
			{Images: 5, H: 8, W: 8, In: 3, Out: 64},
			{Images: 9, H: 16, W: 16, In: 16, Out: 32, Pool: true},
			{Images: 7, H: 8, W: 8, In: 64, Out: 128},
			{Images: 1, H: 4, W: 4, In: 80, Out: 256},
			{Images: 64, H: 8, W: 8, In: 16, Out: 16},
		} {
			var first *layer
			for _, n := range []int{1, 2, 5, 16} {
				w := NewWorkers(n)
				l := newLayer(t, s, s.Images, rand.New(rand.NewPCG(1, 2)))
				c := NewConv(w, s)
				c.SetWeights(l.weights)
				c.Forward(l.y, l.arg, l.x, l.bias, s.Images)
				if s.In != 3 {
					c.BackwardData(l.dx, l.dy, l.x, s.Images)
				}
				c.BackwardFilter(l.dw, l.db, l.x, l.dy, s.Images)
				w.Close()
				if first == nil {
					first = l
					continue
				}
				for _, p := range []struct {
					name string
					a, b []float32
				}{{"y", first.y, l.y}, {"dx", first.dx, l.dx}, {"dw", first.dw, l.dw}, {"db", first.db, l.db}} {
					for i := range p.a {
						if math.Float32bits(p.a[i]) != math.Float32bits(p.b[i]) {
							t.Fatalf("%+v: %s[%d] is %v on one worker and %v on %d", s, p.name, i, p.a[i], p.b[i], n)
						}
					}
				}
				if string(first.arg) != string(l.arg) {
					t.Fatalf("%+v: arg differs on %d workers", s, n)
				}
			}
		}
	})
}

func TestConvChecksLengthsBeforeWriting(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	s := ConvSpec{Images: 2, H: 4, W: 4, In: 16, Out: 16, Pool: true}
	l := newLayer(t, s, 2, rand.New(rand.NewPCG(1, 2)))
	c := NewConv(w, s)
	c.SetWeights(l.weights)
	dp := Alloc(l.small.Len())
	short := func(x []float32) []float32 { return x[:len(x)-1] }
	shortArg := l.arg[:len(l.arg)-1]
	y, dx, dw, db := l.y, l.dx, l.dw, l.db
	for name, f := range map[string]func(){
		"SetWeights: weights":       func() { c.SetWeights(short(l.weights)) },
		"Forward: y":                func() { c.Forward(short(y), l.arg, l.x, l.bias, 2) },
		"Forward: arg":              func() { c.Forward(y, shortArg, l.x, l.bias, 2) },
		"Forward: x":                func() { c.Forward(y, l.arg, short(l.x), l.bias, 2) },
		"Forward: bias":             func() { c.Forward(y, l.arg, l.x, short(l.bias), 2) },
		"Forward: rows":             func() { c.Forward(y, l.arg, l.x, l.bias, 3) },
		"BackwardData: dx":          func() { c.BackwardData(short(dx), l.dy, l.x, 2) },
		"BackwardData: dy":          func() { c.BackwardData(dx, short(l.dy), l.x, 2) },
		"BackwardData: x":           func() { c.BackwardData(dx, l.dy, short(l.x), 2) },
		"BackwardData: rows":        func() { c.BackwardData(dx, l.dy, l.x, 0) },
		"BackwardDataPooled: dp":    func() { c.BackwardDataPooled(dx, short(dp), l.arg, l.x, 2) },
		"BackwardDataPooled: arg":   func() { c.BackwardDataPooled(dx, dp, shortArg, l.x, 2) },
		"BackwardFilter: dw":        func() { c.BackwardFilter(short(dw), db, l.x, l.dy, 2) },
		"BackwardFilter: db":        func() { c.BackwardFilter(dw, short(db), l.x, l.dy, 2) },
		"BackwardFilter: x":         func() { c.BackwardFilter(dw, db, short(l.x), l.dy, 2) },
		"BackwardFilter: dy":        func() { c.BackwardFilter(dw, db, l.x, short(l.dy), 2) },
		"BackwardFilterPooled: arg": func() { c.BackwardFilterPooled(dw, db, l.x, dp, shortArg, 2) },
	} {
		before := append([]float32(nil), l.dy...)
		func() {
			defer func() {
				if v := recover(); v == nil {
					t.Errorf("%s: a wrong length is accepted", name)
				} else if op, _, _ := strings.Cut(name, ":"); !strings.Contains(fmt.Sprint(v), op) {
					t.Errorf("%s: the panic says %q", name, v)
				}
			}()
			f()
		}()
		for _, b := range [][]float32{y, dx, dw, db} {
			for _, v := range b {
				if v != 0 {
					t.Fatalf("%s: written before the lengths are checked", name)
				}
			}
		}
		for i, v := range before {
			if l.dy[i] != v {
				t.Fatalf("%s: dy is written before the lengths are checked", name)
			}
		}
	}
}

func FuzzConvShapes(f *testing.F) {
	f.Add(uint8(1), uint8(1), uint8(3), uint8(2), uint8(9), uint8(31), true)
	f.Add(uint8(2), uint8(12), uint8(8), uint8(16), uint8(64), uint8(2), false)
	f.Add(uint8(3), uint8(5), uint8(9), uint8(3), uint8(33), uint8(7), true)
	w := NewWorkers(2)
	f.Cleanup(w.Close)
	f.Fuzz(func(t *testing.T, images, h, wd, in, out, rows uint8, pool bool) {
		size := func(v uint8, most int) int { return 1 + int(v)%most }
		s := ConvSpec{Images: size(images, 4), H: size(h, 18), W: size(wd, 18), In: size(in, 70), Out: size(out, 100), Pool: pool}
		if s.Pool && (s.H < 2 || s.W < 2) {
			t.Skip("nothing to pool")
		}
		was := Name()
		defer mustUse(t, was)
		for _, name := range Names() {
			mustUse(t, name)
			testLayer(t, w, s, size(rows, s.Images))
		}
	})
}

// The longer version of TestConvBatchSizes: the network's layers themselves.
func TestConvAllLayersAndBatches(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("takes minutes: set CIFARTUI_LONG=1")
	}
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		for _, s := range networkLayers {
			for _, rows := range []int{1, 2, 3, 5, 8, 13, 17} {
				s.Images = rows
				testLayer(t, w, s, rows)
			}
		}
	})
}
