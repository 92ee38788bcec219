package tui

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/tui/chart"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/mattn/go-runewidth"
)

// No line of any view is wider than the window, and there are no more lines
// than its height, whatever the size, the state and what lies on top.
func TestNothingOverflowsAtAnySize(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	sizesToTry := [][2]int{{1, 1}, {2, 300}, {300, 1}, {39, 12}, {40, 11}, {40, 12}, {300, 100}}
	more := 40
	if os.Getenv("CIFARTUI_LONG") == "" {
		more = 12
	}
	for range more {
		sizesToTry = append(sizesToTry, [2]int{1 + rng.IntN(300), 1 + rng.IntN(100)})
	}
	for range more {
		sizesToTry = append(sizesToTry, [2]int{38 + rng.IntN(50), 10 + rng.IntN(20)})
	}
	check := func(b *bench, what string) {
		t.Helper()
		lines := strings.Split(b.View(), "\n")
		if len(lines) > b.h {
			t.Errorf("%s at %dx%d: %d lines", what, b.w, b.h, len(lines))
		}
		for i, l := range lines {
			if w := runewidth.StringWidth(colourCode.ReplaceAllString(l, "")); w > b.w {
				t.Errorf("%s at %dx%d: line %d is %d wide", what, b.w, b.h, i, w)
			}
		}
	}
	for _, sc := range scenes {
		events := comparison(sc.events())
		b := newBench(t, Options{Name: "ein Lauf mit 広い name"}, 80, 24, events...)
		b.system.newest, b.system.reading = fixedGauges, true
		for _, size := range sizesToTry {
			b.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			for v := range views {
				b.press(fmt.Sprint(int(v) + 1))
				check(b, sc.name+" "+viewNames[v])
			}
			for _, k := range []string{"?", "x", "q", "L"} {
				b.press(k)
				check(b, sc.name+" "+k)
				b.press("esc")
			}
			b.press("2", "w")
			check(b, sc.name+" compare, next layout")
			b.press("4", "m")
			check(b, sc.name+" samples, next part")
		}
	}
}

// Drawing changes nothing: what is scrolled, chosen or shown is settled before.
func TestDrawingChangesNothing(t *testing.T) {
	for _, sc := range scenes {
		for _, size := range sizes {
			b := newBench(t, Options{Mode: Replay}, size[0], size[1], comparison(sc.events())...)
			for v := range views {
				b.press(fmt.Sprint(int(v)+1), "pgdown", "end")
				for _, k := range []string{"", "w", "m", "?"} {
					b.press(k)
					state := func() string {
						return fmt.Sprintf("%+v %+v %+v %+v %+v %+v %+v", *b.common, *b.help, *b.curves, *b.compare, *b.files, *b.samples, *b.system)
					}
					before := state()
					if b.around(b.drawBody()) != b.View() {
						t.Errorf("%s, %s, %v, %q: drawn anew it is another picture", viewNames[v], sc.name, size, k)
					}
					if state() != before {
						t.Errorf("%s, %s, %v, %q: drawing changed\n%s\nto\n%s", viewNames[v], sc.name, size, k, before, state())
					}
				}
			}
		}
	}
}

func TestSmallWindowsSayWhatIsNeeded(t *testing.T) {
	b := newBench(t, Options{}, 39, 30, scenes[0].events()...)
	if got := colourCode.ReplaceAllString(b.View(), ""); !strings.HasPrefix(got, "needs 40x12, is 39x30") {
		t.Errorf("says %q", got)
	}
}

// Keys do what they do in a small window too: what they ask is seen.
func TestAQuestionIsSeenInASmallWindow(t *testing.T) {
	for _, size := range [][2]int{{30, 8}, {39, 30}, {80, 6}} {
		b := newBench(t, Options{}, size[0], size[1], scenes[0].events()...)
		b.press("q")
		says(t, b, "stop and save")
		b.press("esc")
		says(t, b, "needs 40x12")
	}
}

// manySteps are 10,000 epochs of so many steps.
func manySteps(each int) []event.Event {
	s := newScript("model_20261123_1405", 500, 10_000)
	s.every = 1
	s.start()
	for e := 1; e <= 10_000; e++ {
		loss, acc, valLoss, valAcc := s.curve(float64(e) / 100)
		for i := 1; i <= each; i++ {
			s.elapsed++
			s.emit(&event.StepDone{Header: event.Header{Run: s.name}, Epoch: e, Step: i, Steps: each, Total: int64((e-1)*each + i), Count: 1,
				Loss: event.Float(loss + 0.1*s.rng.Float64()), MinLoss: event.Float(loss), MaxLoss: event.Float(loss + 0.1), Acc: event.Float(acc), ImagesPerSecond: 400, Elapsed: s.elapsed})
		}
		s.emit(&event.EpochDone{Header: event.Header{Run: s.name}, Epoch: e, Epochs: 10_000, Batch: 500, Total: int64(e * each),
			Loss: event.Float(loss), Acc: event.Float(acc), ValLoss: event.Float(valLoss + 0.05*s.rng.Float64()), ValAcc: event.Float(valAcc), Seconds: 100, Elapsed: s.elapsed})
	}
	return s.events
}

func TestALongRunTakesBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 200,000 events: run without -short")
	}
	b := newBench(t, Options{Mode: Replay}, 120, 40)
	events := manySteps(20) // six times the steps that are kept
	for i := 0; i < len(events); i += eventBatch {
		batch := events[i:min(i+eventBatch, len(events))]
		b.Update(eventsMsg{events: batch, at: testStart, more: len(batch) == eventBatch})
	}
	r := b.current()
	if r.steps.Len() > stepRows || r.epochs.Len() > epochRows || len(r.log) > logLines || len(r.pending) > pendingMost {
		t.Errorf("%d steps, %d epochs, %d lines, %d pending", r.steps.Len(), r.epochs.Len(), len(r.log), len(r.pending))
	}
	if got := r.epochs.Len(); got != 10_000 {
		t.Errorf("%d epochs are kept, want each", got)
	}
}

func BenchmarkOpenAMillionSteps(b *testing.B) {
	events := manySteps(100)
	for b.Loop() {
		m := newBench(b, Options{Mode: Replay}, 120, 40)
		for i := 0; i < len(events); i += eventBatch {
			batch := events[i:min(i+eventBatch, len(events))]
			m.Update(eventsMsg{events: batch, at: testStart, more: len(batch) == eventBatch})
		}
	}
}

func BenchmarkDrawAMillionSteps(b *testing.B) {
	m := newBench(b, Options{Mode: Replay}, 200, 60)
	events := manySteps(100)
	for i := 0; i < len(events); i += eventBatch {
		m.Update(eventsMsg{events: events[i:min(i+eventBatch, len(events))], at: testStart})
	}
	for v := range views {
		for _, a := range []chart.Axis{chart.ByEpoch, chart.ByStep} {
			if a == chart.ByStep && v > viewCompare {
				continue
			}
			m.open(v)
			m.curves.axis = a
			b.Run(strings.ToLower(viewNames[v])+"-by-"+axisNames[a], func(b *testing.B) {
				for b.Loop() {
					m.around(m.drawBody())
				}
			})
		}
	}
}

// BenchmarkWatchAMillionSteps is what a screen on a long run costs for each time
// that it takes events, five times a second.
func BenchmarkWatchAMillionSteps(b *testing.B) {
	m := newBench(b, Options{Mode: Attached}, 120, 40)
	events := manySteps(100)
	for i := 0; i < len(events); i += eventBatch {
		m.Update(eventsMsg{events: events[i:min(i+eventBatch, len(events))], at: testStart})
	}
	last := *events[len(events)-2].(*event.StepDone)
	for v := range views {
		m.press(fmt.Sprint(int(v) + 1))
		b.Run(strings.ToLower(viewNames[v]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e := last
				last.Step, last.Total, last.Elapsed = last.Step+1, last.Total+1, last.Elapsed+1
				m.at = m.at.Add(eventPause)
				m.Update(eventsMsg{events: []event.Event{&e}, at: m.at})
			}
		})
	}
}
