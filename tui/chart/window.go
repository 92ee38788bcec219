package chart

// A Window is the part of the x axis that charts show: all of it, or from lo
// to hi. One that follows moves with the newest data.
type Window struct {
	Zoomed bool
	Lo, Hi float64
	follow bool
}

// minZoom is how far one can zoom in, as a share of the whole.
const minZoom = 1.0 / (1 << 16)

// Span returns what to show of data that goes from first to last.
func (w Window) Span(first, last float64) (lo, hi float64) {
	if !w.Zoomed {
		if last <= first {
			last = first + 1
		}
		return first, last
	}
	if w.follow {
		return last - (w.Hi - w.Lo), last
	}
	return w.Lo, w.Hi
}

// Zoom scales the window about at by factor (below 1 shows less).
func (w Window) Zoom(first, last, at, factor float64) Window {
	lo, hi := w.Span(first, last)
	nlo, nhi := at-(at-lo)*factor, at+(hi-at)*factor
	if factor >= 1 && nhi-nlo >= last-first || nhi <= nlo {
		return Window{}
	}
	if nhi-nlo < (last-first)*minZoom {
		return w
	}
	return Window{Zoomed: true, Lo: nlo, Hi: nhi}.kept(first, last)
}

// Pan moves a zoomed window by a share of its width.
func (w Window) Pan(first, last, share float64) Window {
	if !w.Zoomed {
		return w
	}
	lo, hi := w.Span(first, last)
	d := (hi - lo) * share
	return Window{Zoomed: true, Lo: lo + d, Hi: hi + d}.kept(first, last)
}

// kept moves the window back to where data is; at the newest end it follows.
func (w Window) kept(first, last float64) Window {
	d := 0.0
	switch {
	case w.Hi >= last:
		d = last - w.Hi
		w.follow = true
	case w.Lo < first:
		d = first - w.Lo
	}
	w.Lo, w.Hi = w.Lo+d, w.Hi+d
	return w
}
