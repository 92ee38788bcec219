package tui

import (
	"fmt"

	"cifartui/train"
)

// headerHeight is how many lines the header takes.
func (m *Model) headerHeight() int {
	if m.h < 16 {
		return 2
	}
	return 3
}

// stateLook is how a run's state is shown beside its words: with a sign, and in
// a colour.
func (g *glyphs) stateLook(r *run) (sign string, st style) {
	if r.lost != "" {
		return g.waiting, amber
	}
	switch r.state {
	case train.StateRunning:
		return g.running, running
	case train.StatePaused:
		return g.paused, amber
	case train.StateSaving, train.StateStopping:
		return g.busy, amber
	case train.StateFinished:
		return g.done, running
	case train.StateFailed:
		return g.failed, trouble
	}
	return g.waiting, dim
}

// stateWords is the state's name, or how the run ended.
func (r *run) stateWords() string {
	if r.lost != "" {
		return r.lost
	}
	if r.ended != nil {
		switch r.ended.Outcome {
		case train.OutcomeEarlyStopped:
			return "stopped early"
		case train.OutcomeStopped:
			return "stopped"
		case train.OutcomeDetached:
			return "detached"
		case train.OutcomeDiverged:
			return "diverged"
		}
	}
	return string(r.state)
}

// drawHeader draws what stands above all views.
func (m *Model) drawHeader(a area) {
	a = a.sub(1, 0, a.w-2, a.h)
	r := m.current()
	a.line(0, 2, m.titleParts(r, a.w), m.tabParts(a.w))
	if r == nil {
		return
	}
	a.line(1, 3, m.progressParts(r, a.w), nil)
	if a.h > 2 {
		a.line(2, 3, m.bestParts(r), nil)
	}
}

func (m *Model) titleParts(r *run, w int) []part {
	parts := []part{{5, []span{{heading, "cifartui"}}}}
	name := m.o.Name
	if r != nil {
		name = r.name
	}
	if name != "" {
		parts = append(parts, part{1, []span{{plain, elide(name, max(w-26, 10), m.glyphs)}}})
	}
	if m.several() {
		parts = append(parts, part{3, []span{{dim, fmt.Sprintf("run %d of %d", m.selected+1, len(m.runs))}}})
	}
	if r == nil {
		return parts
	}
	if r.started.Demo {
		parts = append(parts, part{0, []span{{demo, " DEMO "}}})
	} else if r.started.Dataset != "" {
		parts = append(parts, part{4, []span{{dim, r.started.Dataset}}})
	}
	sign, st := m.glyphs.stateLook(r)
	return append(parts, part{0, []span{{st, sign + " " + r.stateWords()}}})
}

// tabParts names the views, or where there is little room the one on screen.
func (m *Model) tabParts(w int) []part {
	if w < 100 {
		return []part{{2, []span{{tabOn, viewNames[m.view]}}}}
	}
	var spans []span
	for v, name := range viewNames {
		st := tabOff
		if view(v) == m.view {
			st = tabOn
		}
		if v > 0 {
			spans = append(spans, span{plain, "  "})
		}
		spans = append(spans, span{dim, fmt.Sprint(v+1) + " "}, span{st, name})
	}
	return []part{{2, spans}}
}

// progressParts tell how far the run has come.
func (m *Model) progressParts(r *run, w int) []part {
	epoch, step, steps := r.progress()
	epochs := r.started.Config.Epochs
	if steps == 0 {
		return []part{{0, []span{{dim, "getting ready"}}}}
	}
	inEpoch := float64(step) / float64(max(steps, 1))
	whole := (float64(epoch-1) + inEpoch) / float64(max(epochs, 1))
	barWidth := 10
	if w > 110 {
		barWidth = 14 + (w-110)/6
	}
	at := []span{{dim, "step "}, {plain, of(step, steps)}}
	if r.ended == nil && step == steps && r.state == train.StateRunning {
		at = []span{{plain, fmt.Sprintf("%-*s", 6+2*len(fmt.Sprint(steps)), "validating")}}
	}
	ips := "    -"
	if r.step != nil {
		ips = speed(r.step.ImagesPerSecond)
	}
	parts := []part{
		{0, []span{{dim, "epoch "}, {plain, of(epoch, epochs)}}},
		{7, append(barSpans(barWidth, whole, m.glyphs), span{plain, fmt.Sprintf(" %3.0f%%", 100*min(whole, 1))})},
		{1, at},
		{8, barSpans(barWidth, inEpoch, m.glyphs)},
	}
	if r.ended != nil || r.lost != "" {
		return append(parts, part{3, []span{{dim, "took "}, {plain, duration(r.elapsed(m.now))}}})
	}
	left, all := r.left()
	return append(parts,
		part{2, []span{{plain, ips}, {dim, " img/s"}}},
		part{5, []span{{dim, "elapsed "}, {plain, span6(r.elapsed(m.now))}}},
		part{6, []span{{dim, "epoch left "}, {plain, span6(left)}}},
		part{3, []span{{dim, "left "}, {plain, span6(all)}}},
	)
}

// bestParts tell how well it went.
func (m *Model) bestParts(r *run) []part {
	value := func(st style, b best, show func(float64) string, label string, rank int) part {
		if b.epoch == 0 {
			return part{rank, []span{{dim, label + " "}, {dim, "     -"}}}
		}
		return part{rank, []span{{dim, label + " "}, {st, show(b.value)}, {dim, " best @ "}, {plain, fmt.Sprint(b.epoch)}}}
	}
	parts := []part{
		value(valid, r.bestAcc, percent, "val_acc", 0),
		value(valid, r.bestLoss, fixed4, "val_loss", 2),
	}
	if r.step != nil && r.ended == nil {
		parts = append(parts, part{4, []span{{dim, "loss "}, {training, fixed4(float64(r.step.Loss))}}},
			part{5, []span{{dim, "acc "}, {training, percent(float64(r.step.Acc))}}})
	}
	if r.epoch != nil && r.epoch.PatienceLeft >= 0 && r.ended == nil {
		parts = append(parts, part{1, []span{{dim, "early stop in "}, {plain, fmt.Sprintf("%2d", r.epoch.PatienceLeft)}}})
	}
	if lr := m.lr(); lr > 0 && r.ended == nil {
		parts = append(parts, part{3, []span{{dim, "lr "}, {plain, rate(lr)}}})
	}
	return parts
}
