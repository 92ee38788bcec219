package nn

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"runtime"
	"slices"
	"testing"

	"cifartui/nn/bittest"
)

// TestInitializersHaveKerassMoments: mean 0, and the variance, kurtosis and
// largest value of Keras's distributions. Of a normal one truncated at two
// deviations the fourth moment is 2.3655 times the squared variance (of a whole
// one 3), and the limit 2/0.8796 deviations; of a uniform one 1.8 and the square
// root of 3.
func TestInitializersHaveKerassMoments(t *testing.T) {
	const normal, flat = 2.3655, 1.8
	for _, shape := range [][]int{{500, 27, 3, 3}, {96, 64, 7, 10}, {120, 4096}} {
		receptive := 1
		for _, n := range shape[2:] {
			receptive *= n
		}
		in, out := float64(shape[1]*receptive), float64(shape[0]*receptive)
		w := make([]float32, shape[0]*shape[1]*receptive)
		for _, c := range []struct {
			name           string
			variance, kind float64
		}{
			{"he_normal", 2 / in, normal}, {"he_uniform", 2 / in, flat},
			{"glorot_normal", 2 / (in + out), normal}, {"glorot_uniform", 2 / (in + out), flat},
			{"lecun_normal", 1 / in, normal},
		} {
			initialize(c.name, w, shape, generator(1, "w"))
			var sum, sum2, sum4, largest float64
			for _, v := range w {
				x := float64(v)
				sum, sum2, sum4 = sum+x, sum2+x*x, sum4+x*x*x*x
				largest = max(largest, math.Abs(x))
			}
			n := float64(len(w))
			mean, variance := sum/n, sum2/n
			if math.Abs(mean) > 5*math.Sqrt(c.variance/n) {
				t.Errorf("%s %v: mean %v, want 0", c.name, shape, mean)
			}
			if math.Abs(variance/c.variance-1) > 0.015 {
				t.Errorf("%s %v: variance %v, want %v", c.name, shape, variance, c.variance)
			}
			if k := sum4 / n / (variance * variance); math.Abs(k-c.kind) > 0.03 {
				t.Errorf("%s %v: kurtosis %v, want %v", c.name, shape, k, c.kind)
			}
			limit := map[float64]float64{normal: 2 / 0.87962566103423978, flat: math.Sqrt(3)}[c.kind] * math.Sqrt(c.variance)
			if largest > limit*(1+1e-6) || largest < 0.999*limit {
				t.Errorf("%s %v: largest %v, want just within %v", c.name, shape, largest, limit)
			}
		}
		initialize("zeros", w, shape, generator(1, "w"))
		if i := slices.IndexFunc(w, func(v float32) bool { return v != 0 }); i >= 0 {
			t.Errorf("zeros %v: %v at %d", shape, w[i], i)
		}
	}
}

// TestOrthogonalIsPyTorchs: as torch.nn.init.orthogonal_ has it, the weights as a
// matrix [out, the rest] have orthonormal rows, or columns where those are fewer;
// its matrices are equally likely, so that the numbers are near normal ones of
// variance 1/the larger side.
func TestOrthogonalIsPyTorchs(t *testing.T) {
	for _, shape := range [][]int{{32, 3, 3, 3}, {64, 64, 3, 3}, {10, 300}, {300, 10}, {40, 40}, {1, 7}, {7, 1}, {1, 1}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		w := make([]float32, n)
		initialize("orthogonal", w, shape, generator(3, "w"))
		out, in := shape[0], n/shape[0]
		side, at := out, func(i, k int) float64 { return float64(w[i*in+k]) }
		if out > in {
			side, at = in, func(i, k int) float64 { return float64(w[k*in+i]) }
		}
		for i := range side {
			for j := range i + 1 {
				sum, want := 0.0, 0.0
				for k := range max(in, out) {
					sum += at(i, k) * at(j, k)
				}
				if i == j {
					want = 1
				}
				if math.Abs(sum-want) > 1e-6 {
					t.Fatalf("%v: the product of vectors %d and %d is %v, want %v", shape, i, j, sum, want)
				}
			}
		}
		if n < 2000 {
			continue
		}
		sum := 0.0
		for _, v := range w {
			sum += float64(v)
		}
		if mean := sum / float64(n); math.Abs(mean) > 5/math.Sqrt(float64(n)*float64(max(in, out))) {
			t.Errorf("%v: mean %v, want 0: the signs are not equally likely", shape, mean)
		}
	}
}

// TestInitialWeightsDependOnTheSeedAlone, not on how many threads there are.
func TestInitialWeightsDependOnTheSeedAlone(t *testing.T) {
	a, b := make([]float32, 96*64*9), make([]float32, 96*64*9)
	initialize("orthogonal", a, []int{96, 64, 3, 3}, generator(3, "w"))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	initialize("orthogonal", b, []int{96, 64, 3, 3}, generator(3, "w"))
	bittest.Numbers(t, "orthogonal on one thread", b, a)
}

// TestHeNormalIsWhatItWas: a run of an old version begins with the same weights.
func TestHeNormalIsWhatItWas(t *testing.T) {
	for _, initializer := range []string{"", "he_normal"} {
		s := small
		s.Initializer = initializer
		n, err := New(newCPU(t, 1), s, 1)
		if err != nil {
			t.Fatal(err)
		}
		h := fnv.New64a()
		for _, w := range weightsOf(t, n) {
			for _, v := range w.Data {
				_ = binary.Write(h, binary.LittleEndian, v)
			}
		}
		if got, want := h.Sum64(), uint64(0x370fcc3cfe20a2b4); got != want {
			t.Errorf("%q: sum %#x, want %#x", initializer, got, want)
		}
	}
}

func TestFreshNetwork(t *testing.T) {
	on := newCPU(t, 1)
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	same, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	bittest.Values(t, "equal seeds", weightsOf(t, same), weightsOf(t, n))
	other, err := New(on, small, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range weightsOf(t, n) {
		zero := true
		for _, v := range w.Data {
			zero = zero && v == 0
		}
		if bias := len(w.Shape) == 1; zero != bias {
			t.Errorf("%s: all zero %v", w.Name, zero)
		} else if !bias && w.Data[0] == weightsOf(t, other)[i].Data[0] {
			t.Errorf("%s is the same for two seeds", w.Name)
		}
	}
}
