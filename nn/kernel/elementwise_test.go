package kernel

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"cifartui/nn/bittest"
)

// fillInterior writes values into the interior of an image, some of them 0, NaN
// or Inf, and leaves the border 0.
func fillInterior(b []float32, img Image, rng *rand.Rand) {
	for n := range img.N {
		for y := range img.H {
			for i := range img.W * img.C {
				v := float32(rng.NormFloat64())
				switch rng.IntN(16) {
				case 0, 1, 2, 3:
					v = 0
				case 4:
					v = float32(math.Inf(1))
				case 5:
					v = float32(math.NaN())
				case 6:
					v = 1e-42
				}
				b[img.At(n, y, 0)+i] = v
			}
		}
	}
}

func TestPadInputAddsAChannelOfOnes(t *testing.T) {
	w := NewWorkers(3)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		for _, img := range []Image{{1, 1, 1, 4}, {3, 2, 5, 4}, {2, 32, 32, 4}, {5, 7, 9, 4}} {
			for rows := range img.N + 1 {
				src, srcIntact := guarded(t, "src", rows*img.H*img.W*3)
				for i := range src {
					src[i] = float32(i) - 7
				}
				dst, dstIntact := guarded(t, "dst", img.Len())
				PadInput(w, dst, img, src, rows)
				srcIntact()
				dstIntact()
				want := make([]float32, img.Len())
				for n := range rows {
					for y := range img.H {
						for x := range img.W {
							at, from := img.At(n, y, x), ((n*img.H+y)*img.W+x)*3
							copy(want[at:], src[from:from+3])
							want[at+3] = 1
						}
					}
				}
				bittest.Numbers(t, fmt.Sprintf("%v rows %d", img, rows), dst, want)
			}
		}
	})
}

// TestDropoutIsItsMask compares both passes, whatever the implementation and
// the number of workers, with the mask taken element by element.
func TestDropoutIsItsMask(t *testing.T) {
	one, three := NewWorkers(1), NewWorkers(3)
	defer one.Close()
	defer three.Close()
	eachKernel(t, func(t *testing.T) {
		for _, img := range []Image{{4, 4, 4, 256}, {3, 1, 1, 1}, {5, 3, 5, 7}, {2, 2, 3, 13}, {2, 1, 9, 11}} {
			for _, p := range []float32{0, 0.3, 0.5, 0.999} {
				for _, w := range []*Workers{one, three} {
					testDropout(t, w, img, img.N-1, p, 0x123456789abcdef)
				}
			}
		}
	})
}

func testDropout(t *testing.T, w *Workers, img Image, rows int, p float32, key uint64) {
	rng := rand.New(rand.NewPCG(5, 6))
	size := img.H * img.W * img.C
	src, srcIntact := guarded(t, "src", img.Len())
	fillInterior(src, img, rng)
	dst, dstIntact := guarded(t, "dst", img.N*size)
	grad, gradIntact := guarded(t, "grad", rows*size)
	for i := range grad {
		grad[i] = float32(rng.NormFloat64())
	}
	dsrc, dsrcIntact := guarded(t, "dsrc", img.Len())
	want, dwant := make([]float32, len(dst)), make([]float32, len(dsrc))
	for n := range rows {
		m := newMask(p, key, n)
		for y := range img.H {
			for i := range img.W * img.C {
				e := y*img.W*img.C + i
				at := img.At(n, y, 0) + i
				if m.keep(uint32(e)) != 0 {
					want[n*size+e] = src[at] * m.scale
					if src[at] != 0 {
						dwant[at] = grad[n*size+e] * m.scale
					}
				}
			}
		}
	}
	Dropout(w, dst, src, img, rows, p, key)
	DropoutBackward(w, dsrc, img, grad, src, rows, p, key)
	for _, intact := range []func(){srcIntact, dstIntact, gradIntact, dsrcIntact} {
		intact()
	}
	bittest.Numbers(t, fmt.Sprintf("Dropout %v p=%v", img, p), dst, want)
	bittest.Numbers(t, fmt.Sprintf("DropoutBackward %v p=%v", img, p), dsrc, dwant)
}

// TestDropoutRowsIsDropoutWithoutABorder: on images of one pixel the two are the
// same.
func TestDropoutRowsIsDropoutWithoutABorder(t *testing.T) {
	one, three := NewWorkers(1), NewWorkers(3)
	defer one.Close()
	defer three.Close()
	eachKernel(t, func(t *testing.T) {
		for _, n := range []int{1, 5, 16, 37, 128} {
			const rows = 4
			img := Image{rows, 1, 1, n}
			src := Alloc(img.Len())
			fillInterior(src, img, rand.New(rand.NewPCG(1, 1)))
			flat := make([]float32, 0, rows*n)
			for r := range rows {
				flat = append(flat, src[img.At(r, 0, 0):][:n]...)
			}
			want := make([]float32, rows*n)
			Dropout(one, want, src, img, rows-1, 0.4, 7)
			for _, w := range []*Workers{one, three} {
				got, intact := guarded(t, "dst", rows*n)
				DropoutRows(w, got, flat, rows-1, n, 0.4, 7)
				intact()
				bittest.Numbers(t, fmt.Sprint(n), got, want)
			}
		}
	})
	wantPanic(t, "a short src", func() { DropoutRows(one, make([]float32, 8), make([]float32, 7), 2, 4, 0, 1) })
	wantPanic(t, "a short dst", func() { DropoutRows(one, make([]float32, 7), make([]float32, 8), 2, 4, 0, 1) })
}

func TestReLUAndItsGradient(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	src := []float32{1, -1, 0, float32(math.Copysign(0, -1)), nan, inf, -inf, 1e-42, 5}
	y, intact := guarded(t, "dst", len(src))
	ReLU(y, src, 8)
	intact()
	bittest.Numbers(t, "relu", y, []float32{1, 0, 0, 0, nan, inf, 0, 1e-42, 0})
	g := []float32{2, 3, 4, 5, 6, 7, 8, 9, 10}
	dx, intact := guarded(t, "dsrc", len(src))
	ReLUBackward(dx, g, y, 8)
	intact()
	bittest.Numbers(t, "gradient", dx, []float32{2, 0, 0, 0, 6, 7, 0, 9, 0})
	ReLU(src, src, 8)
	ReLUBackward(g, g, src, 8)
	bittest.Numbers(t, "in place", append(src[:8], g[:8]...), append(y[:8:8], dx[:8]...))
	wantPanic(t, "a short src", func() { ReLU(y, src, 10) })
	wantPanic(t, "a short gradient", func() { ReLUBackward(dx, g[:3], y, 4) })
}

func TestDropoutOfZeroProbabilityCopies(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	img := Image{2, 2, 2, 8}
	src := Alloc(img.Len())
	fillInterior(src, img, rand.New(rand.NewPCG(1, 1)))
	dst := make([]float32, img.N*32)
	Dropout(w, dst, src, img, 2, 0, 99)
	for n := range 2 {
		for y := range 2 {
			at := img.At(n, y, 0)
			bittest.Numbers(t, "row", dst[n*32+y*16:][:16], src[at:at+16])
		}
	}
}

// TestDropoutMaskIsRandom holds the mask against what independent coins would
// give. The bounds are 5 standard deviations: with the fixed keys below the
// results are always the same ones.
func TestDropoutMaskIsRandom(t *testing.T) {
	const rows, size = 64, 4096
	masks := func(p float32, key uint64) [rows][size]bool {
		var k [rows][size]bool
		for r := range rows {
			m := newMask(p, key, r)
			for e := range size {
				k[r][e] = m.keep(uint32(e)) != 0
			}
		}
		return k
	}
	// within checks a count of n coins that come up with probability p.
	within := func(what string, count, n int, p float64) {
		t.Helper()
		mean, deviation := p*float64(n), math.Sqrt(float64(n)*p*(1-p))
		if z := (float64(count) - mean) / deviation; math.Abs(z) > 5 {
			t.Errorf("%s: %d of %d, %.1f deviations from %.0f", what, count, n, z, mean)
		}
	}
	// agree counts the places where two masks are the same.
	agree := func(a, b []bool) (n int) {
		for i := range b {
			if a[i] == b[i] {
				n++
			}
		}
		return n
	}
	for _, p := range []float32{0.1, 0.5, 0.9} {
		keep := 1 - float64(p)
		same := keep*keep + (1-keep)*(1-keep)
		for key := range uint64(3) {
			a, b := masks(p, key), masks(p, key+1)
			total := 0
			var columns [size]int
			for r := range rows {
				kept := 0
				for e, k := range a[r] {
					if k {
						kept++
						columns[e]++
					}
				}
				within("kept in a row", kept, size, keep)
				total += kept
				within("same in the next step", agree(a[r][:], b[r][:]), size, same)
				if r > 0 {
					within("same in the row before", agree(a[r][:], a[r-1][:]), size, same)
				}
				// Not a shifted copy of itself or of another row either.
				for _, lag := range []int{1, 2, 3, 8, 16, 256, 1024} {
					if p == 0.5 { // else the pairs, which share coins, are not independent
						within("same further on", agree(a[r][lag:], a[r][:size-lag]), size-lag, same)
					}
					within("same in another row, shifted", agree(a[(r+1)%rows][lag:], a[r][:size-lag]), size-lag, same)
				}
			}
			within("kept", total, rows*size, keep)
			// Over the rows every element has its own luck: chi-squared of the
			// counts, whose deviation is sqrt(2 size).
			chi := 0.0
			for _, c := range columns {
				d := float64(c) - keep*rows
				chi += d * d / (rows * keep * (1 - keep))
			}
			if z := (chi - size) / math.Sqrt(2*size); math.Abs(z) > 5 {
				t.Errorf("p=%v key=%d: counts by element are %.1f deviations from independent ones", p, key, z)
			}
		}
	}
}

// TestDropoutKeysAreAllDifferent: two rows or steps with the same key would be
// dropped alike.
func TestDropoutKeysAreAllDifferent(t *testing.T) {
	seen := map[uint64]bool{}
	flips, pairs := 0, 0
	for key := range uint64(100) {
		for row := range 100 {
			m := newMask(0.5, key, row)
			k := uint64(m.k1)<<32 | uint64(m.k0)
			if seen[k] {
				t.Fatalf("key %d, row %d: a key came twice", key, row)
			}
			seen[k] = true
			next := newMask(0.5, key, row+1)
			flips += bits.OnesCount64(k ^ (uint64(next.k1)<<32 | uint64(next.k0)))
			pairs++
		}
	}
	if mean := float64(flips) / float64(pairs); mean < 31 || mean > 33 {
		t.Errorf("neighbouring rows differ in %.2f bits of their keys, want 32", mean)
	}
}

func TestElementwiseRefusesWrongShapes(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	img := Image{2, 3, 3, 4}
	b, flat := make([]float32, img.Len()), make([]float32, 2*36)
	for what, f := range map[string]func(){
		"a short dst of PadInput":  func() { PadInput(w, b[1:], img, flat, 2) },
		"a short src of PadInput":  func() { PadInput(w, b, img, flat[:53], 2) },
		"PadInput to 3 channels":   func() { PadInput(w, b, Image{2, 3, 3, 3}, flat, 2) },
		"more rows than images":    func() { PadInput(w, b, img, flat, 3) },
		"negative rows":            func() { PadInput(w, b, img, flat, -1) },
		"an empty image":           func() { PadInput(w, b, Image{2, 0, 3, 4}, flat, 1) },
		"a short dst of Dropout":   func() { Dropout(w, flat[:71], b, img, 2, 0.5, 1) },
		"a short src of Dropout":   func() { Dropout(w, flat, b[1:], img, 2, 0.5, 1) },
		"probability 1":            func() { Dropout(w, flat, b, img, 2, 1, 1) },
		"negative probability":     func() { Dropout(w, flat, b, img, 2, -0.1, 1) },
		"probability NaN":          func() { Dropout(w, flat, b, img, 2, float32(math.NaN()), 1) },
		"short backward dsrc":      func() { DropoutBackward(w, b[1:], img, flat, b, 2, 0.5, 1) },
		"short backward src":       func() { DropoutBackward(w, b, img, flat, b[1:], 2, 0.5, 1) },
		"short backward ddst":      func() { DropoutBackward(w, b, img, flat[:71], b, 2, 0.5, 1) },
		"backward probability 1":   func() { DropoutBackward(w, b, img, flat, b, 2, 1, 1) },
		"backward with other rows": func() { DropoutBackward(w, b, img, flat, b, 3, 0.5, 1) },
	} {
		wantPanic(t, what, f)
	}
}

func TestElementwiseAllocatesNothing(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	img := Image{4, 3, 3, 4}
	b, flat := make([]float32, img.Len()), make([]float32, 4*36)
	eachKernel(t, func(t *testing.T) {
		for what, f := range map[string]func(){
			"PadInput":        func() { PadInput(w, b, img, flat, 4) },
			"Dropout":         func() { Dropout(w, flat, b, img, 4, 0.5, 1) },
			"DropoutBackward": func() { DropoutBackward(w, b, img, flat, b, 4, 0.5, 1) },
		} {
			if a := testing.AllocsPerRun(10, f); a != 0 {
				t.Errorf("%s: %v allocations, want 0", what, a)
			}
		}
	})
}

func BenchmarkElementwise(b *testing.B) {
	w := NewWorkers(1)
	defer w.Close()
	pixels, img := Image{64, 32, 32, 4}, Image{64, 4, 4, 256}
	padded, raw := Alloc(pixels.Len()), Alloc(64*32*32*3)
	src, dst, grad := Alloc(img.Len()), Alloc(64*4096), Alloc(img.Len())
	defer func(was *impl) { active = was }(active)
	for _, name := range Names() {
		mustUse(b, name)
		b.Run(name+"/PadInput", func(b *testing.B) {
			b.SetBytes(64 * 1024 * 28)
			for b.Loop() {
				PadInput(w, padded, pixels, raw, 64)
			}
		})
		b.Run(name+"/Dropout", func(b *testing.B) {
			b.SetBytes(64 * 4096 * 8)
			for b.Loop() {
				Dropout(w, dst, src, img, 64, 0.5, 1)
			}
		})
		b.Run(name+"/DropoutBackward", func(b *testing.B) {
			b.SetBytes(64 * 4096 * 12)
			for b.Loop() {
				DropoutBackward(w, grad, img, dst, src, 64, 0.5, 1)
			}
		})
	}
}
