package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/event"
	"cifartui/train/survey"
	"cifartui/train/survey/surveytest"
	"cifartui/tui"
	"cifartui/tui/chart"

	tea "github.com/charmbracelet/bubbletea"
)

// One thing that each action does, seen after its key was pressed. An action that
// is missing here fails the test.
var actionTests = map[string]struct {
	prep []string // keys before
	done func(b *bench) bool
}{
	"open":         {nil, func(b *bench) bool { return slices.Equal(b.opened, []string{"model_20261123_1305"}) && b.screen != nil }},
	"mark":         {nil, func(b *bench) bool { return len(b.list.marks) == 1 }},
	"mark_shown":   {nil, func(b *bench) bool { return len(b.list.marks) == 11 }},
	"unmark":       {[]string{"a"}, func(b *bench) bool { return len(b.list.marks) == 0 }},
	"up":           {[]string{"down", "down"}, func(b *bench) bool { return b.list.at == 1 }},
	"down":         {nil, func(b *bench) bool { return b.list.at == 1 }},
	"page_up":      {[]string{"end"}, func(b *bench) bool { return b.list.at == 0 }},
	"page_down":    {nil, func(b *bench) bool { return b.list.at == 10 }},
	"top":          {[]string{"end"}, func(b *bench) bool { return b.list.at == 0 }},
	"bottom":       {nil, func(b *bench) bool { return b.list.at == 10 }},
	"filter":       {nil, func(b *bench) bool { return b.typing != nil }},
	"sort":         {nil, func(b *bench) bool { return b.list.shown[0].Name == "model_20261003_1811" }},
	"reverse":      {nil, func(b *bench) bool { return b.list.shown[1].Name == "old" }},
	"pause":        {nil, dialogue("Pause or go on")},
	"save":         {nil, dialogue("Save")},
	"stop":         {nil, dialogue("Stop 1 run")},
	"delete":       {nil, func(b *bench) bool { return strings.Contains(b.notice.Text, "is live") }},
	"prune":        {nil, func(b *bench) bool { return strings.Contains(b.notice.Text, "are not pruned") }},
	"pane":         {nil, func(b *bench) bool { return b.pane == paneSettings }},
	"pane_back":    {nil, func(b *bench) bool { return b.pane == paneNone }},
	"metric":       {nil, func(b *bench) bool { return strings.Contains(b.View(), "val_loss ") }},
	"x_axis":       {nil, func(b *bench) bool { return b.curves.axis == chart.ByStep && strings.Contains(b.View(), "images") }},
	"cursor_left":  {nil, func(b *bench) bool { return b.curves.hasCursor && b.curves.cursor == 12 }},
	"cursor_right": {nil, func(b *bench) bool { return b.curves.hasCursor && b.curves.cursor == 1 }},
	"smooth_less":  {nil, func(b *bench) bool { return b.curves.weight == 0 }},
	"smooth_more":  {nil, func(b *bench) bool { return b.curves.weight == 2 }},
	"log_scale":    {nil, func(b *bench) bool { return b.curves.log }},
	"home":         {nil, func(b *bench) bool { return b.notice.Text == "This is the screen over all runs." }},
	"back":         {[]string{"a"}, func(b *bench) bool { return len(b.list.marks) == 0 }},
	"help":         {nil, func(b *bench) bool { return b.help.On && strings.Contains(b.View(), "The list") }},
	"quit":         {nil, func(b *bench) bool { return b.quit }},
}

func dialogue(title string) func(b *bench) bool {
	return func(b *bench) bool { return b.dialog != nil && b.dialog.Title == title }
}

func TestEveryKeyDoesWhatTheTableSays(t *testing.T) {
	for _, bind := range newBench(t, tui.Options{}, 120, 36).bindings() {
		test, ok := actionTests[bind.Action]
		if !ok {
			t.Errorf("%s: no test", bind.Action)
			continue
		}
		for _, key := range bind.Keys {
			b := newBench(t, tui.Options{}, 120, 36, scene()...)
			b.press(test.prep...)
			if test.done(b) {
				t.Errorf("%s is done before its key", bind.Action)
			}
			b.press(key)
			if !test.done(b) {
				t.Errorf("%s: %q does not do it\n%s", bind.Action, key, b.View())
			}
		}
	}
}

// A question counts the runs, the live ones are asked, and who could not be reached
// is said.
func TestManyRunsAreSteeredAtOnce(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, scene()...)
	b.deaf["batch=128"] = true
	b.press("a", "p")
	if b.dialog == nil || !strings.Contains(b.dialog.Text, "4 of the 11 marked runs are live") {
		t.Fatalf("the question is %+v", b.dialog)
	}
	b.press("p")
	slices.Sort(b.sent)
	if want := []string{"batch=64: event.Pause", "model_20261123_1305: event.Pause"}; !slices.Equal(b.sent, want) {
		t.Errorf("asked %v, want %v", b.sent, want)
	}
	if b.dialog == nil || !strings.Contains(b.dialog.Text, "1 of 3 runs could not be asked to pause") || !strings.Contains(b.dialog.Text, "sweep/batch=128: the machine does not answer") {
		t.Fatalf("told %+v", b.dialog)
	}
	b.sent = nil
	b.press("enter", "p", "r")
	if want := []string{"model_20261123_0905: event.Resume"}; !slices.Equal(b.sent, want) {
		t.Errorf("asked %v, want %v", b.sent, want)
	}
	b.sent = nil
	b.press("u", "home", "x", "e")
	if want := []string{"model_20261123_1305: event.Stop"}; !slices.Equal(b.sent, want) || !strings.Contains(b.notice.Text, "1 run was asked to stop") {
		t.Errorf("asked %v, want %v; %q", b.sent, want, b.notice.Text)
	}
	b.sent = nil
	b.press("s", "esc", "end", "s")
	if len(b.sent) > 0 || b.dialog != nil || !strings.Contains(b.notice.Text, "is not live") {
		t.Errorf("asked %v; %q", b.sent, b.notice.Text)
	}
}

// What was marked stays marked, in its colour, whatever is shown, and until it is
// gone.
func TestMarksStay(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, scene()...)
	b.press(" ", "down", " ", "down", " ", "home", " ") // the first is taken back
	marks := func() (s string) {
		for _, r := range b.list.marked() {
			s += fmt.Sprintf("%s %d ", r.Name, r.mark)
		}
		return s
	}
	if want := "model_20261123_0905 2 sweep/batch=64 3 "; marks() != want {
		t.Fatalf("marked %q, want %q", marks(), want)
	}
	b.press("/", "z", "z", "enter", "o")
	b.press("esc", "end", " ")
	if want := "model_20261123_0905 2 sweep/batch=64 3 sweep/batch=256 1 "; marks() != want {
		t.Fatalf("marked %q, want %q", marks(), want)
	}
	b.Update(updateMsg{update: survey.Update{Gone: []string{"/data/runs/sweep/batch=64"}, Listed: true}, at: testNow})
	if want := "model_20261123_0905 2 sweep/batch=256 1 "; marks() != want {
		t.Fatalf("marked %q, want %q", marks(), want)
	}
}

// The chosen run stays the chosen one as others come and go and the order changes.
func TestTheChosenRunStaysChosen(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, scene()...)
	b.press("down", "down")
	chosen := b.list.chosenRow().Name
	b.tell(made("newest", 0.1, 3, liveIn(event.StateRunning)))
	b.press("o", "O")
	if got := b.list.chosenRow().Name; got != chosen {
		t.Errorf("%s is chosen, not %s", got, chosen)
	}
	b.Update(updateMsg{update: survey.Update{Gone: []string{b.list.chosenRow().Folder}, Listed: true}, at: testNow})
	if b.list.chosenRow() == nil || b.list.chosenRow().Name == chosen {
		t.Error("nothing else is chosen once it is gone")
	}
}

// The run that a program began with is chosen once it is read; of a comparison its
// first.
func TestWhatIsSoughtIsChosenOnceItIsShown(t *testing.T) {
	for folder, want := range map[string]string{"/data/runs/sweep": "sweep/batch=64", "/data/runs/../runs/model_20261003_1811": "model_20261003_1811"} {
		b := newBench(t, tui.Options{}, 120, 36)
		b.list.choose(folder)
		b.tell(scene()[0])
		b.tell(scene()...)
		if got := b.list.chosenRow().Name; got != want {
			t.Errorf("%s: %s is chosen, want %s", folder, got, want)
		}
	}
}

// enter opens a run's screen with its own keys, backspace comes back to the list
// as it was.
func TestARunIsOpenedAndLeft(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, scene()...)
	b.press("down", " ", "enter")
	if b.screen == nil || !strings.Contains(b.View(), "Charts") {
		t.Fatalf("no run's screen:\n%s", b.View())
	}
	b.press("?")
	if !strings.Contains(b.View(), "pause or go on, between two batches") {
		t.Errorf("not its own help:\n%s", b.View())
	}
	b.press("esc", "backspace")
	if b.screen != nil || !strings.Contains(b.View(), "1 marked") || b.list.at != 1 {
		t.Errorf("not back:\n%s", b.View())
	}
	b.press("enter", "q")
	if !b.quit {
		t.Error("q in a run's screen does not leave")
	}
}

// newHome shows the screen of a run that trains in this process.
func newHome(t *testing.T, keys map[string][]string) *bench {
	t.Helper()
	b := &bench{t: t, deaf: map[string]bool{}}
	var err error
	b.Model, err = New(t.Context(), Options{
		Screen: tui.Options{Env: env(), Name: "model_20261123_1305", Control: nothing{}, Keys: keys}, First: true, Folder: func() string { return "/data/runs/model_20261123_1305" },
		Folders: []string{t.TempDir()}, Open: b.open, Send: b.send,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.Update(tea.WindowSizeMsg{Width: 120, Height: 36})
	return b
}

// turn turns to the list.
func (b *bench) turn() {
	_, cmd := b.Update(keyMsg("0"))
	for cmd != nil { // the first message alone: the others wait for folders
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			cmd = batch[0]
			continue
		}
		b.Update(msg)
		return
	}
}

// With a run that trains in this process, the list comes over its screen, and q
// asks there what is to become of it, whatever key that has for it.
func TestAKeyTurnsFromALiveRunToAllAndBack(t *testing.T) {
	b := newHome(t, map[string][]string{"quit": {"Q"}, "help": {"q"}})
	if !strings.Contains(b.View(), "Charts") {
		t.Fatalf("not the run's screen:\n%s", b.View())
	}
	b.turn()
	b.tell(scene()...)
	if !strings.Contains(b.View(), "All runs") || b.list.chosenRow().Name != "model_20261123_1305" {
		t.Fatalf("not the list:\n%s", b.View())
	}
	b.Update(keyMsg("enter"))
	if b.top() != b.home {
		t.Error("enter on the run that trains here does not show its screen")
	}
	b.turn()
	b.Update(keyMsg("q"))
	if b.top() != b.home || !strings.Contains(b.View(), "stop and save") {
		t.Errorf("q does not ask on the run's own screen:\n%s", b.View())
	}
}

// Who leaves the screen of another run does not end the one that trains here
// without being asked.
func TestLeavingAnotherRunAsksAboutTheOneThatTrainsHere(t *testing.T) {
	b := newHome(t, nil)
	b.turn()
	b.tell(scene()...)
	b.press("end", "up", "enter")
	if b.screen == nil || b.top() != b.screen {
		t.Fatalf("no other run's screen:\n%s", b.View())
	}
	b.press("q")
	if b.quit || b.screen != nil || b.top() != b.home || !strings.Contains(b.View(), "stop and save") {
		t.Fatalf("q in another run's screen: quit %v\n%s", b.quit, b.View())
	}
	b.press("esc")
	b.askResume(tui.Result{Action: tui.ResumeFrom, File: "/data/runs/old/checkpoints/last.ckpt"})
	b.athome = false
	b.press("c")
	if b.quit || b.dialog != nil {
		t.Error("called off, the program is left all the same")
	}
	b.askResume(tui.Result{Action: tui.ResumeFrom, File: "/data/runs/old/checkpoints/last.ckpt"})
	b.press("r")
	if !b.quit || b.result.Action != tui.ResumeFrom {
		t.Errorf("quit %v with %+v", b.quit, b.result)
	}
}

type nothing struct{}

func (nothing) Send(event.Command) error { return nil }

// Runs are deleted after a question that says what goes; a comparison goes whole
// when all of its runs do.
func TestRunsAreDeletedAfterAQuestion(t *testing.T) {
	dir := t.TempDir()
	if err := surveytest.Many(dir, 3, 2); err != nil {
		t.Fatal(err)
	}
	var rs []*survey.Run
	for i := range 3 {
		name := fmt.Sprintf("run-%04d", i)
		rs = append(rs, made(name, float64(i), 2, func(r *survey.Run) {}))
		rs[i].Folder = filepath.Join(dir, name)
	}
	b := newBench(t, tui.Options{}, 120, 36, rs...)
	b.press(" ", "down", " ", "D")
	if b.dialog == nil || b.dialog.Title != "Delete 2 runs" || !strings.Contains(b.dialog.Text, "run-0000, run-0001") || !strings.Contains(b.dialog.Text, "kB") {
		t.Fatalf("the question is %+v", b.dialog)
	}
	b.press("enter") // the first answer is to cancel
	if n := left(t, dir); n != 3 {
		t.Fatalf("%d folders are left after cancel", n)
	}
	b.press("D", "d")
	if n := left(t, dir); n != 1 {
		t.Errorf("%d folders are left", n)
	}
	if !strings.Contains(b.notice.Text, "Deleted 2 folders") {
		t.Errorf("said %q", b.notice.Text)
	}
	c := newBench(t, tui.Options{}, 120, 36, scene()...)
	if got := c.whole([]*row{{Run: scene()[2]}}); len(got) != 1 || !strings.HasSuffix(got[0], "batch=64") {
		t.Errorf("one of a comparison: %v", got)
	}
	var members []*row
	for _, r := range c.list.rows {
		if r.Comparison != "" {
			members = append(members, r)
		}
	}
	if got := c.whole(members); !slices.Equal(got, []string{"/data/runs/sweep"}) {
		t.Errorf("all of a comparison: %v", got)
	}
}

// Who goes on while it is counted what a deletion would free is not asked any more:
// what is typed by then is no answer.
func TestALateQuestionIsNotAsked(t *testing.T) {
	dir := t.TempDir()
	if err := surveytest.Many(dir, 1, 2); err != nil {
		t.Fatal(err)
	}
	r := made("run-0000", 1, 2, nil)
	r.Folder = filepath.Join(dir, "run-0000")
	b := newBench(t, tui.Options{}, 120, 36, r)
	_, counted := b.Update(keyMsg("D"))
	b.press("/")
	b.run(counted)
	b.press("d", "r", "enter")
	if b.dialog != nil || left(t, dir) != 1 || b.list.text != "dr" {
		t.Errorf("dialog %+v, %d folders left, only %q shown", b.dialog, left(t, dir), b.list.text)
	}
}

func left(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Keys that come in one piece, and pastes, are taken as what they are.
func TestTypedAndPastedText(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, scene()...)
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("jjj")})
	if b.list.at != 3 {
		t.Errorf("three keys in one piece move to %d", b.list.at)
	}
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("qxD"), Paste: true})
	if b.quit || b.dialog != nil {
		t.Error("a paste is taken for keys")
	}
	b.press("/")
	b.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("lr>0.1"), Paste: true})
	b.press("enter")
	if b.list.text != "lr>0.1" || len(b.list.shown) != 2 {
		t.Errorf("pasted %q, %d shown", b.list.text, len(b.list.shown))
	}
}

func TestAgesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 3 * time.Second: "3s", 90 * time.Second: "1m", 5 * time.Hour: "5h", 99 * time.Hour: "99h",
		120 * time.Hour: "5d", 400 * 24 * time.Hour: "400d", 1100 * 24 * time.Hour: "3y",
	} {
		if got := since(d); got != want || len(got) > 4 {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// While folders are still being read, runs of a comparison that are not shown yet
// are not deleted with those that are.
func TestAComparisonIsNotDeletedWholeBeforeItIsReadWhole(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36)
	b.Update(updateMsg{update: survey.Update{Runs: scene()[2:4]}, at: testNow})
	var rows []*row
	for _, r := range b.list.rows {
		rows = append(rows, r)
	}
	if got := b.whole(rows); len(got) != 2 || slices.Contains(got, "/data/runs/sweep") {
		t.Errorf("two of three runs that there are: %v", got)
	}
}

// A comparison's folder is no run's: what became of it is seen by one of its runs.
func TestADeletedComparisonIsLookedAtByARun(t *testing.T) {
	l := newBench(t, tui.Options{}, 120, 36, scene()...).list
	if got := l.runIn("/data/runs/sweep"); l.rows[got] == nil || l.rows[got].Comparison != "/data/runs/sweep" {
		t.Errorf("looks at %s", got)
	}
	if got := l.runIn("/data/runs/old"); got != "/data/runs/old" {
		t.Errorf("a run is looked at by %s", got)
	}
}

// Runs grow too old for what is asked for without anything else that happens.
func TestAFilterOfAgesFollowsTheClock(t *testing.T) {
	b := newBench(t, tui.Options{}, 120, 36, made("young", 1, 3, nil), made("old", 5, 3, nil))
	b.press("/", "a", "g", "e", "<", "2", "h", "enter")
	if len(b.list.shown) != 1 {
		t.Fatalf("%d runs are younger than two hours, want 1", len(b.list.shown))
	}
	b.Update(tickMsg{testNow.Add(2 * time.Hour)})
	if n := len(b.list.shown); n != 0 {
		t.Errorf("two hours later %d are", n)
	}
}

// In a window that is too small for the list keys act on the runs that there are, and not
// on those that there were when it was larger.
func TestKeysInASmallWindowActOnWhatThereIs(t *testing.T) {
	b := newBench(t, tui.Options{}, 80, 24, made("a", 1, 3, nil), made("b", 2, 3, nil))
	b.Update(tea.WindowSizeMsg{Width: 30, Height: 8})
	b.Update(updateMsg{update: survey.Update{Gone: []string{"/data/runs/a"}, Listed: true}, at: testNow})
	b.press("a")
	if got := b.list.marks; !slices.Equal(got, []string{"/data/runs/b"}) {
		t.Errorf("marked are %v", got)
	}
	b.press("a") // takes the marks away
	if len(b.list.marks) > 0 {
		t.Errorf("still marked are %v", b.list.marks)
	}
}
