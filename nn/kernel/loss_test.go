package kernel

import (
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
			loss, correct := SoftmaxCrossEntropy(prob, logits, []int32{label}, 1, 2)
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
	SoftmaxCrossEntropy(prob, logits, labels, rows, classes)
	const scale = 1.0 / rows
	SoftmaxCrossEntropyBackward(grad, prob, labels, rows, classes, scale)
	intact()
	gradIntact()
	scratch := make([]float32, rows*classes)
	for i := range logits {
		const h = 1.0 / 64
		v := logits[i]
		logits[i] = v + h
		up, _ := SoftmaxCrossEntropy(scratch, logits, labels, rows, classes)
		high := float64(logits[i])
		logits[i] = v - h
		down, _ := SoftmaxCrossEntropy(scratch, logits, labels, rows, classes)
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

func TestLossCountsTheFirstOfEqualLogits(t *testing.T) {
	prob := make([]float32, 6)
	_, correct := SoftmaxCrossEntropy(prob, []float32{1, 2, 2, 2, 2, 1}, []int32{1, 1}, 2, 3)
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
				loss, _ := SoftmaxCrossEntropy(make([]float32, 3), logits, []int32{label}, 1, 3)
				if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
					t.Errorf("%v as logit %d, label %d: loss %g", bad, at, label, loss)
				}
			}
		}
	}
	low := float32(math.Inf(-1))
	if loss, _ := SoftmaxCrossEntropy(make([]float32, 2), []float32{low, 0}, []int32{0}, 1, 2); !math.IsInf(loss, 1) {
		t.Errorf("a label of probability 0: loss %g, want +Inf", loss)
	}
}

func TestLossRefusesWrongArguments(t *testing.T) {
	b, labels := make([]float32, 6), []int32{0, 1}
	for what, f := range map[string]func(){
		"a short prob":          func() { SoftmaxCrossEntropy(b[1:], b, labels, 2, 3) },
		"short logits":          func() { SoftmaxCrossEntropy(b, b[1:], labels, 2, 3) },
		"a missing label":       func() { SoftmaxCrossEntropy(b, b, labels[1:], 2, 3) },
		"a label too large":     func() { SoftmaxCrossEntropy(b, b, []int32{0, 3}, 2, 3) },
		"a negative label":      func() { SoftmaxCrossEntropy(b, b, []int32{0, -1}, 2, 3) },
		"short gradients":       func() { SoftmaxCrossEntropyBackward(b[1:], b, labels, 2, 3, 1) },
		"a label, backward":     func() { SoftmaxCrossEntropyBackward(b, b, []int32{0, 3}, 2, 3, 1) },
		"a short prob backward": func() { SoftmaxCrossEntropyBackward(b, b[1:], labels, 2, 3, 1) },
	} {
		wantPanic(t, what, f)
	}
}
