package nn

import (
	"fmt"
	"math"
	"strings"
)

// Schedule is how the learning rate changes in a training.
type Schedule interface {
	// Rate is the factor of the base rate at a step, counted from 0, of total.
	// Steps beyond the last have the last one's rate.
	Rate(step, total int64) float64
}

// ScheduleNames lists what NewSchedule knows.
func ScheduleNames() []string { return []string{"constant", "step", "cosine", "onecycle"} }

// NewSchedule makes a schedule:
//
//   - constant: 1
//   - step: 1, from half of the steps on 0.1, from three quarters on 0.01
//     (as He et al. 2016 train on CIFAR-10)
//   - cosine: from 1 down to 0 (Loshchilov and Hutter 2017, without restarts)
//   - onecycle: warms up over 30% of the steps from 1/25 to 1, then falls to
//     1/250,000, both along a cosine (Smith 2018, with the numbers of
//     PyTorch's OneCycleLR)
func NewSchedule(name string) (Schedule, error) {
	switch name {
	case "constant":
		return schedule(func(float64, int64) float64 { return 1 }), nil
	case "step":
		return schedule(stepRate), nil
	case "cosine":
		return schedule(cosineRate), nil
	case "onecycle":
		return schedule(oneCycleRate), nil
	}
	return nil, fmt.Errorf("nn: there is no schedule %q: take one of %s", name, strings.Join(ScheduleNames(), ", "))
}

// schedule gives the factor at a step of a training of total steps.
type schedule func(step float64, total int64) float64

func (f schedule) Rate(step, total int64) float64 {
	return f(float64(max(0, min(step, total-1))), total)
}

func stepRate(step float64, total int64) float64 {
	switch done := step / float64(total); {
	case done >= 0.75:
		return 0.01
	case done >= 0.5:
		return 0.1
	}
	return 1
}

func cosineRate(step float64, total int64) float64 {
	return anneal(1, 0, step/float64(max(1, total)))
}

func oneCycleRate(step float64, total int64) float64 {
	const start, end = 1.0 / 25, 1.0 / 25 / 1e4
	peak, last := max(0, 0.3*float64(total)-1), float64(total-1)
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
