package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cifartui/nn/bittest"
)

// shifted returns guarded memory that starts shift elements behind a 64-byte
// boundary.
func shifted(t testing.TB, name string, n, shift int) ([]float32, func()) {
	b, intact := guarded(t, name, shift+n)
	for i := range shift {
		b[i] = guard
	}
	return b[shift:], func() {
		t.Helper()
		intact()
		for _, v := range b[:shift] {
			if v != guard {
				t.Fatalf("%s: written before its start", name)
			}
		}
	}
}

// lengths are those that every vector kernel is tried with: all remainders of
// all registers, and more than one piece of work.
func lengths() (n []int) {
	for i := range 70 {
		n = append(n, i)
	}
	return append(n, 127, 1000, vectorChunk-1, vectorChunk, 2*vectorChunk+5)
}

// optimiser is one with its settings, over n parameters. s are
// x, g and two states; those that it does not use stay as they are.
type optimiser struct {
	name string
	step func(w *Workers, s [4][]float32, t int)
	// reference does the same step for one parameter.
	reference func(s *[4]float64, t int)
	// squares says which states can't be negative.
	squares [4]bool
}

// The settings are sums of few powers of two where float32 allows it, so that
// the float64 reference has the same ones.
var optimisers = []optimiser{
	{
		name: "Adadelta",
		step: func(w *Workers, s [4][]float32, t int) { Adadelta(w, s[0], s[1], s[2], s[3], 0.5, 0.9375, 1e-7) },
		reference: func(s *[4]float64, t int) {
			s[2] = 0.9375*s[2] + 0.0625*s[1]*s[1]
			d := math.Sqrt(s[3]+1e-7) / math.Sqrt(s[2]+1e-7) * s[1]
			s[3] = 0.9375*s[3] + 0.0625*d*d
			s[0] -= 0.5 * d
		},
		squares: [4]bool{2: true, 3: true},
	},
	{
		name: "SGD",
		step: func(w *Workers, s [4][]float32, t int) { SGD(w, s[0], s[1], nil, 0.125, 0, 0.0625, false) },
		reference: func(s *[4]float64, t int) {
			s[0] -= 0.125 * (s[1] + 0.0625*s[0])
		},
	},
	{
		name: "SGD with momentum",
		step: func(w *Workers, s [4][]float32, t int) { SGD(w, s[0], s[1], s[2], 0.125, 0.875, 0.0625, false) },
		reference: func(s *[4]float64, t int) {
			g := s[1] + 0.0625*s[0]
			s[2] = 0.875*s[2] + g
			s[0] -= 0.125 * (g + 0.875*s[2])
		},
	},
	{
		name: "SGDW",
		step: func(w *Workers, s [4][]float32, t int) { SGD(w, s[0], s[1], s[2], 0.125, 0.875, 0.0625, true) },
		reference: func(s *[4]float64, t int) {
			s[2] = 0.875*s[2] + s[1]
			s[0] = s[0]*(1-0.125*0.0625) - 0.125*(s[1]+0.875*s[2])
		},
	},
	{
		name: "Average", // of s[1] in s[0]
		step: func(w *Workers, s [4][]float32, t int) { Average(w, s[0], s[1], 0.125) },
		reference: func(s *[4]float64, t int) {
			s[0] += 0.125 * (s[1] - s[0])
		},
	},
	{
		name: "Adam",
		step: func(w *Workers, s [4][]float32, t int) {
			b1, b2 := 1-math.Pow(0.875, float64(t)), 1-math.Pow(0.9375, float64(t))
			Adam(w, s[0], s[1], s[2], s[3], 0.125, 0.875, 0.9375, 1e-7, float32(b1), float32(b2), 0.0625, false)
		},
		reference: func(s *[4]float64, t int) {
			referenceAdam(s, t, s[1]+0.0625*s[0])
		},
		squares: [4]bool{3: true},
	},
	{
		name: "AdamW",
		step: func(w *Workers, s [4][]float32, t int) {
			b1, b2 := 1-math.Pow(0.875, float64(t)), 1-math.Pow(0.9375, float64(t))
			Adam(w, s[0], s[1], s[2], s[3], 0.125, 0.875, 0.9375, 1e-7, float32(b1), float32(b2), 0.0625, true)
		},
		reference: func(s *[4]float64, t int) {
			s[0] *= 1 - 0.125*0.0625
			referenceAdam(s, t, s[1])
		},
		squares: [4]bool{3: true},
	},
}

func referenceAdam(s *[4]float64, t int, g float64) {
	s[2] = 0.875*s[2] + 0.125*g
	s[3] = 0.9375*s[3] + 0.0625*g*g
	m, v := s[2]/(1-math.Pow(0.875, float64(t))), s[3]/(1-math.Pow(0.9375, float64(t)))
	s[0] -= 0.125 * m / (math.Sqrt(v) + 1e-7)
}

// TestOptimisersMatchFloat64 runs 40 steps with new gradients beside a float64
// reference.
func TestOptimisersMatchFloat64(t *testing.T) {
	for _, o := range optimisers {
		t.Run(o.name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				const n = 999
				w := NewWorkers(2)
				defer w.Close()
				rng := rand.New(rand.NewPCG(1, 2))
				var s [4][]float32
				for k := range s {
					s[k] = make([]float32, n)
				}
				want := make([][4]float64, n)
				for i := range n {
					s[0][i] = float32(rng.NormFloat64())
					want[i][0] = float64(s[0][i])
				}
				for step := 1; step <= 40; step++ {
					for i := range n {
						s[1][i] = float32(rng.NormFloat64() * math.Exp(rng.NormFloat64()))
						want[i][1] = float64(s[1][i])
					}
					o.step(w, s, step)
					for i := range n {
						o.reference(&want[i], step)
					}
				}
				for k := range s {
					column := make([]float64, n)
					for i := range column {
						column[i] = want[i][k]
					}
					if err := normError(s[k], column); !(err < 2e-6) {
						t.Errorf("error of value %d is %.2g of its norm, want at most 2e-6", k, err)
					}
				}
			})
		})
	}
}

// TestOptimisersGiveTheSameBitsEverywhere compares every implementation, length,
// alignment and number of workers with the generic one on one worker, on values
// of all sizes, denormal, infinite and NaN.
func TestOptimisersGiveTheSameBitsEverywhere(t *testing.T) {
	one, three := NewWorkers(1), NewWorkers(3)
	defer one.Close()
	defer three.Close()
	values := func(rng *rand.Rand, b []float32, square bool) {
		special := []float64{0, math.Copysign(0, -1), 1e-42, 1e-38, 3e38, math.Inf(1), math.NaN(), 1}
		for i := range b {
			v := rng.NormFloat64() * math.Exp(10*rng.NormFloat64())
			if rng.IntN(8) == 0 {
				v = special[rng.IntN(len(special))]
			}
			if square {
				v = math.Abs(v)
			}
			b[i] = float32(v)
		}
	}
	for _, o := range optimisers {
		t.Run(o.name, func(t *testing.T) {
			eachKernel(t, func(t *testing.T) {
				name := Name()
				for _, n := range lengths() {
					rng := rand.New(rand.NewPCG(3, uint64(n)))
					var start, want [4][]float32
					for k := range start {
						start[k], want[k] = make([]float32, n), make([]float32, n)
						values(rng, start[k], o.squares[k])
						copy(want[k], start[k])
					}
					mustUse(t, "generic")
					o.step(one, want, 3)
					mustUse(t, name)
					for shift := range 4 {
						for _, w := range []*Workers{one, three} {
							var got [4][]float32
							var intact [4]func()
							for k := range got {
								// Each slice is aligned differently.
								got[k], intact[k] = shifted(t, o.name, n, (shift*(k+1))%16)
								copy(got[k], start[k])
							}
							o.step(w, got, 3)
							for k := range got {
								intact[k]()
								bittest.Numbers(t, fmt.Sprintf("state %d", k), got[k], want[k])
							}
						}
					}
				}
			})
		})
	}
}

func TestOptimisersAllocateNothing(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	var s [4][]float32
	for k := range s {
		s[k] = make([]float32, 100)
	}
	for _, o := range optimisers {
		if a := testing.AllocsPerRun(10, func() { o.step(w, s, 1) }); a != 0 {
			t.Errorf("%s: %v allocations a step, want 0", o.name, a)
		}
	}
}

// wantPanic checks that f refuses its arguments.
func wantPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s was let through", what)
		}
	}()
	f()
}

func TestOptimisersCheckLengths(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	long, short := []float32{1, 2, 3}, []float32{1, 2}
	for k := 1; k < 4; k++ {
		s := [4][]float32{long, long, long, long}
		s[k] = short
		for _, o := range optimisers {
			if used := 1 + map[string]int{"Adadelta": 3, "SGD": 1, "SGD with momentum": 2, "SGDW": 2, "Average": 1, "Adam": 3, "AdamW": 3}[o.name]; k < used {
				wantPanic(t, fmt.Sprintf("%s: a short slice %d", o.name, k), func() { o.step(w, s, 1) })
			}
		}
		if long[0] != 1 || short[0] != 1 {
			t.Fatal("something was written before the lengths were checked")
		}
	}
}

func BenchmarkAdadelta(b *testing.B) {
	const n = 1186378
	x, g, eg2, ed2 := Alloc(n), Alloc(n), Alloc(n), Alloc(n)
	for i := range g {
		g[i] = float32(i%1000) * 1e-6
	}
	was := active
	defer func() { active = was }()
	for _, name := range Names() {
		for workers := 1; workers <= 2; workers++ {
			b.Run(fmt.Sprintf("%s/workers=%d", name, workers), func(b *testing.B) {
				mustUse(b, name)
				w := NewWorkers(workers)
				defer w.Close()
				b.SetBytes(7 * 4 * n)
				for b.Loop() {
					Adadelta(w, x, g, eg2, ed2, 1, 0.95, 1e-7)
				}
			})
		}
	}
}
