package bench

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cifartui/nn"
)

// A report has a figure for each mode and batch, and the layers of a step.
func TestRunMeasuresEachModeAndBatch(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for some seconds")
	}
	rounds := 0
	r, err := Run(t.Context(), Options{Batches: []int{1, 2}, Modes: []string{Train, Infer}, Rounds: 1, Layers: true, Version: "test", Round: func(int) { rounds++ }})
	if err != nil {
		t.Fatal(err)
	}
	if rounds != 2 || len(r.Results) != 4 || r.PeakGFLOPS.Median <= 0 {
		t.Fatalf("%d rounds, %d results, peak %+v; want 2, 4 and more than 0", rounds, len(r.Results), r.PeakGFLOPS)
	}
	for _, x := range r.Results {
		if x.ImagesPerSecond.Median <= 0 || x.Steps < 1 || x.Rounds != 1 {
			t.Errorf("%+v", x)
		}
		if (x.Mode == Train) != (len(x.Layers) > 0) {
			t.Errorf("%s at batch %d has %d layers", x.Mode, x.Batch, len(x.Layers))
		}
	}
	var text strings.Builder
	if err := r.Print(&text); err != nil || !strings.Contains(text.String(), "conv6") || !strings.Contains(text.String(), "infer") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Batches: []int{1}, Modes: []string{Infer}, Rounds: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	} {
		if got := spread(c.in); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.in, got, c.want)
		}
	}
}

// Only what counts the convolution itself has a rate.
func TestLayerTimesGiveRatesToArithmeticOnly(t *testing.T) {
	spec := nn.VGG(0)
	list := layerTimes([]nn.OpTime{{Layer: "conv2", Role: "forward", Duration: 1000}, {Layer: "conv2", Role: "pool", Duration: 1000}}, spec, 2)
	if list[0].GFLOPS <= 0 || list[1].GFLOPS != 0 || list[0].Microseconds != 0.5 {
		t.Errorf("%+v", list)
	}
}

// The peak beside a device's figures is not that of a thread of the processor.
func TestPeakIsOfWhatComputes(t *testing.T) {
	for threads, some := range map[int]bool{0: false, 1: true} {
		peak, err := Options{Rounds: 1}.rounds(t.Context(), nil, threads)
		if err != nil || (peak.Median > 0) != some {
			t.Errorf("%d threads: %+v, %v", threads, peak, err)
		}
	}
}
