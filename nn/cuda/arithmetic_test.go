package cuda

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/standin"
	"cifartui/nn/cuda/ptx"
)

var updateGolden = flag.Bool("update", false, "write the golden file of what a step runs")

// GPUs of one name may have other numbers of multiprocessors, which sums are cut by.
func TestArithmeticTellsGPUsApart(t *testing.T) {
	t.Parallel()
	of := func(change func(*standin.Driver)) string {
		d := standin.New(8, 0)
		change(d)
		return open(t, d).Arithmetic()
	}
	plain := of(func(*standin.Driver) {})
	for _, c := range []struct {
		what   string
		change func(*standin.Driver)
		same   bool
	}{
		{"another of the same", func(d *standin.Driver) { d.GPU.BusID, d.GPU.Memory = "0000:02:00.0", d.GPU.Memory/2 }, true},
		{"fewer multiprocessors", func(d *standin.Driver) { d.GPU.SMs-- }, false},
		{"another name", func(d *standin.Driver) { d.GPU.Name = "Other" }, false},
	} {
		if got := of(c.change); (got == plain) != c.same {
			t.Errorf("%s: %q beside %q", c.what, got, plain)
		}
	}
	// For a driver that lets kernels overlap the host changes their PTX, but no bits.
	older := func(d *standin.Driver) { *d = *standin.New(9, 0); d.CUDA = 12020 }
	newer := func(d *standin.Driver) { older(d); d.CUDA = 12030 }
	if a, b := of(older), of(newer); a != b {
		t.Errorf("%q and %q by the driver", a, b)
	}
}

// A build whose kernels or whose plan are others is another.
func TestArithmeticTellsBuildsApart(t *testing.T) {
	t.Parallel()
	a, b := sha256.Sum256([]byte("a kernel")), sha256.Sum256([]byte("another"))
	want := buildOf(1, []sum{a, b})
	if again := buildOf(1, []sum{a, b}); again != want {
		t.Errorf("%s, then %s", want, again)
	}
	for what, got := range map[string]string{
		"another plan": buildOf(2, []sum{a, b}), "another kernel": buildOf(1, []sum{a, a}), "one kernel": buildOf(1, []sum{a}),
	} {
		if got == want {
			t.Errorf("%s has the same %s", what, got)
		}
	}
	gpu := open(t, standin.New(8, 0))
	var sums []sum
	for _, m := range ptx.Modules {
		if !m.Exact {
			text, err := ptx.Text(m.Name)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sha256.Sum256(text))
		}
	}
	if want := "build " + buildOf(planNumber, sums) + ")"; !strings.HasSuffix(gpu.Arithmetic(), want) {
		t.Errorf("%s, want %s", gpu.Arithmetic(), want)
	}
}

// What a step of the article's network runs, with everything that a sum's order depends
// on, is a golden file: whoever changes it is asked whether bits change, too.
func TestWhatAStepRunsIsGolden(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, c := range []struct{ major, sms, shared, batch int }{
		{8, 108, 163 << 10, 64}, {9, 132, 227 << 10, 64}, {9, 132, 227 << 10, 128},
	} {
		d := standin.New(c.major, 0)
		d.GPU.SMs, d.GPU.SharedMemory, d.Fail = c.sms, c.shared, notRun
		gpu := open(t, d)
		g := train(t, gpu, nn.VGG(0.5), c.batch, "sgd", nn.SolverOptions{Momentum: 0.9})
		if err := g.step.Submit(make([]float32, c.batch*side*side*imageChannels), make([]uint8, c.batch), 1); err == nil {
			t.Fatal("the step was not to run")
		}
		fmt.Fprintf(&text, "capability %d.0, %d multiprocessors, batch %d\n", c.major, c.sms, c.batch)
		tape := gpu.queue.known[0].tape
		for _, l := range gpu.fuse(tape.launches, tape.loss) {
			fmt.Fprintf(&text, "\t%s\tlane %d\tgrid %d\t", l.kernel.Name, l.lane, l.Grid[:2])
			for i, kind := range l.kernel.Params {
				switch kind {
				case ptx.U32:
					fmt.Fprintf(&text, " %d", l.word(i))
				case ptx.F32:
					fmt.Fprintf(&text, " %v", l.float(i))
				}
			}
			fmt.Fprintln(&text)
		}
	}
	file := filepath.Join("testdata", "step.txt")
	if *updateGolden {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("a step runs other kernels than %s says, or in other parts: if bits change, raise planNumber; then give -update, and look at the difference:\n%s", file, &text)
	}
}
