package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/standin"
)

// Several GPUs of a process, as other processes, keep their choices in one file, each
// all that it knows: whoever reads it finds a whole one, and nothing lies beside it.
func TestChoicesThatAreKeptAtOnceAreAWholeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gpu.json")
	choices := map[string]Choice{}
	for i := range 200 {
		choices[fmt.Sprint("shape ", i)] = Choice{Kernel: "conv_fwd_64x64x64s3", Microseconds: map[string]float64{"conv_fwd_64x64x64s3": float64(i)}}
	}
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			gpu := Tuned{path: path, file: tuneFile{fmt.Sprint("GPU ", i): choices}}
			for range 20 {
				gpu.save()
				var read tuneFile
				text, err := os.ReadFile(path)
				if err == nil {
					err = json.Unmarshal(text, &read)
				}
				if err != nil || len(read) != 1 {
					t.Errorf("%d bytes, of %d GPUs: %v", len(text), len(read), err)
					return
				}
			}
		})
	}
	wait.Wait()
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(list) != 1 {
		t.Errorf("%v in the folder: %v", list, err)
	}
}

// Whatever lies in the file of choices, kernels are chosen, and what is chosen is kept:
// by another GPU's choices, or by those of other kernels, nobody goes.
func TestFileOfChoicesThatIsNone(t *testing.T) {
	t.Parallel()
	const shape = "conv_fwd_8x8 64 to 64, batch 1"
	s := nn.ConvSpec{Images: 1, H: 8, W: 8, In: 64, Out: 64, Inference: true}
	kernelOf := func(d *standin.Driver, path, version string) (kernel string, timed bool) {
		t.Helper()
		events := 0
		d.Dry, d.Fail = true, func(call string) error {
			if call == "NewEvent" {
				events++
			}
			return nil
		}
		b := open(t, d)
		b.UseTuned(path, version, 12030)
		opened := events
		c, err := b.NewConv(s)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kernel = c.(*conv).forward.name
		if got := b.Choices()[shape].Kernel; got != kernel {
			t.Errorf("%s is taken, %q is kept", kernel, got)
		}
		return kernel, events > opened
	}
	fewer := func() *standin.Driver { d := standin.New(8, 0); d.GPU.SMs--; return d }
	path := filepath.Join(t.TempDir(), "cache", "gpu.json")
	want, timed := kernelOf(standin.New(8, 0), path, "1")
	if !timed {
		t.Fatal("nothing was timed: nothing is tested")
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, text string
		gpu        *standin.Driver
		version    string
		timed      bool
	}{
		{"its own", string(good), standin.New(8, 0), "1", false},
		{"empty", "", standin.New(8, 0), "1", true},
		{"cut", string(good[:len(good)/2]), standin.New(8, 0), "1", true},
		{"null", "null", standin.New(8, 0), "1", true},
		{"of another kind", `["conv_fwd_64x64x64s3"]`, standin.New(8, 0), "1", true},
		{"of numbers", strings.ReplaceAll(string(good), `"`+want+`",`, "7,"), standin.New(8, 0), "1", true},
		{"of a kernel that is gone", strings.ReplaceAll(string(good), `"`+want+`",`, `"conv_fwd_1x1",`), standin.New(8, 0), "1", true},
		{"of another program", string(good), standin.New(8, 0), "2", true},
		{"of a GPU with more multiprocessors", string(good), fewer(), "1", true},
		{"of other kernels", regexp.MustCompile(`build \w+`).ReplaceAllString(string(good), "build 00000000"), standin.New(8, 0), "1", true},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, timed := kernelOf(c.gpu, path, c.version)
		if got != want || timed != c.timed {
			t.Errorf("%s: %s, timed %v, want %s, timed %v", c.what, got, timed, want, c.timed)
		}
		if _, timed := kernelOf(c.gpu, path, c.version); timed {
			t.Errorf("%s: what was chosen is not kept", c.what)
		}
	}
}

// Not every driver tells the clocks that the limits are reckoned from, and JSON has no
// word for what a division by 0 gives.
func TestLimitOfAClockThatIsNotTold(t *testing.T) {
	for _, c := range []struct{ amount, rate, want float64 }{{6, 2, 3}, {6, 0, 0}, {0, 0, 0}} {
		if got := seconds(c.amount, c.rate); got != c.want {
			t.Errorf("%v at %v: %v, want %v", c.amount, c.rate, got, c.want)
		}
	}
}
