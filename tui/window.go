package tui

// A window is the part of the x axis that charts show: all of it, or from lo
// to hi. One that follows moves with the newest data.
type window struct {
	zoomed bool
	lo, hi float64
	follow bool
}

// minZoom is how far one can zoom in, as a share of the whole.
const minZoom = 1.0 / (1 << 16)

// span returns what to show of data that goes from first to last.
func (w window) span(first, last float64) (lo, hi float64) {
	if !w.zoomed {
		if last <= first {
			last = first + 1
		}
		return first, last
	}
	if w.follow {
		return last - (w.hi - w.lo), last
	}
	return w.lo, w.hi
}

// zoom scales the window about at by factor (below 1 shows less).
func (w window) zoom(first, last, at, factor float64) window {
	lo, hi := w.span(first, last)
	nlo, nhi := at-(at-lo)*factor, at+(hi-at)*factor
	if factor >= 1 && nhi-nlo >= last-first || nhi <= nlo {
		return window{}
	}
	if nhi-nlo < (last-first)*minZoom {
		return w
	}
	return window{zoomed: true, lo: nlo, hi: nhi}.kept(first, last)
}

// pan moves a zoomed window by a share of its width.
func (w window) pan(first, last, share float64) window {
	if !w.zoomed {
		return w
	}
	lo, hi := w.span(first, last)
	d := (hi - lo) * share
	return window{zoomed: true, lo: lo + d, hi: hi + d}.kept(first, last)
}

// kept moves the window back to where data is; at the newest end it follows.
func (w window) kept(first, last float64) window {
	d := 0.0
	switch {
	case w.hi >= last:
		d = last - w.hi
		w.follow = true
	case w.lo < first:
		d = first - w.lo
	}
	w.lo, w.hi = w.lo+d, w.hi+d
	return w
}
