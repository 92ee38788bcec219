package whiten

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"cifartui/cifar"
)

// smooth is images whose neighbouring pixels are alike, as photographs' are.
func smooth(size, n int) *cifar.Set {
	r := rand.New(rand.NewPCG(1, 2))
	s := cifar.NewSet(size, n)
	for i := range n {
		v := 128.0
		for j := range s.Image(i) {
			v = 0.9*v + 0.1*128 + 20*r.NormFloat64()
			s.Image(i)[j] = byte(max(0, min(255, v)))
		}
	}
	return s
}

// keras is the covariance as Keras 2.0's ImageDataGenerator takes it, in
// float64.
func keras(s *cifar.Set) (c *mat.SymDense, centred [][]float64) {
	n, plane := s.ImageBytes(), s.Size*s.Size
	var mean [cifar.Channels]float64
	for i := range s.Len() {
		for k, v := range s.Image(i) {
			mean[k/plane] += float64(v) / 255 / float64(s.Len()*plane)
		}
	}
	for i := range s.Len() {
		x := make([]float64, n)
		for k, v := range s.Image(i) {
			x[k%plane*cifar.Channels+k/plane] = float64(v)/255 - mean[k/plane]
		}
		centred = append(centred, x)
	}
	c = mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			sum := 0.0
			for _, x := range centred {
				sum += x[i] * x[j]
			}
			c.SetSym(i, j, sum/float64(s.Len()))
		}
	}
	return c, centred
}

// The matrix is the one that eigenvectors give, which another library finds, and
// what is multiplied by it is white.
func TestMatrixIsKerass(t *testing.T) {
	set := smooth(6, 1500) // more than one part of the sums
	n := set.ImageBytes()
	c, centred := keras(set)
	got, err := covariance(t.Context(), set, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for j := range n {
			if d := math.Abs(got[i*n+j] - c.At(i, j)); d > 1e-12 {
				t.Fatalf("covariance %d,%d is off by %g", i, j, d)
			}
		}
	}
	m, err := Matrix(t.Context(), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	var e mat.EigenSym
	if !e.Factorize(c, true) {
		t.Fatal("no eigenvectors")
	}
	var q, scaled, want mat.Dense
	e.VectorsTo(&q)
	values := e.Values(nil)
	scaled.Apply(func(_, j int, v float64) float64 { return v / math.Sqrt(values[j]+epsilon) }, &q)
	want.Mul(&scaled, q.T())
	largest := mat.Max(&want)
	for i := range n {
		for j := range n {
			if d := math.Abs(float64(m[i*n+j]) - want.At(i, j)); d > 2e-6*largest {
				t.Fatalf("number %d,%d is off by %g of %g", i, j, d, largest)
			}
		}
	}
	// White: the mean products of what comes out are those of the unit matrix,
	// less what epsilon holds back.
	x, y := make([]float32, len(centred)*n), make([]float32, len(centred)*n)
	for i, image := range centred {
		for k, v := range image {
			x[i*n+k] = float32(v)
		}
	}
	multiply(y, x, m, len(centred), n)
	for i := range n {
		for j := range i + 1 {
			sum := 0.0
			for r := range centred {
				sum += float64(y[r*n+i]) * float64(y[r*n+j])
			}
			unit := 0.0
			if i == j {
				unit = 1
			}
			if d := math.Abs(sum/float64(len(centred)) - unit); d > 2e-3 {
				t.Fatalf("the product of %d and %d is off by %g", i, j, d)
			}
		}
	}
}

// Fewer images than numbers: the covariance has eigenvalues of zero, which
// epsilon makes up for.
func TestFewImagesAreWhitened(t *testing.T) {
	m, err := Matrix(t.Context(), smooth(4, 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := float64(slices.Max(m)); v < 100 || v > 1/math.Sqrt(epsilon)+1 {
		t.Errorf("the largest number is %g", v)
	}
	black, err := Matrix(t.Context(), cifar.NewSet(4, 5), nil)
	if err != nil || math.Abs(float64(black[0])-1/math.Sqrt(epsilon)) > 1 || black[1] != 0 {
		t.Errorf("black images: %v, %v", black[:2], err)
	}
}

func TestLoaderWhitens(t *testing.T) {
	set := smooth(4, 21)
	p, err := cifar.NewPreprocess(cifar.ZCA, set)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(make([]float32, len(set.Pixels)), set.Pixels, 4); err == nil {
		t.Error("images were whitened without a matrix")
	}
	if err := Attach(p, 4, make([]float32, 5)); err == nil {
		t.Error("a matrix of five numbers was taken")
	}
	m, err := Matrix(t.Context(), set, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Attach(p, 4, m); err != nil {
		t.Fatal(err)
	}
	want := make([]float32, len(set.Pixels))
	if err := p.Apply(want, set.Pixels, 4); err != nil {
		t.Fatal(err)
	}
	var got []float32
	e := cifar.NewLoader(set, cifar.LoaderConfig{Batch: 8, Preprocess: p, Workers: 2}).Epoch(t.Context(), 1, 0)
	defer e.Close()
	for b, err := e.Next(); err == nil; b, err = e.Next() {
		got = append(got, b.X...)
		b.Release()
	}
	if !slices.Equal(got, want) {
		t.Error("a batch is not what Apply gives")
	}
	n, sum := set.ImageBytes(), 0.0
	for k := range n { // the first number of image 3, by hand
		c := k % 3
		sum += float64(m[k]) * (float64(set.Image(3)[c*16+k/3])/255 - p.Mean()[c])
	}
	if math.Abs(sum-float64(want[3*n])) > 1e-3 {
		t.Errorf("%g, want %g", want[3*n], sum)
	}
}

func TestMatrixIsFoundOnce(t *testing.T) {
	set, dir := smooth(4, 30), t.TempDir()
	m, err := Cached(t.Context(), set, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "zca-*.bin"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing is computed
	if again, err := Cached(ended, set, dir, nil); err != nil || !slices.Equal(again, m) {
		t.Errorf("it was not found again: %v", err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[7] ^= 1
	if err := os.WriteFile(files[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Cached(ended, set, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a damaged file was taken: %v", err)
	}
	if again, err := Cached(t.Context(), set, dir, nil); err != nil || !slices.Equal(again, m) {
		t.Errorf("not the same bits: %v", err)
	}
	if _, err := Matrix(t.Context(), cifar.NewSet(48, 1), nil); err == nil {
		t.Error("images of 48 pixels were whitened")
	}
}

func BenchmarkWhiten(b *testing.B) {
	const rows = 64
	n := cifar.Pixels
	m, x, y := make([]float32, n*n), make([]float32, rows*n), make([]float32, rows*n)
	for b.Loop() {
		multiply(y, x, m, rows, n)
	}
	b.ReportMetric(float64(2*rows*n*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// The reduction to three diagonals takes a minute and can't be ended: whoever wants
// the end does not wait for it.
func TestWhoWantsTheEndDoesNotWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	within, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	go func() {
		<-within
		cancel()
	}()
	m, err := orAbandon(ctx, func() ([]float32, error) {
		close(within)
		<-over
		return make([]float32, 1), nil
	})
	if m != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v", m, err)
	}
	defer func() {
		if recover() != "a fault" {
			t.Error("a panic is lost, or the program's")
		}
	}()
	_, _ = orAbandon(t.Context(), func() ([]float32, error) { panic("a fault") })
}
