package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cifartui/train/event"
	"cifartui/train/record"
)

// fakeImages are 40 made-up images of four classes: of each five, the first four
// are right, and the last is taken for the class before.
type fakeImages struct {
	err     error
	nothing bool // the run augments nothing
	opened  int
}

const fakeCount = 40

func (f *fakeImages) Open(context.Context, string) (*Gallery, error) {
	f.opened++
	if f.err != nil {
		return nil, f.err
	}
	p := &record.Predictions{Epoch: 40, Classes: len(testClasses)}
	for i := range fakeCount {
		label := 3 + i%4
		said := label
		if i%5 == 4 {
			said--
		}
		prob := make([]float32, p.Classes)
		for c := range prob {
			prob[c] = 0.01
		}
		prob[label], prob[said] = 0.2, 0.71
		if label == said {
			prob[(label+1)%p.Classes] = 0.2
		}
		p.Add(byte(label), prob)
	}
	image := func(i int) []byte { return picture(int(p.Labels[i]), i%10) }
	g := &Gallery{Predictions: p, Image: image}
	if !f.nothing {
		g.Augment = func(i int) (list [][]byte) {
			for n := range 8 {
				list = append(list, image((i+5*n)%fakeCount))
			}
			return list
		}
	}
	return g, nil
}

// walking is a bench that looks at the first image.
func walking(t *testing.T, f *fakeImages, w, h int, o Options) *bench {
	o.Images = f
	b := scene(t, viewSamples, scenes[2].events(), w, h, o)
	b.press("enter")
	return b
}

func TestWalkLooksAsItDid(t *testing.T) {
	for name, c := range map[string]struct {
		f    fakeImages
		keys []string
	}{
		"image":     {},
		"mistake":   {keys: []string{"f", "right"}},
		"augmented": {keys: []string{"a"}},
		"pair":      {keys: []string{"f", "t", "end"}},
		"unread":    {f: fakeImages{err: errors.New("the images cannot be read here: no CIFAR-10 in the cache: \"cifartui data fetch\" brings it there")}},
	} {
		t.Run(name, func(t *testing.T) {
			var all strings.Builder
			for _, size := range sizes {
				b := walking(t, &c.f, size[0], size[1], Options{Theme: "none"})
				b.press(c.keys...)
				all.WriteString(framed(name, colourCode.ReplaceAllString(b.View(), "")))
			}
			golden(t, "walk-"+name+".txt", all.String())
		})
	}
	for _, th := range themes {
		b := walking(t, &fakeImages{}, 120, 40, th.o)
		b.press("f", "a")
		golden(t, "walk-"+th.name+".ansi", b.View()+"\n")
	}
}

func TestMatrixCellLooksAsItDid(t *testing.T) {
	var all strings.Builder
	for _, size := range sizes {
		b := scene(t, viewSamples, scenes[2].events(), size[0], size[1], Options{Theme: "dark"})
		b.press("m", "m", "down", "down", "down", "right", "right", "right", "right", "right", "right")
		all.WriteString(framed("cat, taken for dog", b.View()))
	}
	golden(t, "walk-matrix.ansi", all.String())
}

// What is walked through is what the filter says, and a change of the filter
// stays at the image where it can.
func TestWalkGoesThroughWhatTheFilterMeans(t *testing.T) {
	b := walking(t, &fakeImages{}, 120, 40, Options{})
	w := &b.samples.walk
	is := func(what string, images, image int) {
		t.Helper()
		b.check()
		if len(w.list) != images || w.image() != image {
			t.Errorf("%s: image %d of %v, want %d of %d", what, w.image(), w.list, image, images)
		}
	}
	is("all", 40, 0)
	b.press("right", "down", "left", "l", "l")
	is("three on", 40, 3)
	b.press("f") // 3 is right: the first mistake is 4
	is("mistakes", 8, 4)
	b.press("right")
	is("the next mistake", 8, 9)
	b.press("c")
	is("mistakes of its class", 2, 9)
	b.press("t")
	is("no pair but its own", 2, 9)
	b.press("f")
	is("a pair left for the mistakes of the class", 2, 9)
	b.press("c", "f")
	is("right ones", 32, 0)
	b.press("f", "end")
	is("the last", 40, 39)
	b.press("home")
	is("the first", 40, 0)
	b.press("f", "m") // in the matrix, at what image 4 is and was taken for
	if w.on || b.samples.cell != (cell{3, 2}) || b.samples.part != matrixOnly {
		t.Errorf("in the matrix: %+v", b.samples.cell)
	}
	b.press("enter")
	is("the cell's images", 2, 4)
	b.press("esc")
	if w.on {
		t.Error("esc does not leave the images")
	}
	b.press("left", "left", "left", "enter")
	is("the class's images", 10, 0)
}

func TestWalkTakesUpTheNextEvaluation(t *testing.T) {
	f := &fakeImages{}
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Images: f}, 120, 40, s.events...)
	b.press("4", "enter", "right")
	if f.opened != 1 {
		t.Fatalf("opened %d times, want once", f.opened)
	}
	before := len(s.events)
	s.epoch(4)
	b.at = b.at.Add(samplesPause)
	_, cmd := b.Update(eventsMsg{events: s.events[before:], at: b.at})
	b.run(cmd)
	if f.opened != 2 || b.samples.walk.image() != 1 {
		t.Errorf("opened %d times, at image %d", f.opened, b.samples.walk.image())
	}
}

func TestWalkSaysWhyItHasNothingToShow(t *testing.T) {
	b := scene(t, viewSamples, scenes[2].events(), 80, 24, Options{})
	b.press("enter")
	if b.samples.walk.on || !strings.Contains(b.notice.Text, "not within reach") {
		t.Errorf("without images: %q", b.notice.Text)
	}
	b = walking(t, &fakeImages{nothing: true}, 80, 24, Options{})
	b.press("a")
	if !strings.Contains(b.notice.Text, "augments nothing") {
		t.Errorf("without augmentation: %q", b.notice.Text)
	}
}

// A run with short epochs ends with the images of its last one: nothing that comes
// later would bring them.
func TestWalkEndsWithTheLastEvaluation(t *testing.T) {
	f := &fakeImages{}
	s := newScript("model_20261123_1405", 64, 4).run(3)
	b := newBench(t, Options{Images: f}, 120, 40, s.events...)
	b.press("4", "enter")
	before := len(s.events)
	s.epoch(4).end(event.OutcomeFinished, "", 4)
	b.at = b.at.Add(time.Second)
	_, cmd := b.Update(eventsMsg{events: s.events[before:], at: b.at})
	b.run(cmd)
	if f.opened != 2 {
		t.Errorf("opened %d times, want once more after the end", f.opened)
	}
}

// Where a filter leaves no image, another kind leads to some.
func TestWalkLeadsOutOfAFilterWithoutImages(t *testing.T) {
	b := walking(t, &fakeImages{}, 120, 40, Options{})
	w := &b.samples.walk
	w.begin(imageFilter{class: 3, said: 9})
	b.press("c")
	if w.image() >= 0 || b.notice.Text != "There is no image here." {
		t.Errorf("image %d; %q", w.image(), b.notice.Text)
	}
	b.press("f")
	if w.image() < 0 {
		t.Error("no image of another kind")
	}
}
