package nn

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cifartui/nn/bittest"
)

// counting is a CPU that counts the kernels' calls for gradients of convolutions.
type counting struct {
	*CPU
	calls map[string]int // by the pass and the channels in
}

func (c *counting) NewConv(s ConvSpec) (Conv, error) {
	k, err := c.CPU.NewConv(s)
	return &countingConv{k, s, c}, err
}

type countingConv struct {
	Conv
	spec ConvSpec
	on   *counting
}

func (c *countingConv) BackwardData(dx, dy, x *Buffer, rows int) {
	c.on.calls[fmt.Sprintf("data %d", c.spec.In)]++
	c.Conv.BackwardData(dx, dy, x, rows)
}

func (c *countingConv) BackwardFilter(dw, db, x, dy *Buffer, rows int) {
	c.on.calls[fmt.Sprintf("filter %d", c.spec.In)]++
	c.Conv.BackwardFilter(dw, db, x, dy, rows)
}

// freezable is a network with layers of all kinds, of which some are frozen.
func freezable(frozen ...string) Spec {
	return Spec{Size: 8, Filters: []int{4, 6, 8}, Dense: []int{9}, Classes: 5, Dropout: 0.5, Frozen: frozen}
}

// TestFrozenLayersHaveNoGradients: neither in the graph that is run, nor by the
// kernels' count; below the lowest layer that is trained there is no backward
// pass at all.
func TestFrozenLayersHaveNoGradients(t *testing.T) {
	for _, c := range []struct {
		frozen   []string
		backward string // what is left of it, in order
	}{
		{nil, "loss.data dense.filter dense.bias dense.data dropout.data fc1.relu fc1.filter fc1.bias fc1.data flatten.data conv6.filter conv6.bias conv6.data conv5.filter conv5.bias conv5.data conv4.filter conv4.bias conv4.data conv3.filter conv3.bias conv3.data conv2.filter conv2.bias conv2.data conv1.filter conv1.bias"},
		{[]string{"conv1", "conv2", "conv3", "conv4"}, "loss.data dense.filter dense.bias dense.data dropout.data fc1.relu fc1.filter fc1.bias fc1.data flatten.data conv6.filter conv6.bias conv6.data conv5.filter conv5.bias"},
		{[]string{"conv3", "fc1"}, "loss.data dense.filter dense.bias dense.data dropout.data fc1.relu fc1.data flatten.data conv6.filter conv6.bias conv6.data conv5.filter conv5.bias conv5.data conv4.filter conv4.bias conv4.data conv3.data conv2.filter conv2.bias conv2.data conv1.filter conv1.bias"},
		{[]string{"conv1", "conv2", "conv3", "conv4", "conv5", "conv6"}, "loss.data dense.filter dense.bias dense.data dropout.data fc1.relu fc1.filter fc1.bias"},
		{[]string{"conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc1"}, "loss.data dense.filter dense.bias"},
	} {
		t.Run(strings.Join(c.frozen, ","), func(t *testing.T) {
			s := freezable(c.frozen...)
			on := &counting{newCPU(t, 2), map[string]int{}}
			_, sv, st := newTraining(t, on, s, 4, "adam")
			var ran []string
			for _, in := range st.machine.steps {
				if o, ok := in.op.(operation); ok && o.common().pass == Backward {
					ran = append(ran, strings.TrimSuffix(o.common().String(), " gradient"))
				}
			}
			want := strings.Fields(c.backward)
			slices.Sort(ran)
			slices.Sort(want)
			if !slices.Equal(ran, want) {
				t.Errorf("the backward pass is %v,\nwant %v", ran, want)
			}
			x, labels := someBatch(s, 4, 1)
			if _, err := st.Run(x, labels, 1); err != nil {
				t.Fatal(err)
			}
			calls := map[string]int{}
			for _, name := range want {
				layer, pass, _ := strings.Cut(name, ".")
				if strings.HasPrefix(layer, "conv") && pass != "bias" {
					in := map[string]int{"conv1": 3, "conv2": 4, "conv3": 4, "conv4": 6, "conv5": 6, "conv6": 8}[layer]
					calls[fmt.Sprintf("%s %d", pass, in)]++
				}
			}
			if fmt.Sprint(on.calls) != fmt.Sprint(calls) {
				t.Errorf("the kernels were called %v, want %v", on.calls, calls)
			}
			for _, state := range stateOf(t, sv) {
				if layer, _, _ := strings.Cut(state.Name, "."); slices.Contains(c.frozen, layer) {
					t.Errorf("the optimiser keeps %s for a layer that is frozen", state.Name)
				}
			}
		})
	}
}

// TestFrozenLayersStayAsTheyAre, whatever the optimiser and its weight decay,
// and the others learn from the gradients that they have without freezing.
func TestFrozenLayersStayAsTheyAre(t *testing.T) {
	on := newCPU(t, 2)
	for _, solver := range SolverNames() {
		o := SolverOptions{WeightDecay: 0.1}
		if solver == "adadelta" {
			o.WeightDecay = 0
		}
		for _, frozen := range [][]string{{"conv1", "conv2", "conv3"}, {"conv4", "dense"}} {
			train := func(frozen ...string) (before, after, gradients []Tensor, loss float64) {
				s := freezable(frozen...)
				n, err := New(on, s, 1)
				if err != nil {
					t.Fatal(err)
				}
				sv, err := NewSolver(on, solver, o)
				if err != nil {
					t.Fatal(err)
				}
				st, err := n.NewStep(4, sv)
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				before = weightsOf(t, n)
				x, labels := someBatch(s, 4, 1)
				r, err := st.Run(x, labels, 1)
				if err != nil {
					t.Fatal(err)
				}
				return before, weightsOf(t, n), st.graph.exportGradients(t), r.Loss
			}
			_, whole, all, loss := train()
			before, after, some, frozenLoss := train(frozen...)
			if frozenLoss != loss {
				t.Errorf("%s %v: loss %v, %v without freezing", solver, frozen, frozenLoss, loss)
			}
			for i, w := range after {
				layer, _, _ := strings.Cut(w.Name, ".")
				want := whole[i]
				if slices.Contains(frozen, layer) {
					want = before[i]
				}
				bittest.Numbers(t, solver+" "+w.Name, w.Data, want.Data)
			}
			for _, g := range some {
				i := slices.IndexFunc(all, func(a Tensor) bool { return a.Name == g.Name })
				bittest.Numbers(t, "gradient of "+g.Name, g.Data, all[i].Data)
			}
		}
	}
}

// TestFrozenStateContinuesBitForBit: what a checkpoint keeps goes on exactly,
// and is refused where other layers are frozen.
func TestFrozenStateContinuesBitForBit(t *testing.T) {
	on := newCPU(t, 2)
	s := freezable("conv1", "conv2")
	x, labels := someBatch(s, 4, 1)
	run := func(st *Step, from, to int) {
		for i := from; i < to; i++ {
			if _, err := st.Run(x, labels, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	n, sv, st := newTraining(t, on, s, 4, "muon")
	run(st, 0, 2)
	weights, state := weightsOf(t, n), stateOf(t, sv)
	run(st, 2, 4)
	n2, sv2, st2 := newTraining(t, on, s, 4, "muon")
	if err := n2.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	if err := sv2.SetState(state); err != nil {
		t.Fatal(err)
	}
	run(st2, 2, 4)
	bittest.Values(t, "weights", weightsOf(t, n2), weightsOf(t, n))
	bittest.Values(t, "state", stateOf(t, sv2), stateOf(t, sv))
	_, other, _ := newTraining(t, on, freezable("conv1"), 4, "muon")
	mention(t, other.SetState(state), "conv2.weight")
}

// TestLayerRatesScaleTheStep: of every optimiser, also after the rate has been
// changed, and with the bits of before for a factor of 1.
func TestLayerRatesScaleTheStep(t *testing.T) {
	on := newCPU(t, 2)
	s := freezable()
	s.Dropout = 0
	for _, solver := range SolverNames() {
		train := func(rates map[string]float64) (before, after []Tensor) {
			n, err := New(on, s, 1)
			if err != nil {
				t.Fatal(err)
			}
			sv, err := NewSolver(on, solver, SolverOptions{LayerRates: rates})
			if err != nil {
				t.Fatal(err)
			}
			sv.SetLearnRate(sv.LearnRate() / 2)
			st, err := n.NewStep(4, sv)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			before = weightsOf(t, n)
			x, labels := someBatch(s, 4, 1)
			if _, err := st.Run(x, labels, 1); err != nil {
				t.Fatal(err)
			}
			return before, weightsOf(t, n)
		}
		_, plain := train(nil)
		_, ones := train(map[string]float64{"conv1": 1, "dense": 1})
		bittest.Values(t, solver+" with factors of 1", ones, plain)
		rates := map[string]float64{"conv2": 0.25, "fc1": 8}
		before, scaled := train(rates)
		for i, w := range scaled {
			layer, _, _ := strings.Cut(w.Name, ".")
			factor, ok := rates[layer]
			if !ok {
				bittest.Numbers(t, solver+" "+w.Name, w.Data, plain[i].Data)
				continue
			}
			var got, want []float64
			for j, x := range before[i].Data {
				got = append(got, float64(w.Data[j])-float64(x))
				want = append(want, factor*(float64(plain[i].Data[j])-float64(x)))
			}
			near(t, solver+" step of "+w.Name, got, want, 2e-3) // of numbers near each other
		}
	}
	for _, bad := range []float64{0, -1} {
		_, err := NewSolver(on, "sgd", SolverOptions{LayerRates: map[string]float64{"conv1": bad}})
		mention(t, err, "conv1", "above 0")
	}
}

func TestSelectNamesLayers(t *testing.T) {
	s := freezable()
	for text, want := range map[string]string{
		"conv1":                "conv1",
		"conv1-conv4":          "conv1 conv2 conv3 conv4",
		"conv5-fc1":            "conv5 conv6 fc1",
		"dense, conv2":         "conv2 dense",
		"conv":                 "conv1 conv2 conv3 conv4 conv5 conv6",
		"fc":                   "fc1",
		"conv6,conv5-conv6,fc": "conv5 conv6 fc1",
	} {
		if got, err := s.Select(text); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q is %v, %v, want %s", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"":            "no layer is named",
		"conv1,":      "no layer is named",
		"conv7":       `no layer "conv7": this network has conv1, conv2, conv3, conv4, conv5, conv6, fc1, dense`,
		"pool1":       `no layer "pool1"`,
		"conv4-conv1": "runs backwards",
		"conv1-":      `no layer ""`,
	} {
		_, err := s.Select(text)
		mention(t, err, says)
	}
	_, err := small.Select("fc")
	mention(t, err, "no fc layers")
}

// TestArithmeticOfFrozenLayers: a step is three times the forward pass, less the
// gradients that are not computed.
func TestArithmeticOfFrozenLayers(t *testing.T) {
	s := VGG(0.5)
	forward, step := s.FLOPs()
	if step != 3*forward {
		t.Errorf("a step takes %d, want three times %d", step, forward)
	}
	by := map[string]int64{}
	for _, l := range s.Layers() {
		by[l.Name] = l.FLOPs
	}
	s.Frozen = []string{"conv1", "conv2", "conv3", "conv4"}
	if _, got := s.FLOPs(); got != forward+by["conv5"]+2*by["conv6"]+2*by["dense"] {
		t.Errorf("a step takes %d, want %d", got, forward+by["conv5"]+2*by["conv6"]+2*by["dense"])
	}
	if got, want := s.Trained(), 295168+590080+40970; got != want {
		t.Errorf("%d parameters are trained, want %d", got, want)
	}
	all, err := VGG(0.5).Footprint(64)
	if err != nil {
		t.Fatal(err)
	}
	some, err := s.Footprint(64)
	if err != nil {
		t.Fatal(err)
	}
	if some.Training > all.Training || some.Gradients != 4*int64(s.Trained()) {
		t.Errorf("%+v with frozen layers, %+v without", some, all)
	}
	var b strings.Builder
	if err := s.Summary(&b, 64); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"36928 frozen\n", "295168\n", "Trainable params: 926,218\n", "Non-trainable params: 260,160\n", "no gradients of what is frozen", "First weights: he_normal"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
