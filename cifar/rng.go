package cifar

import "math/bits"

// A rng is SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom
// Number Generators, OOPSLA 2014). Its stream is fixed here, not by a library's
// version, since orders, augmentation and the demo set must be the same on
// every machine and in every build.
type rng struct{ state uint64 }

// newRNG returns a stream that depends on every key and their order: a seed,
// then what the stream is for.
func newRNG(keys ...uint64) rng {
	r := rng{}
	for _, k := range keys {
		r.state = (rng{r.state ^ k}).peek()
	}
	return r
}

// peek returns what next would.
func (r rng) peek() uint64 {
	z := r.state + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// next returns 64 random bits.
func (r *rng) next() uint64 {
	v := r.peek()
	r.state += 0x9e3779b97f4a7c15
	return v
}

// below returns a number in [0,n), n > 0. The bias of this multiplication is
// under n/2^64.
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// between returns a number in [lo,hi].
func (r *rng) between(lo, hi int) int { return lo + r.below(hi-lo+1) }

// within returns a number in [-most,most).
func (r *rng) within(most float64) float64 {
	return float64((float64(r.next()>>11)/(1<<52) - 1) * most)
}

// chance is true in percent of 100 cases.
func (r *rng) chance(percent int) bool { return r.below(100) < percent }

// The purposes that a stream is drawn for, the key after the seed.
const (
	forOrder uint64 = iota + 1
	forAugment
	forSplit
	forDemo
	forFlips
	forRotate
	forZoom
	forCutout
	forColor
)
