package tui

import (
	"fmt"
	"strings"

	"cifartui/train"
)

// results compares all runs as the trainer's own table does, which is printed at
// the end: in the order they are shown, with what the numbers say in words.
func (m *Model) results() train.Table {
	c := &m.compare
	now := [2]int{}
	var histories []*train.RunHistory
	for _, r := range m.runs {
		now[0] += len(r.done)
		h := &train.RunHistory{Name: r.name, Started: &r.started, Epochs: r.done, Ended: r.ended, State: r.state}
		if r.ended != nil {
			now[1]++
		}
		if r.epoch != nil {
			h.Elapsed = r.epoch.Elapsed
		}
		histories = append(histories, h)
	}
	if c.table.Rows == nil || now != c.told || len(c.table.Rows) != len(m.runs) {
		c.table, c.told = train.NewTable(histories), now
	}
	return c.table
}

// drawRuns draws the table of all runs, and under it what it says.
func (m *Model) drawRuns(a area) {
	in := a.box(frame, m.glyphs)
	a.text(2, 0, heading, fmt.Sprintf(" %s %s by %s ", plural(len(m.runs), "run"), m.glyphs.sep, orderNames[m.compare.order]))
	results := m.results()
	rows := map[string]train.TableRow{}
	for _, row := range results.Rows {
		rows[row.Run] = row
	}
	t := table{columns: []tableColumn{
		{title: "run", width: 12, grows: true},
		{title: "state", width: 13, rank: 3},
		{title: "epoch", width: 9, rank: 2, right: true},
		{title: "batch", width: 5, rank: 8, right: true},
		{title: "img/s", width: 5, rank: 5, right: true},
		{title: "an epoch", width: 8, rank: 4, right: true},
		{title: "val_acc", width: 7, right: true},
		{title: "best @", width: 6, rank: 3, right: true},
		{title: "loss", width: 6, rank: 7, right: true},
	}}
	for i, goal := range train.Goals {
		t.columns = append(t.columns, tableColumn{title: fmt.Sprintf("to %.0f%%", 100*goal), width: 6, rank: 6 + i, right: true})
	}
	for _, r := range m.orderedRuns() {
		if r == m.current() {
			t.chosen = len(t.rows)
		}
		t.rows = append(t.rows, m.resultRow(r, rows[r.name]))
	}
	h := min(len(t.rows)+1, in.h)
	t.draw(in.sub(0, 0, in.w, h), m.glyphs)
	for i, l := range m.findingLines(results.Findings, in.w-4, in.h-h-1) {
		in.text(2, h+1+i, plain, l)
	}
}

// findingLines are what the results say, as many whole sentences as fit.
func (m *Model) findingLines(findings []string, w, h int) (lines []string) {
	for _, f := range findings {
		sentence := wrap(f, w-2)
		if len(lines)+len(sentence) > h {
			break
		}
		for i, l := range sentence {
			lead := "  "
			if i == 0 {
				lead = m.glyphs.sep + " "
			}
			lines = append(lines, lead+l)
		}
	}
	return lines
}

func (m *Model) resultRow(r *run, row train.TableRow) []span {
	epoch, _, _ := r.progress()
	st, name := runStyle(m.look(r)), m.label(r)
	if r.hidden {
		st, name = dim, name+" (hidden)"
	}
	_, state := m.glyphs.stateLook(r)
	best := "-"
	if row.BestEpoch > 0 {
		best = fmt.Sprint(row.BestEpoch)
	}
	value := func(v train.Float, show func(float64) string) span {
		return span{plain, strings.TrimSpace(known(v, show))}
	}
	cells := []span{
		{st, name}, {state, r.stateWords()}, {plain, of(epoch, r.started.Config.Epochs)},
		{plain, fmt.Sprint(r.started.Config.Batch)}, value(row.ImagesPerSecond, speed), value(row.EpochSeconds, duration),
		{valid, known(row.BestValAcc, percent)}, {plain, best}, value(row.FinalLoss, fixed4),
	}
	for _, v := range row.TimeTo {
		cells = append(cells, value(v, duration))
	}
	return cells
}
