package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
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

// Not every driver tells the clocks that the limits are reckoned from, and JSON has no
// word for what a division by 0 gives.
func TestLimitOfAClockThatIsNotTold(t *testing.T) {
	for _, c := range []struct{ amount, rate, want float64 }{{6, 2, 3}, {6, 0, 0}, {0, 0, 0}} {
		if got := seconds(c.amount, c.rate); got != c.want {
			t.Errorf("%v at %v: %v, want %v", c.amount, c.rate, got, c.want)
		}
	}
}
