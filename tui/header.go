package tui

import (
	"fmt"

	"cifartui/train/event"
	"cifartui/tui/canvas"
	"cifartui/tui/format"
	"cifartui/tui/style"
)

// header is what stands above all views: the run, how far it has come and how
// well it went.
type header struct{ *common }

// stateSign is how a run's state is shown beside its words: with a sign, and in
// a colour.
func stateSign(r *run, g *style.Glyphs) (sign string, st style.Style) {
	if r.lost != "" {
		return g.Waiting, style.Caution
	}
	switch r.State {
	case event.StateRunning:
		return g.Running, style.Running
	case event.StatePaused:
		return g.Paused, style.Caution
	case event.StateSaving, event.StateStopping:
		return g.Busy, style.Caution
	case event.StateFinished:
		return g.Done, style.Running
	case event.StateFailed:
		return g.Failed, style.Trouble
	}
	return g.Waiting, style.Dim
}

// stateWords is the state's name, or how the run ended.
func (r *run) stateWords() string {
	if r.lost != "" {
		return r.lost
	}
	if r.Ended != nil {
		switch r.Ended.Outcome {
		case event.OutcomeEarlyStopped:
			return "stopped early"
		case event.OutcomeStopped:
			return "stopped"
		case event.OutcomeDetached:
			return "detached"
		case event.OutcomeDiverged:
			return "diverged"
		}
	}
	return string(r.State)
}

func (h *header) draw(a canvas.Area) {
	a = a.Sub(1, 0, a.W-2, a.H)
	r := h.current()
	a.Line(0, 2, h.titleParts(r, a.W), h.tabParts(a.W))
	if r == nil {
		return
	}
	a.Line(1, 3, h.progressParts(r, a.W), nil)
	if a.H > 2 {
		a.Line(2, 3, h.bestParts(r), nil)
	}
}

func (h *header) titleParts(r *run, w int) []canvas.Part {
	parts := []canvas.Part{canvas.Ranked(5, style.Heading.Text("cifartui"))}
	name := h.o.Name
	if r != nil {
		name = r.Name
	}
	if name != "" {
		parts = append(parts, canvas.Ranked(1, style.Plain.Text(canvas.Elide(name, max(w-26, 10), h.glyphs))))
	}
	if h.several() {
		parts = append(parts, canvas.Ranked(3, style.Dim.Text(fmt.Sprintf("run %d of %d", h.selected+1, len(h.all)))))
	}
	if r == nil {
		return parts
	}
	if r.Started.Demo {
		parts = append(parts, canvas.Ranked(0, style.Demo.Text(" DEMO ")))
	} else if r.Started.Dataset != "" {
		parts = append(parts, canvas.Ranked(4, style.Dim.Text(r.Started.Dataset)))
	}
	if h.catchingUp { // what it was doing then is not what it does now
		return append(parts, canvas.Ranked(0, style.Dim.Text(h.glyphs.Busy+" reading")))
	}
	sign, st := stateSign(r, h.glyphs)
	return append(parts, canvas.Ranked(0, st.Text(sign+" "+r.stateWords())))
}

// tabParts names the views, or where there is little room the one on screen.
func (h *header) tabParts(w int) []canvas.Part {
	if w < 100 {
		return []canvas.Part{canvas.Ranked(2, style.TabOn.Text(viewNames[h.shown]))}
	}
	var spans []style.Span
	for v, name := range viewNames {
		st := style.TabOff
		if viewID(v) == h.shown {
			st = style.TabOn
		}
		if v > 0 {
			spans = append(spans, style.Plain.Text("  "))
		}
		spans = append(spans, style.Dim.Text(fmt.Sprint(v+1)+" "), st.Text(name))
	}
	return []canvas.Part{canvas.Ranked(2, spans...)}
}

// progressParts tell how far the run has come.
func (h *header) progressParts(r *run, w int) []canvas.Part {
	epoch, step, steps := r.Position()
	epochs := r.Started.Config.Epochs
	if steps == 0 {
		return []canvas.Part{canvas.Ranked(0, style.Dim.Text("getting ready"))}
	}
	inEpoch := float64(step) / float64(max(steps, 1))
	whole := r.Progress(r.Started.Config)
	barWidth := 10
	if w > 110 {
		barWidth = 14 + (w-110)/6
	}
	at := []style.Span{style.Dim.Text("step "), style.Plain.Text(format.Of(step, steps))}
	if r.Ended == nil && step == steps && r.State == event.StateRunning {
		at = []style.Span{style.Plain.Text(fmt.Sprintf("%-*s", 6+2*len(fmt.Sprint(steps)), "validating"))}
	}
	ips := "    -"
	if r.Step != nil {
		ips = format.Speed(r.Step.ImagesPerSecond)
	}
	parts := []canvas.Part{
		canvas.Ranked(0, style.Dim.Text("epoch "), style.Plain.Text(format.Of(epoch, epochs))),
		canvas.Ranked(7, append(canvas.BarSpans(barWidth, whole, h.glyphs), style.Plain.Text(" "+format.Done(whole)))...),
		canvas.Ranked(1, at...),
		canvas.Ranked(8, canvas.BarSpans(barWidth, inEpoch, h.glyphs)...),
	}
	if h.catchingUp {
		return parts
	}
	if r.Ended != nil || r.lost != "" {
		return append(parts, canvas.Ranked(3, style.Dim.Text("took "), style.Plain.Text(format.Duration(r.elapsed(h.now)))))
	}
	left, all := r.Remaining()
	return append(parts,
		canvas.Ranked(2, style.Plain.Text(ips), style.Dim.Text(" img/s")),
		canvas.Ranked(5, style.Dim.Text("elapsed "), style.Plain.Text(format.Duration6(r.elapsed(h.now)))),
		canvas.Ranked(6, style.Dim.Text("epoch left "), style.Plain.Text(format.Duration6(left))),
		canvas.Ranked(3, style.Dim.Text("left "), style.Plain.Text(format.Duration6(all))),
	)
}

// bestParts tell how well it went.
func (h *header) bestParts(r *run) []canvas.Part {
	value := func(st style.Style, b best, show func(float64) string, label string, rank int) canvas.Part {
		if b.epoch == 0 {
			return canvas.Ranked(rank, style.Dim.Text(label+" "), style.Dim.Text("     -"))
		}
		return canvas.Ranked(rank, style.Dim.Text(label+" "), st.Text(show(b.value)), style.Dim.Text(" best @ "), style.Plain.Text(fmt.Sprint(b.epoch)))
	}
	parts := []canvas.Part{
		value(style.Validation, r.bestAcc(), format.Percent, "val_acc", 0),
		value(style.Validation, r.bestLoss(), format.Fixed4, "val_loss", 2),
	}
	if r.Step != nil && r.Ended == nil {
		parts = append(parts, canvas.Ranked(4, style.Dim.Text("loss "), style.Training.Text(format.Fixed4(float64(r.Step.Loss)))),
			canvas.Ranked(5, style.Dim.Text("acc "), style.Training.Text(format.Percent(float64(r.Step.Acc)))))
	}
	if r.LastEpoch() != nil && r.LastEpoch().PatienceLeft >= 0 && r.Ended == nil {
		parts = append(parts, canvas.Ranked(1, style.Dim.Text("early stop in "), style.Plain.Text(fmt.Sprintf("%2d", r.LastEpoch().PatienceLeft))))
	}
	if lr := r.LearnRate(); lr > 0 && r.Ended == nil {
		parts = append(parts, canvas.Ranked(3, style.Dim.Text("lr "), style.Plain.Text(format.Rate(lr))))
	}
	return parts
}
