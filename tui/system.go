package tui

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"cifartui/train/config"
	"cifartui/tui/canvas"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/machine"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// systemView is the System view: what the machine does, the run's settings and
// its log.
type systemView struct {
	page
	sampler machine.Sampler // used by one command at a time
	reading bool            // it is being used
	at      time.Time       // when it was used last
	newest  machine.Reading
	top     int // messages that the log is scrolled back
	// settings is set while the settings scroll, and not the log; above is how many
	// rows of them are above what is shown.
	settings bool
	above    int
}

// samplePause is how often the gauges are read while the view is shown.
const samplePause = 2 * time.Second

func (v *systemView) bindings() []keymap.Binding {
	to := func(settings bool) func() tea.Cmd { return func() tea.Cmd { v.settings = settings; return nil } }
	return keymap.Grouped("System", keymap.In(viewSystem), v.needRun([]keymap.Binding{
		{Action: "scroll_settings", Keys: []string{"left", "h"}, Short: "settings", Renamed: v.otherWord, Rank: 4, Pair: true, Long: "scroll the settings; where there is room for one, they are shown instead of the log", Do: to(true)},
		{Action: "scroll_log", Keys: []string{"right", "l"}, Long: "scroll the log", Do: to(false)},
	}))
}

// otherWord is what scrolls after the next key.
func (v *systemView) otherWord() string {
	if v.settings {
		return "log"
	}
	return "settings"
}

func (v *systemView) open() tea.Cmd { return v.sample() }

func (v *systemView) receive(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case readingMsg:
		v.reading, v.newest = false, msg.reading
	case tickMsg:
		return v.sample()
	}
	return nil
}

// settle holds the log and the settings to the lines that there are.
func (v *systemView) settle() tea.Cmd {
	if r := v.current(); r != nil && v.shown == viewSystem {
		_, _, settings, log := v.parts(canvas.Area{W: v.w, H: v.h}, r)
		if log.H > 0 {
			v.top = max(0, min(v.top, len(r.log)-logFill(r.log, log.W-2, log.H-2)))
		}
		if settings.H > 0 {
			v.above = max(0, min(v.above, len(v.settingRows(settings.W-2, r))-(settings.H-2)))
		}
	}
	return nil
}

// scroll moves the log back or on, or the settings; settle holds them to what there is.
func (v *systemView) scroll(d int) {
	if d = max(-1<<20, min(d, 1<<20)); v.settings {
		v.above = max(0, v.above+d)
		return
	}
	v.top = max(0, v.top-d)
}

// sample reads what the process and the GPU use, while the view is shown and
// the run is at work: a screen at rest must send nothing.
func (v *systemView) sample() tea.Cmd {
	r := v.current()
	if v.shown != viewSystem || r == nil || v.reading || v.o.Mode == Replay || v.o.Remote || r.Ended != nil {
		return nil
	}
	if !v.at.IsZero() && v.now.Sub(v.at) < samplePause {
		return nil
	}
	v.reading, v.at = true, v.now
	pid := r.Started.PID
	if v.o.Mode == Live {
		pid = os.Getpid()
	}
	return v.do(func() tea.Msg { return readingMsg{v.sampler.Read(pid)} })
}

// parts divides the view: the machine, the speed, the settings and the log, as far
// as there is room for each. Where there is none for both the settings and the log,
// the one that scrolls is shown.
func (v *systemView) parts(a canvas.Area, r *run) (machine, speed, settings, log canvas.Area) {
	machine, speed, settings, log = v.divide(a, r)
	if v.settings && settings.H == 0 {
		settings, log = log, settings
	}
	return machine, speed, settings, log
}

func (v *systemView) divide(a canvas.Area, r *run) (machine, speed, settings, log canvas.Area) {
	lines := len(v.machineLines(r, 40)) + 2
	switch {
	case a.W >= 100 && a.H >= 18:
		left, h := 42+(a.W-100)/8, min(max(lines, 13), a.H/2)
		return a.Sub(0, 0, left, h), a.Sub(left, 0, a.W-left, h), a.Sub(0, h, left, a.H-h), a.Sub(left, h, a.W-left, a.H-h)
	case a.H >= lines+6:
		return a.Sub(0, 0, a.W, lines), speed, settings, a.Sub(0, lines, a.W, a.H-lines)
	case a.W >= 80:
		half := min(a.W/2, 42)
		return a.Sub(0, 0, half, a.H), speed, settings, a.Sub(half, 0, a.W-half, a.H)
	}
	return machine, speed, settings, a
}

func (v *systemView) draw(a canvas.Area) {
	r := v.current()
	if r == nil {
		v.drawNothing(a, "system")
		return
	}
	machine, speed, settings, log := v.parts(a, r)
	v.drawMachine(machine, r)
	v.speedChart(r).Draw(speed, v.glyphs)
	v.drawSettings(settings, r)
	v.drawLog(log, r)
	if settings.H > 0 && log.H > 0 { // which of them scrolls
		a, title := log, "log"
		if v.settings {
			a, title = settings, "settings"
		}
		a.Text(3+canvas.Width(title), 0, style.Key, " "+v.glyphs.Up+v.glyphs.Down+" ")
	}
}

// drawMachine draws what the machine does. Where not all of it fits it says how much
// does not.
func (v *systemView) drawMachine(a canvas.Area, r *run) {
	if a.H < 3 {
		return
	}
	in := v.titled(a, "machine")
	rows := wrapped(v.machineLines(r, a.W-4), in.W-2)
	if hidden := len(rows) - in.H + 1; hidden > 1 {
		rows = append(rows[:in.H-1], []style.Span{style.Dim.Text(fmt.Sprintf("%d more in a taller window", hidden))})
	}
	drawRows(in, rows)
}

// drawSettings draws the settings, as many as fit, from the row on that they are
// scrolled to.
func (v *systemView) drawSettings(a canvas.Area, r *run) {
	if a.H < 3 {
		return
	}
	in := v.titled(a, "settings")
	rows := v.settingRows(in.W, r)
	above := min(v.above, len(rows))
	if below := len(rows) - above - in.H; below > 0 {
		a.Right(a.W-2, a.H-1, style.Dim, fmt.Sprintf(" %d more %s ", below, v.glyphs.Down))
	} else if above > 0 {
		a.Right(a.W-2, a.H-1, style.Dim, fmt.Sprintf(" %d more %s ", above, v.glyphs.Up))
	}
	drawRows(in, rows[above:])
}

// settingRows are the settings in rows, for an area of w columns.
func (v *systemView) settingRows(w int, r *run) [][]style.Span {
	return wrapped(v.settingLines(r), w-2)
}

// drawRows draws as many rows as fit.
func drawRows(in canvas.Area, rows [][]style.Span) {
	for y, l := range rows[:min(len(rows), in.H)] {
		in.Sub(1, y, in.W-2, 1).Spans(0, 0, l...)
	}
}

// wrapped breaks the values of settings that are wider than w into several lines.
func wrapped(lines [][]style.Span, w int) (rows [][]style.Span) {
	for _, l := range lines {
		if len(l) != 2 || canvas.Width(l[0].Text)+canvas.Width(l[1].Text) <= w {
			rows = append(rows, l)
			continue
		}
		x := canvas.Width(l[0].Text)
		for i, t := range canvas.Wrap(l[1].Text, w-x) {
			name := l[0]
			if i > 0 {
				name.Text = strings.Repeat(" ", x)
			}
			rows = append(rows, []style.Span{name, l[1].Style.Text(t)})
		}
	}
	return rows
}

const settingWidth = 13

// setting is a line with a name and a value.
func setting(name, value string) []style.Span {
	return []style.Span{style.Dim.Text(fmt.Sprintf("%-*s", settingWidth, name)), style.Plain.Text(value)}
}

// meter is a line with a name, a bar and a value.
func (v *systemView) meter(name string, w int, share float64, value string) []style.Span {
	return append(append([]style.Span{style.Dim.Text(fmt.Sprintf("%-*s", settingWidth, name))},
		canvas.BarSpans(max(w-settingWidth-14, 4), share, v.glyphs)...), style.Plain.Text(fmt.Sprintf(" %13s", value)))
}

// machineLines tell what the process and the GPU use and where time goes.
func (v *systemView) machineLines(r *run, w int) [][]style.Span {
	g := v.newest
	var lines [][]style.Span
	switch {
	case v.o.Remote:
		lines = append(lines, setting("process", "on another machine"))
	case v.o.Mode == Replay:
		lines = append(lines, setting("process", "has ended"))
	case g.Process:
		cores := float64(max(g.Cores, 1))
		lines = append(lines,
			v.meter("cpu", w, g.CPU/100/cores, cpuWords(g)),
			v.meter("memory", w, float64(g.Memory)/float64(max(g.MemoryTotal, 1)), strings.TrimSpace(format.Size(g.Memory))),
			setting("threads", threadWords(g.Threads, r.Started.Threads)))
	default:
		lines = append(lines, setting("process", "not read yet"))
	}
	for _, p := range g.GPUs {
		lines = append(append(lines, nil), v.gpuLines(p, w)...)
	}
	return append(append(lines, nil), v.phaseLines(r, w)...)
}

// threadWords say how many threads there are, and how many of them train: none
// does where a GPU trains.
func threadWords(all, training int) string {
	if training == 0 {
		return fmt.Sprint(all)
	}
	return fmt.Sprintf("%d, %d of them train", all, training)
}

// gpuLines tell what a GPU uses, and what its driver does not support.
func (v *systemView) gpuLines(p machine.GPU, w int) [][]style.Span {
	const unsupported = "not supported"
	use, memory := setting("  use", unsupported), setting("  memory", unsupported)
	if p.Use != machine.Untold {
		use = v.meter("  use", w, float64(p.Use)/100, fmt.Sprintf("%d%%", p.Use))
	}
	if p.Memory != machine.Untold {
		memory = v.meter("  memory", w, float64(p.Memory)/float64(max(p.MemoryTotal, 1)), strings.TrimSpace(format.Size(p.Memory)))
	}
	temperature, power := "temperature "+unsupported, "power "+unsupported
	if p.Temperature != machine.Untold {
		temperature = fmt.Sprintf("%d %s", p.Temperature, v.glyphs.Celsius)
	}
	if p.Watts != machine.Untold {
		power = fmt.Sprintf("%.0f W", p.Watts)
	}
	state := temperature + ", " + power
	if p.Temperature == machine.Untold && p.Watts == machine.Untold {
		state = unsupported
	}
	return [][]style.Span{setting("gpu", p.Name), use, memory, setting("  state", state)}
}

// cpuWords are the cores in use.
func cpuWords(g machine.Reading) string {
	if math.IsNaN(g.CPU) {
		return fmt.Sprintf("- of %d", g.Cores)
	}
	return fmt.Sprintf("%.1f of %d", g.CPU/100, g.Cores)
}

// phaseLines tell where the time of the last steps went.
func (v *systemView) phaseLines(r *run, w int) [][]style.Span {
	if r.Step == nil {
		return [][]style.Span{setting("time", "in steps comes with the first ones")}
	}
	p := r.Step.Phases
	total := p.Data + p.Forward + p.Backward + p.Optimizer
	if total <= 0 {
		return [][]style.Span{setting("time", "in steps is not known")}
	}
	var lines [][]style.Span
	for _, ph := range []struct {
		name    string
		seconds float64
	}{{"data", p.Data}, {"forward", p.Forward}, {"backward", p.Backward}, {"optimizer", p.Optimizer}} {
		share := ph.seconds / total
		lines = append(lines, v.meter(ph.name, w, share, fmt.Sprintf("%.1f%%", 100*share)))
	}
	return lines
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// augmentWords say what is done to the images.
func augmentWords(c config.Config) string {
	if c.Augment == (config.Augment{}) || c.Augment == config.Default().Augment {
		return onOff(c.Augment != config.Augment{})
	}
	return c.Augment.Kinds()
}

// settingLines are the run's settings.
func (v *systemView) settingLines(r *run) [][]style.Span {
	c, s := r.Started.Config, r.Started
	lr := "default"
	if rate := cmp.Or(c.LR, s.LearnRate); rate > 0 {
		lr = format.Rate(rate)
	}
	stop := "off"
	if c.Patience > 0 {
		stop = fmt.Sprintf("%d epochs without better %s", c.Patience, c.Monitor)
	}
	validation := fmt.Sprintf("%s images held out", format.Count(int64(s.ValImages)))
	switch {
	case s.ValIsTest:
		validation = fmt.Sprintf("the %s test images", format.Count(int64(s.ValImages)))
	case c.ValSplit == 0:
		validation = fmt.Sprintf("%s images of their own", format.Count(int64(s.ValImages)))
	}
	var lines [][]style.Span
	if c.Recipe != "" && c.Recipe != config.Recipes()[0].Name {
		lines = append(lines, setting("recipe", c.Recipe))
	}
	lines = append(lines, [][]style.Span{
		setting("data", fmt.Sprintf("%s, %s images", s.Dataset, format.Count(int64(s.TrainImages)))),
		setting("validation", validation),
		setting("batch", fmt.Sprintf("%d, %d steps an epoch", c.Batch, s.StepsPerEpoch)),
		setting("epochs", epochsWords(r)),
		setting("optimizer", fmt.Sprintf("%s, lr %s", c.Optimizer, lr)),
		setting("schedule", c.Schedule),
		setting("weight decay", fmt.Sprint(c.WeightDecay)),
	}...)
	lines = append(lines, recipeLines(c)...)
	lines = append(lines, networkLines(c)...)
	return append(lines, [][]style.Span{
		setting("dropout", fmt.Sprint(c.Dropout)),
		setting("augment", augmentWords(c)+", shuffle "+onOff(c.Shuffle)),
		setting("preprocess", c.Preprocess),
		setting("early stop", stop),
		setting("seed", fmt.Sprint(c.Seed)),
		setting("kernels", strings.TrimSuffix(s.Kernels+", "+format.Plural(s.Threads, "thread"), ", 0 threads")),
		setting("process", fmt.Sprintf("pid %d, cifartui %s", s.PID, s.Version)),
		setting("folder", s.Folder),
	}...)
}

// epochsWords says how many epochs there are, and why.
func epochsWords(r *run) string {
	c := r.Started.Config
	words := fmt.Sprint(c.Epochs)
	if c.Budget > 0 {
		if p := r.Planned; p != nil && p.Epochs == c.Epochs {
			words += p.Aside()
		}
		words += ", what fits " + format.Duration(float64(c.Budget))
	}
	if c.MaxSteps > 0 {
		words += fmt.Sprintf(", or %s steps", format.Count(c.MaxSteps))
	}
	return words
}

// networkLines are the settings of networks that are not the article's, do not
// begin as it does, or know images of another size.
func networkLines(c config.Config) (lines [][]style.Span) {
	usual := config.Default()
	for _, s := range [][3]string{
		{"pixels", fmt.Sprint(c.Size), "32"},
		{"filters", string(c.Filters), string(usual.Filters)},
		{"hidden", string(c.Dense), string(usual.Dense)},
		{"initializer", c.Initializer, usual.Initializer},
		{"init", c.Init, ""},
		{"freeze", c.Freeze, ""},
		{"lr scale", c.LRScale, ""},
	} {
		if s[1] != "" && s[1] != "0" && s[1] != s[2] {
			lines = append(lines, setting(s[0], s[1]))
		}
	}
	return lines
}

// recipeLines are the settings beyond the article's, of runs that have them.
func recipeLines(c config.Config) (lines [][]style.Span) {
	add := func(name string, value float64) {
		if value != 0 {
			lines = append(lines, setting(name, fmt.Sprint(value)))
		}
	}
	add("momentum", c.Momentum)
	add("dense lr", c.DenseLR)
	add("dense momentum", c.DenseMomentum)
	add("dense decay", c.DenseDecay)
	add("bias lr", c.BiasLR)
	add("warm-up", c.Warmup)
	add("average", c.Average)
	add("smoothing", c.Smoothing)
	if c.SmallEpochs > 0 {
		lines = append(lines, setting("small epochs", fmt.Sprintf("%g of all, on %d pixels", c.SmallEpochs, c.Small())))
	}
	if c.Fill == "reflect" || c.Flips == "alternate" {
		lines = append(lines, setting("shifts, flips", c.Fill+", "+c.Flips))
	}
	return lines
}

// speedChart is images a second over time.
func (*systemView) speedChart(r *run) chart.Chart {
	v := &r.steps.Values[stepSpeed]
	last := r.steps.Last(chart.ByTime)
	ch := chart.Chart{
		Title: "images/s", Axis: chart.ByTime, X0: 0, X1: math.Max(last, 1), Raw: true, XName: "time",
		Cursor: math.NaN(), Floor: 0, Ceil: math.NaN(), Empty: "Begins with the first batch.",
		Lines: []chart.Line{{Name: "images/s", Polyline: chart.Polyline{Xs: r.steps.At[chart.ByTime], Smooth: v.Smooth(0.99), Raw: v}, Style: style.Training, RawStyle: style.TrainingRaw, Stroke: 0}},
	}
	if n := r.steps.Len(); n > 0 {
		ch.Read = []canvas.Part{canvas.Ranked(0, style.Dim.Text("now "), style.Training.Text(strings.TrimSpace(format.Speed(float64(v.Mean[n-1])))), style.Dim.Text(" images/s"))}
	}
	return ch
}

// logStamp is the width of a message's time, with what is left free around it.
const logStamp = 12

// logFill is how many messages, from the first on, fill h rows of w columns.
func logFill(log []logLine, w, h int) int {
	n := 0
	for rows := 0; n < len(log) && rows < h; n++ {
		rows += len(log[n].rows(w - logStamp))
	}
	return n
}

// rows is the message in rows of at most w columns, as it is if it fits one: its
// columns are those of the messages around it.
func (l logLine) rows(w int) []string {
	if canvas.Width(l.text) <= w {
		return []string{l.text}
	}
	return canvas.Wrap(l.text, w)
}

// drawLog draws the newest messages of the log, or older ones when scrolled back.
// Each is whole: an error or a plan is rarely as short as the view is narrow.
func (v *systemView) drawLog(a canvas.Area, r *run) {
	if a.H < 3 {
		return
	}
	in := v.titled(a, "log")
	if len(r.log) == 0 {
		in.Centre(in.H/2, style.Dim, "Nothing yet.")
		return
	}
	if v.top > 0 {
		a.Right(a.W-2, a.H-1, style.Dim, fmt.Sprintf(" %d more %s ", v.top, v.glyphs.Down))
	}
	// From the newest up, as high as there is room; a log that leaves some begins
	// at the top.
	shown := r.log[:len(r.log)-v.top]
	var rows [][]style.Span
	for i := len(shown) - 1; i >= 0 && len(rows) < in.H; i-- {
		l := shown[i]
		var of [][]style.Span
		for n, t := range l.rows(in.W - logStamp) {
			stamp := style.Dim.Text(l.at.Format("15:04:05  "))
			if n > 0 {
				stamp.Text = strings.Repeat(" ", len(stamp.Text))
			}
			of = append(of, []style.Span{stamp, l.style.Text(t)})
		}
		rows = append(of, rows...)
	}
	rows = rows[max(0, len(rows)-in.H):]
	for y, row := range rows {
		in.Sub(1, y, in.W-2, 1).Spans(0, 0, row...)
	}
}
