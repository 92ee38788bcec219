package cifar

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The demo set's SHA-256 for seed 1, pixels and labels, train and test. It was
// drawn on linux/amd64; every machine must draw the same, also one whose
// compiler fuses multiplications and additions (GOAMD64=v3, arm64). A change of
// the drawing changes it, and then accuracies can't be compared any more.
const demoSum = "3cccaf5f3272676104b67c74905a67b2c1a772038b6da8d7da8b3a0a334bb777"

// demo1 is the usual set of seed 1, drawn once for all tests.
var demo1 = sync.OnceValue(drawDemo1)

func drawDemo1() *Dataset {
	d, err := drawDemo(context.Background(), 1, demoTrain, newMeter(nil))
	if err != nil {
		panic(err) // it fails only with its context
	}
	return d
}

func TestDemoIsTheSameOnEveryMachine(t *testing.T) {
	ds := demo1()
	h := sha256.New()
	for _, b := range [][]byte{ds.Train.Pixels, ds.Train.Labels, ds.Test.Pixels, ds.Test.Labels} {
		h.Write(b)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != demoSum {
		t.Errorf("SHA-256 %s, want %s", got, demoSum)
	}
}

func TestDemoDoesNotDependOnProcessors(t *testing.T) {
	want := demo1()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	got := drawDemo1()
	if !bytes.Equal(got.Train.Pixels, want.Train.Pixels) || !bytes.Equal(got.Test.Pixels, want.Test.Pixels) {
		t.Error("one processor draws something else")
	}
}

func TestDemoHasItsShapeAndNoImageTwice(t *testing.T) {
	ds, err := Open(context.Background(), Options{Data: DemoName, Seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !ds.Demo || ds.Name != "demo" || ds.Source != "drawn from seed 2" {
		t.Errorf("it is called %q, %q, demo %v", ds.Name, ds.Source, ds.Demo)
	}
	seen := map[string]string{}
	for name, c := range map[string]struct {
		set *Set
		n   int
	}{"train": {ds.Train, 4000}, "test": {ds.Test, 1000}, "train of another seed": {demo1().Train, 4000}} {
		if c.set.Len() != c.n || len(c.set.Pixels) != c.n*Pixels {
			t.Fatalf("%s has %d images, want %d", name, c.set.Len(), c.n)
		}
		for class, n := range c.set.Counts(Classes) {
			if n != c.n/Classes {
				t.Errorf("%s has %d images of class %d, want %d", name, n, class, c.n/Classes)
			}
		}
		for i := range c.set.Len() {
			key, here := string(c.set.Image(i)), fmt.Sprintf("%s %d", name, i)
			if other, ok := seen[key]; ok {
				t.Fatalf("%s and %s are the same image", here, other)
			}
			seen[key] = here
		}
	}
}

// Tests follow the training images in one series, of which a larger set has more.
func TestDemoSetsShareImages(t *testing.T) {
	small, err := Open(context.Background(), Options{Data: "demo:40", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for trained, shared := range map[string]bool{"demo:40": false, "demo": true} {
		train := small.Train
		if trained == DemoName {
			train = demo1().Train
		}
		if got := bytes.Contains(train.Pixels, small.Test.Image(0)); got != shared || DemoTrainsOnTests(trained, "demo:40") != shared {
			t.Errorf("%s has the test images of demo:40: %v, want %v", trained, got, shared)
		}
	}
	if DemoTrainsOnTests("demo:40", DemoName) || DemoTrainsOnTests(Auto, "demo:40") || DemoTrainsOnTests(DemoName, "demo:41") {
		t.Error("sets are said to share images that don't")
	}
	if a, b := small.Called(), demo1().Called(); a != "demo:40" || b != "demo" {
		t.Errorf("they are called %q and %q", a, b)
	}
}

// Classifying by the nearest mean image needs no learning. It must do better
// than chance, or there is nothing to learn, and badly, or there is too little.
func TestDemoIsNeitherNoiseNorTrivial(t *testing.T) {
	ds := demo1()
	var sum [Classes][Pixels]int
	for i, label := range ds.Train.Labels {
		for k, v := range ds.Train.Image(i) {
			sum[label][k] += int(v)
		}
	}
	right := 0
	for i, label := range ds.Test.Labels {
		best, least := 0, -1
		for class := range sum {
			d := 0
			for k, v := range ds.Test.Image(i) {
				e := int(v) - sum[class][k]/(demoTrain/Classes)
				d += e * e
			}
			if least < 0 || d < least {
				best, least = class, d
			}
		}
		if best == int(label) {
			right++
		}
	}
	t.Logf("nearest mean image: %d of %d right", right, ds.Test.Len())
	if right < 200 || right > 600 {
		t.Errorf("nearest mean image: %d of %d right, want 200 to 600", right, ds.Test.Len())
	}
}

// A demo set of another size is drawn when asked for, as many of each class.
func TestDemoOfAnotherSize(t *testing.T) {
	ds, err := Open(context.Background(), Options{Data: "demo:400", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !ds.Demo || ds.Name != "demo" || ds.Train.Len() != 400 || ds.Test.Len() != 100 {
		t.Errorf("%s, demo %v, %d and %d images, want 400 and 100", ds.Name, ds.Demo, ds.Train.Len(), ds.Test.Len())
	}
	if !bytes.Equal(ds.Train.Pixels, demo1().Train.Pixels[:400*Pixels]) {
		t.Error("its training images are not the first of the whole set")
	}
	for class, n := range ds.Test.Counts(Classes) {
		if n != 10 {
			t.Errorf("%d test images of class %d, want 10", n, class)
		}
	}
	for _, bad := range []string{"demo:", "demo:0", "demo:-40", "demo:41", "demo:40040", "demo:4e2", "demo:99999999999999999999"} {
		if _, err := Open(context.Background(), Options{Data: bad}); err == nil || !strings.Contains(err.Error(), "demo:400") {
			t.Errorf("%s: %v, want an error with an example", bad, err)
		}
	}
	if IsDemo("./demo") || IsDemo("demos") || !IsDemo("demo") || !IsDemo("demo:80") {
		t.Error("a path is taken for the demo set, or the other way round")
	}
}

// A large demo set takes a while: how far it has come is told before it is done.
func TestDrawingTellsHowFarItIs(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen Progress
	_, err := Open(ctx, Options{Data: "demo:40000", Seed: 1, Progress: func(p Progress) {
		if p.Stage == StageDraw && p.Done > 0 && p.Done < p.Total {
			seen = p
			cancel() // that is enough
		}
	}})
	if seen.Total != 50_000 || !errors.Is(err, context.Canceled) {
		t.Errorf("told %+v in between, and ended with %v", seen, err)
	}
}

func TestDrawingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, Options{Data: DemoName}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSineAndRoot(t *testing.T) {
	for degrees, want := range map[int]int{0: 0, 30: one / 2, 90: one, 180: 0, 210: -one / 2, -90: -one, 450: one, 45: 2896} {
		if got := sine(degrees); got-want > 8 || want-got > 8 {
			t.Errorf("sine of %d is %d, want %d", degrees, got, want)
		}
	}
	for n := range 5000 {
		if r := isqrt(n); r*r > n || (r+1)*(r+1) <= n {
			t.Errorf("root of %d is %d", n, r)
		}
	}
}

// A square from 2.5 to 4.5 pixels covers whole, half and quarter pixels.
func TestFillCoversPartsOfPixels(t *testing.T) {
	p := &canvas{at: affine{a: px * one / 160, d: px * one / 160}} // a unit is a tenth of a pixel
	p.addPoly(point{25, 25}, point{45, 25}, point{45, 45}, point{25, 45})
	p.addPoly(point{45, 45}, point{25, 45}, point{25, 25}, point{45, 25}) // once more, the other way round
	p.scan()
	for i, cover := range p.cover {
		share := func(at int) int { return []int{0, 0, 2, 4, 2}[min(at, 4)] * min(1, max(0, 5-at)) }
		want := share(i%Size) * share(i/Size) * solid / 16
		if d := cover - want; d > solid/50 || d < -solid/50 {
			t.Errorf("row %d, column %d is covered %d, want %d", i/Size, i%Size, cover, want)
		}
	}
}

// go test -bench Demo -run xxx ./cifar
func BenchmarkDemo(b *testing.B) {
	for b.Loop() {
		drawDemo1()
	}
}
