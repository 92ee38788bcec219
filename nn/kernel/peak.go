package kernel

import (
	"math"
	"time"
)

// PeakGFLOPS measures for about d what the processor's multiply-add units can
// do with the kernels in use: 10⁹ floating point operations a second, all
// workers together, with every operand in a register. It is the limit that a
// convolution's speed is read against.
func PeakGFLOPS(w *Workers, d time.Duration) float64 {
	t := &peakTask{workers: w.N(), rounds: 1 << 12}
	w.Do(w.N(), t) // warm up: clocks and goroutines
	best := 0.0
	for end := time.Now().Add(d); ; {
		start := time.Now()
		w.Do(w.N(), t)
		took := time.Since(start)
		rate := float64(t.workers) * float64(t.rounds) * float64(active.multiplyAdd(0)) / float64(took.Nanoseconds())
		best = max(best, rate)
		if time.Now().After(end) {
			return best
		}
		if took < 2*time.Millisecond {
			t.rounds *= 2
		}
	}
}

type peakTask struct{ workers, rounds int }

func (t *peakTask) Run(_, _ int) { active.multiplyAdd(t.rounds) }

// multiplyAddGeneric has eight independent sums, so that additions overlap.
func multiplyAddGeneric(n int) (flops int) {
	const a, b = 0.5, 0.25
	s := [8]float32{1, 2, 3, 4, 5, 6, 7, 8}
	s0, s1, s2, s3, s4, s5, s6, s7 := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for range n {
		s0 = s0*a + b
		s1 = s1*a + b
		s2 = s2*a + b
		s3 = s3*a + b
		s4 = s4*a + b
		s5 = s5*a + b
		s6 = s6*a + b
		s7 = s7*a + b
	}
	if math.IsNaN(float64(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7)) {
		panic("kernel: impossible sum") // the sums must be used to be computed
	}
	return 16
}
