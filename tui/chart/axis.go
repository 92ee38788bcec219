package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"cifartui/tui/format"
)

// A tick is a labelled place on an axis.
type tick struct {
	at    float64
	label string
}

// niceStep returns the smallest round number that is at least least: 1, 2, 2.5
// or 5 times a power of ten.
func niceStep(least float64) float64 { return roundUp(least, 1, 2, 2.5, 5) }

// roundUp returns the smallest of some factors times a power of ten that is at
// least least.
func roundUp(least float64, factors ...float64) float64 {
	if least <= 0 || !Finite(least) {
		return 1
	}
	mag := math.Pow(10, math.Floor(math.Log10(least)))
	for _, f := range factors {
		if f*mag >= least*(1-1e-9) {
			return f * mag
		}
	}
	return 10 * mag
}

// bounds widens [lo,hi] to whole steps of a nice size, so that the axis stays
// still while values creep.
func bounds(lo, hi float64, rows int) (float64, float64) {
	if !Finite(lo) || !Finite(hi) || lo > hi {
		return 0, 1
	}
	if hi-lo < 1e-9*math.Max(1, math.Abs(hi)) {
		pad := math.Max(math.Abs(hi)*0.05, 1e-3)
		lo, hi = lo-pad, hi+pad
	}
	step := niceStep((hi - lo) / float64(max(rows, 2)))
	return math.Floor(lo/step+1e-9) * step, math.Ceil(hi/step-1e-9) * step
}

// YLabelWidth is how wide the labels of a y axis are, but where ticks are so close
// that they take more to differ: those of one axis are then wider, up to
// yLabelMost.
const (
	YLabelWidth = 6
	yLabelMost  = 10 // the values have seven digits
)

// yTicks returns round values between lo and hi, about one every two or three
// of an axis' rows.
func yTicks(lo, hi float64, rows int, log bool) []tick {
	if log {
		return logTicks(lo, hi, rows)
	}
	return evenTicks(lo, hi, rows)
}

// evenTicks returns the multiples of a round step.
func evenTicks(lo, hi float64, rows int) []tick {
	every := 2.0
	if rows > 16 {
		every = 3
	}
	step := niceStep((hi - lo) / math.Max(float64(rows-1)/every, 1))
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	if hi < 10 {
		digits = max(digits, 2)
	}
	if step < 1 && math.Abs(math.Remainder(step, math.Pow(10, -float64(digits)))) > step/100 {
		digits++ // 0.025
	}
	ticks := multiples(lo, hi, step, func(v float64) string { return yLabel(v, digits) })
	for _, t := range ticks {
		if said, err := strconv.ParseFloat(strings.TrimSpace(t.label), 64); err != nil || math.Abs(said-t.at) > step/10 {
			return relabel(ticks, digits)
		}
	}
	return ticks
}

// relabel gives ticks labels with so many digits after the point, as wide as the
// widest; those too wide for any chart leave them as they are.
func relabel(ticks []tick, digits int) []tick {
	wide := make([]tick, len(ticks))
	width := YLabelWidth
	for i, t := range ticks {
		label := strconv.FormatFloat(t.at, 'f', digits, 64)
		if t.at != 0 {
			if e := exponential(t.at, max(0, digits+int(math.Floor(math.Log10(math.Abs(t.at)))))); len(e) < len(label) {
				label = e
			}
		}
		wide[i], width = tick{t.at, label}, max(width, len(label))
	}
	if width > yLabelMost {
		return ticks
	}
	for i := range wide {
		wide[i].label = fmt.Sprintf("%*s", width, wide[i].label)
	}
	return wide
}

// multiples returns ticks at the multiples of step between lo and hi.
func multiples(lo, hi, step float64, label func(float64) string) []tick {
	first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
	n := int(math.Min(last-first, maxTicks))
	var ticks []tick
	for i := 0; i <= n; i++ {
		v := (first+float64(i))*step + 0 // no negative zero
		ticks = append(ticks, tick{v, label(v)})
	}
	return ticks
}

// maxTicks is more ticks than any axis has.
const maxTicks = 200

// logTicks returns powers of ten, and their doubles and fives where there are
// few.
func logTicks(lo, hi float64, rows int) []tick {
	decades := math.Log10(hi / lo)
	factors := []float64{1, 2, 5}
	switch perDecade := float64(rows) / math.Max(decades, 1e-9); {
	case perDecade < 4:
		factors = factors[:1]
	case perDecade > 16:
		factors = []float64{1, 1.5, 2, 3, 4, 5, 6, 8}
	}
	var ticks []tick
	for e := math.Floor(math.Log10(lo)); e <= math.Log10(hi); e++ {
		for _, f := range factors {
			if v := f * math.Pow(10, e); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				ticks = append(ticks, tick{v, yLabel(v, max(2, int(1-e)))})
			}
		}
	}
	if len(ticks) < 3 && hi < 3*lo { // a scale that is as good as even
		ticks = evenTicks(lo, hi, rows)
	}
	return ticks
}

// yLabel shows v with so many digits after the point, or as many as fit into
// YLabelWidth columns; what is too large or too small for that as 1.5e-4.
func yLabel(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if v == 0 || math.Abs(v) >= 0.01 { // else too few digits would be left
		for ; len(s) > YLabelWidth && digits > 0; digits-- {
			s = strconv.FormatFloat(v, 'f', digits-1, 64)
		}
	}
	for n := 2; len(s) > YLabelWidth && n >= 0; n-- {
		s = exponential(v, n)
	}
	return fmt.Sprintf("%*s", YLabelWidth, s)
}

// exponential shows v as 1.5e-4, with so many digits after the point at most.
func exponential(v float64, digits int) string {
	number, power, _ := strings.Cut(strconv.FormatFloat(v, 'e', digits, 64), "e")
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	n, _ := strconv.Atoi(power) // +06
	return fmt.Sprintf("%se%d", number, n)
}

// xTicks returns ticks between lo and hi for an axis w columns wide: ten columns
// apart and more, or where that leaves hardly any, six.
func xTicks(a Axis, lo, hi float64, w int) []tick {
	if hi <= lo || w < 8 {
		return nil
	}
	ticks := xTicksApart(a, lo, hi, (hi-lo)*10/float64(w))
	if len(ticks) < 3 {
		ticks = xTicksApart(a, lo, hi, (hi-lo)*6/float64(w))
	}
	return ticks
}

func xTicksApart(a Axis, lo, hi, least float64) []tick {
	var step float64
	switch {
	case a == ByTime:
		step = niceTime(least)
	case a == ByStep && least < 1:
		step = 1
	default: // epochs and steps are counted: no 2.5
		step = roundUp(least, 1, 2, 5)
	}
	return multiples(lo, hi, step, func(v float64) string { return xLabel(a, v, step) })
}

// niceTime returns the smallest time people count in that is at least least.
func niceTime(least float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600} {
		if s >= least {
			return s
		}
	}
	return 86400 * niceStep(least/86400)
}

// xLabel shows a place on an x axis in few columns, as many as tell it from the
// next, a step further.
func xLabel(a Axis, v, step float64) string {
	switch {
	case a == ByTime:
		return timeLabel(v, step)
	case math.Abs(v) >= 1e6:
		return inUnits(v, step, 1e6) + "M"
	case math.Abs(v) >= 1e4:
		return inUnits(v, step, 1e3) + "k"
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}

// inUnits shows v in units, to the digit in which multiples of step differ.
func inUnits(v, step, unit float64) string {
	digit := math.Pow(10, max(0, math.Ceil(math.Log10(unit/step)-1e-9)))
	return strconv.FormatFloat(math.Round(v/unit*digit)/digit, 'f', -1, 64)
}

// timeLabel shows a time: 15m for 15m00s, and of long ones in small steps also
// the unit in which those are.
func timeLabel(v, step float64) string {
	s, seconds := format.Duration(v), int(math.Round(v))
	if seconds >= 100*3600 && step < 3600 { // in days and hours so far
		s += fmt.Sprintf("%02dm", seconds/60%60)
	}
	if seconds >= 3600 && step < 60 {
		s += fmt.Sprintf("%02ds", seconds%60)
	}
	if t, ok := strings.CutSuffix(s, "m00s"); ok {
		s = t + "m"
	}
	if t, ok := strings.CutSuffix(s, "h00m"); ok {
		s = t + "h"
	}
	return s
}
