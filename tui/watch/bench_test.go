package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui"

	tea "github.com/charmbracelet/bubbletea"
)

var testNow = time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)

// env is an environment for tests: a UTF-8 terminal with true colours.
func env(set ...string) func(string) string {
	vars := map[string]string{"LANG": "C.UTF-8", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
	for i := 0; i+1 < len(set); i += 2 {
		vars[set[i]] = set[i+1]
	}
	return func(k string) string { return vars[k] }
}

// A bench is the screen under test, driven without a terminal and without a disk.
type bench struct {
	*Model
	t      testing.TB
	mu     sync.Mutex
	sent   []string // "RUN: command"
	deaf   map[string]bool
	opened []string
	quit   bool
}

// newBench shows runs in a window of w columns and h rows.
func newBench(t testing.TB, o tui.Options, w, h int, rs ...*survey.Run) *bench {
	t.Helper()
	b := &bench{t: t, deaf: map[string]bool{}}
	if o.Env == nil {
		o.Env = env()
	}
	m, err := New(context.Background(), Options{Screen: o, Folders: []string{"/data/runs"}, Open: b.open, Send: b.send})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	m.clock = func() time.Time { return testNow }
	b.Model = m
	b.Update(tea.WindowSizeMsg{Width: w, Height: h})
	b.tell(rs...)
	return b
}

func (b *bench) open(_ context.Context, folder string) (tui.Options, io.Closer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, filepath.Base(folder))
	return tui.Options{Mode: tui.Replay, Name: filepath.Base(folder)}, io.NopCloser(nil), nil
}

func (b *bench) send(_ context.Context, folder string, c event.Command) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deaf[filepath.Base(folder)] {
		return errors.New("the machine does not answer")
	}
	b.sent = append(b.sent, fmt.Sprintf("%s: %T", filepath.Base(folder), c))
	return nil
}

// tell has the runs told as the watcher does.
func (b *bench) tell(rs ...*survey.Run) {
	b.Update(updateMsg{update: survey.Update{Runs: rs, Listed: true}, at: testNow})
}

// press gives keys, and runs the commands that they bring.
func (b *bench) press(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		_, cmd := b.Update(keyMsg(k))
		b.run(cmd)
	}
}

func (b *bench) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.QuitMsg:
		b.quit = true
	case tea.BatchMsg:
		for _, c := range msg {
			b.run(c)
		}
	default:
		_, next := b.Update(msg)
		b.run(next)
	}
	if b.err != nil {
		b.t.Fatal(b.err)
	}
}

var keyTypes = map[string]tea.KeyType{
	"left": tea.KeyLeft, "right": tea.KeyRight, "up": tea.KeyUp, "down": tea.KeyDown, "enter": tea.KeyEnter,
	"esc": tea.KeyEsc, "tab": tea.KeyTab, "shift+tab": tea.KeyShiftTab, "home": tea.KeyHome, "end": tea.KeyEnd,
	"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "ctrl+c": tea.KeyCtrlC, "delete": tea.KeyDelete, "backspace": tea.KeyBackspace,
	"ctrl+b": tea.KeyCtrlB, "ctrl+f": tea.KeyCtrlF,
}

func keyMsg(k string) tea.KeyMsg {
	if t, ok := keyTypes[k]; ok {
		return tea.KeyMsg{Type: t}
	}
	if k == " " {
		return tea.KeyMsg{Type: tea.KeySpace, Runes: []rune(k)}
	}
	return tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(k)}
}

// made is a run that began so many hours ago.
func made(name string, hours float64, epoch int, change func(*survey.Run)) *survey.Run {
	c := config.Default()
	c.Epochs = 100
	r := &survey.Run{Config: c, About: config.About{Host: "gpu01", Kernels: "avx512", Dataset: "CIFAR-10", Version: "v1.0"}, ImagesPerSecond: 412, Remaining: -1}
	r.Name, r.Folder, r.Epoch, r.Epochs = name, "/data/runs/"+name, epoch, 100
	r.Created = testNow.Add(-time.Duration(hours * float64(time.Hour)))
	r.State, r.Outcome = "finished", event.OutcomeFinished
	if change != nil {
		change(r)
	}
	for e := 1; e <= epoch; e++ {
		t := float64(e) / (1 + float64(r.Config.Batch)/256)
		p := survey.Point{
			Epoch: e, Images: 50000 * float64(e), Seconds: 121 * float64(e),
			Acc: float32(0.99 - 0.8*math.Exp(-t/8)), Loss: float32(0.05 + 2*math.Exp(-t/8)),
			ValAcc: float32(0.88 - 0.6*math.Exp(-t/6) + 0.01*math.Sin(float64(e))), ValLoss: float32(0.4 + 1.6*math.Exp(-t/6)),
		}
		r.Points = append(r.Points, p)
		if v := event.Float(p.ValAcc); v > r.BestValAcc {
			r.BestValAcc, r.BestEpoch = v, e
		}
	}
	return r
}

func liveIn(state event.State) func(*survey.Run) {
	return func(r *survey.Run) {
		r.Live, r.State, r.Outcome, r.Remaining = true, string(state), "", 4300
	}
}

// scene are runs in every state that the list shows.
func scene() []*survey.Run {
	member := func(batch int, change func(*survey.Run)) func(*survey.Run) {
		return func(r *survey.Run) {
			r.Comparison, r.Config.Batch, r.About.Host = "/data/runs/sweep", batch, "node17"
			if change != nil {
				change(r)
			}
		}
	}
	return []*survey.Run{
		made("model_20261123_1305", 1, 12, liveIn(event.StateRunning)),
		made("model_20261123_0905", 5, 40, liveIn(event.StatePaused)),
		made("sweep/batch=64", 6, 31, member(64, liveIn(event.StateRunning))),
		made("sweep/batch=128", 6, 30, member(128, liveIn(event.StateWaiting))),
		made("sweep/batch=256", 6, 0, member(256, func(r *survey.Run) {
			r.State, r.Outcome, r.Epochs, r.Created, r.ImagesPerSecond = survey.NotBegun, "", 0, time.Time{}, 0
		})),
		made("model_20261122_2310", 15, 100, nil),
		made("model_20261122_1200", 26, 63, func(r *survey.Run) { r.State, r.Outcome, r.Config.LR = "early_stopped", event.OutcomeEarlyStopped, 0.3 }),
		made("model_20261121_0800", 54, 9, func(r *survey.Run) {
			r.State, r.Outcome, r.Error, r.Config.LR = "diverged", event.OutcomeDiverged, "loss of epoch 9, step 782 is NaN: try a lower learning rate", 3
		}),
		made("model_20261113_1811", 240, 57, func(r *survey.Run) { r.State, r.Outcome = runs.Interrupted, "" }),
		made("model_20261003_1811", 1300, 80, func(r *survey.Run) { r.State, r.Outcome = "stopped", event.OutcomeStopped }),
		made("old", 9000, 0, func(r *survey.Run) {
			r.State, r.Outcome, r.Problem, r.Epochs = runs.Interrupted, "", "events.jsonl: no event in it can be read", 0
			r.ImagesPerSecond = 0
		}),
	}
}

// jobs are what a scheduler knows of some of them.
func jobs() map[string]runs.Job {
	return map[string]runs.Job{
		"/data/runs/sweep/batch=64":  {ID: "1234_1", State: "running", Node: "node17"},
		"/data/runs/sweep/batch=256": {ID: "1234_3", State: "pending", Reason: "Priority"},
	}
}
