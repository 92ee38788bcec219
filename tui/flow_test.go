package tui

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/tui/chart"

	tea "github.com/charmbracelet/bubbletea"
)

func says(t *testing.T, b *bench, words string) {
	t.Helper()
	if got := colourCode.ReplaceAllString(b.View(), ""); !strings.Contains(got, words) {
		t.Errorf("the screen does not say %q:\n%s", words, got)
	}
}

func TestPausingTellsWhenItHasHappened(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(2)
	b := newBench(t, Options{}, 120, 40, s.events...)
	b.press(" ")
	says(t, b, "Pausing after this batch")
	if c := b.control.commands()[0].(event.Pause); c.Why != "space pressed" {
		t.Errorf("the log will tell %q as the reason", c.Why)
	}
	n := len(s.events)
	s.train(3, 0, 40).state(event.StatePaused, "key", 3, 40)
	b.feed(s.events[n:]...)
	says(t, b, "Paused after step 40 of epoch 3.")
	says(t, b, "‖ paused")
	says(t, b, "space go on")
	b.press("p")
	if _, ok := b.control.commands()[1].(event.Resume); !ok {
		t.Errorf("the second command is %#v", b.control.commands()[1])
	}
	says(t, b, "Going on")
}

func TestWhatAPausedRunSavedStaysToBeRead(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(2).train(3, 0, 40).state(event.StatePaused, "key", 3, 40)
	b := newBench(t, Options{}, 120, 40, s.events...)
	n := len(s.events)
	s.state(event.StateSaving, "s pressed", 3, 40)
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP03-STEP00040.safetensors", Reason: "manual", Epoch: 3, Step: 40})
	s.state(event.StatePaused, "key", 3, 40)
	b.feed(s.events[n:]...)
	says(t, b, "Saved CIFAR10-EP03-STEP00040.safetensors.")
	says(t, b, "‖ paused")

	n = len(s.events)
	s.state(event.StateRunning, "key", 3, 40).state(event.StateSaving, "", 3, 80).state(event.StatePaused, "key", 3, 80)
	b.feed(s.events[n:]...)
	says(t, b, "Paused after step 80 of epoch 3.")
}

// What is left paused does not go on: that is what leaving offers.
func TestLeavingAPausedRunDoesNotPromiseThatItGoesOn(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(2).state(event.StatePaused, "key", 3, 40)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "leave it paused"},
		{Options{CanDetach: true}, "leave it paused"},
		{Options{Mode: Attached}, "the run stays paused"},
	} {
		b := newBench(t, c.o, 120, 40, s.events...)
		b.press("q")
		says(t, b, c.want)
	}
}

// Before the first batch there is none to pause after, and it may take a while to be
// ready.
func TestAPauseOfARunThatBeginsIsNotAfterABatch(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, newScript("model_20261123_1405", 64, 200).start().events[0])
	b.press(" ")
	says(t, b, "Pausing before the first batch")
}

func TestALowWindowTellsWhatWasAskedForToo(t *testing.T) {
	b := newBench(t, Options{}, 80, 14, newScript("model_20261123_1405", 64, 200).run(2).events...)
	b.press(" ")
	says(t, b, "Pausing after this batch")
}

func TestAPausedRunIsNotDrawnAgain(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(2).state(event.StatePaused, "key", 3, 40)
	b := newBench(t, Options{}, 120, 40, s.events...)
	for v := range views {
		b.open(v)
		b.run(b.files.list())
		b.Update(tickMsg{b.at.Add(time.Second)})
		before := b.View()
		b.Update(tickMsg{b.at.Add(time.Minute)})
		if v != viewCheckpoints && b.View() != before { // ages are told in minutes
			t.Errorf("%s changes while the run is paused", viewNames[v])
		}
		if b.Model.tick() != nil {
			t.Errorf("%s: a clock ticks while the run is paused", viewNames[v])
		}
	}
}

func TestQuittingStopsSavesAndThenLeaves(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(2)
	b := newBench(t, Options{}, 120, 40, s.events...)
	b.press("q", "s")
	if c, ok := b.control.commands()[0].(event.Stop); !ok || c.Run != "" || c.After != event.AfterBatch {
		t.Fatalf("sent %#v", b.control.commands())
	}
	says(t, b, "Stopping after this batch")
	n := len(s.events)
	s.state(event.StateStopping, "key", 3, 1)
	if _, cmd := b.Update(eventsMsg{events: s.events[n:], at: b.at}); isQuit(cmd) {
		t.Error("left before the run had ended")
	}
	n = len(s.events)
	s.end(event.OutcomeStopped, "", 2)
	if _, cmd := b.Update(eventsMsg{events: s.events[n:], at: b.at}); !isQuit(cmd) {
		t.Error("stays after the run has ended")
	}
	if b.result.Action != Closed {
		t.Errorf("left with %+v", b.result)
	}
}

func isQuit(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	_, ok := cmd().(LeftMsg)
	return ok
}

func TestQuittingTwiceDoesNotWait(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, scenes[0].events()...)
	b.press("q", "s")
	if _, cmd := b.Update(keyMsg("ctrl+c")); !isQuit(cmd) || b.result.Action != Aborted {
		t.Errorf("the second Ctrl+C: %+v", b.result)
	}
}

func TestWaysToLeave(t *testing.T) {
	running, ended := scenes[0].events(), scenes[2].events()
	for _, c := range []struct {
		name   string
		o      Options
		events []event.Event
		keys   []string
		left   bool
		action Action
	}{
		{"leave it training here", Options{}, running, []string{"q", "l"}, true, LeaveRunning},
		{"leave it training in the background", Options{CanDetach: true}, running, []string{"q", "l"}, true, Detach},
		{"detach", Options{CanDetach: true}, running, []string{"d"}, true, Detach},
		{"suspend", Options{CanDetach: true}, running, []string{"ctrl+z"}, true, Detach},
		{"suspend an attached screen", Options{Mode: Attached}, running, []string{"ctrl+z"}, true, Closed},
		{"can't detach", Options{}, running, []string{"d"}, false, Closed},
		{"go back", Options{}, running, []string{"q", "b"}, false, Closed},
		{"escape", Options{}, running, []string{"q", "esc"}, false, Closed},
		{"q again goes back", Options{}, running, []string{"q", "q"}, false, Closed},
		{"leave an attached run", Options{Mode: Attached}, running, []string{"q", "l"}, true, Closed},
		{"close a replay", Options{Mode: Replay}, running, []string{"q"}, true, Closed},
		{"close an ended run", Options{}, ended, []string{"q"}, true, Closed},
		{"resume from last", Options{Checkpoints: &fakeFiles{}}, running, []string{"3", "enter", "enter"}, true, ResumeFrom},
	} {
		b := newBench(t, c.o, 120, 40, c.events...)
		left := false
		for _, k := range c.keys {
			_, cmd := b.Update(keyMsg(k))
			left = cmd != nil && isQuit(cmd)
		}
		if left != c.left || b.result.Action != c.action {
			t.Errorf("%s: left %v with %+v", c.name, left, b.result)
		}
		if c.action == ResumeFrom && (b.result.File != "/data/runs/model_20261123_1405/checkpoints/last.ckpt" || b.result.Folder != "/data/runs/model_20261123_1405") {
			t.Errorf("%s: %+v", c.name, b.result)
		}
	}
}

// A run may end while it is asked what is to become of it: then it is just left.
func TestARunThatEndsBeforeTheAnswerIsLeft(t *testing.T) {
	for _, o := range []Options{{}, {CanDetach: true}, {Mode: Attached}} {
		for _, answer := range []string{"s", "l"} {
			s := newScript("model_20261123_1405", 64, 200).run(2)
			b := newBench(t, o, 120, 40, s.events...)
			b.press("q")
			n := len(s.events)
			s.end(event.OutcomeFinished, "", 2)
			b.feed(s.events[n:]...)
			if _, cmd := b.Update(keyMsg(answer)); !isQuit(cmd) || b.result.Action != Closed || len(b.control.commands()) != 0 {
				t.Errorf("mode %v, %s: %+v, commands %v", o.Mode, answer, b.result, b.control.commands())
			}
		}
	}
}

func TestARefusedCommandIsTold(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, scenes[0].events()...)
	b.control.answer = func(event.Command) error { return errors.New("the run can't be reached") }
	b.press("q", "s")
	says(t, b, "The run can't be reached.")
	if b.steering.quitting {
		t.Error("still waits for a stop that was never asked for")
	}
}

func TestLearningRatePrompt(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, scenes[0].events()...)
	b.press("L", "x", "enter")
	says(t, b, `"x" is no number such as 0.1 or 1e-3.`)
	b.press("backspace", "0", ".", "0", "5", "enter")
	if c, ok := b.control.commands()[0].(event.SetLearnRate); !ok || c.Rate != 0.05 {
		t.Errorf("sent %#v", b.control.commands())
	}
	b.press("+", "+") // faster than the run answers
	cs := b.control.commands()
	if a, z := cs[1].(event.SetLearnRate), cs[2].(event.SetLearnRate); a.Rate != 1.1 || z.Rate != 1.21 {
		t.Errorf("two steps up are %v and %v", a.Rate, z.Rate)
	}
	// The next one builds on the rate that there is, not on those that were refused.
	b.feed(&event.Warning{Header: event.Header{Event: event.KindWarning, Seq: 1 << 40, Run: "model_20261123_1405"}, Message: "it stays", Refuses: "lr"})
	b.press("+")
	if c := b.control.commands()[3].(event.SetLearnRate); c.Rate != 1.1 {
		t.Errorf("after a refusal a step up is %v, want 1.1", c.Rate)
	}
}

func TestResumedRunsForgetWhatWasNotSaved(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(6)
	b := newBench(t, Options{}, 120, 40, s.events...)
	s.events = nil
	s.start()
	e := s.events[0].(*event.RunStarted)
	e.Resumed, e.ResumedEpoch, e.ResumedStep, e.ResumedTotal, e.Elapsed = true, 5, 0, 4*782, 500
	b.feed(s.events...)
	r := b.current()
	if r.epochs.Len() != 4 || r.steps.Last(chart.ByStep) != 4*782 || r.bestAcc().epoch > 4 {
		t.Errorf("%d epochs, steps to %v, best at %d", r.epochs.Len(), r.steps.Last(chart.ByStep), r.bestAcc().epoch)
	}
	s.events = nil
	s.epoch(5)
	b.feed(s.events...)
	if r.epochs.Len() != 5 {
		t.Errorf("%d epochs after the fifth was done anew", r.epochs.Len())
	}
}

func TestDeletingAsksAndListsAnew(t *testing.T) {
	files := &fakeFiles{}
	b := newBench(t, Options{Checkpoints: files}, 120, 40, newScript("model_20261123_1405", 64, 200).run(3).events...)
	b.press("3", "end", "D", "enter")
	if len(files.deleted) != 0 {
		t.Fatal("the first answer deletes")
	}
	n := len(b.files.rows)
	b.press("D", "d")
	if len(files.deleted) != 1 || !strings.Contains(files.deleted[0], "EP01") || len(b.files.rows) != n-1 {
		t.Errorf("deleted %v, %d files left of %d", files.deleted, len(b.files.rows), n)
	}
	files.err = errors.New("delete checkpoint: permission denied")
	b.press("D", "d")
	says(t, b, "permission denied")
}

func TestASavedCheckpointIsListedAtOnce(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Checkpoints: &fakeFiles{}}, 120, 40, s.events...)
	b.press("3")
	n := len(s.events)
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP04-STEP00100.safetensors", Reason: "manual", Epoch: 4, Step: 100})
	b.feed(s.events[n:]...)
	says(t, b, "CIFAR10-EP04-STEP00100.safetensors")
	says(t, b, "manual")
}

// The file that is chosen stays the chosen one as newer ones are saved above it.
func TestTheChosenFileStaysChosen(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Checkpoints: &fakeFiles{}}, 120, 40, s.events...)
	b.press("3", "down")
	chosen := b.files.rows[b.files.chosen].File
	n := len(s.events)
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP04-STEP00100.safetensors", Reason: "manual", Epoch: 4, Step: 100})
	b.feed(s.events[n:]...)
	if got := b.files.rows[b.files.chosen].File; got != chosen || b.files.chosen != 2 {
		t.Errorf("%s is chosen, not %s", got, chosen)
	}
	b.press("D")
	says(t, b, "Delete "+chosen)
}

// A file that is gone is not listed any more, however new it is, and no file is
// the best in its place but one that is there.
func TestAFileThatIsGoneIsNotListed(t *testing.T) {
	files := &fakeFiles{}
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{Checkpoints: files}, 120, 40, s.events...)
	b.press("3")
	says(t, b, "EP03")
	// Somebody else deletes it.
	files.list = slices.DeleteFunc(files.list, func(f checkpoint.Info) bool { return strings.Contains(f.File, "EP03") })
	b.at = b.at.Add(listPause)
	b.run(b.files.receive(tickMsg{b.at}))
	for _, row := range b.files.rows {
		if strings.Contains(row.File, "EP03") {
			t.Errorf("%s is listed as %s", row.File, row.kind())
		}
	}
	// One that is saved after the files were listed is there.
	n := len(s.events)
	s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP04-STEP00100.safetensors", Reason: "manual", Epoch: 4, Step: 100})
	b.Update(eventsMsg{events: s.events[n:], at: b.at})
	says(t, b, "CIFAR10-EP04-STEP00100.safetensors")
}

func TestFilesTellWhatEventsDoNot(t *testing.T) {
	files := &fakeFiles{list: []checkpoint.Info{
		{File: "last.ckpt", Path: "/r/checkpoints/last.ckpt", Resumable: true, Epoch: 3, ValAcc: 0.7, ValLoss: 1, Time: testStart, Size: 5},
		{File: "old.safetensors", Path: "/r/checkpoints/old.safetensors", Epoch: 1, ValAcc: 0.5, ValLoss: 2, Time: testStart, Problem: "it ends too early"},
	}}
	b := newBench(t, Options{Checkpoints: files, Mode: Replay}, 120, 40, newScript("m", 64, 200).start().events...)
	b.press("3", "down")
	says(t, b, "it ends too early")
	says(t, b, "/r/checkpoints/old.safetensors")
}

func TestLoadingOffersOtherData(t *testing.T) {
	t.Parallel()
	var asked []string
	load := func(_ context.Context, data string, report func(Progress)) error {
		asked = append(asked, data)
		report(Progress{What: "Fetching CIFAR-10", Done: 1, Total: 2})
		if data == "/data/cifar" {
			return nil
		}
		return noData(errors.New("no route to host"))
	}
	b := newBench(t, Options{Load: load}, 80, 24)
	b.run(b.loading.load(""))
	says(t, b, "No route to host.")
	says(t, b, "use a folder           of pictures, or of CIFAR's files")
	b.press("r", "e", "f")
	says(t, b, "A folder of pictures, with a subfolder for each class, or")
	b.press("/", "d", "x", "backspace", "a", "t", "a", "/", "c", "i", "f", "a", "r", "enter")
	if got := strings.Join(asked, " "); got != " demo /data/cifar" && got != "  demo /data/cifar" {
		t.Errorf("loaded %q", asked)
	}
	if b.loading.on {
		t.Error("still loading after it succeeded")
	}
}

// What is not counted in bytes is not shown as if it were.
func TestLoadingShowsWhatItCounts(t *testing.T) {
	b := newBench(t, Options{Load: neverLoads}, 80, 24)
	b.loading.load("")
	b.Update(loadMsg{Progress{What: "Drawing the demo set", Done: 12_500, Total: 50_000, Of: "images"}})
	says(t, b, "Drawing the demo set")
	says(t, b, " 25%")
	says(t, b, "12,500 of 50,000 images")
}

// The path of a folder is pasted rather than typed.
func TestThePathOfAFolderCanBePasted(t *testing.T) {
	asked := ""
	b := newBench(t, Options{Load: func(_ context.Context, data string, _ func(Progress)) error {
		asked = data
		return noData(errors.New("no route to host"))
	}}, 80, 24)
	b.run(b.loading.load(""))
	paste := tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("/data/cifar/"), Paste: true}
	b.Update(paste) // no answer to what is asked
	b.press("f")
	b.Update(paste)
	b.Update(tea.KeyMsg{Type: tea.KeyCtrlH}) // Backspace, as some terminals send it
	b.press("enter")
	if asked != "/data/cifar" {
		t.Errorf("loaded %q", asked)
	}
}

// An error that is not of the data has its own title, and no data is offered; it
// is kept for who runs the screen.
func TestStartErrorHasItsOwnTitle(t *testing.T) {
	why := &StartError{Title: "The weights cannot be read", Err: errors.New("it ends too early")}
	tries := 0
	load := func(context.Context, string, func(Progress)) error { tries++; return why }
	b := newBench(t, Options{Load: load}, 80, 24)
	b.run(b.loading.load(""))
	says(t, b, "The weights cannot be read")
	says(t, b, "It ends too early.")
	if strings.Contains(b.View(), "demo set") {
		t.Error("the demo set is offered where the data is not what is wrong")
	}
	b.press("e", "r")
	if tries != 2 {
		t.Errorf("%d tries, want 2", tries)
	}
	b.press("q")
	if !errors.Is(b.result.Err, why) {
		t.Errorf("left with %+v", b.result)
	}
}

func TestPicturesChangeAtMostEveryTenSeconds(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b := newBench(t, Options{}, 120, 40, s.events...)
	b.press("4")
	shown := b.samples.evaluated.Epoch
	s.events = nil
	s.epoch(4)
	b.at = b.at.Add(time.Second)
	b.Update(eventsMsg{events: s.events, at: b.at})
	if b.samples.evaluated.Epoch != shown {
		t.Error("the pictures changed after a second")
	}
	b.at = b.at.Add(samplesPause)
	b.Update(eventsMsg{events: []event.Event{s.events[0]}, at: b.at})
	if b.samples.evaluated.Epoch != 4 {
		t.Error("the pictures are not of the newest epoch")
	}
}

// In events.jsonl only an image's first event holds its pixels.
func TestPicturesAreRemembered(t *testing.T) {
	s := newScript("model_20261123_1405", 64, 200).run(1)
	b := newBench(t, Options{}, 120, 40, s.events...)
	b.press("4")
	before := b.View()
	e := *b.current().Evaluated
	e.Seq += 100
	e.Samples = append([]event.Sample(nil), e.Samples...)
	for i := range e.Samples {
		e.Samples[i].Pixels = nil
	}
	b.at = b.at.Add(time.Hour)
	b.Update(eventsMsg{events: []event.Event{&e}, at: b.at})
	if b.samples.evaluated != &e || b.View() != before {
		t.Error("images without pixels are not shown as before")
	}
}

func TestKeysActOnTheSelectedRun(t *testing.T) {
	b := newBench(t, Options{}, 200, 60, comparison(scenes[0].events())...)
	b.press("2", "o", "o", "n", "p") // by speed: the largest batch is first
	c, ok := b.control.commands()[0].(event.Pause)
	if want := b.ordered(); !ok || c.Run != b.current().Name || want[0].Started.Config.Batch != 512 {
		t.Errorf("sent %#v, sorted first %s", b.control.commands(), want[0].Name)
	}
}

func TestRunsStandInTheOrderOfTheirNames(t *testing.T) {
	b := newBench(t, Options{}, 120, 40)
	for _, name := range []string{"batch=128", "batch=512", "batch=64", "batch=256"} {
		b.feed(newScript(name, 64, 200).start().events...)
	}
	var names []string
	for _, r := range b.all {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "batch=64 batch=128 batch=256 batch=512" || b.current().Name != "batch=64" {
		t.Errorf("%s, selected %s", got, b.current().Name)
	}
	b.press("n")
	b.feed(newScript("batch=8", 64, 200).start().events...)
	if b.current().Name != "batch=128" {
		t.Errorf("a new run moved the selection to %s", b.current().Name)
	}
}

func TestComparedRunsShareOneAxis(t *testing.T) {
	b := newBench(t, Options{}, 200, 60, comparison(scenes[0].events())...)
	b.press("2", "t")
	says(t, b, "images")
	lo, hi, _ := b.curves.span(b.all[1])
	lo0, hi0, _ := b.curves.span(b.all[0])
	if lo != lo0 || hi != hi0 || hi < 40*50000 || hi > 41*50048 {
		t.Errorf("shows %v to %v and %v to %v images, want some 40 epochs of 50,000", lo0, hi0, lo, hi)
	}
	b.press("end")
	at := b.curves.cursor
	b.press("1")
	if got := b.curves.cursor * 50000 / 782; math.Abs(got-at) > 1e-3 {
		t.Errorf("the cursor moved from image %v to %v on the way to Charts", at, got)
	}
}

func TestTheFooterSaysWhatUpAndDownDo(t *testing.T) {
	b := newBench(t, Options{}, 200, 60, comparison(scenes[0].events())...)
	b.press("2")
	says(t, b, "↑↓ zoom")
	b.press("w", "w")
	says(t, b, "↑↓ move")
}

func TestSourceErrorsAreTold(t *testing.T) {
	b := newBench(t, Options{Mode: Attached}, 120, 40, scenes[0].events()...)
	b.Update(eventsMsg{err: errors.New("attach: connection lost"), at: b.at})
	says(t, b, "Attach: connection lost.")
	says(t, b, "out of reach")
	b = newBench(t, Options{Mode: Replay}, 120, 40, scenes[0].events()...)
	b.Update(eventsMsg{err: io.EOF, at: b.at})
	says(t, b, "cut short")
	b = newBench(t, Options{Mode: Replay}, 120, 40)
	b.Update(eventsMsg{err: io.EOF, at: b.at})
	says(t, b, "it never began")
}

func TestHelpScrollsAndCloses(t *testing.T) {
	b := newBench(t, Options{}, 80, 24, scenes[0].events()...)
	b.press("?")
	before := b.View()
	b.press("down", "down")
	if b.View() == before {
		t.Error("the help does not scroll")
	}
	b.press("pgup", "pgdown")
	says(t, b, "zoom in at the cursor") // the last line of the first page
	if strings.Contains(b.View(), "space p") {
		t.Error("a page down is no page")
	}
	for range 20 {
		b.press("pgdown")
	}
	says(t, b, "leave: stop the run, or let it train")
	b.press("x")
	if b.help.On || b.dialog != nil {
		t.Error("another key does not just close the help")
	}
}

// While history is read the screen says so, instead of what the run was doing
// then and how long it would have taken.
func TestHistoryIsBeingRead(t *testing.T) {
	b := newBench(t, Options{Mode: Attached}, 120, 40)
	s := newScript("model_20261123_1405", 64, 200).run(3)
	b.at = b.at.Add(time.Minute)
	b.Update(eventsMsg{events: s.events, at: b.at, more: true})
	says(t, b, "reading")
	if got := colourCode.ReplaceAllString(b.View(), ""); strings.Contains(got, "running") || strings.Contains(got, "epoch left") {
		t.Errorf("tells of the past as if it were now:\n%s", got)
	}
	b.Update(eventsMsg{at: b.at.Add(time.Second)})
	says(t, b, "running")
	says(t, b, "epoch left")
}

// Runs that begin while a question is asked may be selected in the place of the one
// that it names, which is meant all the same.
func TestAnAnswerIsForTheRunThatWasAskedAbout(t *testing.T) {
	for _, keys := range [][]string{{"x", "b"}, {"L", "0", ".", "5", "enter"}} {
		b := newBench(t, Options{}, 120, 40, newScript("batch=128", 128, 200).run(1).events...)
		b.press(keys[0])
		b.feed(newScript("batch=64", 64, 200).start().events...)
		b.press(keys[1:]...)
		var run string
		switch c := b.control.commands()[0].(type) {
		case event.Stop:
			run = c.Run
		case event.SetLearnRate:
			run = c.Run
		}
		if run != "batch=128" {
			t.Errorf("%s: sent to %q", keys[0], run)
		}
	}
}

// A comparison goes on after its selected run has ended, and so in the background.
func TestAComparisonIsDetachedWhateverRunIsSelected(t *testing.T) {
	ended := newScript("batch=64", 64, 2).run(2).end(event.OutcomeFinished, "", 2)
	b := newBench(t, Options{CanDetach: true}, 120, 40, append(ended.events, newScript("batch=128", 128, 2).run(1).events...)...)
	if _, cmd := b.Update(keyMsg("d")); b.current().Ended == nil || !isQuit(cmd) || b.result.Action != Detach {
		t.Errorf("left with %+v; %q", b.result, b.notice.Text)
	}
}

// Runs that are compared by images have as many in an epoch as the data, also where
// the last batch is smaller.
func TestComparedRunsCountImagesAndNotWholeBatches(t *testing.T) {
	r := newRun("a")
	r.apply(&event.RunStarted{Config: config.Config{Batch: 64}, TrainImages: 50000, StepsPerEpoch: 782}, testStart)
	r.apply(&event.EpochDone{Epoch: 1, Total: 782}, testStart)
	r.flush()
	c := &curves{compared: true, axis: chart.ByStep}
	if at := c.places(r, r.epochs); math.Abs(at[0]-50000) > 1e-6 {
		t.Errorf("the first epoch ends at %v images, want 50,000", at[0])
	}
}

// An epoch that comes late, as its line was lost, is drawn between the others.
func TestEpochThatComesLateIsDrawnInItsPlace(t *testing.T) {
	r := newRun("a")
	for _, n := range []int{1, 3, 2, 4} {
		e := &event.EpochDone{Header: event.Header{Seq: uint64(n), Run: "a"}, Epoch: n, Total: int64(10 * n)}
		r.apply(e, time.Time{})
		if n == 3 {
			r.flush() // it is in the chart already
		}
	}
	r.flush()
	if got, want := r.epochs.At[chart.ByEpoch], []float64{1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("drawn at the epochs %v, want %v", got, want)
	}
}

// The table has the runs that the charts hide, also when they hide all.
func TestTableHasHiddenRuns(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, comparison(newScript("a", 64, 200).run(2).events)...)
	b.press("2", "w", "w")
	for range b.all {
		b.press("v", "n")
	}
	if got := strings.Count(colourCode.ReplaceAllString(b.View(), ""), "(hid"); got != len(b.all) {
		t.Errorf("%d of %d hidden runs are in the table:\n%s", got, len(b.all), b.View())
	}
}
