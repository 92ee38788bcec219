package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
)

// luminance is the relative luminance of WCAG 2.
func luminance(c color.NRGBA) float64 {
	lin := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
}

func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestColoursReadOnPaperAndOnADarkPage(t *testing.T) {
	for _, c := range append([]color.NRGBA{ink}, runColors...) {
		for _, page := range []color.NRGBA{{0xff, 0xff, 0xff, 0xff}, {0x0d, 0x11, 0x17, 0xff}} {
			if got := contrast(c, page); got < 3 {
				t.Errorf("#%02x%02x%02x on #%02x%02x%02x: contrast %.2f, want 3", c.R, c.G, c.B, page.R, page.G, page.B, got)
			}
		}
	}
}

// likeTheArticle makes a run that overfits after epoch 40.
func likeTheArticle(label string, batch, epochs int) Run {
	h := &record.Run{Name: label, Started: &event.RunStarted{
		Dataset: "CIFAR-10", TrainImages: 50000, Config: config.Config{Batch: batch, Optimizer: "adadelta"}}}
	speed := 64 / float64(batch)
	for i := 1; i <= epochs; i++ {
		x := float64(i) * (0.4 + 0.6*speed)
		wobble := 0.012 * math.Sin(float64(i*i)+float64(batch))
		h.Epochs = append(h.Epochs, &event.EpochDone{
			Epoch: i, Batch: batch, Total: int64(i * 50000 / batch), Elapsed: 16 * float64(i),
			Acc: event.Float(0.98 - 0.55*math.Exp(-x/12)), Loss: event.Float(0.06 + 1.5*math.Exp(-x/12)),
			ValAcc:  event.Float(0.9 - 0.4*math.Exp(-x/9) + wobble),
			ValLoss: event.Float(0.4 + 1.2*math.Exp(-x/9) + 0.003*max(0, x-40) + 3*wobble),
		})
	}
	return Run{Label: label, History: h}
}

func four() []Run {
	return []Run{likeTheArticle("batch 64", 64, 106), likeTheArticle("batch 128", 128, 90),
		likeTheArticle("batch 256", 256, 120), likeTheArticle("batch 512", 512, 130)}
}

// With CIFARTUI_PLOTS set to a folder the pictures are left there to be looked
// at.
func TestPicturesAreWhole(t *testing.T) {
	folder := os.Getenv("CIFARTUI_PLOTS")
	if folder == "" {
		folder = t.TempDir()
	}
	for name, runs := range map[string][]Run{"run": {likeTheArticle("model_20261123_1405", 64, 106)}, "compare": four()} {
		for _, format := range Formats() {
			path := filepath.Join(folder, name+"."+format)
			if err := Save(path, runs, Options{}); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			switch format {
			case "png":
				img, err := png.Decode(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				if w := img.Bounds().Dx(); w != 10*pixelsAnInch {
					t.Errorf("%s is %d pixels wide", path, w)
				}
				if _, _, _, a := img.At(1, 1).RGBA(); a != 0 {
					t.Errorf("%s has no transparent background", path)
				}
			case "svg":
				d := xml.NewDecoder(bytes.NewReader(b))
				for {
					if _, err := d.Token(); err == io.EOF {
						break
					} else if err != nil {
						t.Fatalf("%s: %v", path, err)
					}
				}
				for _, r := range runs {
					if !strings.Contains(string(b), r.Label) {
						t.Errorf("%s does not name %s", path, r.Label)
					}
				}
			case "pdf":
				if !bytes.HasPrefix(b, []byte("%PDF-")) || !bytes.Contains(b, []byte("%%EOF")) {
					t.Errorf("%s is no PDF", path)
				}
			}
		}
	}
}

func svg(t *testing.T, runs []Run, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, "svg", runs, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBestAndDemoAreNamed(t *testing.T) {
	r := likeTheArticle("r", 64, 3)
	r.History.Epochs[1].ValAcc = 0.9
	r.History.Epochs[0].ValLoss = 0.25
	r.History.Started.Demo = true
	got := svg(t, []Run{r}, Options{})
	for _, want := range []string{"accuracy: best val_acc 90.00% at epoch 2", "loss: lowest val_loss 0.2500 at epoch 1", "demo set", "validation"} {
		if !strings.Contains(got, want) {
			t.Errorf("the picture does not say %q", want)
		}
	}
}

func TestOddRunsAreDrawn(t *testing.T) {
	short := likeTheArticle("one epoch", 64, 1)
	flat := likeTheArticle("flat", 64, 5)
	broken := likeTheArticle("diverged", 64, 5)
	for _, e := range flat.History.Epochs {
		e.Acc, e.ValAcc, e.Loss, e.ValLoss = 0.1, 0.1, 0, 0
	}
	nan, inf := event.Float(math.NaN()), event.Float(math.Inf(1))
	broken.History.Epochs[1].ValLoss = nan
	broken.History.Epochs[3].ValLoss = inf
	allNaN := likeTheArticle("nothing finite", 64, 2)
	for _, e := range allNaN.History.Epochs {
		e.Acc, e.ValAcc, e.Loss, e.ValLoss = nan, nan, nan, nan
	}
	noStart := likeTheArticle("no first line", 64, 3)
	noStart.History.Started = nil
	for _, x := range Axes() {
		for _, r := range []Run{short, flat, broken, allNaN, noStart} {
			if got := svg(t, []Run{r}, Options{X: x}); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
				t.Errorf("%s by %s: a value that is not finite was drawn", r.Label, x)
			}
		}
		svg(t, []Run{short, flat, broken, allNaN, noStart}, Options{X: x})
	}
}

// Values far from 0 and close to each other once had ticks without end.
func TestTicksEnd(t *testing.T) {
	for _, low := range []float64{-1.6e16, 0, 1.6e16, 1e300} {
		if n := len(ticks{}.Ticks(low, math.Nextafter(low, math.Inf(1)))); n > maxTicks {
			t.Errorf("%d ticks from %g to the next number", n, low)
		}
	}
	ticks{}.Ticks(1.6e16, 1.6e16+4)
}

// A long name in the title or the legend is cut, not drawn over the edges.
func TestTextFitsThePicture(t *testing.T) {
	long := likeTheArticle(strings.Repeat("a long name ", 30), 64, 3)
	for _, runs := range [][]Run{{long}, {long, long}} {
		got := svg(t, runs, Options{Width: 4})
		if strings.Contains(got, strings.Repeat("a long name ", 8)) {
			t.Errorf("%d runs: a name is wider than the picture", len(runs))
		}
		if !strings.Contains(got, "a long name") || !strings.Contains(got, "...<") {
			t.Errorf("%d runs: no name, or none that is seen to be cut", len(runs))
		}
	}
	style := textStyle(titleSize)
	for width := vg.Length(0); width < style.Width(long.Label); width += 7 {
		if got := fitting(style, long.Label, width); style.Width(got) > max(width, style.Width("...")) {
			t.Fatalf("%q is wider than %g", got, width)
		}
	}
}

// No two of many runs are drawn alike.
func TestManyRunsAreToldApart(t *testing.T) {
	var runs []Run
	for range 20 {
		runs = append(runs, likeTheArticle("a", 64, 2))
	}
	seen := map[string]int{}
	for i, e := range comparePicture(runs, look{}).legend {
		how := fmt.Sprint(e.style.Color, e.style.Dashes)
		if j, twice := seen[how]; twice {
			t.Errorf("runs %d and %d are both drawn in %s", j, i, how)
		}
		seen[how] = i
	}
}

// Charts go from the first epoch to the last, also where the values of some are not
// finite, as those of a run that has diverged.
func TestTheAxisGoesOverAllEpochs(t *testing.T) {
	r := likeTheArticle("diverged", 64, 5)
	for _, e := range r.History.Epochs[2:] {
		e.Loss, e.ValLoss = event.Float(math.NaN()), event.Float(math.NaN())
	}
	for _, p := range runPicture(r, look{x: ByEpoch}).charts[0] {
		if p.X.Min != 1 || p.X.Max != 5 {
			t.Errorf("%s: epochs %g to %g, want 1 to 5", p.Title.Text, p.X.Min, p.X.Max)
		}
	}
}

func TestBadRequestsAreErrors(t *testing.T) {
	runs := four()
	one := 1.0
	empty := Run{Label: "empty", History: &record.Run{}}
	for name, err := range map[string]error{
		"format":    write(io.Discard, "gif", runs, Options{}),
		"axis":      write(io.Discard, "svg", runs, Options{X: "step"}),
		"smoothing": write(io.Discard, "svg", runs, Options{Smooth: &one}),
		"no epoch":  write(io.Discard, "svg", []Run{empty}, Options{}),
		"extension": Save(filepath.Join(t.TempDir(), "curves"), runs, Options{}),
		"folder":    Save(filepath.Join(t.TempDir(), "none", "curves.png"), runs, Options{}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TensorBoard's values for this series at 0.6, worked out by its formula
// (debiased exponential moving average) in exact decimals.
func TestSmoothIsTensorBoards(t *testing.T) {
	got := smooth([]float64{1, 2, math.NaN(), 4}, 0.6)
	want := []float64{1, 1.625, math.NaN(), 2.836734693877551}
	for i := range want {
		if math.IsNaN(want[i]) != math.IsNaN(got[i]) || math.Abs(got[i]-want[i]) > 1e-12 {
			t.Errorf("smoothed %v, want %v", got, want)
			break
		}
	}
}

// The PDF's fonts and its transparency once spoilt what the others drew.
func TestTextIsASCIIAndFaintIsMixedForPDF(t *testing.T) {
	r := likeTheArticle("na\u00efve \u00b7 run", 64, 3)
	if got := svg(t, []Run{r}, Options{}); !strings.Contains(got, "na?ve ? run") {
		t.Error("text beyond ASCII is drawn")
	}
	c := color.NRGBA{0, 100, 255, 0xff}
	if got := (look{}).veil(c, 0x66); got != (color.NRGBA{0, 100, 255, 0x66}) {
		t.Errorf("see-through colour %v", got)
	}
	// 0.4 of the colour, 0.6 of white.
	if got := (look{onWhite: true}).veil(c, 0x66); got != (color.NRGBA{153, 193, 255, 0xff}) {
		t.Errorf("colour mixed with white %v", got)
	}
}

// An epoch has as many images as the data, also where its last batch is smaller, and
// the last one of a run with a budget fewer.
func TestImagesOfShorterBatchesAndEpochs(t *testing.T) {
	s := &event.RunStarted{TrainImages: 50000, StepsPerEpoch: 782, Config: config.Config{Batch: 64}}
	for _, k := range []struct {
		s    *event.RunStarted
		e    event.EpochDone
		want float64
	}{
		{s, event.EpochDone{Epoch: 2, Batch: 64, Total: 1564}, 0.1},
		{s, event.EpochDone{Epoch: 2, Batch: 64, Total: 1173}, 0.075},
		{s, event.EpochDone{Epoch: 2, Batch: 64}, 0.1}, // of the table of epochs
		{nil, event.EpochDone{Epoch: 1, Batch: 50, Total: 1000}, 0.05},
	} {
		if got := ByImages.x(k.s, &k.e); math.Abs(got-k.want) > 1e-9 {
			t.Errorf("%d batches to the end of epoch %d: %v million images, want %v", k.e.Total, k.e.Epoch, got, k.want)
		}
	}
}
