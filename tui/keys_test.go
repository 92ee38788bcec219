package tui

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/creack/pty"
)

// One thing that each action does, seen after its key was pressed. An action
// that is missing here fails the test.
var actionTests = map[string]struct {
	view viewID
	prep []string // keys before
	done func(b *bench) bool
}{
	"pause":           {viewCharts, nil, sent(func(c event.Pause) bool { return c.Run == "model_20261123_1405" })},
	"save":            {viewCharts, nil, sent(func(c event.Save) bool { return c.Run == "model_20261123_1405" })},
	"stop":            {viewCharts, nil, func(b *bench) bool { return b.dialog != nil && b.dialog.Title == "Stop the run" }},
	"learn_rate":      {viewCharts, nil, func(b *bench) bool { return b.dialog != nil && b.dialog.Input != nil }},
	"learn_rate_up":   {viewCharts, nil, sent(func(c event.SetLearnRate) bool { return c.Rate == 1.1 })},
	"learn_rate_down": {viewCharts, nil, sent(func(c event.SetLearnRate) bool { return c.Rate == 0.909 })},
	"detach":          {viewCharts, nil, func(b *bench) bool { return b.result.Action == Detach }},
	"next_run":        {viewCharts, nil, func(b *bench) bool { return b.selected == 1 }},
	"previous_run":    {viewCharts, nil, func(b *bench) bool { return b.selected == 3 }},

	"cursor_left":  {viewCharts, []string{"end"}, func(b *bench) bool { return b.curves.hasCursor && b.curves.cursor == 39 }},
	"cursor_right": {viewCharts, []string{"home"}, func(b *bench) bool { return b.curves.cursor == 2 }},
	"cursor_first": {viewCharts, nil, func(b *bench) bool { return b.curves.hasCursor && b.curves.cursor == 1 }},
	"cursor_last":  {viewCharts, nil, func(b *bench) bool { return b.curves.hasCursor && b.curves.cursor == 40 }},
	"zoom_in":      {viewCharts, nil, func(b *bench) bool { lo, hi, _ := b.curves.span(b.current()); return lo == 20.5 && hi == 40 }},
	"zoom_out":     {viewCharts, []string{"up"}, func(b *bench) bool { return !b.curves.win.Zoomed }},
	"pan_left":     {viewCharts, []string{"up", "up"}, func(b *bench) bool { _, hi, _ := b.curves.span(b.current()); return hi < 40 }},
	"pan_right":    {viewCharts, []string{"up", "up", ",", ","}, func(b *bench) bool { _, hi, _ := b.curves.span(b.current()); return hi > 35 && hi < 38 }},
	"fit":          {viewCharts, []string{"up", "up"}, func(b *bench) bool { return !b.curves.win.Zoomed }},
	"x_axis":       {viewCharts, nil, func(b *bench) bool { return b.curves.axis == chart.ByStep && strings.Contains(b.View(), "step") }},
	"log_scale":    {viewCharts, nil, func(b *bench) bool { return b.curves.log }},
	"smooth_less":  {viewCharts, nil, func(b *bench) bool { return b.curves.weight == 0 }},
	"smooth_more":  {viewCharts, nil, func(b *bench) bool { return b.curves.weight == 2 }},
	"metric":       {viewCharts, nil, func(b *bench) bool { return b.curves.metric == accuracyOnly }},

	"open_run":  {viewCompare, []string{"n"}, func(b *bench) bool { return b.shown == viewCharts && b.selected == 1 }},
	"layout":    {viewCompare, nil, func(b *bench) bool { return b.compare.layout == layoutOverlay }},
	"hide_run":  {viewCompare, nil, func(b *bench) bool { return b.all[0].hidden }},
	"sort_runs": {viewCompare, nil, func(b *bench) bool { return b.order == orderBest }},
	"target":    {viewCompare, nil, func(b *bench) bool { return strings.Contains(b.View(), "to 85%") }},

	"up":        {viewCheckpoints, []string{"down", "down"}, func(b *bench) bool { return b.files.chosen == 1 }},
	"down":      {viewCheckpoints, nil, func(b *bench) bool { return b.files.chosen == 1 }},
	"page_up":   {viewCheckpoints, []string{"end"}, func(b *bench) bool { n := len(b.files.rows); return b.files.chosen == max(0, n-1-20) }},
	"page_down": {viewCheckpoints, nil, func(b *bench) bool { return b.files.chosen == min(20, len(b.files.rows)-1) }},
	"top":       {viewCheckpoints, []string{"down", "down"}, func(b *bench) bool { return b.files.chosen == 0 }},
	"bottom":    {viewCheckpoints, nil, func(b *bench) bool { return b.files.chosen == len(b.files.rows)-1 }},

	"resume_from": {viewCheckpoints, nil, func(b *bench) bool { return b.dialog != nil && b.dialog.Title == "Resume from" }},
	"verify":      {viewCheckpoints, nil, func(b *bench) bool { return strings.Contains(b.View(), "last.ckpt is whole and sound.") }},
	"copy_path":   {viewCheckpoints, nil, func(b *bench) bool { return strings.Contains(b.notice.Text, "/checkpoints/last.ckpt") }},
	"delete":      {viewCheckpoints, nil, func(b *bench) bool { return b.dialog != nil && b.dialog.Title == "Delete" }},
	"matrix":      {viewSamples, nil, func(b *bench) bool { return b.samples.part == imagesOnly }},
	"look":        {viewSamples, nil, func(b *bench) bool { return b.samples.walk.image() == 0 }},
	"image_left":  {viewSamples, []string{"enter", "down", "down"}, func(b *bench) bool { return b.samples.walk.image() == 1 }},
	"image_right": {viewSamples, []string{"enter"}, func(b *bench) bool { return b.samples.walk.image() == 1 }},
	"image_kind":  {viewSamples, []string{"enter"}, func(b *bench) bool { return b.samples.walk.image() == 4 }},
	"image_class": {viewSamples, []string{"enter"}, func(b *bench) bool { return len(b.samples.walk.list) == 10 }},
	"image_pair":  {viewSamples, []string{"enter"}, func(b *bench) bool { return len(b.samples.walk.list) == 8 }},
	"augmented":   {viewSamples, []string{"enter"}, func(b *bench) bool { return len(b.samples.walk.examples) == 8 }},

	"scroll_settings": {viewSystem, nil, func(b *bench) bool { return b.system.settings }},
	"scroll_log":      {viewSystem, []string{"left"}, func(b *bench) bool { return !b.system.settings }},

	"next_view":     {viewCharts, nil, func(b *bench) bool { return b.shown == viewCompare }},
	"previous_view": {viewCharts, nil, func(b *bench) bool { return b.shown == viewSystem }},
	"charts":        {viewSystem, nil, func(b *bench) bool { return b.shown == viewCharts }},
	"compare":       {viewCharts, nil, func(b *bench) bool { return b.shown == viewCompare }},
	"checkpoints":   {viewCharts, nil, func(b *bench) bool { return b.shown == viewCheckpoints }},
	"samples":       {viewCharts, nil, func(b *bench) bool { return b.shown == viewSamples }},
	"system":        {viewCharts, nil, func(b *bench) bool { return b.shown == viewSystem }},
	"all_runs":      {viewCharts, nil, func(b *bench) bool { return b.turned }},
	"back":          {viewCharts, []string{"up", "left"}, func(b *bench) bool { return !b.curves.hasCursor && b.curves.win.Zoomed }},
	"help":          {viewCharts, nil, func(b *bench) bool { return b.help.On && strings.Contains(b.View(), "The screen") }},
	"quit":          {viewCharts, nil, func(b *bench) bool { return b.dialog != nil && b.dialog.Title == "Leave" }},
}

// sent reports whether the one command sent is a C of which ok holds.
func sent[C event.Command](ok func(C) bool) func(*bench) bool {
	return func(b *bench) bool {
		cs := b.control.commands()
		if len(cs) != 1 {
			return false
		}
		c, is := cs[0].(C)
		return is && ok(c)
	}
}

func TestEveryKeyDoesWhatTheTableSays(t *testing.T) {
	events := comparison(scenes[0].events())
	for _, bind := range newModel(&common{}).bindings() {
		test, ok := actionTests[bind.Action]
		if !ok {
			t.Errorf("%s: no test", bind.Action)
			continue
		}
		for _, key := range bind.Keys {
			b := newBench(t, Options{CanDetach: true, AllRuns: true, Checkpoints: &fakeFiles{}, Images: &fakeImages{}}, 120, 40, events...)
			b.system.reading = true
			b.open(test.view)
			b.press(test.prep...)
			b.press(key)
			if !test.done(b) {
				t.Errorf("%s: %q in %s does not do it", bind.Action, key, viewNames[test.view])
			}
			if !strings.Contains(strings.Join(helpText(b.Model), "\n"), bind.Long) {
				t.Errorf("%s is not in the help", bind.Action)
			}
		}
	}
}

func helpText(m *Model) (lines []string) {
	for _, l := range m.table.Lines(m.glyphs, 200) {
		s := ""
		for _, sp := range l {
			s += sp.Text
		}
		lines = append(lines, s)
	}
	return lines
}

// In a narrow window what a key does goes on in the next line.
func TestTheHelpIsNotCut(t *testing.T) {
	m := newModel(&common{glyphs: &style.Unicode})
	table := keymap.Table(m.bindings())
	for _, w := range []int{36, 56, 76} {
		var words []string
		for _, l := range table.Lines(m.glyphs, w) {
			width := 0
			for _, s := range l {
				width += canvas.Width(s.Text)
				words = append(words, strings.Fields(s.Text)...)
			}
			if width > w {
				t.Errorf("%d columns: %v is %d wide", w, l, width)
			}
		}
		all := strings.Join(words, " ")
		for _, b := range table {
			if !strings.Contains(all, b.Long) {
				t.Errorf("%d columns: %q is not whole", w, b.Long)
			}
		}
	}
}

func TestOtherKeysDoNothing(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, scenes[0].events()...)
	b.press("esc") // the scene's last words are gone with any key
	before := b.View()
	for _, k := range []string{"delete", "z", "Q", "ctrl+u", "9", "~"} {
		if _, cmd := b.Update(keyMsg(k)); cmd != nil || b.View() != before {
			t.Errorf("%q does something", k)
		}
	}
}

func TestPastedTextIsNoCommands(t *testing.T) {
	b := newBench(t, Options{}, 120, 40, scenes[0].events()...)
	msg := keyMsg("x")
	msg.Paste = true
	b.Update(msg)
	if b.dialog != nil {
		t.Error("a pasted x asks to stop the run")
	}
}

func TestRebinding(t *testing.T) {
	b := newBench(t, Options{Keys: map[string][]string{"pause": {"z", "Space"}, "save": {}}}, 120, 40, scenes[0].events()...)
	b.press("p", "s")
	if n := len(b.control.commands()); n != 0 {
		t.Fatalf("the old keys still send %d commands", n)
	}
	b.press("z", " ")
	if n := len(b.control.commands()); n != 2 {
		t.Errorf("the new keys send %d commands, want 2", n)
	}
	foot := colourCode.ReplaceAllString(b.View()[strings.LastIndex(b.View(), "\n"):], "")
	if !strings.Contains(foot, "z pause") || strings.Contains(foot, " save") {
		t.Errorf("the footer shows old keys: %s", foot)
	}
	for _, c := range []struct {
		keys map[string][]string
		says string
	}{
		{map[string][]string{"jump": {"z"}}, `no action "jump"`},
		{map[string][]string{"save": {"p"}}, `"p" is both pause and save`},
		{map[string][]string{"verify": {"s"}}, `"s" is both save and verify`},
		{map[string][]string{"quit": {}}, "quit has no key"},
		{map[string][]string{"quit": {"ctrl+Q+x"}}, `quit: no key "ctrl+Q+x"`},
		{map[string][]string{"save": {"shift+s"}}, `save: no key "shift+s"`},
		{map[string][]string{"save": {""}}, `save: no key ""`},
	} {
		if err := CheckKeys(c.keys); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: error %v, want one that says %q", c.keys, err, c.says)
		}
	}
	if err := CheckKeys(map[string][]string{"verify": {"m"}}); err != nil {
		t.Errorf("a key that two views use for different things: %v", err)
	}
	b = newBench(t, Options{Keys: map[string][]string{"save": {"Ctrl+X", "F5", "ALT+S", "alt+Space", "É"}}}, 120, 40, scenes[0].events()...)
	for _, msg := range []tea.KeyMsg{
		{Type: tea.KeyCtrlX}, {Type: tea.KeyF5}, {Type: tea.KeyRunes, Runes: []rune("S"), Alt: true}, {Type: tea.KeySpace, Alt: true}, keyMsg("É"),
	} {
		before := len(b.control.commands())
		_, cmd := b.Update(msg)
		b.run(cmd)
		if len(b.control.commands()) != before+1 {
			t.Errorf("%s does not save", msg)
		}
	}
}

func TestReadOnlyRunsSayWhyKeysDoNothing(t *testing.T) {
	b := newBench(t, Options{Mode: Replay}, 120, 40, scenes[2].events()...)
	b.press("p")
	if !strings.Contains(b.notice.Text, "has ended") {
		t.Errorf("says %q", b.notice.Text)
	}
	foot := b.View()[strings.LastIndex(b.View(), "\n"):]
	if strings.Contains(foot, "pause") {
		t.Error("the footer offers to pause")
	}
	b = newBench(t, Options{Mode: Replay, ReadOnlyWhy: "No socket here."}, 120, 40, scenes[0].events()...)
	b.press("s")
	if b.notice.Text != "No socket here." {
		t.Errorf("says %q", b.notice.Text)
	}
}

// Importing Bubble Tea would ask the terminal for its background and wait for
// an answer before main begins.
func TestStartAsksTheTerminalNothing(t *testing.T) {
	if os.Getenv("CIFARTUI_TEST_CHILD") != "" {
		_, _ = os.Stdout.WriteString("main has begun")
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestStartAsksTheTerminalNothing$")
	cmd.Env = append(os.Environ(), "CIFARTUI_TEST_CHILD=1", "TERM=xterm-256color")
	master, err := pty.Start(cmd)
	if err != nil {
		t.Skip("no pseudo terminal: ", err)
	}
	defer master.Close()
	var got strings.Builder
	buf := make([]byte, 1024)
	for !strings.Contains(got.String(), "main has begun") {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatalf("the program ended after %q", got.String())
		}
		got.Write(buf[:n])
	}
	if before, _, _ := strings.Cut(got.String(), "main has begun"); before != "" {
		t.Errorf("wrote %q to the terminal before main", before)
	}
	_ = cmd.Wait()
}
