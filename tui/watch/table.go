package watch

import (
	"fmt"
	"strings"
	"time"

	"cifartui/train/event"
	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// sparkWidth is how many columns the curve of val_acc has in the list.
const sparkWidth = 10

// columns are the list's columns. Those of higher rank are left out first.
func (m *Model) columns() []canvas.TableColumn {
	job := canvas.TableColumn{Rank: -1}
	if m.list.jobs {
		job = canvas.TableColumn{Title: "job", Width: 18, Rank: 3}
	}
	return []canvas.TableColumn{
		{Title: "run", Width: 18, Grows: true},
		{Title: "state", Width: 11},
		{Title: "epoch", Width: max(7, 2*len(fmt.Sprint(m.list.epochs))+1), Rank: 1, Right: true},
		{Title: "best", Width: 6, Right: true},
		{Title: "val_acc", Width: sparkWidth, Rank: 5},
		{Title: "img/s", Width: 5, Rank: 6, Right: true},
		{Title: "age", Width: 4, Rank: 4, Right: true},
		{Title: "machine", Width: 10, Rank: 7},
		job,
		{Title: "at", Width: 4, Rank: 8, Right: true},
		{Title: "left", Width: 6, Rank: 9, Right: true},
	}
}

// cells are a run's cells in the columns.
func (m *Model) cells(r *row) []style.Span {
	st, word := m.state(r)
	name := style.Plain
	if !r.Live {
		name = style.Dim
	}
	epoch, at, left := "-", "-", "-"
	if r.Epochs > 0 {
		epoch = fmt.Sprintf("%d/%d", r.Epoch, r.Epochs)
	}
	best := style.Dim.Text("-")
	if r.BestEpoch > 0 {
		best, at = style.Validation.Text(format.Percent(float64(r.BestValAcc))), fmt.Sprint(r.BestEpoch)
	}
	speed := "-"
	if r.ImagesPerSecond > 0 {
		speed = strings.TrimSpace(format.Speed(r.ImagesPerSecond))
	}
	age := "-"
	if !r.Created.IsZero() {
		age = since(m.now.Sub(r.Created))
	}
	if r.Live && r.Remaining >= 0 {
		left = strings.TrimSpace(format.Duration6(r.Remaining))
	}
	if r.Problem != "" && r.Epochs == 0 {
		name = style.Dim
	}
	return []style.Span{
		name.Text(r.Name), st.Text(word), style.Plain.Text(epoch), best, style.Validation.Text(m.spark(r)),
		style.Plain.Text(speed), style.Plain.Text(age), style.Dim.Text(r.Machine()), m.job(r), style.Plain.Text(at), style.Plain.Text(left),
	}
}

// since shows an age in its largest unit, in 4 columns at most.
func since(d time.Duration) string {
	switch {
	case d < time.Second: // or another machine's clock
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
	return format.Ago(d)
}

// state is what a run is doing or how it ended, in a word and in a colour.
func (m *Model) state(r *row) (style.Style, string) {
	if r.Problem != "" && !r.Live {
		return style.Trouble, "damaged"
	}
	word := strings.ReplaceAll(r.State, "_", " ")
	switch {
	case r.State == string(event.StatePaused), r.State == string(event.StateSaving), r.State == string(event.StateStopping):
		return style.Caution, word
	case r.State == string(event.OutcomeEarlyStopped):
		return style.Plain, "early stop"
	case r.State == string(event.OutcomeFailed), r.State == string(event.OutcomeDiverged):
		return style.Trouble, word
	case r.State == string(event.StateRunning):
		return style.Running, word
	case r.State == runs.Interrupted:
		return style.Caution, word
	case r.Live, r.State == survey.NotBegun:
		return style.Dim, word
	}
	return style.Plain, word
}

// job says how the scheduler sees a run.
func (m *Model) job(r *row) style.Span {
	if r.job.ID == "" {
		return style.Dim.Text("")
	}
	text, st := r.job.ID+" "+r.job.State, style.Plain
	switch {
	case r.job.Reason != "":
		text, st = text+" "+r.job.Reason, style.Dim
	case r.job.Node != "" && r.job.Node != r.Machine():
		text += " " + r.job.Node
	}
	return st.Text(text)
}

// drawList draws the rows that the window shows under their titles.
func (m *Model) drawList(a canvas.Area) {
	in := a.Box(style.Frame, m.glyphs)
	title := " runs "
	if l := m.list; l.text != "" && len(l.shown) != len(l.rows) {
		title = fmt.Sprintf(" %s of %s ", format.Count(int64(len(l.shown))), format.Plural(len(l.rows), "run"))
	}
	a.Text(2, 0, style.Heading, title)
	if len(m.list.shown) == 0 {
		m.drawEmpty(in)
		return
	}
	t := canvas.Table{Columns: m.columns(), Chosen: m.list.at - m.list.first}
	last := min(m.list.first+in.H-1, len(m.list.shown))
	for _, r := range m.list.shown[m.list.first:last] {
		t.Rows = append(t.Rows, m.cells(r))
	}
	t.Draw(in, m.glyphs)
	for i, r := range m.list.shown[m.list.first:last] {
		if r.mark > 0 {
			in.Text(1, 1+i, style.Run(r.mark-1), m.glyphs.Marked)
		}
	}
	if len(m.list.shown) > in.H-1 {
		where := fmt.Sprintf(" %d of %d ", m.list.at+1, len(m.list.shown))
		a.Text(a.W-2-canvas.Width(where), a.H-1, style.Dim, where)
	}
}

// drawEmpty says why no run is shown.
func (m *Model) drawEmpty(a canvas.Area) {
	lines := []string{"Reading" + m.glyphs.Dots}
	switch {
	case m.list.problem != "":
		lines = canvas.Wrap(m.list.problem, a.W-4)
	case len(m.list.rows) > 0:
		lines = []string{"No run is like that.", "esc shows all " + format.Count(int64(len(m.list.rows))) + "."}
	case m.list.listed:
		lines = append(canvas.Wrap("No runs in "+strings.Join(m.o.Folders, ", ")+" yet.", a.W-4), "They show up here as they begin.")
	}
	for i, l := range lines {
		a.Centre(max(0, a.H/2-1)+i, style.Dim, l)
	}
}

// spark is the curve of a run's val_acc over its epochs.
func (m *Model) spark(r *row) string {
	if r.points == len(r.Points) && (r.spark != "" || r.points == 0) {
		return r.spark
	}
	r.points = len(r.Points)
	values := make([]float64, len(r.Points))
	for i, p := range r.Points {
		values[i] = float64(p.ValAcc)
	}
	r.spark = chart.Sparkline(values, sparkWidth, m.glyphs)
	return r.spark
}
