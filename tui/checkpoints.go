package tui

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// checkpointsView is the Checkpoints view: the files of a run, and what can be
// done with them.
type checkpointsView struct {
	page
	of      *run // whose rows they are
	rows    []fileRow
	chosen  int
	run     string // whose files are listed
	listed  []checkpoint.Info
	upTo    uint64 // number of the newest event before the listing
	at      time.Time
	listing bool
	again   bool // to be listed once more: something has changed meanwhile
	problem string
	checked map[string]verifiedMsg // by path: what verifying found
}

func (v *checkpointsView) bindings() []keymap.Binding {
	bs := []keymap.Binding{
		{Action: "resume_from", Keys: []string{"r", "enter"}, Short: "resume from", Rank: 2, Long: "leave this run and train on from there", Do: v.askResume},
		{Action: "verify", Keys: []string{"v"}, Short: "verify", Rank: 4, Long: "read the file and check it", Do: v.verify},
		{Action: "copy_path", Keys: []string{"c"}, Short: "copy path", Rank: 5, Long: "copy the file's path to the clipboard", Do: v.copyPath},
		{Action: "delete", Keys: []string{"D", "delete"}, Short: "delete", Rank: 6, Long: "delete the file; asks first", Do: v.askDelete},
	}
	for i := range bs {
		bs[i].When, bs[i].WhyNot = v.hasCheckpoint, func() string { return "There is no checkpoint yet." }
	}
	return keymap.Grouped("Checkpoints", keymap.In(viewCheckpoints), bs)
}

func (v *checkpointsView) open() tea.Cmd { return v.list() }

// receive learns what became of files, and lists them anew when there are more.
func (v *checkpointsView) receive(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case filesMsg:
		v.listing, v.run, v.listed, v.upTo, v.problem = false, msg.run, msg.files, msg.upTo, ""
		if msg.err != nil {
			v.problem = format.Sentence(msg.err.Error())
		}
		v.at, v.now = msg.at, msg.at
		if v.again {
			return v.list()
		}
	case verifiedMsg:
		v.verified(msg)
	case deletedMsg:
		return v.deleted(msg)
	case copiedMsg:
		v.say(style.Plain, "Copied "+msg.path)
	case tickMsg: // files come and go without an event when somebody else is at them
		if v.shown == viewCheckpoints && msg.at.Sub(v.at) >= listPause {
			return v.list()
		}
	case eventsMsg:
		if v.shown == viewCheckpoints && slices.ContainsFunc(msg.events, isCheckpoint) {
			return v.list()
		}
	}
	return nil
}

func isCheckpoint(e event.Event) bool {
	_, is := e.(*event.CheckpointSaved)
	return is
}

// settle makes the rows anew and keeps one of them chosen: the same file, where
// others come above it.
func (v *checkpointsView) settle() (cmd tea.Cmd) {
	if v.shown != viewCheckpoints {
		return nil
	}
	if r := v.current(); r != v.of {
		v.of, v.rows, v.chosen = r, nil, 0
		cmd = v.list()
	}
	file := ""
	if v.chosen < len(v.rows) {
		file = v.rows[v.chosen].File
	}
	v.rows = v.fileRows()
	if i := slices.IndexFunc(v.rows, func(f fileRow) bool { return f.File == file }); i >= 0 {
		v.chosen = i
	}
	v.chosen = max(0, min(v.chosen, len(v.rows)-1))
	return cmd
}

// listPause is the time after which the files are listed again while they are
// shown.
const listPause = 5 * time.Second

// scroll moves the choice.
func (v *checkpointsView) scroll(d int) { v.chosen = max(0, min(v.chosen+d, len(v.rows)-1)) }

// A fileRow is one checkpoint: what its file says and what the events told.
type fileRow struct {
	checkpoint.Info
	reasons []string
	best    bool
	whole   bool // saved after an epoch, not within one
	done    int  // epochs done, or the one that it was saved in
}

// fileRows lists the run's checkpoints, newest first: the files, and those
// that an event has told of since they were listed.
func (v *checkpointsView) fileRows() []fileRow {
	r := v.current()
	if r == nil {
		return nil
	}
	rows := v.withEvents(v.listedRows(r), r)
	for i := range rows {
		row := &rows[i]
		row.whole = row.Step == 0 || row.ValAcc.Finite()
		row.done = row.Epoch
		if row.Resumable && row.Step == 0 { // it tells the epoch to go on with
			row.done--
		}
	}
	if i := bestRow(rows, r.Started.Config.Monitor); i >= 0 {
		rows[i].best = true
	}
	sort.SliceStable(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		if a.Resumable != b.Resumable {
			return a.Resumable
		}
		if a.Epoch != b.Epoch {
			return a.Epoch > b.Epoch
		}
		return a.Time.After(b.Time)
	})
	return rows
}

// listedRows are the files of r, as far as they have been listed.
func (v *checkpointsView) listedRows(r *run) (rows []fileRow) {
	if v.run != r.Name {
		return nil
	}
	for _, f := range v.listed {
		rows = append(rows, fileRow{Info: f})
	}
	return rows
}

// withEvents adds what events tell of the files.
func (v *checkpointsView) withEvents(rows []fileRow, r *run) []fileRow {
	listed := v.run == r.Name && v.problem == "" && v.o.Checkpoints != nil
	for _, e := range r.Checkpoints {
		i := slices.IndexFunc(rows, func(f fileRow) bool { return f.File == e.File })
		known := i >= 0
		if !known {
			if listed && e.Seq <= v.upTo {
				continue // it was written before the files were listed, and is gone
			}
			i = len(rows)
			rows = append(rows, fileRow{})
		}
		row := &rows[i]
		row.reasons = append(row.reasons, e.Reason)
		if row.Time.Before(e.Time) || !known {
			row.Info = checkpoint.Info{
				File: e.File, Path: filepath.Join(r.Started.Folder, "checkpoints", e.File), Size: e.Size, Time: e.Time,
				Resumable: e.Reason == "last", Epoch: e.Epoch, Step: e.Step, ValAcc: e.ValAcc, ValLoss: e.ValLoss,
				Problem: row.Problem,
			}
		}
	}
	return rows
}

// bestRow returns the row of the weights that are best by what is monitored, of
// those that can be used; -1 for none.
func bestRow(rows []fileRow, monitor string) int {
	value := func(f fileRow) event.Float { return f.ValAcc }
	if monitor == "val_loss" {
		value = func(f fileRow) event.Float { return -f.ValLoss }
	}
	best := -1
	for i, f := range rows {
		if !f.Resumable && f.Problem == "" && value(f).Finite() && (best < 0 || value(f) > value(rows[best])) {
			best = i
		}
	}
	return best
}

// kind says what the file is: best, last, manual or every.
func (f fileRow) kind() string {
	switch {
	case f.best:
		return "best"
	case f.Resumable && !strings.HasPrefix(f.File, "last.ckpt."):
		return "last"
	case f.Resumable:
		return "earlier"
	case slices.Contains(f.reasons, "manual"):
		return "manual"
	case slices.Contains(f.reasons, "every"):
		return "every"
	}
	return "weights"
}

func (v *checkpointsView) hasCheckpoint() bool { return len(v.rows) > 0 }

// list reads the run's checkpoint folder.
func (v *checkpointsView) list() tea.Cmd {
	r, files := v.current(), v.o.Checkpoints
	if r == nil || files == nil {
		return nil
	}
	if v.again = v.listing; v.again {
		return nil
	}
	v.listing = true
	name, folder, upTo := r.Name, r.Started.Folder, r.Seq
	return v.do(func() tea.Msg {
		list, err := files.List(folder)
		return filesMsg{name, list, upTo, err, v.o.now()}
	})
}

func (v *checkpointsView) verify() tea.Cmd {
	f := v.rows[v.chosen]
	files := v.o.Checkpoints
	if files == nil {
		v.say(style.Dim, "The files can't be reached from here.")
		return nil
	}
	v.say(style.Dim, "Checking "+f.File+v.glyphs.Dots)
	return v.do(func() tea.Msg { return verifiedMsg{f.Path, f.Time, files.Verify(f.Path)} })
}

func (v *checkpointsView) verified(msg verifiedMsg) {
	if v.checked == nil {
		v.checked = map[string]verifiedMsg{}
	}
	v.checked[msg.path] = msg
	if msg.err != nil {
		v.say(style.Trouble, format.Sentence(msg.err.Error()))
		return
	}
	v.say(style.Plain, filepath.Base(msg.path)+" is whole and sound.")
}

// found says what verifying a file has found; "" if it was not verified since it was
// written.
func (v *checkpointsView) found(f fileRow) string {
	switch c, ok := v.checked[f.Path]; {
	case !ok || f.Time.After(c.written):
		return ""
	case c.err != nil:
		return c.err.Error()
	}
	return "whole and sound"
}

func (v *checkpointsView) askDelete() tea.Cmd {
	f := v.rows[v.chosen]
	if v.o.Checkpoints == nil || v.o.Control == nil && v.o.Mode != Replay {
		v.say(style.Dim, "The files can't be changed from here.")
		return nil
	}
	v.ask(&dialog.Dialog{
		Title: "Delete",
		Text:  fmt.Sprintf("Delete %s (%s)? This can't be undone.", f.File, strings.TrimSpace(format.Size(f.Size))),
		Options: []dialog.Option{
			{Key: "c", Label: "cancel"},
			{Key: "d", Label: "delete", Do: func() tea.Cmd {
				files := v.o.Checkpoints
				return v.do(func() tea.Msg { return deletedMsg{f.Path, files.Delete(f.Path)} })
			}},
		},
	})
	return nil
}

func (v *checkpointsView) deleted(msg deletedMsg) tea.Cmd {
	if msg.err != nil {
		v.say(style.Trouble, format.Sentence(msg.err.Error()))
		return nil
	}
	v.say(style.Plain, "Deleted "+filepath.Base(msg.path)+".")
	return v.list()
}

// copyPath hands the path to the terminal's clipboard (OSC 52), which also
// works over SSH where the terminal allows it.
func (v *checkpointsView) copyPath() tea.Cmd {
	f := v.rows[v.chosen]
	if v.terminal == nil {
		v.say(style.Plain, f.Path)
		return nil
	}
	code := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(f.Path)) + "\x07"
	return v.do(func() tea.Msg {
		_, _ = io.WriteString(v.terminal, code)
		return copiedMsg{f.Path}
	})
}

func (v *checkpointsView) askResume() tea.Cmd {
	f := v.rows[v.chosen]
	r := v.current()
	text := fmt.Sprintf("A new run starts from the weights in %s, with a fresh optimizer.", f.File)
	if f.Resumable {
		text = fmt.Sprintf("Training goes on from %s: %s.", f.File, f.where())
	}
	if r.live() && v.o.Mode == Live {
		text += " The run at work is stopped and saved first."
	}
	folder := r.Started.Folder
	v.ask(&dialog.Dialog{
		Title: "Resume from", Text: text,
		Options: []dialog.Option{
			{Key: "r", Label: "resume from it", Do: func() tea.Cmd {
				return v.leave(Result{Action: ResumeFrom, Run: r.Name, Folder: folder, File: f.Path})
			}},
			{Key: "c", Label: "cancel"},
		},
	})
	return nil
}

// where says how far training was.
func (f fileRow) where() string {
	if f.whole {
		if f.done < 1 {
			return "before the first epoch"
		}
		return fmt.Sprintf("after epoch %d", f.done)
	}
	return fmt.Sprintf("epoch %d, step %d", f.Epoch, f.Step)
}

// known shows a value, or a dash for one that is not known.
func known(v event.Float, show func(float64) string) string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return show(float64(v))
}

func (v *checkpointsView) draw(a canvas.Area) {
	switch {
	case v.current() == nil:
		v.drawNothing(a, "checkpoints")
		return
	case len(v.rows) == 0:
		v.drawWords(a, "checkpoints", v.whyNone())
		return
	}
	list, detail := a, canvas.Area{}
	switch {
	case a.W >= 120:
		list = a.Sub(0, 0, a.W-46, a.H)
		detail = a.Sub(a.W-46, 0, 46, a.H)
	case a.H >= 19:
		list = a.Sub(0, 0, a.W, a.H-10)
		detail = a.Sub(0, a.H-10, a.W, 10)
	}
	in := v.titled(list, fmt.Sprintf("checkpoints %s %d", v.glyphs.Sep, len(v.rows)))
	v.fileTable().Draw(in, v.glyphs)
	if detail.W > 0 {
		v.drawFile(detail, v.rows[v.chosen])
	}
}

// whyNone says why there is no checkpoint to list.
func (v *checkpointsView) whyNone() string {
	words := "No checkpoint yet: the first comes with the first epoch."
	if v.canSteer() {
		words += " " + v.keyOf("save") + " saves one now."
	}
	if v.problem != "" {
		words = v.problem
	}
	return words
}

func (v *checkpointsView) fileTable() canvas.Table {
	t := canvas.Table{Chosen: v.chosen, Columns: []canvas.TableColumn{
		{Title: "file", Width: 34, Grows: true},
		{Title: "kind", Width: 7, Rank: 1},
		{Title: "epoch", Width: 5, Rank: 3, Right: true},
		{Title: "step", Width: 6, Rank: 6, Right: true},
		{Title: "val_acc", Width: 7, Rank: 2, Right: true},
		{Title: "val_loss", Width: 8, Rank: 5, Right: true},
		{Title: "size", Width: 8, Rank: 7, Right: true},
		{Title: "age", Width: 4, Rank: 4, Right: true},
	}}
	for _, f := range v.rows {
		st, acc := style.Plain, style.Plain
		if f.best {
			acc = style.Validation
		}
		if f.Problem != "" {
			st = style.Trouble
		}
		step := "-"
		if !f.whole {
			step = fmt.Sprint(f.Step)
		}
		t.Rows = append(t.Rows, []style.Span{
			st.Text(f.File), acc.Text(f.kind()), style.Plain.Text(fmt.Sprint(f.done)), style.Plain.Text(step),
			acc.Text(known(f.ValAcc, format.Percent)), style.Plain.Text(known(f.ValLoss, format.Fixed4)), style.Dim.Text(format.Size(f.Size)), style.Dim.Text(format.Ago(v.now.Sub(f.Time))),
		})
	}
	return t
}

// drawFile shows all that is known of one file.
func (v *checkpointsView) drawFile(a canvas.Area, f fileRow) {
	in := a.Box(style.Frame, v.glyphs)
	a.Text(2, 0, style.Heading, " "+canvas.Elide(f.File, a.W-6, v.glyphs)+" ")
	in = in.Sub(1, 0, in.W-2, in.H)
	use := "weights, for eval, predict and a new run's start"
	if f.Resumable {
		use = "all that a resume needs, to the bit"
	}
	lines := [][2]string{
		{"kind", f.kind()},
		{"trained", f.where()},
		{"val_acc", strings.TrimSpace(known(f.ValAcc, format.Percent))},
		{"val_loss", strings.TrimSpace(known(f.ValLoss, format.Fixed4))},
		{"size", strings.TrimSpace(format.Size(f.Size))},
		{"saved", f.Time.Format("2006-01-02 15:04:05")},
		{"holds", use},
	}
	if found := v.found(f); found != "" {
		lines = append(lines, [2]string{"verified", found})
	}
	if f.Problem != "" {
		lines = append(lines, [2]string{"problem", f.Problem})
	}
	lines = append(lines, [2]string{"path", f.Path})
	y := 0
	const label = 10
	for _, l := range lines {
		st := style.Plain
		if l[0] == "problem" {
			st = style.Trouble
		}
		in.Text(0, y, style.Dim, l[0])
		for _, t := range canvas.Wrap(l[1], in.W-label) {
			in.Text(label, y, st, t)
			y++
		}
	}
}
