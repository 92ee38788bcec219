package tui

import (
	"slices"
	"strings"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/tui/canvas"
	"cifartui/tui/machine"
	"cifartui/tui/style"
)

// A slice of a GPU tells nothing but its name: a 0 would look like an idle one.
func TestGPUThatTellsNothingIsNotDrawnAsIdle(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	v := b.Model.system
	var text strings.Builder
	for _, line := range v.gpuLines(machine.GPU{Name: "NVIDIA H200 MIG 1g.18gb", Use: machine.Untold, Memory: machine.Untold, MemoryTotal: machine.Untold, Temperature: 41, Watts: machine.Untold}, 60) {
		for _, s := range line {
			text.WriteString(s.Text)
		}
		text.WriteString("\n")
	}
	got := text.String()
	if strings.Count(got, "not supported") != 3 || !strings.Contains(got, "41 ") || strings.Contains(got, "0%") {
		t.Errorf("drawn as\n%s", got)
	}
}

// The settings say on which images a run is validated.
func TestSettingsSayWhatIsValidatedOn(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	for want, s := range map[string]*event.RunStarted{
		"the 9 test images":     {ValImages: 9, ValIsTest: true},
		"9 images held out":     {ValImages: 9, Config: config.Config{ValSplit: 9}},
		"9 images of their own": {ValImages: 9},
	} {
		var text strings.Builder
		for _, line := range b.Model.system.settingLines(&run{Run: record.Run{Started: s}}) {
			for _, span := range line {
				text.WriteString(span.Text)
			}
			text.WriteString("\n")
		}
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

// The rate of an optimizer that is given none is its own, which the start tells.
func TestSettingsTellTheRateOfADefault(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	for want, s := range map[string]*event.RunStarted{
		"adam, lr 0.001":   {LearnRate: 0.001, Config: config.Config{Optimizer: "adam"}},
		"adam, lr 0.01":    {LearnRate: 0.01, Config: config.Config{Optimizer: "adam", LR: 0.01}},
		"adam, lr default": {Config: config.Config{Optimizer: "adam"}}, // of an older version
	} {
		lines := b.Model.system.settingLines(&run{Run: record.Run{Started: s}})
		if !slices.ContainsFunc(lines, func(l []style.Span) bool { return l[1].Text == want }) {
			t.Errorf("no %q", want)
		}
	}
}

// Settings that do not fit are counted, and every kind of them has a line.
func TestSettingsThatDoNotFitAreCounted(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	v := b.Model.system
	r := &run{Run: record.Run{Started: &event.RunStarted{Config: config.Config{
		Epochs: 7, MaxSteps: 1200, Size: 48, Filters: "8,16", Dense: "32", Initializer: "orthogonal",
		Init: "other.safetensors", Freeze: "conv1", LRScale: "conv=0.1", SmallEpochs: 0.4, SmallSize: 16,
	}}}}
	rows := len(v.settingRows(58, r))
	draw := func(h int) string {
		a := canvas.New(60, h)
		v.drawSettings(a.All(), r)
		return a.Encode(style.NewPalette(3, true), &style.Unicode)
	}
	tall := draw(rows + 2)
	for _, want := range []string{"7, or 1,200 steps", "48", "8,16", "orthogonal", "other.safetensors", "conv1", "conv=0.1", "0.4 of all, on 16 pixels"} {
		if !strings.Contains(tall, want) {
			t.Errorf("no %q in\n%s", want, tall)
		}
	}
	if strings.Contains(tall, "more ") {
		t.Errorf("all fit, and some are said not to:\n%s", tall)
	}
	if low := draw(rows); !strings.Contains(low, "2 more ") {
		t.Errorf("two do not fit, and are not counted:\n%s", low)
	}
}

// The keys that scroll are for the log, or for the settings once these are chosen; a
// window with room for one of them shows that. Neither is scrolled past its end.
func TestSettingsScroll(t *testing.T) {
	for _, size := range []struct{ w, h int }{{120, 24}, {80, 24}} {
		b := newBench(t, Options{}, size.w, size.h, scenes[0].events()...)
		b.open(viewSystem)
		b.press("left")
		says(t, b, "settings")
		says(t, b, "data ")
		b.press("down", "down", "down")
		if b.system.above != 3 || b.system.top != 0 {
			t.Errorf("%+v: three rows down, the settings are at %d and the log at %d", size, b.system.above, b.system.top)
		}
		b.press("end")
		says(t, b, "folder ")
		says(t, b, " more "+b.glyphs.Up)
		at := b.system.above
		b.press("down", "pgdown")
		if b.system.above != at {
			t.Errorf("%+v: scrolled past the end, from %d to %d", size, at, b.system.above)
		}
		b.press("home")
		if b.system.above != 0 {
			t.Errorf("%+v: at the top it is at %d", size, b.system.above)
		}
		b.press("right", "up")
		if b.system.above != 0 || b.system.top == 0 {
			t.Errorf("%+v: the log does not scroll: %d, the settings %d", size, b.system.top, b.system.above)
		}
		if _, _, settings, _ := b.system.parts(canvas.Area{W: b.system.w, H: b.system.h}, b.current()); (settings.H > 0) != (size.w == 120) {
			t.Errorf("%+v: the settings have %d rows", size, settings.H)
		}
	}
}

// A message wider than the log goes on in the next row, and scrolling back ends
// where the first ones fill the view.
func TestLogShowsMessagesWhole(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	v := b.Model.system
	r := &run{log: []logLine{
		{text: "one two three four five six"}, {text: "seven"}, {text: "eight nine ten eleven"}, {text: "twelve"},
	}}
	draw := func() string {
		a := canvas.New(logStamp+12, 5) // three rows of ten columns inside
		v.drawLog(a.All(), r)
		return a.Encode(style.NewPalette(3, true), &style.Unicode)
	}
	if got := draw(); !strings.Contains(got, "eight nine") || !strings.Contains(got, "ten eleven") || !strings.Contains(got, "twelve") || strings.Contains(got, "seven") {
		t.Errorf("the newest are drawn as\n%s", got)
	}
	if n := logFill(r.log, logStamp+10, 3); n != 1 {
		t.Errorf("%d messages fill the view, want 1", n)
	}
	v.top = len(r.log) - 1
	if got := draw(); !strings.Contains(got, "one two") || !strings.Contains(got, "five six") || !strings.Contains(got, "3 more") {
		t.Errorf("scrolled to the first, it is drawn as\n%s", got)
	}
}

// The end is told once, and not as a position in an epoch that never began.
func TestLogTellsTheEndOnce(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 2).run(2)
	s.state(event.StateFinished, "", 3, 0)
	b := newBench(t, Options{}, 120, 40, s.end(event.OutcomeFinished, "", 2).events...)
	var ends []string
	for _, l := range b.current().log {
		if strings.Contains(strings.ToLower(l.text), "finished") {
			ends = append(ends, l.text)
		}
	}
	if len(ends) != 1 || !strings.HasPrefix(ends[0], "Finished 2 epochs") {
		t.Errorf("the end is told as %q", ends)
	}
}

// A run that its limit of steps has ended has not finished its epochs.
func TestTheLimitOfStepsIsTheReasonOfTheEnd(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200)
	s.start()
	s.events[0].(*event.RunStarted).Config.MaxSteps = 700
	b := newBench(t, Options{}, 120, 40, s.train(1, 0, 700).end(event.OutcomeFinished, "", 0).events...)
	says(t, b, "The limit of 700 steps (--max-steps) ended it after 0 epochs in ")
}
