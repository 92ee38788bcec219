package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cifartui/nn/bittest"
)

// denseLayer holds what the three passes read, and their results in float64.
type denseLayer struct {
	rows, in, out        int
	x, weights, bias, dy []float32
	y, dx, dw, db        []float64
}

func newDenseLayer(rows, in, out int) *denseLayer {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(in)))
	fill := func(n int) []float32 {
		b := make([]float32, n)
		for i := range b {
			b[i] = float32(rng.NormFloat64())
		}
		return b
	}
	d := &denseLayer{
		rows: rows, in: in, out: out,
		x: fill(rows * in), weights: fill(out * in), bias: fill(out), dy: fill(rows * out),
		y: make([]float64, rows*out), dx: make([]float64, rows*in),
		dw: make([]float64, out*in), db: make([]float64, out),
	}
	for r := range rows {
		for o := range out {
			g := float64(d.dy[r*out+o])
			d.db[o] += g
			s := float64(d.bias[o])
			for i := range in {
				x, w := float64(d.x[r*in+i]), float64(d.weights[o*in+i])
				s += x * w
				d.dx[r*in+i] += g * w
				d.dw[o*in+i] += g * x
			}
			d.y[r*out+o] = s
		}
	}
	return d
}

// run does the three passes into guarded memory.
func (d *denseLayer) run(t *testing.T, w *Workers, shift int) (y, dx, dw, db []float32) {
	var intact [4]func()
	y, intact[0] = shifted(t, "y", d.rows*d.out, shift)
	dx, intact[1] = shifted(t, "dx", d.rows*d.in, shift)
	dw, intact[2] = shifted(t, "dw", d.out*d.in, shift)
	db, intact[3] = shifted(t, "db", d.out, shift)
	for _, b := range [][]float32{y, dx, dw, db} {
		for i := range b {
			b[i] = float32(math.NaN()) // everything must be overwritten
		}
	}
	Dense(w, y, d.x, d.weights, d.bias, d.rows, d.in, d.out)
	DenseBackwardData(w, dx, d.dy, d.weights, d.rows, d.in, d.out)
	DenseBackwardFilter(w, dw, db, d.x, d.dy, d.rows, d.in, d.out)
	for _, f := range intact {
		f()
	}
	return y, dx, dw, db
}

func TestDenseMatchesFloat64(t *testing.T) {
	one, three := NewWorkers(1), NewWorkers(3)
	defer one.Close()
	defer three.Close()
	var shapes [][3]int
	for in := 1; in < 70; in++ {
		shapes = append(shapes, [3]int{3, in, 2})
	}
	shapes = append(shapes, [3]int{0, 5, 3}, [3]int{1, 1000, 1}, [3]int{17, 129, 11}, [3]int{64, 4096, 10}, [3]int{5, 1025, 7},
		[3]int{33, 70, 16}, [3]int{33, 600, 17}, [3]int{1, 40, 50}, [3]int{16, 9, 128})
	eachKernel(t, func(t *testing.T) {
		for _, s := range shapes {
			d := newDenseLayer(s[0], s[1], s[2])
			y, dx, dw, db := d.run(t, one, 0)
			for _, c := range []struct {
				name string
				got  []float32
				want []float64
			}{{"y", y, d.y}, {"dx", dx, d.dx}, {"dw", dw, d.dw}, {"db", db, d.db}} {
				if err := normError(c.got, c.want); !(err < 1e-6) {
					t.Errorf("rows, in, out %v: error of %s is %.2g of its norm, want at most 1e-6", s, c.name, err)
				}
			}
			y3, dx3, dw3, db3 := d.run(t, three, 1+s[1]%15)
			bittest.Numbers(t, "y on 3 workers", y3, y)
			bittest.Numbers(t, "dx on 3 workers", dx3, dx)
			bittest.Numbers(t, "dw on 3 workers", dw3, dw)
			bittest.Numbers(t, "db on 3 workers", db3, db)
		}
	})
}

// TestDenseBlocksChangeNoBit: a layer of many outputs, whose work is cut otherwise
// and whose rows are packed, has the bits of one cut a row at a time.
func TestDenseBlocksChangeNoBit(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	eachKernel(t, func(t *testing.T) {
		const rows, in, out = 37, 1031, 41
		d := newDenseLayer(rows, in, out)
		y, dx, dw, _ := d.run(t, w, 0)
		for r := range rows {
			want := make([]float32, in)
			active.combine(want, d.dy[r*out:], 1, d.weights, in, out)
			bittest.Numbers(t, "dx", dx[r*in:][:in], want)
			for o := range out {
				if v := active.dot(d.x[r*in:][:in], d.weights[o*in:][:in]) + d.bias[o]; v != y[r*out+o] {
					t.Fatalf("y is %v, want %v", y[r*out+o], v)
				}
			}
		}
		for o := range out {
			want := make([]float32, in)
			active.combine(want, d.dy[o:], out, d.x, in, rows)
			bittest.Numbers(t, "dw", dw[o*in:][:in], want)
		}
	})
}

// TestDensePassesNonFiniteValuesOn puts one such value at each place of a
// vector: wherever it is read it must come out.
func TestDensePassesNonFiniteValuesOn(t *testing.T) {
	w := NewWorkers(1)
	defer w.Close()
	finite := func(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }
	eachKernel(t, func(t *testing.T) {
		const in, out = 67, 2
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for i := range in {
				d := newDenseLayer(1, in, out)
				d.x[i] = float32(bad)
				y, _, dw, _ := d.run(t, w, 0)
				if finite(y[0]) || finite(y[1]) || finite(dw[i]) || finite(dw[in+i]) {
					t.Fatalf("%v at input %d was lost", bad, i)
				}
				d = newDenseLayer(1, in, out)
				d.weights[i] = float32(bad)
				y, dx, _, _ := d.run(t, w, 0)
				if finite(y[0]) || !finite(y[1]) || finite(dx[i]) {
					t.Fatalf("%v at weight %d was lost, or came out of another output", bad, i)
				}
			}
		}
	})
}

func TestDenseChecksLengthsAndAllocatesNothing(t *testing.T) {
	w := NewWorkers(2)
	defer w.Close()
	d := newDenseLayer(3, 40, 5)
	y, dx, dw, db := make([]float32, 15), make([]float32, 120), make([]float32, 200), make([]float32, 5)
	eachKernel(t, func(t *testing.T) {
		if a := testing.AllocsPerRun(10, func() {
			Dense(w, y, d.x, d.weights, d.bias, 3, 40, 5)
			DenseBackwardData(w, dx, d.dy, d.weights, 3, 40, 5)
			DenseBackwardFilter(w, dw, db, d.x, d.dy, 3, 40, 5)
		}); a != 0 {
			t.Errorf("%v allocations, want 0", a)
		}
	})
	clear(y)
	clear(dx)
	clear(dw)
	clear(db)
	for what, f := range map[string]func(){
		"a short y":         func() { Dense(w, y[1:], d.x, d.weights, d.bias, 3, 40, 5) },
		"a short x":         func() { Dense(w, y, d.x[1:], d.weights, d.bias, 3, 40, 5) },
		"short weights":     func() { Dense(w, y, d.x, d.weights[1:], d.bias, 3, 40, 5) },
		"a short bias":      func() { Dense(w, y, d.x, d.weights, d.bias[1:], 3, 40, 5) },
		"negative rows":     func() { Dense(w, y, d.x, d.weights, d.bias, -1, 40, 5) },
		"no inputs":         func() { Dense(w, y, d.x, d.weights, d.bias, 3, 0, 5) },
		"a short dx":        func() { DenseBackwardData(w, dx[1:], d.dy, d.weights, 3, 40, 5) },
		"a short dy":        func() { DenseBackwardData(w, dx, d.dy[1:], d.weights, 3, 40, 5) },
		"a short dw":        func() { DenseBackwardFilter(w, dw[1:], db, d.x, d.dy, 3, 40, 5) },
		"a short db":        func() { DenseBackwardFilter(w, dw, db[1:], d.x, d.dy, 3, 40, 5) },
		"a short filter x":  func() { DenseBackwardFilter(w, dw, db, d.x[1:], d.dy, 3, 40, 5) },
		"a short filter dy": func() { DenseBackwardFilter(w, dw, db, d.x, d.dy[1:], 3, 40, 5) },
	} {
		wantPanic(t, what, f)
	}
	for _, b := range [][]float32{y, dx, dw, db} {
		for _, v := range b {
			if v != 0 {
				t.Fatal("something was written before the lengths were checked")
			}
		}
	}
}

func BenchmarkDense(b *testing.B) {
	for _, out := range []int{10, 128} {
		benchmarkDense(b, 64, 4096, out)
	}
}

func benchmarkDense(b *testing.B, rows, in, out int) {
	d := newDenseLayer(rows, in, out)
	y, dx, dw, db := Alloc(rows*out), Alloc(rows*in), Alloc(in*out), Alloc(out)
	w := NewWorkers(1)
	defer w.Close()
	defer func(was *impl) { active = was }(active)
	for _, name := range Names() {
		mustUse(b, name)
		for what, f := range map[string]func(){
			"Forward":        func() { Dense(w, y, d.x, d.weights, d.bias, rows, in, out) },
			"BackwardData":   func() { DenseBackwardData(w, dx, d.dy, d.weights, rows, in, out) },
			"BackwardFilter": func() { DenseBackwardFilter(w, dw, db, d.x, d.dy, rows, in, out) },
		} {
			b.Run(fmt.Sprintf("%s/%s/%d", name, what, out), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(2*float64(rows*in*out)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
