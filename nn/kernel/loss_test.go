package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestLossOfTwoClassesIsSoftplus: with two classes the cross-entropy is
// log(1 + exp(other - own)), also far outside the range of exp.
func TestLossOfTwoClassesIsSoftplus(t *testing.T) {
	for _, d := range []float64{0, 1e-3, 1, 5, 30, 100, 1e4, 1e30} {
		for label := range int32(2) {
			logits := []float32{float32(d), 0}
			prob := make([]float32, 2)
			loss, correct := SoftmaxCrossEntropy(prob, logits, []int32{label}, 1, 2, 0)
			d := float64(logits[0])
			want := math.Log1p(math.Exp(-d))
			if label == 1 {
				want += d
			}
			if math.Abs(loss-want) > 1e-12*max(1, want) {
				t.Errorf("difference %g, label %d: loss %g, want %g", d, label, loss, want)
			}
			if wantCorrect := 1 - int(label); correct != wantCorrect {
				t.Errorf("difference %g, label %d: %d correct, want %d", d, label, correct, wantCorrect)
			}
		}
	}
}

// TestLossGradientIsItsSlope compares the gradient with central differences.
func TestLossGradientIsItsSlope(t *testing.T) {
	for _, smoothing := range []float32{0, 0.25} {
		t.Run(fmt.Sprint(smoothing), func(t *testing.T) { testLossGradient(t, smoothing) })
	}
}

func testLossGradient(t *testing.T, smoothing float32) {
	const rows, classes = 7, 10
	rng := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, rows*classes)
	labels := make([]int32, rows)
	for i := range logits {
		logits[i] = float32(3 * rng.NormFloat64())
	}
	for i := range labels {
		labels[i] = int32(rng.IntN(classes))
	}
	prob, intact := guarded(t, "prob", rows*classes)
	grad, gradIntact := guarded(t, "dlogits", rows*classes)
	SoftmaxCrossEntropy(prob, logits, labels, rows, classes, smoothing)
	const scale = 1.0 / rows
	SoftmaxCrossEntropyBackward(grad, prob, labels, rows, classes, smoothing, scale)
	intact()
	gradIntact()
	scratch := make([]float32, rows*classes)
	for i := range logits {
		const h = 1.0 / 64
		v := logits[i]
		logits[i] = v + h
		up, _ := SoftmaxCrossEntropy(scratch, logits, labels, rows, classes, smoothing)
		high := float64(logits[i])
		logits[i] = v - h
		down, _ := SoftmaxCrossEntropy(scratch, logits, labels, rows, classes, smoothing)
		want := (up - down) / (high - float64(logits[i])) * scale
		logits[i] = v
		if math.Abs(float64(grad[i])-want) > 2e-5*scale {
			t.Errorf("gradient of logit %d is %g, the slope %g", i, grad[i], want)
		}
	}
	for r := range rows {
		sum := 0.0
		for _, p := range prob[r*classes:][:classes] {
			sum += float64(p)
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("probabilities of row %d sum to %g", r, sum)
		}
	}
}

// TestSmoothedLossIsThatOfSmoothedLabels compares with the definition, the
// cross-entropy of a distribution, and with PyTorch's label_smoothing.
func TestSmoothedLossIsThatOfSmoothedLabels(t *testing.T) {
	logits := []float32{1, -2, 0.5, 3}
	prob := make([]float32, 4)
	for _, c := range []struct {
		smoothing float32
		label     int32
		pytorch   float64 // F.cross_entropy(logits, label, label_smoothing=smoothing)
	}{
		{0.125, 0, 2.249128448}, {0.125, 3, 0.4991284477}, {0.5, 1, 3.889753448}, {1, 2, 2.577253448},
	} {
		got, _ := SoftmaxCrossEntropy(prob, logits, []int32{c.label}, 1, 4, c.smoothing)
		if math.Abs(got-c.pytorch) > 1e-8 {
			t.Errorf("smoothing %v, label %d: %.10g, PyTorch has %.10g", c.smoothing, c.label, got, c.pytorch)
		}
		want := 0.0
		for i, p := range prob {
			share := float64(c.smoothing) / 4
			if int32(i) == c.label {
				share += 1 - float64(c.smoothing)
			}
			want -= share * math.Log(float64(p))
		}
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("smoothing %v, label %d: %g, want %g", c.smoothing, c.label, got, want)
		}
	}
}

func TestLossCountsTheFirstOfEqualLogits(t *testing.T) {
	prob := make([]float32, 6)
	_, correct := SoftmaxCrossEntropy(prob, []float32{1, 2, 2, 2, 2, 1}, []int32{1, 1}, 2, 3, 0)
	if correct != 1 {
		t.Errorf("%d correct, want 1: the first of equal logits is the answer", correct)
	}
}

func TestLossOfNonFiniteLogitsIsNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		for at := range 3 {
			for label := range int32(3) {
				logits := []float32{1, 2, 3}
				logits[at] = float32(bad)
				loss, _ := SoftmaxCrossEntropy(make([]float32, 3), logits, []int32{label}, 1, 3, 0)
				if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
					t.Errorf("%v as logit %d, label %d: loss %g", bad, at, label, loss)
				}
			}
		}
	}
	low := float32(math.Inf(-1))
	if loss, _ := SoftmaxCrossEntropy(make([]float32, 2), []float32{low, 0}, []int32{0}, 1, 2, 0); !math.IsInf(loss, 1) {
		t.Errorf("a label of probability 0: loss %g, want +Inf", loss)
	}
}

func TestLossRefusesWrongArguments(t *testing.T) {
	b, labels := make([]float32, 6), []int32{0, 1}
	for what, f := range map[string]func(){
		"a short prob":          func() { SoftmaxCrossEntropy(b[1:], b, labels, 2, 3, 0) },
		"short logits":          func() { SoftmaxCrossEntropy(b, b[1:], labels, 2, 3, 0) },
		"a missing label":       func() { SoftmaxCrossEntropy(b, b, labels[1:], 2, 3, 0) },
		"a label too large":     func() { SoftmaxCrossEntropy(b, b, []int32{0, 3}, 2, 3, 0) },
		"a negative label":      func() { SoftmaxCrossEntropy(b, b, []int32{0, -1}, 2, 3, 0) },
		"short gradients":       func() { SoftmaxCrossEntropyBackward(b[1:], b, labels, 2, 3, 0, 1) },
		"a label, backward":     func() { SoftmaxCrossEntropyBackward(b, b, []int32{0, 3}, 2, 3, 0, 1) },
		"a short prob backward": func() { SoftmaxCrossEntropyBackward(b, b[1:], labels, 2, 3, 0, 1) },
	} {
		wantPanic(t, what, f)
	}
}
