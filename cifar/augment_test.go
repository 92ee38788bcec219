package cifar

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

const maxShift = Size / 8 // of CIFAR's images by the default, in pixels

// Published outputs of SplitMix64 for the seed 1234567 (rosettacode.org,
// Pseudo-random numbers/Splitmix64).
func TestRNGIsSplitMix64(t *testing.T) {
	r := rng{1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821} {
		if got := r.next(); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
}

func TestStreamsDependOnEveryKeyAndTheirOrder(t *testing.T) {
	seen := map[uint64][]uint64{}
	for _, keys := range [][]uint64{{}, {0}, {0, 0}, {1}, {1, 2}, {2, 1}, {0, 1}, {1, 0}, {1, 2, 0}, {0, 1, 2}, {3, 3}, {4, 4}} {
		r := newRNG(keys...)
		v := r.next()
		if other, ok := seen[v]; ok {
			t.Errorf("keys %v and %v give one stream", keys, other)
		}
		seen[v] = keys
	}
}

// The law of Keras 2.0: a uniform shift in [-4,4) rounded to a whole pixel.
func TestAugmentationHasKerasLaw(t *testing.T) {
	const n = 160_000
	var dx, dy [2*maxShift + 1]int
	flips, together := 0, 0
	for i := range n {
		a := DefaultAugment().draw(7, 1+i%3, i, Size)
		dx[a.dx+maxShift]++
		dy[a.dy+maxShift]++
		if a.flip {
			flips++
		}
		if a.dx > 0 && a.dy > 0 {
			together++
		}
	}
	near := func(what string, got int, p float64) {
		t.Helper()
		if d := math.Abs(float64(got) - p*n); d > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("%s: %d of %d, want a share of %g", what, got, n, p)
		}
	}
	for i := range dx {
		p := 1.0 / 8
		if i == 0 || i == 2*maxShift {
			p = 1.0 / 16
		}
		near("dx", dx[i], p)
		near("dy", dy[i], p)
	}
	near("flip", flips, 0.5)
	near("dx and dy positive", together, 49.0/256) // (3/8 + 1/16)^2: they are independent
}

func TestAugmentationDependsOnSeedEpochAndImage(t *testing.T) {
	const n = 64
	all := func(seed uint64, epoch int) (out [n][3]any) {
		for i := range out {
			a := DefaultAugment().draw(seed, epoch, i, Size)
			out[i] = [3]any{a.dx, a.dy, a.flip}
		}
		return out
	}
	first, again := all(1, 1), all(1, 1)
	if first != again {
		t.Error("the same keys give two results")
	}
	if first == all(2, 1) || first == all(1, 2) {
		t.Error("another seed or epoch changes nothing")
	}
}

// naive shifts by padding and cutting out, then mirrors: what numpy.pad with
// mode="edge" or "reflect", a slice and [:, ::-1] do.
func naive(image []byte, a augmentation) []float32 {
	const side = Size + 2*maxShift
	var padded [Channels][side][side]byte
	for c := range Channels {
		for y := range side {
			for x := range side {
				sy, sx := y-maxShift, x-maxShift
				for sy < 0 || sy > Size-1 || sx < 0 || sx > Size-1 {
					if a.reflect { // Size-1 columns there, Size-1 back
						sy, sx = turn(sy), turn(sx)
						continue
					}
					sy, sx = min(max(sy, 0), Size-1), min(max(sx, 0), Size-1)
				}
				padded[c][y][x] = image[c*plane+sy*Size+sx]
			}
		}
	}
	var out []float32
	for y := range Size {
		for x := range Size {
			if a.flip {
				x = Size - 1 - x
			}
			for c := range Channels {
				out = append(out, float32(padded[c][y+maxShift-a.dy][x+maxShift-a.dx])/255)
			}
		}
	}
	return out
}

// turn is where a walk of i steps from the first column ends that turns at both
// ends of the row.
func turn(i int) int {
	at, step := 0, 1
	if i < 0 {
		i = -i
	}
	for range i {
		if at+step < 0 || at+step > Size-1 {
			step = -step
		}
		at += step
	}
	return at
}

// TestAlternateFlipsShowBothSides: half of the images in the first epoch, then
// the others and the first in turn.
func TestAlternateFlipsShowBothSides(t *testing.T) {
	const n = 10_000
	first := 0
	for i := range n {
		for epoch := 1; epoch < 6; epoch++ {
			if alternate(3, epoch, i) == alternate(3, epoch+1, i) {
				t.Fatalf("image %d has one side in epochs %d and %d", i, epoch, epoch+1)
			}
		}
		if alternate(3, 1, i) {
			first++
		}
	}
	if first < n/2-250 || first > n/2+250 {
		t.Errorf("%d of %d images are mirrored in the first epoch", first, n)
	}
}

// TestShrinkMatchesPyTorch: at three places of an image of 32x32 whose pixels are
// (7 y + 3 x + 5 c + x y) mod 64, 24x24, 16x16 and 20x20 by
// F.interpolate(mode="bilinear", antialias=True) in float64.
func TestShrinkMatchesPyTorch(t *testing.T) {
	for size, want := range map[int]map[[3]int]float64{
		24: {{0, 0, 0}: 3.09, {0, 23, 1}: 25.21, {12, 3, 2}: 21.008264, {23, 22, 0}: 34.65, {5, 12, 1}: 32.297521},
		16: {{0, 0, 0}: 7.6530612, {0, 15, 1}: 21.918367, {8, 3, 2}: 37.25, {15, 14, 0}: 31.5, {5, 8, 1}: 27.25},
		20: {{0, 0, 0}: 4.2582645, {0, 19, 1}: 21.969008, {10, 3, 2}: 30.727407, {19, 18, 0}: 33.804714, {5, 10, 1}: 32.9424},
	} {
		s := newShrink(Size, size)
		for y := range Size {
			for x := range Size {
				for c := range Channels {
					s.whole[(y*Size+x)*Channels+c] = float32((7*y + 3*x + 5*c + x*y) % 64)
				}
			}
		}
		dst := make([]float32, size*size*Channels)
		s.write(dst)
		for at, v := range want {
			if got := float64(dst[(at[0]*size+at[1])*Channels+at[2]]); math.Abs(got-v) > 1e-5 {
				t.Errorf("size %d at %v: %v, PyTorch has %v", size, at, got, v)
			}
		}
	}
	if newShrink(Size, Size) != nil {
		t.Error("images of full size would be copied")
	}
}

func TestShiftAndFlipAgainstPaddingAndCutting(t *testing.T) {
	image := testSet(1).Image(0)
	p, err := NewPreprocess(Unit, nil)
	if err != nil {
		t.Fatal(err)
	}
	guarded := make([]float32, Pixels+2)
	for dy := -maxShift; dy <= maxShift; dy++ {
		for dx := -maxShift; dx <= maxShift; dx++ {
			for k := range 4 {
				a := augmentation{dx: dx, dy: dy, flip: k&1 == 1, reflect: k&2 == 2}
				guarded[0], guarded[Pixels+1] = 77, 77
				p.write(guarded[1:Pixels+1], image, Size, &a)
				if !slices.Equal(guarded[1:Pixels+1], naive(image, a)) {
					t.Fatalf("%+v differs", a)
				}
				if guarded[0] != 77 || guarded[Pixels+1] != 77 {
					t.Fatalf("%+v writes outside", a)
				}
			}
		}
	}
}

func TestPreprocessings(t *testing.T) {
	set := testSet(30)
	for i := range set.Pixels { // channels that differ
		if i%Pixels < plane {
			set.Pixels[i] /= 2
		}
	}
	mean, std := set.Moments()
	for _, name := range []string{Unit, Signed, Mean, Standard} {
		t.Run(name, func(t *testing.T) {
			p, err := NewPreprocess(name, set)
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float32, len(set.Pixels))
			if err := p.Apply(out, set.Pixels, Size); err != nil {
				t.Fatal(err)
			}
			var sum, squares [Channels]float64
			lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
			for i, v := range out {
				sum[i%Channels] += float64(v)
				squares[i%Channels] += float64(v) * float64(v)
				lo, hi = min(lo, v), max(hi, v)
			}
			for c := range Channels {
				n := float64(len(out) / Channels)
				m := sum[c] / n
				s := math.Sqrt(squares[c]/n - m*m)
				wantMean, wantStd := mean[c], std[c]
				switch name {
				case Signed:
					wantMean, wantStd = 2*mean[c]-1, 2*std[c]
				case Mean:
					wantMean = 0
				case Standard:
					wantMean, wantStd = 0, 1
				}
				if math.Abs(m-wantMean) > 1e-5 || math.Abs(s-wantStd) > 1e-5 {
					t.Errorf("channel %d has mean %g and deviation %g, want %g and %g", c, m, s, wantMean, wantStd)
				}
			}
			if name == Unit && (lo != 0 || hi != 1) {
				t.Errorf("values from %g to %g, want 0 to 1", lo, hi)
			}
			if name == Signed && (lo != -1 || hi != 1) {
				t.Errorf("values from %g to %g, want -1 to 1", lo, hi)
			}

			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var q Preprocess
			if err := json.Unmarshal(b, &q); err != nil {
				t.Fatal(err)
			}
			if !same(&q, p) {
				t.Errorf("%s comes back as another one", b)
			}
		})
	}
}

func TestBadPreprocessing(t *testing.T) {
	if _, err := NewPreprocess("whiten", nil); err == nil || !strings.Contains(err.Error(), "unit, signed, mean, standard, zca") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := NewPreprocess(Mean, nil); err == nil {
		t.Error("the mean of no images is no error")
	}
	if _, err := NewPreprocess(Standard, newSet(3)); err == nil || !strings.Contains(err.Error(), "--preprocess unit") {
		t.Errorf("images of one colour: %v", err)
	}
	for _, s := range []string{`{}`, `[]`, `{"name":"x","mean":[0,0,0],"std":[0,1,1]}`, `{"name":"x","mean":[1e300,0,0],"std":[1,1,1]}`} {
		var p Preprocess
		if err := json.Unmarshal([]byte(s), &p); err == nil {
			t.Errorf("%s is no error", s)
		}
	}
	p, _ := NewPreprocess(Unit, nil)
	if err := p.Apply(make([]float32, Pixels), make([]byte, Pixels-1), Size); err == nil {
		t.Error("a part of an image is no error")
	}
}

func BenchmarkWrite(b *testing.B) {
	set := testSet(1024)
	p, _ := NewPreprocess(Unit, nil)
	dst := make([]float32, Pixels)
	for i := range b.N {
		a := DefaultAugment().draw(1, 1, i, Size)
		p.write(dst, set.Image(i%1024), Size, &a)
	}
}

// These bits go into checkpoints and decide what the network sees.
func TestStandardIsTheSameOnEveryMachine(t *testing.T) {
	p, err := NewPreprocess(Standard, testSet(30))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"standard","mean":[0.500366881127451,0.5040183312908496,0.49881867851307193],"std":[0.2904424839362653,0.2888534268306984,0.2898493186667442]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// same compares what a preprocessing's JSON form holds, and the values.
func same(p, q *Preprocess) bool {
	return p.name == q.name && p.mean == q.mean && p.std == q.std && p.table == q.table
}
