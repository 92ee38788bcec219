package tui

import (
	"fmt"
	"strings"

	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/runs"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// tabulate compares all runs as the trainer's own table does, which is printed at
// the end, with what the numbers say in words.
func (v *compareView) tabulate() {
	now := [2]int{}
	var histories []*record.Run
	for _, r := range v.all {
		now[0] += len(r.Epochs)
		if r.Ended != nil {
			now[1]++
		}
		histories = append(histories, &r.Run)
	}
	if v.table.Rows == nil || now != v.told || len(v.table.Rows) != len(v.all) {
		v.table, v.told = runs.NewTable(histories), now
	}
}

// drawTable draws the table of all runs, and under it what it says.
func (v *compareView) drawTable(a canvas.Area) {
	in := a.Box(style.Frame, v.glyphs)
	a.Text(2, 0, style.Heading, fmt.Sprintf(" %s %s by %s ", format.Plural(len(v.all), "run"), v.glyphs.Sep, orderNames[v.order]))
	rows := map[string]runs.TableRow{}
	for _, row := range v.table.Rows {
		rows[row.Run] = row
	}
	t := canvas.Table{Columns: []canvas.TableColumn{
		{Title: "run", Width: 12, Grows: true},
		{Title: "state", Width: 13, Rank: 3},
		{Title: "epoch", Width: 9, Rank: 2, Right: true},
		{Title: "batch", Width: 5, Rank: 8, Right: true},
		{Title: "img/s", Width: 5, Rank: 5, Right: true},
		{Title: "an epoch", Width: 8, Rank: 4, Right: true},
		{Title: "val_acc", Width: 7, Right: true},
		{Title: "best @", Width: 6, Rank: 3, Right: true},
		{Title: "loss", Width: 6, Rank: 7, Right: true},
	}}
	for i, goal := range runs.Goals {
		t.Columns = append(t.Columns, canvas.TableColumn{Title: fmt.Sprintf("to %.0f%%", 100*goal), Width: 6, Rank: 6 + i, Right: true})
	}
	for _, r := range v.ordered() {
		if r == v.current() {
			t.Chosen = len(t.Rows)
		}
		t.Rows = append(t.Rows, v.resultRow(r, rows[r.Name]))
	}
	h := min(len(t.Rows)+1, in.H)
	t.Draw(in.Sub(0, 0, in.W, h), v.glyphs)
	for i, l := range v.findingLines(v.table.Findings, in.W-4, in.H-h-1) {
		in.Text(2, h+1+i, style.Plain, l)
	}
}

// findingLines are what the results say, as many whole sentences as fit.
func (v *compareView) findingLines(findings []string, w, h int) (lines []string) {
	for _, f := range findings {
		sentence := canvas.Wrap(f, w-2)
		if len(lines)+len(sentence) > h {
			break
		}
		for i, l := range sentence {
			lead := "  "
			if i == 0 {
				lead = v.glyphs.Sep + " "
			}
			lines = append(lines, lead+l)
		}
	}
	return lines
}

func (v *compareView) resultRow(r *run, row runs.TableRow) []style.Span {
	epoch, _, _ := r.Position()
	st, name := style.Run(v.number(r)), v.label(r)
	if r.hidden {
		st, name = style.Dim, name+" (hidden)"
	}
	_, state := stateSign(r, v.glyphs)
	best := "-"
	if row.BestEpoch > 0 {
		best = fmt.Sprint(row.BestEpoch)
	}
	value := func(f event.Float, show func(float64) string) style.Span {
		return style.Plain.Text(strings.TrimSpace(known(f, show)))
	}
	cells := []style.Span{
		st.Text(name), state.Text(r.stateWords()), style.Plain.Text(format.Of(epoch, r.Started.Config.Epochs)),
		style.Plain.Text(fmt.Sprint(r.Started.Config.Batch)), value(row.ImagesPerSecond, format.Speed), value(row.EpochSeconds, format.Duration),
		style.Validation.Text(known(row.BestValAcc, format.Percent)), style.Plain.Text(best), value(row.FinalLoss, format.Fixed4),
	}
	for _, t := range row.TimeTo {
		cells = append(cells, value(t, format.Duration6))
	}
	return cells
}
