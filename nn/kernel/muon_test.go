package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cifartui/nn/bittest"
)

// referenceMuon is the plain iteration in float64, on the whole matrix.
func referenceMuon(x, g, m []float64, rows, cols int, rate, momentum, shrink float64) {
	u := make([]float64, len(x))
	norm := 0.0
	for i := range u {
		m[i] = momentum*m[i] + g[i]
		u[i] = g[i] + momentum*m[i]
		norm += u[i] * u[i]
	}
	norm = max(math.Sqrt(norm), 1e-7)
	for i := range u {
		u[i] /= norm
	}
	for range 5 {
		a := matmulNT(u, u, rows, cols, rows)
		square := matmulNT(a, a, rows, rows, rows) // a is symmetric
		for i := range a {
			a[i] = -4.7750*a[i] + 2.0315*square[i]
		}
		next := make([]float64, len(u))
		for i := range rows {
			sums := next[i*cols:][:cols]
			for k, f := range a[i*rows:][:rows] {
				for j, v := range u[k*cols:][:cols] {
					sums[j] += f * v
				}
			}
		}
		for i := range u {
			u[i] = 3.4445*u[i] + next[i]
		}
	}
	for i := range x {
		x[i] = shrink*x[i] - rate*u[i]
	}
}

// matmulNT is a bᵀ, a [n][k], b [m][k].
func matmulNT(a, b []float64, n, k, m int) []float64 {
	c := make([]float64, n*m)
	for i := range n {
		for j := range m {
			sum, row := 0.0, b[j*k:][:k]
			for l, v := range a[i*k:][:k] {
				sum += v * row[l]
			}
			c[i*m+j] = sum
		}
	}
	return c
}

// TestMuonMatchesItsFormula runs steps with new gradients beside the formula in
// float64. Gradients of few directions, whose matrices have singular values of
// next to nothing, are the hard ones: the iteration magnifies by 485 what
// rounding leaves there. (In bfloat16, as it is often run, it is off by 1e-2.)
func TestMuonMatchesItsFormula(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	for _, s := range []struct {
		rows, cols, rank int
		size             float64 // of the gradients
		tolerance        float64
	}{
		{27, 64, 27, 1, 5e-4},
		{72, 8, 8, 1e-3, 2e-4},
		{9, 100, 9, 1, 5e-4},
		{100, 9, 2, 1, 2e-3},
		{1, 1, 1, 1, 5e-4},
		{5, 3, 3, 1e-15, 2e-4},
		{33, 33, 33, 1e4, 5e-4},
		{144, 96, 96, 1, 5e-4},
		{144, 96, 7, 1, 1e-2},
	} {
		t.Run(fmt.Sprintf("%+v", s), func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				n := s.rows * s.cols
				rng := rand.New(rand.NewPCG(1, uint64(n)))
				x, intactX := guarded(t, "x", n)
				g, intactG := guarded(t, "g", n)
				m, intactM := guarded(t, "m", n)
				g64, m64 := make([]float64, n), make([]float64, n)
				clear(m)
				for step := range 3 {
					a, b := normals(rng, s.rows*s.rank), normals(rng, s.cols*s.rank)
					for i, v := range matmulNT(a, b, s.rows, s.rank, s.cols) {
						g[i] = float32(s.size * v)
						g64[i] = float64(g[i])
					}
					clear(x)
					want := make([]float64, n)
					Muon(w, x, g, m, s.rows, s.cols, 0.5, 0.9375, 0.875)
					referenceMuon(want, g64, m64, s.rows, s.cols, 0.5, 0.9375, 0.875)
					intactX()
					intactG()
					intactM()
					if err := normError(m, m64); !(err < 2e-6) {
						t.Errorf("step %d: error of the momentum is %.2g of its norm", step, err)
					}
					if err := normError(x, want); !(err < s.tolerance) {
						t.Errorf("step %d: error of the update is %.2g of its norm, want at most %g", step, err, s.tolerance)
					} else {
						t.Logf("step %d: %.2g", step, err)
					}
				}
			})
		})
	}
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

func TestMuonGivesTheSameBitsOnAnyNumberOfWorkers(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range [][2]int{{27, 64}, {576, 64}, {200, 130}} {
			var want []float32
			for workers := 1; workers <= 4; workers++ {
				w := NewWorkers(workers)
				defer w.Close()
				rng := rand.New(rand.NewPCG(2, 3))
				n := s[0] * s[1]
				x, g, m := make([]float32, n), make([]float32, n), make([]float32, n)
				for i := range x {
					x[i], g[i], m[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64()), float32(rng.NormFloat64())
				}
				for range 2 {
					Muon(w, x, g, m, s[0], s[1], 0.5, 0.9, 1)
				}
				if got := append(x, m...); want == nil {
					want = got
				} else {
					bittest.Floats(t, fmt.Sprintf("%v with %d workers", s, workers), got, want)
				}
			}
		}
	})
}

// TestMuonOfNoGradient: nothing has no direction, and stays nothing.
func TestMuonOfNoGradient(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	x, g, m := []float32{1, 2, 3, 4, 5, 6}, make([]float32, 6), make([]float32, 6)
	Muon(w, x, g, m, 2, 3, 1, 0.9, 0.5)
	bittest.Floats(t, "x", x, []float32{0.5, 1, 1.5, 2, 2.5, 3})
}

func TestMuonAllocatesNothing(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	x, g, m := make([]float32, 576*64), make([]float32, 576*64), make([]float32, 576*64)
	for i := range g {
		g[i] = float32(i % 7)
	}
	step := func() { Muon(w, x, g, m, 576, 64, 0.1, 0.9, 1) }
	step()
	if n := testing.AllocsPerRun(5, step); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

func TestMuonRefusesWrongArguments(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	b := make([]float32, 6)
	for what, f := range map[string]func(){
		"a short x":   func() { Muon(w, b[1:], b, b, 2, 3, 1, 1, 1) },
		"a short g":   func() { Muon(w, b, b[1:], b, 2, 3, 1, 1, 1) },
		"a short m":   func() { Muon(w, b, b, b[1:], 2, 3, 1, 1, 1) },
		"no rows":     func() { Muon(w, b, b, b, 0, 3, 1, 1, 1) },
		"no columns":  func() { Muon(w, b, b, b, 2, 0, 1, 1, 1) },
		"a wrong one": func() { Muon(w, b, b, b, 3, 3, 1, 1, 1) },
	} {
		wantPanic(t, what, f)
	}
}

// BenchmarkMuon is a step for all filters of the network.
func BenchmarkMuon(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			was := Name()
			defer mustUse(b, was)
			mustUse(b, name)
			w := NewWorkers(2)
			defer w.Close()
			const most = 2304 * 256
			x, g, m := make([]float32, most), make([]float32, most), make([]float32, most)
			rng := rand.New(rand.NewPCG(1, 1))
			for i := range g {
				g[i] = float32(rng.NormFloat64())
			}
			for b.Loop() {
				for _, s := range [][2]int{{27, 64}, {576, 64}, {576, 128}, {1152, 128}, {1152, 256}, {2304, 256}} {
					Muon(w, x, g, m, s[0], s[1], 0, 0.9, 1)
				}
			}
		})
	}
}
