package predict

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cifartui/cifar/picture"
	"cifartui/nn"
	"cifartui/train/model"
	"cifartui/train/model/modeltest"
)

// first is a network whose answer is an image's first byte, and what is left.
type first struct {
	batch int
	calls atomic.Int32
	err   error
}

func (f *first) Batch() int { return f.batch }

func (f *first) Bytes(pixels []byte) ([]float32, error) {
	f.calls.Add(1)
	var p []float32
	for ; len(pixels) > 0; pixels = pixels[3*4*4:] {
		p = append(p, float32(pixels[0])/255, 1-float32(pixels[0])/255)
	}
	return p, f.err
}

// grey writes a picture of one grey.
func grey(t *testing.T, path string, v uint8) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 9, 5))
	for i := range m.Pix {
		m.Pix[i] = v
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each picture gets its own probabilities, in the order of the names, whatever
// the batch; those that can't be read are named and hold nobody up.
func TestAnswersComeInOrderAndBrokenPicturesDoNotStopThem(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 50 {
		path := filepath.Join(dir, fmt.Sprintf("%02d.png", i))
		if i%7 == 3 {
			if err := os.WriteFile(path, []byte("\x89PNG\r\n\x1a\nbroken"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			grey(t, path, uint8(5*i))
		}
		names = append(names, path)
	}
	for _, batch := range []int{1, 8, 100} {
		net, i := &first{batch: batch}, 0
		err := Run(t.Context(), net, picture.NewReader(4), names, nil, func(a Answer) error {
			broken := i%7 == 3
			switch {
			case a.Image != names[i] || (a.Err != nil) != broken:
				t.Errorf("answer %d is of %s: %v", i, a.Image, a.Err)
			case broken && !strings.Contains(a.Err.Error(), names[i]):
				t.Errorf("%v does not name %s", a.Err, names[i])
			case !broken && !slices.Equal(a.Probabilities, []float32{float32(5*i) / 255, 1 - float32(5*i)/255}):
				t.Errorf("%s: %v", a.Image, a.Probabilities)
			}
			i++
			return nil
		})
		if err != nil || i != len(names) {
			t.Errorf("batches of %d: %v after %d answers", batch, err, i)
		}
		if most := int32(len(names)/batch + 1); net.calls.Load() > most {
			t.Errorf("batches of %d: the network was asked %d times", batch, net.calls.Load())
		}
	}
}

func TestPictureOnStandardInput(t *testing.T) {
	path := grey(t, filepath.Join(t.TempDir(), "a.png"), 51)
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for range 2 { // there is one picture, and then none
		err = Run(t.Context(), &first{batch: 8}, picture.NewReader(4), []string{Stdin}, in, func(a Answer) error {
			if a.Image == Stdin && a.Err == nil && a.Probabilities[0] == 0.2 {
				return nil
			}
			return fmt.Errorf("%v %w", a.Probabilities, a.Err)
		})
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "standard input: empty") {
			t.Error(err)
		}
		return
	}
	t.Error("what is read is read again")
}

// What has ended, by its context or by answers that can't be written, does not wait
// for a picture that nobody sends.
func TestWaitingForStandardInputEndsWithItsContext(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	net := &first{batch: 8}
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, net, picture.NewReader(4), []string{Stdin}, in, func(Answer) error { return nil })
	}()
	if _, err := out.Write([]byte("the beginning of a picture")); err != nil { // it reads
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(4 * time.Minute):
		t.Fatal("it still waits")
	}
}

func TestErrorsEndIt(t *testing.T) {
	names := []string{grey(t, filepath.Join(t.TempDir(), "a.png"), 1)}
	bad := errors.New("bad")
	r := picture.NewReader(4)
	if err := Run(t.Context(), &first{batch: 1, err: bad}, r, names, nil, func(Answer) error { return nil }); !errors.Is(err, bad) {
		t.Errorf("the network fails: %v", err)
	}
	names = slices.Repeat(names, 100)
	if err := Run(t.Context(), &first{batch: 1}, r, names, nil, func(Answer) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("the reader of the answers fails: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Run(ctx, &first{batch: 1}, r, names, nil, func(Answer) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func TestTheLikeliestComeFirst(t *testing.T) {
	p, names := []float32{0.1, 0.4, 0.1, 0.4}, []string{"a", "b", "c", "d"}
	for n, want := range map[int]string{0: "b d a c", 1: "b", 3: "b d a", 9: "b d a c"} {
		var got []string
		for _, c := range Top(p, names, n) {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("the first %d: %v, want %s", n, got, want)
		}
	}
}

func TestFoldersStandForTheirPictures(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "x", "a.png"), filepath.Join(dir, "b.png")
	empty := filepath.Join(dir, "empty")
	for _, folder := range []string{filepath.Dir(a), empty} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	grey(t, a, 0)
	grey(t, b, 0)
	names, failed := Names(t.Context(), []string{"gone.png", dir, Stdin, empty})
	if !slices.Equal(names, []string{"gone.png", b, a, Stdin}) {
		t.Errorf("%v", names)
	}
	if len(failed) != 1 || !strings.Contains(failed[0].Error(), "empty: no pictures") {
		t.Errorf("%v", failed)
	}
}

// BenchmarkThousandSmallJPEGs reads 1,000 JPEGs of 160 x 120 pixels and asks the
// article's network about them: what "predict" does but for its start.
//
//	go test -run - -bench Thousand -benchtime 5x ./train/predict
func BenchmarkThousandSmallJPEGs(b *testing.B) {
	names := jpegs(b, 1000)
	on := nn.NewCPU(0)
	defer on.Close()
	path := modeltest.File(b, "w.safetensors", modeltest.Weights(b, nn.VGG(0), 1, nil))
	for b.Loop() {
		m, err := model.Read(path)
		if err != nil {
			b.Fatal(err)
		}
		p, err := m.NewPredictor(on)
		if err != nil {
			b.Fatal(err)
		}
		err = Run(b.Context(), p, picture.NewReader(32), names, nil, func(a Answer) error { return a.Err })
		if err != nil {
			b.Fatal(err)
		}
		p.Close()
	}
	b.ReportMetric(float64(len(names)*b.N)/b.Elapsed().Seconds(), "images/s")
}

// jpegs writes n pictures of soft colours with some noise.
func jpegs(b *testing.B, n int) []string {
	b.Helper()
	dir := b.TempDir()
	r := rand.New(rand.NewPCG(1, 1))
	names := make([]string, n)
	for i := range names {
		m := image.NewRGBA(image.Rect(0, 0, 160, 120))
		for y := range 120 {
			for x := range 160 {
				m.SetRGBA(x, y, color.RGBA{uint8(x + r.IntN(30)), uint8(2*y + i/10), uint8(x + y - r.IntN(20)), 255})
			}
		}
		names[i] = filepath.Join(dir, fmt.Sprintf("%04d.jpg", i))
		f, err := os.Create(names[i])
		if err != nil {
			b.Fatal(err)
		}
		if err := jpeg.Encode(f, m, &jpeg.Options{Quality: 85}); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return names
}
