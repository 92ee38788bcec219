package runs

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"cifartui/train/event"
	"cifartui/train/record"
)

// A point is what one run contributes to a finding.
type point struct {
	label string
	// size is the setting that was varied when it is a number to order by,
	// batch say; else NaN.
	size  float64
	value float64
	// around is how far the value may be off.
	around float64
}

// trend says how the values of points, in the order of their sizes, move.
type trend int

const (
	mixed trend = iota // neither of the others
	level              // no further apart than they may be off
	rises              // from one to the next, or level; the last clearly over the first
	falls
)

func trendOf(points []point) trend {
	low, high, around := math.Inf(1), math.Inf(-1), 0.0
	for _, p := range points {
		low, high, around = min(low, p.value), max(high, p.value), max(around, p.around)
	}
	if high-low <= around {
		return level
	}
	if math.IsNaN(points[0].size) {
		return mixed
	}
	up, down := true, true
	for i, p := range points[1:] {
		step := p.value - points[i].value
		near := max(p.around, points[i].around)
		up = up && step >= -near
		down = down && step <= near
	}
	switch total := points[len(points)-1].value - points[0].value; {
	case up && total > around:
		return rises
	case down && total < -around:
		return falls
	}
	return mixed
}

// ordered are the settings whose values have an order worth a sentence, and the
// words for more of them.
var ordered = map[string]string{
	"batch": "a larger batch", "lr": "a higher learning rate", "dropout": "more dropout",
}

// fewEpochs is how many epochs at least one run must need to an accuracy before
// the epochs that runs need are told apart.
const fewEpochs = 5

// findings are the article's questions, answered by these runs and no others: is
// an epoch faster, does it converge slower, and when did the best come.
func findings(list []*record.Run, rows []TableRow) []string {
	s := studyOf(list, rows)
	if len(s.subjects) < 2 {
		return nil
	}
	out := []string{s.speed()}
	if text := s.beside(); text != "" {
		out = append(out, text)
	}
	if text := s.convergence(); text != "" {
		out = append(out, text)
	}
	out = append(out, s.best())
	if slices.ContainsFunc(rows, func(r TableRow) bool { return !r.Ended }) {
		out = append(out, "Not all of these runs have ended: the above may change.")
	}
	return out
}

// A study is what findings are drawn from: the runs with an epoch at least.
type study struct {
	subjects []subject // in the order of their sizes, if they have any
	more     string    // "a larger batch"; "" when the runs have no order
}

type subject struct {
	run  *record.Run
	row  TableRow
	size float64 // see point
}

func studyOf(list []*record.Run, rows []TableRow) study {
	var s study
	keys := differing(list)
	if len(keys) == 1 {
		s.more = ordered[keys[0]]
	}
	own := func(r *record.Run) bool { return r.Started != nil && r.Started.Config.LR == 0 }
	if slices.Equal(keys, []string{"lr"}) && slices.ContainsFunc(list, own) {
		s.more = "" // the optimizer's own rate has no place among the others
	}
	for i, r := range list {
		if rows[i].BestEpoch == 0 || r.Started == nil {
			continue
		}
		sub := subject{run: r, row: rows[i], size: math.NaN()}
		if s.more != "" {
			switch v := r.Started.Config.Field(keys[0]).(type) {
			case int:
				sub.size = float64(v)
			case float64:
				sub.size = v
			}
		}
		s.subjects = append(s.subjects, sub)
	}
	if s.more != "" {
		slices.SortStableFunc(s.subjects, func(a, b subject) int { return cmp.Compare(a.size, b.size) })
	}
	return s
}

// points takes a value of each subject, and how far that may be off.
func (s study) points(value, around func(subject) float64) []point {
	var out []point
	for _, sub := range s.subjects {
		out = append(out, point{label: sub.row.Label, size: sub.size, value: value(sub), around: around(sub)})
	}
	return out
}

// speed says whether an epoch is faster. Epochs of one run differ too: twice
// their spread, and 2% at least, is no difference.
func (s study) speed() string {
	times := s.points(
		func(s subject) float64 { return float64(s.row.EpochSeconds) },
		func(s subject) float64 {
			middle := float64(s.row.EpochSeconds)
			spread := medianOf(s.run.Epochs, func(e *event.EpochDone) float64 { return math.Abs(e.Seconds - middle) })
			return max(0.02*middle, 2*spread)
		})
	text := map[trend]string{
		level: "An epoch took about as long with each",
		rises: "An epoch took longer with " + s.more,
		falls: "An epoch was faster with " + s.more,
		mixed: "An epoch was fastest with " + lowest(times).label,
	}[trendOf(times)]
	if trendOf(times) == level && highest(times).value > 1.05*lowest(times).value {
		text = "The time of an epoch varies too much within a run to tell which is faster"
	}
	return text + ": " + each(times, func(p point) string { return fmt.Sprintf("%.1f s", p.value) }) + "."
}

// beside says that times are of runs that shared the processor; "" if they are
// not.
func (s study) beside() string {
	most := 0
	for _, sub := range s.subjects {
		most = max(most, sub.run.Started.AtOnce)
	}
	if most < 2 {
		return ""
	}
	return fmt.Sprintf("Up to %d of these runs trained at once and shared the processor: the times are not those of a run alone.", most)
}

// convergence says which run converges in fewer epochs, to the highest of the
// goals that all have reached, or else to the percent below; "" when there is
// none.
func (s study) convergence() string {
	worst := math.Inf(1)
	for _, sub := range s.subjects {
		worst = min(worst, float64(sub.row.BestValAcc))
	}
	goal := math.Floor(100*worst) / 100
	for _, g := range Goals {
		if g <= worst {
			goal = g
		}
	}
	if s.subjects[0].run.Reached(goal) == nil || goal <= 0 {
		return ""
	}
	epochs := s.points(
		func(s subject) float64 { return float64(s.run.Reached(goal).Epoch) },
		// An epoch more or less is the grain of the scale.
		func(s subject) float64 { return max(1, 0.1*float64(s.run.Reached(goal).Epoch)) })
	times := s.points(
		func(s subject) float64 { return s.run.Reached(goal).Elapsed },
		func(subject) float64 { return 0 })
	text := map[trend]string{
		level: "All converged about equally fast",
		rises: capital(s.more) + " was slower to converge",
		falls: capital(s.more) + " converged in fewer epochs",
		mixed: "The first to converge was " + lowest(epochs).label,
	}[trendOf(epochs)]
	if highest(epochs).value < fewEpochs {
		text = "It is too early to tell which converges faster"
	}
	return fmt.Sprintf("%s: a val_acc of %.0f%% took %s; in training time %s had it first, after %s.",
		text, 100*goal, each(epochs, func(p point) string { return counted(int(p.value), "epoch") }),
		lowest(times).label, shortTime(lowest(times).value))
}

// best says how good the best epochs are, and when they came.
func (s study) best() string {
	parts := make([]string, len(s.subjects))
	for i, s := range s.subjects {
		parts[i] = fmt.Sprintf("%.2f%% at epoch %d of %d (%s)", 100*float64(s.row.BestValAcc), s.row.BestEpoch, s.row.Epochs, s.row.Label)
	}
	best := s.points(
		func(s subject) float64 { return float64(s.row.BestValAcc) },
		func(s subject) float64 { return chance(s.run) })
	top, bottom := highest(best), lowest(best)
	verdict := fmt.Sprintf("the highest, %s, is %.2f points over the lowest, %s", top.label, 100*(top.value-bottom.value), bottom.label)
	if trendOf(best) == level {
		verdict = fmt.Sprintf("they lie %.2f points apart, which so many validation images can't tell from chance", 100*(top.value-bottom.value))
	}
	return fmt.Sprintf("%s: %s; %s.", s.whenBest(), strings.Join(parts, ", "), verdict)
}

// whenBest says when the best came. At the end of a run it may be still to come.
func (s study) whenBest() string {
	var last []string
	for _, sub := range s.subjects {
		if sub.row.BestEpoch == sub.row.Epochs {
			last = append(last, sub.row.Label)
		}
	}
	if len(last) > 0 {
		return "The best may be still to come, as it was the last epoch's with " + strings.Join(last, ", ")
	}
	came := s.points(
		func(s subject) float64 { return float64(s.row.BestEpoch) },
		func(s subject) float64 { return max(1, 0.1*float64(s.row.BestEpoch)) })
	return map[trend]string{
		level: "The best came at about the same epoch with each",
		rises: "The best came later with " + s.more,
		falls: "The best came earlier with " + s.more,
		mixed: "The best came earliest with " + lowest(came).label,
	}[trendOf(came)]
}

// chance is the difference between two accuracies on the run's validation images
// that is no more than chance: 1.96 standard deviations of the difference of two
// binomial shares.
func chance(r *record.Run) float64 {
	n := float64(r.Started.ValImages)
	p := float64(r.BestValAcc().ValAcc)
	if n == 0 || math.IsNaN(p) {
		return 0
	}
	return 1.96 * math.Sqrt(2*p*(1-p)/n)
}

func each(points []point, value func(point) string) string {
	parts := make([]string, len(points))
	for i, p := range points {
		parts[i] = value(p) + " (" + p.label + ")"
	}
	return strings.Join(parts, ", ")
}

func lowest(points []point) point {
	return slices.MinFunc(points, func(a, b point) int { return cmp.Compare(a.value, b.value) })
}

func highest(points []point) point {
	return slices.MaxFunc(points, func(a, b point) int { return cmp.Compare(a.value, b.value) })
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func counted(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
