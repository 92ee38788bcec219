package tui

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
)

// systemState is the System view.
type systemState struct {
	sampler  sampler // used by one command at a time
	sampling bool
	at       time.Time
	gauges   gauges
	top      int // lines that the log is scrolled back
}

// samplePause is how often the gauges are read while the view is shown.
const samplePause = 2 * time.Second

// sample reads what the process and the GPU use, while the view is shown and
// the run is at work: a screen at rest must send nothing.
func (m *Model) sample() tea.Cmd {
	s, r := &m.system, m.current()
	if m.view != viewSystem || r == nil || s.sampling || m.o.Mode == Replay || m.o.Remote || r.ended != nil {
		return nil
	}
	if !s.at.IsZero() && m.now.Sub(s.at) < samplePause {
		return nil
	}
	s.sampling, s.at = true, m.now
	pid := r.started.PID
	if m.o.Mode == Live {
		pid = os.Getpid()
	}
	return m.do(func() tea.Msg { return gaugesMsg{s.sampler.read(pid)} })
}

func (s *systemState) take(g gauges) { s.sampling, s.gauges = false, g }

// drawSystem draws the System view: what the machine does, the run's settings
// and its log.
func (m *Model) drawSystem(a area) {
	r := m.current()
	if r == nil {
		m.drawNothing(a, "system")
		return
	}
	machine := m.machineLines(r, 40)
	switch {
	case a.w >= 100 && a.h >= 18:
		left := 42 + (a.w-100)/8
		h := min(max(len(machine)+2, 13), a.h/2)
		m.drawLines(a.sub(0, 0, left, h), "machine", m.machineLines(r, left-4))
		m.speedChart(r).draw(a.sub(left, 0, a.w-left, h), m.glyphs)
		m.drawLines(a.sub(0, h, left, a.h-h), "settings", m.settingLines(r))
		m.drawLog(a.sub(left, h, a.w-left, a.h-h), r)
	case a.h >= len(machine)+2+6:
		h := len(machine) + 2
		m.drawLines(a.sub(0, 0, a.w, h), "machine", m.machineLines(r, a.w-4))
		m.drawLog(a.sub(0, h, a.w, a.h-h), r)
	case a.w >= 80:
		half := min(a.w/2, 42)
		m.drawLines(a.sub(0, 0, half, a.h), "machine", m.machineLines(r, half-4))
		m.drawLog(a.sub(half, 0, a.w-half, a.h), r)
	default:
		m.drawLog(a, r)
	}
}

// drawLines draws lines in a frame.
func (m *Model) drawLines(a area, title string, lines [][]span) {
	if a.h < 3 {
		return
	}
	in := a.box(frame, m.glyphs)
	a.text(2, 0, heading, " "+title+" ")
	y := 0
	for _, l := range lines {
		row := in.sub(1, y, in.w-2, in.h-y)
		y++
		if len(l) != 2 || width(l[0].t)+width(l[1].t) <= row.w {
			row.spans(0, 0, l...)
			continue
		}
		x := row.text(0, 0, l[0].s, l[0].t) // a value of several lines
		for i, t := range wrap(l[1].t, row.w-x) {
			row.text(x, i, l[1].s, t)
			y += min(i, 1)
		}
	}
}

const settingWidth = 13

// setting is a line with a name and a value.
func setting(name, value string) []span {
	return []span{{dim, fmt.Sprintf("%-*s", settingWidth, name)}, {plain, value}}
}

// meter is a line with a name, a bar and a value.
func (m *Model) meter(name string, w int, share float64, value string) []span {
	return append(append([]span{{dim, fmt.Sprintf("%-*s", settingWidth, name)}},
		barSpans(max(w-settingWidth-14, 4), share, m.glyphs)...), span{plain, fmt.Sprintf(" %13s", value)})
}

// machineLines tell what the process and the GPU use and where time goes.
func (m *Model) machineLines(r *run, w int) [][]span {
	g := m.system.gauges
	var lines [][]span
	switch {
	case m.o.Remote:
		lines = append(lines, setting("process", "on another machine"))
	case m.o.Mode == Replay:
		lines = append(lines, setting("process", "has ended"))
	case g.process:
		cores := float64(max(g.cores, 1))
		lines = append(lines,
			m.meter("cpu", w, g.cpu/100/cores, fmt.Sprintf("%.1f of %d", g.cpu/100, g.cores)),
			m.meter("memory", w, float64(g.memory)/float64(max(g.memoryTotal, 1)), strings.TrimSpace(size(g.memory))),
			setting("threads", fmt.Sprintf("%d, %d of them train", g.threads, r.started.Threads)))
	default:
		lines = append(lines, setting("process", "not read yet"))
	}
	for _, p := range g.gpus {
		lines = append(lines, nil,
			setting("gpu", p.name),
			m.meter("  use", w, float64(p.use)/100, fmt.Sprintf("%d%%", p.use)),
			m.meter("  memory", w, float64(p.memory)/float64(max(p.memoryTotal, 1)), strings.TrimSpace(size(p.memory))),
			setting("  state", fmt.Sprintf("%d %s, %.0f W", p.temperature, m.glyphs.celsius, p.watts)))
	}
	return append(append(lines, nil), m.phaseLines(r, w)...)
}

// phaseLines tell where the time of the last steps went.
func (m *Model) phaseLines(r *run, w int) [][]span {
	if r.step == nil {
		return [][]span{setting("time", "in steps comes with the first ones")}
	}
	p := r.step.Phases
	total := p.Data + p.Forward + p.Backward + p.Optimizer
	if total <= 0 {
		return [][]span{setting("time", "in steps is not known")}
	}
	var lines [][]span
	for _, ph := range []struct {
		name    string
		seconds float64
	}{{"data", p.Data}, {"forward", p.Forward}, {"backward", p.Backward}, {"optimizer", p.Optimizer}} {
		share := ph.seconds / total
		lines = append(lines, m.meter(ph.name, w, share, fmt.Sprintf("%.1f%%", 100*share)))
	}
	return lines
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// settingLines are the run's settings.
func (m *Model) settingLines(r *run) [][]span {
	c, s := r.started.Config, r.started
	lr := "default"
	if c.LR > 0 {
		lr = rate(c.LR)
	}
	stop := "off"
	if c.Patience > 0 {
		stop = fmt.Sprintf("%d epochs without better %s", c.Patience, c.Monitor)
	}
	validation := fmt.Sprintf("%s images held out", count(int64(s.ValImages)))
	if s.ValIsTest {
		validation = fmt.Sprintf("the %s test images", count(int64(s.ValImages)))
	}
	return [][]span{
		setting("data", fmt.Sprintf("%s, %s images", s.Dataset, count(int64(s.TrainImages)))),
		setting("validation", validation),
		setting("batch", fmt.Sprintf("%d, %d steps an epoch", c.Batch, s.StepsPerEpoch)),
		setting("epochs", fmt.Sprint(c.Epochs)),
		setting("optimizer", fmt.Sprintf("%s, lr %s", c.Optimizer, lr)),
		setting("schedule", c.Schedule),
		setting("weight decay", fmt.Sprint(c.WeightDecay)),
		setting("dropout", fmt.Sprint(c.Dropout)),
		setting("augment", onOff(c.Augment)+", shuffle "+onOff(c.Shuffle)),
		setting("preprocess", c.Preprocess),
		setting("early stop", stop),
		setting("seed", fmt.Sprint(c.Seed)),
		setting("kernels", s.Kernels+", "+plural(s.Threads, "thread")),
		setting("process", fmt.Sprintf("pid %d, cifartui %s", s.PID, s.Version)),
		setting("folder", s.Folder),
	}
}

// speedChart is images a second over time.
func (m *Model) speedChart(r *run) chart {
	v := &r.steps.values[stepSpeed]
	last := r.steps.last(byTime)
	ch := chart{
		title: "images/s", axis: byTime, x0: 0, x1: math.Max(last, 1), raw: true, xName: "time",
		cursor: math.NaN(), floor: 0, ceil: math.NaN(), empty: "Begins with the first batch.",
		lines: []chartLine{{"images/s", polyline{r.steps.at[byTime], v.smooth(0.8), v}, training, trainRaw, 0}},
	}
	if n := r.steps.len(); n > 0 {
		ch.read = []part{{0, []span{{dim, "now "}, {training, strings.TrimSpace(speed(float64(v.mean[n-1])))}, {dim, " images/s"}}}}
	}
	return ch
}

// drawLog draws the newest lines of the log, or older ones when scrolled back.
func (m *Model) drawLog(a area, r *run) {
	if a.h < 3 {
		return
	}
	in := a.box(frame, m.glyphs)
	a.text(2, 0, heading, " log ")
	m.system.top = max(0, min(m.system.top, len(r.log)-in.h))
	end := len(r.log) - m.system.top
	if m.system.top > 0 {
		a.right(a.w-2, a.h-1, dim, fmt.Sprintf(" %d more %s ", m.system.top, m.glyphs.down))
	}
	for i, l := range r.log[max(0, end-in.h):end] {
		in.text(1, i, dim, l.at.Format("15:04:05"))
		in.text(11, i, l.style, elide(l.text, in.w-12, m.glyphs))
	}
	if len(r.log) == 0 {
		in.centre(in.h/2, dim, "Nothing yet.")
	}
}
