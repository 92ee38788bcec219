package nn

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// Schedule is how the learning rate changes in a training.
type Schedule interface {
	// Rate is the factor of the base rate at a step, counted from 0, of total.
	// Steps beyond the last have the last one's rate. A step may lie between two:
	// a training whose end has moved goes on at the same place of its schedule.
	Rate(step float64, total int64) float64
}

// ScheduleNames lists what NewSchedule knows.
func ScheduleNames() []string { return []string{"constant", "step", "cosine", "onecycle", "triangle"} }

// NewSchedule makes a schedule:
//
//   - constant: 1
//   - step: 1, from half of the steps on 0.1, from three quarters on 0.01
//     (as He et al. 2016 train on CIFAR-10)
//   - cosine: from 1 down to 0 (Loshchilov and Hutter 2017, without restarts)
//   - onecycle: warms up over 30% of the steps from 1/25 to 1, then falls to
//     1/250,000, both along a cosine (Smith 2018, with the numbers of
//     PyTorch's OneCycleLR)
//   - triangle: warms up over 20% of the steps to 1, then falls to 0, both along
//     a straight line (Smith 2018)
//
// warmup is the part of the steps, in [0, 1), over which the rate rises; 0 means
// the schedule's own. Those that have none of their own rise along a straight line,
// and then go through all of their curve in the steps that are left. A straight line
// begins at 0, but no rate of a warm-up is below 1/20.
func NewSchedule(name string, warmup float64) (Schedule, error) {
	if !(warmup >= 0 && warmup < 1) {
		return nil, fmt.Errorf("nn: a warm-up of %v of the steps, want 0 up to, not including, 1", warmup)
	}
	switch name {
	case "constant":
		return rising(warmup, func(float64, float64) float64 { return 1 }), nil
	case "step":
		return rising(warmup, stepRate), nil
	case "cosine":
		return rising(warmup, cosineRate), nil
	case "triangle":
		return rising(cmp.Or(warmup, 0.2), func(step, total float64) float64 { return 1 - step/max(1, total) }), nil
	case "onecycle":
		rise := cmp.Or(warmup, 0.3)
		return schedule(func(step, total float64) float64 { return oneCycleRate(step, total, rise) }), nil
	}
	return nil, fmt.Errorf("nn: there is no schedule %q: take one of %s", name, strings.Join(ScheduleNames(), ", "))
}

// schedule gives the factor at a step of a training of total steps.
type schedule func(step, total float64) float64

func (f schedule) Rate(step float64, total int64) float64 {
	return f(max(0, min(step, float64(total-1))), float64(total))
}

// rising puts a warm-up before a schedule.
func rising(warmup float64, then schedule) schedule {
	const start = 1.0 / 20
	return func(step, total float64) float64 {
		rise := warmup * total
		if step < rise {
			return max(start, step/rise)
		}
		return then(step-rise, total-rise)
	}
}

func stepRate(step, total float64) float64 {
	switch done := step / total; {
	case done >= 0.75:
		return 0.01
	case done >= 0.5:
		return 0.1
	}
	return 1
}

func cosineRate(step, total float64) float64 {
	return anneal(1, 0, step/max(1, total))
}

func oneCycleRate(step, total, rise float64) float64 {
	const start, end = 1.0 / 25, 1.0 / 25 / 1e4
	peak, last := max(0, rise*total-1), total-1
	switch {
	case step < peak:
		return anneal(start, 1, step/peak)
	case last <= peak: // too few steps for a way down
		return 1
	}
	return anneal(1, end, (step-peak)/(last-peak))
}

// anneal goes from one value to another along half a cosine as part goes from
// 0 to 1.
func anneal(from, to, part float64) float64 {
	return to + (from-to)/2*(1+math.Cos(math.Pi*part))
}
