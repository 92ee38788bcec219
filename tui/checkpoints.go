package tui

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"cifartui/train"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// fileState is the Checkpoints view.
type fileState struct {
	chosen  int
	run     string // whose files are listed
	listed  []train.CheckpointInfo
	listing bool
	problem string
	checked map[string]string // by path: what verifying found
}

func (f *fileState) take(msg filesMsg) {
	f.listing, f.run, f.listed, f.problem = false, msg.run, msg.files, ""
	if msg.err != nil {
		f.problem = sentence(msg.err.Error())
	}
}

// A fileRow is one checkpoint: what its file says and what the events told.
type fileRow struct {
	train.CheckpointInfo
	reasons []string
	best    bool
	whole   bool // saved after an epoch, not within one
	done    int  // epochs done, or the one that it was saved in
}

// fileRows lists the run's checkpoints, newest first: the files, and those
// that an event has told of since they were listed.
func (m *Model) fileRows() []fileRow {
	r := m.current()
	if r == nil {
		return nil
	}
	var rows []fileRow
	byName := map[string]int{}
	if m.files.run == r.name {
		for _, f := range m.files.listed {
			byName[f.File] = len(rows)
			rows = append(rows, fileRow{CheckpointInfo: f})
		}
	}
	for _, e := range r.saved {
		i, known := byName[e.File]
		if !known {
			if m.files.run == r.name && !m.files.listing && m.o.Checkpoints != nil && m.now.Sub(e.Time) > time.Minute {
				continue // long gone from the folder
			}
			i = len(rows)
			byName[e.File] = i
			rows = append(rows, fileRow{})
		}
		row := &rows[i]
		row.reasons = append(row.reasons, e.Reason)
		if row.Time.Before(e.Time) || !known {
			row.CheckpointInfo = train.CheckpointInfo{
				File: e.File, Path: path.Join(r.started.Folder, "checkpoints", e.File), Size: e.Size, Time: e.Time,
				Resumable: e.Reason == "last", Epoch: e.Epoch, Step: e.Step, ValAcc: e.ValAcc, ValLoss: e.ValLoss,
				Problem: row.Problem,
			}
		}
	}
	top := -1
	for i := range rows {
		row := &rows[i]
		row.whole = row.Step == 0 || row.Step == r.started.StepsPerEpoch
		row.done = row.Epoch
		if row.Resumable && row.Step == 0 { // it tells the epoch to go on with
			row.done--
		}
	}
	for i, row := range rows {
		if !row.Resumable && row.ValAcc.Finite() && (top < 0 || row.ValAcc > rows[top].ValAcc) {
			top = i
		}
	}
	if top >= 0 {
		rows[top].best = true
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

// chosenFile returns the row that keys act on.
func (m *Model) chosenFile() (fileRow, bool) {
	rows := m.fileRows()
	if len(rows) == 0 {
		return fileRow{}, false
	}
	return rows[min(m.files.chosen, len(rows)-1)], true
}

func (m *Model) hasCheckpoint() bool {
	_, ok := m.chosenFile()
	return ok
}

// listFiles reads the run's checkpoint folder.
func (m *Model) listFiles() tea.Cmd {
	r, files := m.current(), m.o.Checkpoints
	if r == nil || files == nil || m.files.listing {
		return nil
	}
	m.files.listing = true
	name, folder := r.name, r.started.Folder
	return m.do(func() tea.Msg {
		list, err := files.List(folder)
		return filesMsg{name, list, err, m.o.now()}
	})
}

func (m *Model) verify() tea.Cmd {
	f, _ := m.chosenFile()
	files := m.o.Checkpoints
	if files == nil {
		m.say(style.Dim, "The files can't be reached from here.")
		return nil
	}
	m.say(style.Dim, "Checking "+f.File+m.glyphs.Dots)
	return m.do(func() tea.Msg { return verifiedMsg{f.Path, files.Verify(f.Path)} })
}

func (m *Model) verified(msg verifiedMsg) {
	if m.files.checked == nil {
		m.files.checked = map[string]string{}
	}
	m.files.checked[msg.path] = "whole and sound"
	m.say(style.Plain, path.Base(msg.path)+" is whole and sound.")
	if msg.err != nil {
		m.files.checked[msg.path] = msg.err.Error()
		m.say(style.Trouble, sentence(msg.err.Error()))
	}
}

func (m *Model) askDelete() tea.Cmd {
	f, _ := m.chosenFile()
	if m.o.Checkpoints == nil || m.o.Control == nil && m.o.Mode != Replay {
		m.say(style.Dim, "The files can't be changed from here.")
		return nil
	}
	m.dialog = &dialog{
		title: "Delete",
		text:  fmt.Sprintf("Delete %s (%s)? This can't be undone.", f.File, strings.TrimSpace(format.Size(f.Size))),
		options: []option{
			{"c", "cancel", "", nil},
			{"d", "delete", "", func(m *Model) tea.Cmd {
				files := m.o.Checkpoints
				return m.do(func() tea.Msg { return deletedMsg{f.Path, files.Delete(f.Path)} })
			}},
		},
	}
	return nil
}

func (m *Model) deleted(msg deletedMsg) tea.Cmd {
	if msg.err != nil {
		m.say(style.Trouble, sentence(msg.err.Error()))
		return nil
	}
	m.say(style.Plain, "Deleted "+path.Base(msg.path)+".")
	if r := m.current(); r != nil {
		for i, e := range r.saved {
			if e.File == path.Base(msg.path) {
				r.saved = append(r.saved[:i:i], r.saved[i+1:]...)
				break
			}
		}
	}
	return m.listFiles()
}

// copyPath hands the path to the terminal's clipboard (OSC 52), which also
// works over SSH where the terminal allows it.
func (m *Model) copyPath() tea.Cmd {
	f, _ := m.chosenFile()
	if m.tell == nil {
		m.say(style.Plain, f.Path)
		return nil
	}
	code := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(f.Path)) + "\x07"
	return m.do(func() tea.Msg {
		_, _ = io.WriteString(m.tell, code)
		return copiedMsg{f.Path}
	})
}

func (m *Model) askResume() tea.Cmd {
	f, _ := m.chosenFile()
	r := m.current()
	text := fmt.Sprintf("A new run starts from the weights in %s, with a fresh optimizer.", f.File)
	if f.Resumable {
		text = fmt.Sprintf("Training goes on from %s: %s.", f.File, f.where())
	}
	if r.live() && m.o.Mode == Live {
		text += " The run at work is stopped and saved first."
	}
	folder := r.started.Folder
	m.dialog = &dialog{
		title: "Resume from", text: text,
		options: []option{
			{"r", "resume from it", "", func(m *Model) tea.Cmd {
				m.result = Result{Action: ResumeFrom, Run: r.name, Folder: folder, File: f.Path}
				return tea.Quit
			}},
			{"c", "cancel", "", nil},
		},
	}
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
func known(v train.Float, show func(float64) string) string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return show(float64(v))
}

func (m *Model) drawCheckpoints(a canvas.Area) {
	if m.current() == nil {
		m.drawNothing(a, "checkpoints")
		return
	}
	rows := m.fileRows()
	title := fmt.Sprintf(" checkpoints %s %d ", m.glyphs.Sep, len(rows))
	if len(rows) == 0 {
		in := a.Box(style.Frame, m.glyphs)
		a.Text(2, 0, style.Heading, " checkpoints ")
		words := "No checkpoint yet: the first comes with the first epoch."
		if m.canSteer() {
			words += " " + keyLabel(m.keyOf("save"), m.glyphs) + " saves one now."
		}
		if m.files.problem != "" {
			words = m.files.problem
		}
		for i, l := range canvas.Wrap(words, in.W-4) {
			in.Centre(in.H/2+i, style.Dim, l)
		}
		return
	}
	m.files.chosen = min(m.files.chosen, len(rows)-1)
	list, detail := a, canvas.Area{}
	switch {
	case a.W >= 120:
		list = a.Sub(0, 0, a.W-46, a.H)
		detail = a.Sub(a.W-46, 0, 46, a.H)
	case a.H >= 19:
		list = a.Sub(0, 0, a.W, a.H-10)
		detail = a.Sub(0, a.H-10, a.W, 10)
	}
	in := list.Box(style.Frame, m.glyphs)
	list.Text(2, 0, style.Heading, title)
	m.fileTable(rows).Draw(in, m.glyphs)
	if detail.W > 0 {
		m.drawFile(detail, rows[m.files.chosen])
	}
}

func (m *Model) fileTable(rows []fileRow) canvas.Table {
	t := canvas.Table{Chosen: m.files.chosen, Columns: []canvas.TableColumn{
		{Title: "file", Width: 34, Grows: true},
		{Title: "kind", Width: 7, Rank: 1},
		{Title: "epoch", Width: 5, Rank: 3, Right: true},
		{Title: "step", Width: 6, Rank: 6, Right: true},
		{Title: "val_acc", Width: 7, Rank: 2, Right: true},
		{Title: "val_loss", Width: 8, Rank: 5, Right: true},
		{Title: "size", Width: 8, Rank: 7, Right: true},
		{Title: "age", Width: 4, Rank: 4, Right: true},
	}}
	for _, f := range rows {
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
			acc.Text(known(f.ValAcc, format.Percent)), style.Plain.Text(known(f.ValLoss, format.Fixed4)), style.Dim.Text(format.Size(f.Size)), style.Dim.Text(format.Ago(m.now.Sub(f.Time))),
		})
	}
	return t
}

// drawFile shows all that is known of one file.
func (m *Model) drawFile(a canvas.Area, f fileRow) {
	in := a.Box(style.Frame, m.glyphs)
	a.Text(2, 0, style.Heading, " "+canvas.Elide(f.File, a.W-6, m.glyphs)+" ")
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
	if c := m.files.checked[f.Path]; c != "" {
		lines = append(lines, [2]string{"verified", c})
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
