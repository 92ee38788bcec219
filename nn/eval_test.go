package nn

import (
	"math"
	"testing"

	"cifartui/nn/bittest"
)

func TestEvalAgreesWithTheTrainingGraph(t *testing.T) {
	on := newCPU(t, 2)
	n, _, st := newTraining(t, on, small, 8, "adadelta")
	e, err := n.NewEval(16)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x, labels := someBatch(small, 8, 1)
	for i := range 3 { // each step changes the weights that e must take up
		sum, correct, err := e.Run(x, labels)
		if err != nil {
			t.Fatal(err)
		}
		r, err := st.Run(x, labels, 1)
		if err != nil {
			t.Fatal(err)
		}
		if sum/8 != r.Loss || correct != r.Correct {
			t.Errorf("step %d: loss %v and %d right, in training %v and %d", i, sum/8, correct, r.Loss, r.Correct)
		}
	}
}

func TestEvalIgnoresDropout(t *testing.T) {
	p, q := newProblem(t, 0.5, 4), newProblem(t, 0, 4)
	loss := func(p *problem) float64 {
		e, err := p.net.NewEval(4)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		sum, _, err := e.Run(p.x, p.labels)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if a, b := loss(p), loss(q); a != b {
		t.Errorf("loss %v with a dropout of 0.5, %v with none", a, b)
	}
}

func TestProbabilities(t *testing.T) {
	on := newCPU(t, 2)
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := n.NewEval(6)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x, labels := someBatch(small, 5, 1)
	sum, _, err := e.Run(x, labels)
	if err != nil {
		t.Fatal(err)
	}
	p := append([]float32(nil), probabilitiesOf(t, e)...)
	if len(p) != 5*small.Classes {
		t.Fatalf("%d probabilities of 5 rows of %d classes", len(p), small.Classes)
	}
	loss := 0.0
	for i, l := range labels {
		total := 0.0
		for _, v := range p[i*small.Classes:][:small.Classes] {
			total += float64(v)
		}
		if math.Abs(total-1) > 1e-6 {
			t.Errorf("the probabilities of row %d sum to %v", i, total)
		}
		loss -= math.Log(float64(p[i*small.Classes+int(l)]))
	}
	if math.Abs(loss-sum) > 1e-5*sum {
		t.Errorf("loss %v, by the probabilities %v", sum, loss)
	}
	if _, _, err := e.Run(x, nil); err != nil {
		t.Fatalf("without labels: %v", err)
	}
	bittest.Floats(t, "probabilities without labels", probabilitiesOf(t, e), p)
	_, _, err = e.Run(x[:len(x)-1], nil)
	mention(t, err, "numbers")
}

func TestEvalTakesUpSetWeights(t *testing.T) {
	on := newCPU(t, 1)
	n, err := New(on, small, 1)
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(on, small, 2)
	if err != nil {
		t.Fatal(err)
	}
	x, labels := someBatch(small, 4, 1)
	run := func(e *Eval) float64 {
		t.Helper()
		sum, _, err := e.Run(x, labels)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	var es [2]*Eval
	for i, n := range []*Network{n, other} {
		if es[i], err = n.NewEval(4); err != nil {
			t.Fatal(err)
		}
		defer es[i].Close()
	}
	if run(es[0]) == run(es[1]) {
		t.Fatal("two networks have the same loss")
	}
	if err := n.SetWeights(weightsOf(t, other)); err != nil {
		t.Fatal(err)
	}
	if a, b := run(es[0]), run(es[1]); a != b {
		t.Errorf("loss %v after SetWeights, the other network's is %v", a, b)
	}
}
