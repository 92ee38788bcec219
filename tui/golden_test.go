package tui

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"cifartui/train/event"
	"cifartui/tui/machine"
)

// updating tells that the golden files are to be written anew. The flag is
// teatest's.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if updating() {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update and look at the file", err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(no line)", "(no line)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Fatalf("%s, line %d:\n got %q\nwant %q\nrun the test with -update and look at the file", file, i+1, a, b)
		}
	}
}

var sizes = [][2]int{{40, 12}, {80, 24}, {120, 40}, {200, 60}}

// scenes are runs in every state that the views are drawn in.
var scenes = []struct {
	name   string
	events func() []event.Event
}{
	{"running", func() []event.Event {
		s := newScript("model_20261123_1405", 64, 200)
		s.run(20)
		s.emit(&event.LearnRateChanged{Header: s.head(event.KindLearnRate), From: 1, To: 0.5, Epoch: 20, Step: 782, Total: 20 * 782})
		for e := 21; e <= 40; e++ {
			s.epoch(e)
		}
		return s.train(41, 0, 289).events
	}},
	{"paused", func() []event.Event {
		s := newScript("model_20261123_1405", 64, 200).run(11)
		return s.train(12, 0, 289).state(event.StatePaused, "key", 12, 289).events
	}},
	{"finished", func() []event.Event {
		s := newScript("model_20261123_1405", 64, 200).run(47)
		return s.end(event.OutcomeEarlyStopped, "", 47).events
	}},
	{"failed", func() []event.Event {
		s := newScript("model_20261123_1405", 64, 200).run(12)
		nan := event.Float(math.NaN())
		for i, e := range s.events {
			if d, ok := e.(*event.EpochDone); ok && d.Epoch > 10 {
				c := *d
				c.Loss, c.ValLoss = nan, nan
				s.events[i] = &c
			}
		}
		return s.end(event.OutcomeDiverged, "loss of epoch 12, step 782 is NaN: try a lower learning rate", 12).events
	}},
	{"empty", func() []event.Event { return nil }},
	{"demo", func() []event.Event {
		s := newScript("demo_20261123_1405", 32, 5)
		s.demo = true
		s.run(1)
		return s.train(2, 0, 600).events
	}},
}

func init() { // scenes are made once
	for i := range scenes {
		scenes[i].events = sync.OnceValue(scenes[i].events)
	}
}

// comparison is the scene with three more runs beside it.
func comparison(events []event.Event) []event.Event {
	if len(events) == 0 {
		return nil
	}
	all := append([]event.Event(nil), events...)
	return append(all, beside()...)
}

// beside are the runs that a scene is compared with.
var beside = sync.OnceValue(func() (all []event.Event) {
	for i, batch := range []int{128, 256, 512} {
		s := newScript(fmt.Sprintf("model_20261123_1405_b%d", batch), batch, 200)
		s.speed = 400 + 0.6*float64(batch)
		all = append(all, s.run(30+i).events...)
	}
	return all
})

var fixedGauges = machine.Reading{
	Process: true, CPU: 1480, Cores: 16, Memory: 1410e6, MemoryTotal: 64e9, Threads: 31,
	GPUs: []machine.GPU{{Name: "NVIDIA H200", Use: 87, Memory: 61e9, MemoryTotal: 150e9, Temperature: 63, Watts: 512}},
}

// scene returns a bench that shows a view of a scene.
func scene(t testing.TB, v viewID, events []event.Event, w, h int, o Options) *bench {
	if v == viewCompare {
		events = comparison(events)
	}
	b := newBench(t, o, w, h, events...)
	b.system.newest, b.system.reading = fixedGauges, true
	b.press(fmt.Sprint(int(v) + 1))
	return b
}

var colourCode = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// framed puts a line of its own before a screen.
func framed(title, screen string) string { return "=== " + title + "\n" + screen + "\n" }

func TestViewsLookAsTheyDid(t *testing.T) {
	for v := range views {
		for _, sc := range scenes {
			name := strings.ToLower(viewNames[v]) + "-" + sc.name
			t.Run(name, func(t *testing.T) {
				events := sc.events()
				var all strings.Builder
				for _, size := range sizes {
					b := scene(t, v, events, size[0], size[1], Options{Theme: "none"})
					all.WriteString(framed(fmt.Sprintf("%dx%d", size[0], size[1]), colourCode.ReplaceAllString(b.View(), "")))
				}
				golden(t, name+".txt", all.String())
			})
		}
	}
}

// themes are the colours that every view is drawn in.
var themes = []struct {
	name string
	o    Options
}{
	{"dark", Options{Theme: "dark"}},
	{"light", Options{Theme: "light"}},
	{"no-color", Options{Theme: "dark", Env: env("NO_COLOR", "1")}},
	{"256", Options{Theme: "dark", Env: env("COLORTERM", "")}},
	{"16", Options{Theme: "dark", Env: env("COLORTERM", "", "TERM", "xterm")}},
	{"ascii", Options{Theme: "dark", Env: env("LANG", "C")}},
}

func TestColoursLookAsTheyDid(t *testing.T) {
	for v := range views {
		for _, th := range themes {
			name := strings.ToLower(viewNames[v]) + "-" + th.name
			t.Run(name, func(t *testing.T) {
				golden(t, name+".ansi", scene(t, v, scenes[0].events(), 120, 40, th.o).View()+"\n")
			})
		}
	}
}

// What is said in colours must be said without them too.
func TestColoursDoNotChangeWhatIsSaid(t *testing.T) {
	t.Parallel()
	for v := range views {
		for _, sc := range scenes {
			events := sc.events()
			for _, size := range sizes {
				plain := ""
				for _, th := range []string{"none", "dark", "light"} {
					b := scene(t, v, events, size[0], size[1], Options{Theme: th})
					if v == viewSamples {
						b.press("m", "m") // pictures are colours
					}
					got := colourCode.ReplaceAllString(b.View(), "")
					if th == "none" {
						plain = got
					} else if got != plain {
						t.Errorf("%s, %s, %dx%d: theme %s reads otherwise than none", viewNames[v], sc.name, size[0], size[1], th)
					}
				}
			}
		}
	}
}

func TestNoColourMeansNone(t *testing.T) {
	colours := regexp.MustCompile(`\x1b\[[0-9;]*(3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]`)
	for v := range views {
		for _, o := range []Options{{Theme: "none"}, {Env: env("NO_COLOR", "1")}} {
			if m := colours.FindString(scene(t, v, scenes[0].events(), 120, 40, o).View()); m != "" {
				t.Errorf("%s: %q", viewNames[v], m)
			}
		}
	}
}

func TestOtherLocalesGetASCIIOnly(t *testing.T) {
	for v := range views {
		for _, sc := range scenes {
			for _, size := range sizes {
				b := scene(t, v, sc.events(), size[0], size[1], Options{Env: env("LANG", "de_DE.ISO-8859-1")})
				for _, r := range b.View() {
					if r > '~' {
						t.Fatalf("%s, %s, %v: %q", viewNames[v], sc.name, size, r)
					}
				}
			}
		}
	}
}

func TestComparisonsLookAsTheyDid(t *testing.T) {
	for name, keys := range map[string][]string{
		"overlay": {"w"}, "table": {"w", "w"}, "images": {"w", "t", "left"}, "one-hidden": {"n", "v", "o"},
	} {
		t.Run(name, func(t *testing.T) {
			var all strings.Builder
			for _, size := range sizes {
				b := scene(t, viewCompare, scenes[2].events(), size[0], size[1], Options{Theme: "none"})
				b.press(keys...)
				all.WriteString(framed(fmt.Sprintf("%dx%d", size[0], size[1]), colourCode.ReplaceAllString(b.View(), "")))
			}
			golden(t, "comparison-"+name+".txt", all.String())
		})
	}
}

func TestScrolledSettingsLookAsTheyDid(t *testing.T) {
	var all strings.Builder
	for _, size := range sizes {
		b := scene(t, viewSystem, scenes[0].events(), size[0], size[1], Options{Theme: "none"})
		b.press("left", "down", "down")
		all.WriteString(framed(fmt.Sprintf("%dx%d", size[0], size[1]), colourCode.ReplaceAllString(b.View(), "")))
	}
	golden(t, "system-settings.txt", all.String())
}

func TestDialogsLookAsTheyDid(t *testing.T) {
	running := scenes[0].events()
	for _, d := range []struct {
		name string
		o    Options
		keys []string
		prep func(*bench)
	}{
		{"quit", Options{CanDetach: true}, []string{"q"}, nil},
		{"quit-attached", Options{Mode: Attached}, []string{"q"}, nil},
		{"stop", Options{}, []string{"x", "down"}, nil},
		{"learn-rate", Options{}, []string{"L", "0", ".", "2"}, nil},
		{"learn-rate-wrong", Options{}, []string{"L", "-", "1", "enter"}, nil},
		{"delete", Options{Checkpoints: &fakeFiles{}}, []string{"3", "down", "D"}, nil},
		{"resume", Options{Checkpoints: &fakeFiles{}}, []string{"3", "r"}, nil},
		{"help", Options{}, []string{"?"}, nil},
		{"stopping", Options{}, []string{"x", "b"}, nil},
		{"loading", Options{Load: neverLoads}, nil, func(b *bench) {
			b.Update(loadMsg{Progress{What: "Fetching CIFAR-10", Done: 61_200_000, Total: 170_052_171}})
		}},
		{"load-failed", Options{Load: neverLoads}, nil, func(b *bench) {
			b.Update(loadedMsg{noData(errors.New("fetch https://data.example.org/cifar-10-binary.tar.gz: no route to host: check the connection, or name a folder that holds the files"))})
		}},
		{"start-failed", Options{Load: neverLoads}, nil, func(b *bench) {
			b.Update(loadedMsg{&StartError{Title: "The weights cannot be read", Err: errors.New("weights: best.safetensors: it ends too early")}})
		}},
		{"load-folder", Options{Load: neverLoads}, []string{"f", "/", "d"}, func(b *bench) { b.Update(loadedMsg{noData(errors.New("no route to host"))}) }},
	} {
		t.Run(d.name, func(t *testing.T) {
			var all strings.Builder
			for _, size := range sizes[:3] {
				o := d.o
				o.Theme = "none"
				events := running
				if o.Load != nil {
					events = nil
				}
				b := newBench(t, o, size[0], size[1], events...)
				if d.prep != nil {
					d.prep(b)
				}
				b.press(d.keys...)
				all.WriteString(framed(fmt.Sprintf("%dx%d", size[0], size[1]), colourCode.ReplaceAllString(b.View(), "")))
			}
			golden(t, "dialog-"+d.name+".txt", all.String())
		})
	}
}
