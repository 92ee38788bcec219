package train

import (
	"path/filepath"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// rounding is a backend that says that its arithmetic is another.
type rounding struct {
	nn.Backend
	arithmetic string
}

func (r rounding) Name() string       { return device(r.arithmetic) }
func (r rounding) Arithmetic() string { return r.arithmetic }

// A resume with another arithmetic than the checkpoint was trained with is sound but
// not exact: it says so, and does not say it again of what it has trained itself.
func TestResumeWithOtherArithmeticWarns(t *testing.T) {
	o := tinyOptions(t)
	cpu := o.Backend
	var folder string
	// goOn trains a step more and returns what warnings say of exactness.
	goOn := func(arithmetic string) (said []string) {
		t.Helper()
		o.Backend = rounding{cpu, arithmetic}
		o.Config.MaxSteps++
		var rec *recorder
		folder, rec = mustTrain(t, resume(o, folder), nil)
		for _, w := range of[*event.Warning](rec.events) {
			if strings.Contains(w.Message, "would keep it exact") {
				said = append(said, w.Message)
			}
		}
		return said
	}
	// forget makes of the checkpoint one of an older version, which did not note it.
	forget := func() {
		t.Helper()
		c := checkpointtest.Last(t, folder)
		c.Arithmetic = ""
		s := checkpoint.Store{Disk: rundir.OS{}, Folder: filepath.Join(folder, rundir.CheckpointsDir)}
		if _, err := s.SaveLast(c); err != nil {
			t.Fatal(err)
		}
	}
	const (
		large = "cuda GPU (4 multiprocessors, build b)"
		small = "cuda GPU (3 multiprocessors, build b)"
		older = "cuda GPU (4 multiprocessors, build a)"
	)
	for i, c := range []struct {
		arithmetic string
		forget     bool
		says       string // all of it; "" for nothing
	}{
		{large, false, ""}, // the run begins
		{large, false, ""},
		{small, false, large + " kernels and goes on with " + small + ", which may round differently: the same build of the program on the same kind of GPU, with as many multiprocessors, would"},
		{small, false, ""},
		{older, false, small + " kernels and goes on with " + older},
		{large, false, older + " kernels and goes on with " + large + ", which may round differently"},
		{large, true, "with cuda GPU kernels and goes on with " + large + ", which may round differently"},
		{"avx2", false, large + " kernels and goes on with avx2, which round differently: --device cuda on the same kind of GPU would"},
		{"avx512", false, "avx2 kernels and goes on with avx512, which round differently: --kernels avx2 would"},
		{large, false, "--device cpu --kernels avx512 would"},
	} {
		if c.forget {
			forget()
		}
		said := goOn(c.arithmetic)
		if c.says == "" && len(said) > 0 || c.says != "" && (len(said) != 1 || !strings.Contains(said[0], c.says) || strings.Contains(said[0], "\n")) {
			t.Errorf("%d, with %s: %q, want %q", i, c.arithmetic, said, c.says)
		}
	}
	if _, about, err := config.Read(folder); err != nil || about.Kernels != "cuda GPU" {
		t.Errorf("the settings name the kernels %q that the run began with (%v)", about.Kernels, err)
	}
}

// A run without a checkpoint begins anew, with one arithmetic from its first step on.
func TestRunThatBeginsAnewIsExact(t *testing.T) {
	o := tinyOptions(t)
	cpu := o.Backend
	o.Backend = rounding{cpu, "avx2"}
	tr := newTrainer(t, o)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	o.Backend = rounding{cpu, "avx512"}
	o.Config.MaxSteps = 1
	_, rec := mustTrain(t, resume(o, tr.Folder()), nil)
	again := false
	for _, w := range of[*event.Warning](rec.events) {
		again = again || strings.Contains(w.Message, "starts from the beginning")
		if strings.Contains(w.Message, "exact") {
			t.Error(w.Message)
		}
	}
	if !again {
		t.Error("the run does not begin anew: nothing was tested")
	}
}
