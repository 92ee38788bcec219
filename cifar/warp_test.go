package cifar

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// PyTorch's grid_sample and torchvision's adjustments of colours made the same
// of the same picture: testdata/augment.py.
func TestAugmentationIsPyTorchs(t *testing.T) {
	b, err := os.ReadFile("testdata/augment.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Size  int
		Cases []struct {
			Degrees, Zoom                    float64
			DX, DY                           int
			Flip, Reflect                    bool
			Brightness, Contrast, Saturation float64
			Want                             []float64
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	image := make([]byte, Channels*file.Size*file.Size)
	for i := range image {
		image[i] = byte((i*i*7 + i*13) % 251)
	}
	p, err := NewPreprocess(Unit, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) < 12 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, c := range file.Cases {
		a := augmentation{dx: c.DX, dy: c.DY, flip: c.Flip, reflect: c.Reflect, degrees: c.Degrees, zoom: c.Zoom}
		if c.Brightness > 0 {
			a = augmentation{color: jitter{true, c.Brightness, c.Contrast, c.Saturation}}
		}
		got := make([]float32, len(image))
		p.write(got, image, file.Size, &a)
		for i, v := range got {
			if math.Abs(float64(v)*255-c.Want[i]) > 2e-3 {
				t.Errorf("%+v: number %d is %.4f, PyTorch's %.4f", a, i, v*255, c.Want[i])
				break
			}
		}
	}
}

func TestSincosIsThatOfTheLibrary(t *testing.T) {
	for d := -180.0; d <= 180; d += 0.5 {
		s, c := sincos(d)
		if ws, wc := math.Sincos(d * math.Pi / 180); math.Abs(s-ws) > 1e-14 || math.Abs(c-wc) > 1e-14 {
			t.Errorf("%g degrees: %g, %g, want %g, %g", d, s, c, ws, wc)
		}
	}
}

// More kinds change nothing of the shifts and flips, and each kind draws what
// it may.
func TestEachKindIsDrawnByItself(t *testing.T) {
	usual := DefaultAugment()
	all := Augment{Shift: 0.125, Flip: true, Rotate: 20, Zoom: 0.3, Cutout: 0.5, Color: 0.4}
	var low, high augmentation
	for i := range 4000 {
		a, b := all.draw(3, 1, i, 32), usual.draw(3, 1, i, 32)
		if a.dx != b.dx || a.dy != b.dy || a.flip != b.flip || b.warps() || b.color.on || b.cut.side != 0 {
			t.Fatalf("image %d: %+v, %+v", i, a, b)
		}
		if a.cut.side != 16 || a.cut.x < -8 || a.cut.x > 23 || a.cut.y < -8 || a.cut.y > 23 {
			t.Fatalf("cut %+v", a.cut)
		}
		low.degrees, high.degrees = min(low.degrees, a.degrees), max(high.degrees, a.degrees)
		low.zoom, high.zoom = min(low.zoom, a.zoom-1), max(high.zoom, a.zoom-1)
		low.color.contrast, high.color.contrast = min(low.color.contrast, a.color.contrast-1), max(high.color.contrast, a.color.contrast-1)
	}
	for name, x := range map[string][3]float64{
		"rotate": {low.degrees, high.degrees, 20}, "zoom": {low.zoom, high.zoom, 0.3}, "color": {low.color.contrast, high.color.contrast, 0.4},
	} {
		if x[0] < -x[2] || x[0] > -0.99*x[2] || x[1] > x[2] || x[1] < 0.99*x[2] {
			t.Errorf("%s: from %g to %g, want %g either way", name, x[0], x[1], x[2])
		}
	}
	for i := range 500 {
		a := Augment{Shift: 0.25}.draw(1, 1, i, 48)
		if a.flip || max(a.dx, -a.dx, a.dy, -a.dy) > 12 {
			t.Fatalf("%+v", a)
		}
	}
}

func TestCutoutSetsASquareToZero(t *testing.T) {
	p, err := NewPreprocess(Signed, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{32, 48} {
		for _, s := range []square{{-3, 5, 8}, {size - 4, size - 2, 9}, {10, 10, 1}, {-5, -5, 200}} {
			dst := make([]float32, Channels*size*size)
			p.write(dst, slices.Repeat([]byte{200}, len(dst)), size, &augmentation{cut: s})
			for i, v := range dst {
				x, y := i/Channels%size, i/Channels/size
				in := x >= s.x && x < s.x+s.side && y >= s.y && y < s.y+s.side
				if in != (v == 0) {
					t.Fatalf("%d pixels, %+v: %g at %d,%d", size, s, v, x, y)
				}
			}
		}
	}
}

func TestAugmentIsReadAsPeopleWriteIt(t *testing.T) {
	for text, want := range map[string]struct {
		a     Augment
		again string
	}{
		"true": {DefaultAugment(), "true"}, "1": {DefaultAugment(), "true"}, "false": {Augment{}, "false"}, "0": {Augment{}, "false"},
		"flip,shift":                  {DefaultAugment(), "true"},
		"shift+flip+rotate=10":        {Augment{Shift: 0.125, Flip: true, Rotate: 10}, "shift,flip,rotate=10"},
		"cutout, color=0.4,zoom=2e-1": {Augment{Zoom: 0.2, Cutout: 0.5, Color: 0.4}, "zoom=0.2,cutout,color=0.4"},
		"flip":                        {Augment{Flip: true}, "flip"},
	} {
		a, err := ParseAugment(text)
		if err != nil || a != want.a || a.String() != want.again {
			t.Errorf("%q is %+v (%s), %v; want %+v", text, a, a, err, want.a)
		}
		var back Augment
		if b, err := json.Marshal(a); err != nil || json.Unmarshal(b, &back) != nil || back != a || text == "true" && string(b) != "true" {
			t.Errorf("%q: JSON %s reads as %+v", text, b, back)
		}
	}
	for text, want := range map[string]string{
		"": "want true", "mixup": "none of true, false, shift, flip", "flip,flip": "twice", "flip=3": "no amount", "rotate=0": "degrees",
		"shift=0.6": "up to 0.5", "zoom=x": "not allowed", "color=NaN": "up to 1", "cutout=16": "16 of 32 pixels", ",": "want true",
	} {
		if _, err := ParseAugment(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What an epoch trains on depends on nothing but the seed, with every kind.
func TestAllKindsGiveTheSameBitsWhoeverPreparesThem(t *testing.T) {
	set := testSet(40)
	config := LoaderConfig{Batch: 8, Shuffle: true, Augment: Augment{Shift: 0.2, Flip: true, Rotate: 30, Zoom: 0.2, Cutout: 0.3, Color: 0.5}, Reflect: true, Seed: 5, Workers: 1, Ahead: 1}
	read := func(c LoaderConfig) (all []float32) {
		e := NewLoader(set, c).Epoch(t.Context(), 2, 1)
		defer e.Close()
		for b, err := e.Next(); err == nil; b, err = e.Next() {
			all = append(all, b.X...)
			b.Release()
		}
		return all
	}
	one := read(config)
	config.Workers, config.Ahead = 3, 5
	if many := read(config); len(one) != 32*Pixels || !slices.Equal(one, many) {
		t.Error("the images differ")
	}
}

func BenchmarkAugment(b *testing.B) {
	set := testSet(64)
	p, err := NewPreprocess(Unit, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, kinds := range []string{"true", "shift,flip,cutout", "color", "shift,flip,rotate"} {
		how, err := ParseAugment(kinds)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kinds, func(b *testing.B) {
			dst, room := make([]float32, Pixels), make([][Channels]float64, plane)
			for i := 0; b.Loop(); i++ {
				a := how.draw(1, 1, i, Size)
				a.room = room
				p.write(dst, set.Image(i%64), Size, &a)
			}
		})
	}
}
