package nn

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"cifartui/nn/bittest"
)

func TestWeightsAreInPyTorchsOrder(t *testing.T) {
	on := newCPU(t, 1)
	n, err := New(on, VGG(0.5), 1)
	if err != nil {
		t.Fatal(err)
	}
	ws := weightsOf(t, n)
	shapes := map[string][]int{
		"conv1.weight": {64, 3, 3, 3}, "conv1.bias": {64},
		"conv2.weight": {64, 64, 3, 3}, "conv2.bias": {64},
		"conv3.weight": {128, 64, 3, 3}, "conv3.bias": {128},
		"conv4.weight": {128, 128, 3, 3}, "conv4.bias": {128},
		"conv5.weight": {256, 128, 3, 3}, "conv5.bias": {256},
		"conv6.weight": {256, 256, 3, 3}, "conv6.bias": {256},
		"dense.weight": {10, 4096}, "dense.bias": {10},
	}
	total := 0
	for _, w := range ws {
		if !slices.Equal(w.Shape, shapes[w.Name]) {
			t.Errorf("%s has shape %v, want %v", w.Name, w.Shape, shapes[w.Name])
		}
		total += len(w.Data)
	}
	if len(ws) != len(shapes) || total != 1_186_378 {
		t.Errorf("%d tensors of %d numbers, want %d of 1,186,378", len(ws), total, len(shapes))
	}
	// The kernels have filters as [3][3][in][out] and a dense layer's features
	// in the order row, column, channel.
	at := func(i int, o *order, inside int) float32 {
		var v float32
		o.each(func(out, in int) {
			if in == inside {
				v = ws[i].Data[out]
			}
		})
		return v
	}
	conv, dense := n.params[2].Buffer, n.params[12].Buffer
	const out, in, row, col = 5, 7, 2, 1
	if got := at(2, conv.order, ((row*3+col)*64+in)*64+out); got != ws[2].Data[((out*64+in)*3+row)*3+col] || got != conv.Floats[((row*3+col)*64+in)*64+out] {
		t.Error("conv2.weight is not [out, in, row, column]")
	}
	if got := at(12, dense.order, out*4096+(row*4+col)*256+in); got != ws[12].Data[out*4096+in*16+row*4+col] || got != dense.Floats[out*4096+(row*4+col)*256+in] {
		t.Error("dense.weight's features are not in the order channel, row, column")
	}
}

// TestHiddenLayersAreInPyTorchsOrder: the first one's inputs are the flattened
// image's, in the order channel, row, column; the others' are rows of features.
func TestHiddenLayersAreInPyTorchsOrder(t *testing.T) {
	s := small
	s.Dense = []int{7, 3}
	n, err := New(newCPU(t, 1), s, 1)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, w := range weightsOf(t, n)[12:] {
		names = append(names, fmt.Sprint(w.Name, w.Shape))
		inside := n.params[12+i].Floats
		if i > 0 {
			bittest.Numbers(t, w.Name, w.Data, inside)
		}
	}
	if want := []string{"fc1.weight[7 8]", "fc1.bias[7]", "fc2.weight[3 7]", "fc2.bias[3]", "dense.weight[5 3]", "dense.bias[5]"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	s = Spec{Size: 8, Filters: []int{3}, Dense: []int{2}, Classes: 2} // features of 4x4
	if n, err = New(newCPU(t, 1), s, 1); err != nil {
		t.Fatal(err)
	}
	const out, channel, row, col = 1, 2, 3, 1
	if w := weightsOf(t, n)[4]; w.Name != "fc1.weight" || w.Data[((out*3+channel)*4+row)*4+col] != n.params[4].Floats[((out*4+row)*4+col)*3+channel] {
		t.Errorf("%s's features are not in the order channel, row, column", w.Name)
	}
}

func TestWeightsRoundTripBitForBit(t *testing.T) {
	on := newCPU(t, 1)
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	ws := weightsOf(t, n)
	odd := []uint32{0x80000000, 0x00000001, 0x7f800000, 0x7fc12345, 0xff7fffff} // -0, denormal, Inf, a NaN, -max
	for i := range ws {
		for j := range ws[i].Data {
			ws[i].Data[j] = math.Float32frombits(odd[j%len(odd)] + uint32(j/len(odd)%3))
		}
	}
	slices.Reverse(ws) // the order of the tensors doesn't matter
	if err := n.SetWeights(ws); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(ws)
	bittest.Values(t, "weights", weightsOf(t, n), ws)
}

func TestWrongWeightsAreRefused(t *testing.T) {
	on := newCPU(t, 1)
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	good := weightsOf(t, n)
	if err := small.Fits(good); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name   string
		change func(ts []Tensor) []Tensor
		says   []string
	}{
		{"one missing", func(ts []Tensor) []Tensor { return ts[:len(ts)-1] }, []string{"dense.bias", "another network"}},
		{"one too many", func(ts []Tensor) []Tensor { return append(ts, Tensor{Name: "conv7.weight"}) }, []string{"conv7.weight"}},
		{"twice", func(ts []Tensor) []Tensor { return append(ts, ts[3]) }, []string{"two", "conv2.bias"}},
		{"a shape", func(ts []Tensor) []Tensor { ts[2].Shape = []int{4, 4, 9}; return ts }, []string{"conv2.weight", "[4 4 9]", "[4 4 3 3]"}},
		{"too short", func(ts []Tensor) []Tensor { ts[2].Data = ts[2].Data[:10]; return ts }, []string{"conv2.weight", "10 elements", "damaged"}},
		{"none", func([]Tensor) []Tensor { return nil }, []string{"conv1.weight is missing: [4 3 3 3] is wanted", "and 2 more"}},
		{"several", func(ts []Tensor) []Tensor {
			ts[12].Shape = []int{7, 8}
			return append(ts[1:], Tensor{Name: "fc1.weight", Shape: []int{9, 8}})
		}, []string{"conv1.weight is missing: [4 3 3 3] is wanted", "dense.weight has shape [7 8], [5 8] is wanted", "fc1.weight [9 8] is one too many"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := slices.Clone(good)
			for i := range ts {
				ts[i].Data = make([]float32, len(ts[i].Data))
			}
			ts = c.change(ts)
			mention(t, n.SetWeights(ts), c.says...)
			mention(t, small.Fits(ts), c.says...)
			bittest.Values(t, "weights after refused ones", weightsOf(t, n), good)
		})
	}
}

func TestWrongSpecsAreRefused(t *testing.T) {
	on := newCPU(t, 1)
	for _, c := range []struct {
		spec Spec
		says string
	}{
		{Spec{Size: 8, Classes: 5}, "at least one block"},
		{Spec{Size: 8, Filters: []int{4, 0}, Classes: 5}, "block 2 has 0 filters"},
		{Spec{Size: 8, Filters: []int{20000}, Classes: 5}, "block 1 has 20000 filters"},
		{Spec{Size: 8, Filters: []int{4}, Dense: []int{3, -1}, Classes: 5}, "hidden dense layer 2 has -1 units"},
		{Spec{Size: 8, Filters: []int{4}, Dense: make([]int, 9), Classes: 5}, "9 hidden dense layers"},
		{Spec{Size: 64, Filters: []int{16384}, Dense: []int{16384}, Classes: 5}, "parameters, want at most 64,000,000"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 5, Initializer: "ones"}, "no initializer \"ones\": take one of he_normal,"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 5, Frozen: []string{"conv3"}}, "no layer conv3 to freeze: this network has conv1, conv2, dense"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 5, Frozen: []string{"conv1", "conv2", "dense"}}, "all layers are frozen"},
		{Spec{Size: 12, Filters: []int{4, 4, 4}, Classes: 5}, "multiple of 8"},
		{Spec{Size: 0, Filters: []int{4}, Classes: 5}, "multiple of 2"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 1}, "1 classes"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 257}, "257 classes"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 5, Dropout: 1}, "dropout of 1"},
		{Spec{Size: 8, Filters: []int{4}, Classes: 5, Dropout: math.NaN()}, "dropout of NaN"},
	} {
		_, err := New(on, c.spec, 1)
		mention(t, err, c.says)
		mention(t, c.spec.Summary(nil, 1), c.says)
	}
}

// TestFollowIsAMovingAverage: of weights that change in steps.
func TestFollowIsAMovingAverage(t *testing.T) {
	on := newCPU(t, 2)
	n, _, st := newTraining(t, on, small, 4, "sgd")
	average, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]float64{}
	for _, w := range weightsOf(t, n) {
		want = append(want, to64(w.Data))
	}
	x, labels := someBatch(small, 4, 1)
	e, err := average.NewEval(4)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	before, _, err := e.Run(x, labels)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := st.Run(x, labels, 0); err != nil {
			t.Fatal(err)
		}
		if err := average.Follow(n, 0.25); err != nil {
			t.Fatal(err)
		}
		for i, w := range weightsOf(t, n) {
			for j, v := range w.Data {
				want[i][j] += 0.25 * (float64(v) - want[i][j])
			}
		}
	}
	for i, w := range weightsOf(t, average) {
		near(t, w.Name, to64(w.Data), want[i], 1e-6)
	}
	after, _, err := e.Run(x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if !(after < before) {
		t.Errorf("the average's loss is %v, and was %v: an Eval uses its weights of long ago", after, before)
	}
	other := small
	other.Filters = []int{4, 6}
	stranger, err := New(on, other, 1)
	if err != nil {
		t.Fatal(err)
	}
	mention(t, stranger.Follow(n, 0.5), "one shape")
}

// deaf is a backend whose memory can no longer be read.
type deaf struct{ Backend }

func (deaf) Download([]float32, *Buffer) error { return errors.New("the device is gone") }

// TestFailedBackendIsAnError: what goes into a checkpoint must never be silently
// missing.
func TestFailedBackendIsAnError(t *testing.T) {
	on := deaf{newCPU(t, 1)}
	s := Spec{Size: 4, Filters: []int{4}, Classes: 3}
	n, sv, _ := newTraining(t, on, s, 2, "adadelta")
	weights, err := n.Weights()
	if weights != nil {
		t.Errorf("weights from a backend that failed: %v", weights)
	}
	mention(t, err, "conv1.weight", "the device is gone")
	state, err := sv.State()
	if state != nil {
		t.Errorf("state from a backend that failed: %v", state)
	}
	mention(t, err, "conv1.weight.eg2", "the device is gone")
}
