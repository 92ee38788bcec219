package nn

import (
	"math"
	"testing"

	"cifartui/nn/bittest"
)

func TestInitialWeightsHaveTheRightMomentsAndTruncation(t *testing.T) {
	w := make([]float32, 400_000)
	for _, fanIn := range []int{27, 576, 4096} {
		heNormal(w, fanIn, generator(1, "w"))
		var sum, sum2, sum4, largest float64
		for _, v := range w {
			x := float64(v)
			sum, sum2, sum4 = sum+x, sum2+x*x, sum4+x*x*x*x
			largest = max(largest, math.Abs(x))
		}
		n := float64(len(w))
		mean, variance := sum/n, sum2/n
		want := 2 / float64(fanIn)
		if math.Abs(mean) > 5*math.Sqrt(want/n) {
			t.Errorf("fan-in %d: mean %v, want 0", fanIn, mean)
		}
		if math.Abs(variance/want-1) > 0.01 {
			t.Errorf("fan-in %d: variance %v, want %v", fanIn, variance, want)
		}
		// Of a normal distribution truncated at two deviations the fourth
		// moment is 2.3655 times the squared variance (of a whole one, 3).
		if k := sum4 / n / (variance * variance); math.Abs(k-2.3655) > 0.02 {
			t.Errorf("fan-in %d: kurtosis %v, want 2.3655", fanIn, k)
		}
		limit := 2 * math.Sqrt(want) / 0.87962566103423978
		if largest > limit*(1+1e-6) || largest < 0.999*limit {
			t.Errorf("fan-in %d: largest %v, want just within %v", fanIn, largest, limit)
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
