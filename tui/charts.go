package tui

import (
	"fmt"
	"math"

	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// chartsView is the Charts view: the accuracy and the loss of one run.
type chartsView struct {
	page
	curves *curves
}

func (v *chartsView) setSize(w, h int) {
	v.page.setSize(w, h)
	v.curves.width = w
}

func (v *chartsView) open() tea.Cmd {
	v.curves.compare(false)
	return nil
}

func (v *chartsView) draw(a canvas.Area) {
	r := v.current()
	if r == nil {
		v.drawNothing(a, "charts")
		return
	}
	acc, loss := v.curves.charts(r)
	v.curves.drawPair(a, acc, loss)
}

// drawPair draws two charts side by side or one over the other, or one alone
// where there is no room or no wish for both.
func (c *curves) drawPair(a canvas.Area, acc, loss chart.Chart) {
	switch {
	case c.metric == accuracyOnly:
		acc.Draw(a, c.glyphs)
	case c.metric == lossOnly:
		loss.Draw(a, c.glyphs)
	case a.W >= 2*sideBySide:
		half := a.W / 2
		acc.Draw(a.Sub(0, 0, half, a.H), c.glyphs)
		loss.Draw(a.Sub(half, 0, a.W-half, a.H), c.glyphs)
	case a.H >= 16:
		half := a.H / 2
		acc.Draw(a.Sub(0, 0, a.W, half), c.glyphs)
		loss.Draw(a.Sub(0, half, a.W, a.H-half), c.glyphs)
	default:
		acc.Draw(a, c.glyphs)
	}
}

// sideBySide is how wide a chart is at least beside another.
const sideBySide = 38

// charts returns the accuracy and the loss chart of a run.
func (c *curves) charts(r *run) (acc, loss chart.Chart) {
	lo, hi, bySteps := c.span(r)
	weight, stepWeight := smoothings[c.weight], stepSmoothings[c.weight]
	line := func(s *chart.Series, col int, name string, st, raw style.Style, stroke int) chart.Line {
		v, w := &s.Values[col], weight
		if s == r.steps {
			w = stepWeight
		}
		return chart.Line{Name: name, Polyline: chart.Polyline{Xs: c.places(r, s), Smooth: v.Smooth(w), Raw: v}, Style: st, RawStyle: raw, Stroke: stroke}
	}
	train, trainAcc, trainLoss, shown := r.epochs, epochAcc, epochLoss, weight
	if bySteps {
		train, trainAcc, trainLoss, shown = r.steps, stepAcc, stepLoss, stepWeight
	}
	note := fmt.Sprintf("smoothed %.4g", shown)
	if weight == 0 {
		note = "not smoothed"
	}
	base := chart.Chart{
		Note: note, Axis: c.axis, X0: lo, X1: hi, Raw: weight > 0 || bySteps, XName: c.axisName(),
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: c.emptyWords(r),
	}
	if c.hasCursor {
		base.Cursor = c.cursor
	}
	acc, loss = base, base
	acc.Title, loss.Title = "accuracy", "loss"
	acc.Ceil = 1
	loss.Log = c.log
	if c.log {
		loss.Note += ", log"
	}
	acc.Lines = []chart.Line{
		line(train, trainAcc, "train", style.Training, style.TrainingRaw, 0),
		line(r.epochs, epochValAcc, "val", style.Validation, style.ValidationRaw, 1),
	}
	loss.Lines = []chart.Line{
		line(train, trainLoss, "train", style.Training, style.TrainingRaw, 0),
		line(r.epochs, epochValLoss, "val", style.Validation, style.ValidationRaw, 1),
	}
	acc.Marks, loss.Marks = c.marks(r)
	acc.Read = c.readOut(r, bySteps, stepAcc, epochAcc, epochValAcc)
	loss.Read = c.readOut(r, bySteps, stepLoss, epochLoss, epochValLoss)
	return acc, loss
}

// emptyWords says why there is nothing to draw.
func (c *curves) emptyWords(r *run) string {
	switch {
	case r.Ended != nil:
		return "The run ended before its first batch."
	case r.steps.Len() > 0 || r.epochs.Len() > 0:
		return "Nothing here: zoom out or move on."
	}
	return "Curves begin with the first batch."
}

// marks returns what is marked on the accuracy and on the loss chart.
func (c *curves) marks(r *run) (acc, loss []chart.Mark) {
	g, a, u := c.glyphs, c.axis, c.unit(r)
	at := func(epoch int) float64 { return u * r.epochs.Convert(float64(epoch), chart.ByEpoch, a) }
	if b := r.bestAcc(); b.epoch > 0 {
		acc = append(acc, chart.Mark{At: at(b.epoch), Sign: g.Best, Words: fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), Style: style.Validation})
	}
	if r.overfits {
		t := chart.Mark{At: u * r.epochs.At[a][r.overfitting.row], Sign: g.Overfit, Words: fmt.Sprintf("overfitting @ %.0f", r.overfitting.epoch), Style: style.Caution}
		acc, loss = append(acc, t), append(loss, t)
	}
	if b := r.bestLoss(); b.epoch > 0 {
		loss = append(loss, chart.Mark{At: at(b.epoch), Sign: g.Best, Words: fmt.Sprintf("best %.4f @ %d", b.value, b.epoch), Style: style.Validation})
	}
	for i := len(r.LearnRates) - 1; i >= 0; i-- {
		words := ""
		if i == len(r.LearnRates)-1 {
			words = "lr " + format.Rate(r.LearnRates[i].To)
		}
		mark := chart.Mark{At: u * r.steps.Convert(float64(r.LearnRates[i].Total), chart.ByStep, a), Sign: g.Rate, Words: words, Style: style.Mark}
		acc, loss = append(acc, mark), append(loss, mark)
	}
	return acc, loss
}

// readOut tells the values at the cursor, or the newest.
func (c *curves) readOut(r *run, bySteps bool, step, trained, validated int) []canvas.Part {
	a := c.axis
	place := math.Inf(1)
	if c.hasCursor {
		place = c.cursor / c.unit(r)
	}
	e, s := r.epochs.Nearest(a, place), r.steps.Nearest(a, place)
	value := func(st style.Style, s *chart.Series, row, col int) style.Span {
		v := float64(s.Values[col].Mean[row])
		if !chart.Finite(v) {
			st = style.Trouble
		}
		return st.Text(format.Fixed4(v))
	}
	var out []canvas.Part
	if bySteps && s >= 0 {
		epoch := math.Ceil(r.steps.At[chart.ByEpoch][s]) // a step's place is its end
		out = append(out, canvas.Ranked(2, style.Dim.Text(fmt.Sprintf("epoch %.0f, step %s:", epoch, format.Count(int64(r.steps.At[chart.ByStep][s]))))),
			canvas.Ranked(1, style.Dim.Text("train "), value(style.Training, r.steps, s, step)))
		if e >= 0 {
			out = append(out, canvas.Ranked(0, style.Dim.Text(fmt.Sprintf(" val @ %.0f ", r.epochs.At[chart.ByEpoch][e])), value(style.Validation, r.epochs, e, validated)))
		}
		return out
	}
	if e < 0 {
		return nil
	}
	return []canvas.Part{
		canvas.Ranked(2, style.Dim.Text(fmt.Sprintf("epoch %.0f:", r.epochs.At[chart.ByEpoch][e]))),
		canvas.Ranked(1, style.Dim.Text("train "), value(style.Training, r.epochs, e, trained)),
		canvas.Ranked(0, style.Dim.Text(" val "), value(style.Validation, r.epochs, e, validated)),
	}
}

// drawOverlay draws all runs on one chart of accuracy and one of loss.
func (c *curves) drawOverlay(a canvas.Area, rs []*run) {
	acc := c.overlay(rs, "val_acc", epochValAcc)
	acc.Ceil = 1
	loss := c.overlay(rs, "val_loss", epochValLoss)
	loss.Log = c.log
	c.drawPair(a, acc, loss)
}

// overlay is a chart of one value of several runs.
func (c *curves) overlay(rs []*run, title string, col int) chart.Chart {
	lo, hi, _ := c.span(rs[0])
	weight := smoothings[c.weight]
	names, by := c.briefly(rs)
	ch := chart.Chart{
		Title: title, Note: "by " + by, Axis: c.axis, X0: lo, X1: hi, Raw: weight > 0, XName: c.axisName(),
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: "Validation values come after the first epoch.",
	}
	place := math.Inf(1)
	if c.hasCursor {
		ch.Cursor, place = c.cursor, c.cursor
	}
	for k, r := range rs {
		i, values, name := c.number(r), &r.epochs.Values[col], names[k]
		ch.Lines = append(ch.Lines, chart.Line{Name: name, Polyline: chart.Polyline{Xs: c.places(r, r.epochs), Smooth: values.Smooth(weight), Raw: values}, Style: style.Run(i), RawStyle: style.RunRaw(i), Stroke: style.RunStroke(i)})
		if row := r.epochs.Nearest(c.axis, place/c.unit(r)); row >= 0 {
			ch.Read = append(ch.Read, canvas.Ranked(i, style.Dim.Text(name+" "), style.Run(i).Text(format.Fixed4(float64(values.Mean[row])))))
		}
	}
	return ch
}
