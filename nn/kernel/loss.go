package kernel

import "math"

// SoftmaxCrossEntropy writes the softmax of each row of logits [rows][classes]
// into prob of the same shape, and returns the sum over the rows of the
// cross-entropy, -log prob[label], and the number of rows whose label has the
// largest logit (the first of equal ones counts, as in numpy's argmax). Labels
// are within 0 and classes-1. The sums are in float64, and logits that are NaN
// or +Inf give a loss that is not finite.
//
// With smoothing, from 0 to 1, the cross-entropy is that with a label which has
// 1-smoothing of its class and shares the rest among all classes evenly (Szegedy
// et al., arXiv:1512.00567, section 7; PyTorch's label_smoothing).
func SoftmaxCrossEntropy(prob, logits []float32, labels []int32, rows, classes int, smoothing float32) (lossSum float64, correct int) {
	checkLoss("SoftmaxCrossEntropy", prob, labels, rows, classes)
	checkLen("SoftmaxCrossEntropy", "logits", len(logits), rows*classes)
	for r := range rows {
		in, out := logits[r*classes:][:classes], prob[r*classes:][:classes]
		label := int(labels[r])
		best := 0
		for i, v := range in {
			if v > in[best] {
				best = i
			}
		}
		// Taking the largest off keeps exp within range; a NaN stays one.
		top, sum := float64(in[best]), 0.0
		for _, v := range in {
			sum += math.Exp(float64(v) - top)
		}
		for i, v := range in {
			out[i] = float32(math.Exp(float64(v)-top) / sum)
		}
		lossSum += math.Log(sum) - (float64(in[label]) - top)
		if smoothing > 0 {
			mean := 0.0
			for _, v := range in {
				mean += float64(v)
			}
			lossSum += float64(smoothing) * (float64(in[label]) - mean/float64(classes))
		}
		if best == label {
			correct++
		}
	}
	return lossSum, correct
}

// SoftmaxCrossEntropyBackward writes the gradient of the cross-entropy by the
// logits, (prob - the label's, smoothed) * scale; scale is 1/rows for the mean
// over the batch.
func SoftmaxCrossEntropyBackward(dlogits, prob []float32, labels []int32, rows, classes int, smoothing, scale float32) {
	checkLoss("SoftmaxCrossEntropyBackward", prob, labels, rows, classes)
	checkLen("SoftmaxCrossEntropyBackward", "dlogits", len(dlogits), rows*classes)
	share := smoothing / float32(classes)
	for r := range rows {
		p, d := prob[r*classes:][:classes], dlogits[r*classes:][:classes]
		for i, v := range p {
			d[i] = (v - share) * scale
		}
		label := labels[r]
		d[label] = (p[label] - (1 - smoothing + share)) * scale
	}
}

func checkLoss(kernel string, prob []float32, labels []int32, rows, classes int) {
	check(kernel, rows >= 0 && classes > 0, "empty dimension")
	checkLen(kernel, "prob", len(prob), rows*classes)
	checkLen(kernel, "labels", len(labels), rows)
	for _, l := range labels[:rows] {
		check(kernel, 0 <= l && int(l) < classes, "a label is not within the classes")
	}
}
