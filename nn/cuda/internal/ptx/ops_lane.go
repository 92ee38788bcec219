package ptx

import "math/bits"

// What lanes of a warp do together (sections 9.7.9.6, 9.7.13.8 to 9.7.13.11).
var laneOps = map[string]builder{
	"shfl": shuffle, "vote": vote, "activemask": activeMask, "redux": reduceLanes, "elect": elect, "match": match,
}

// shuffle: shfl.sync d|p, a, b, c, mask. c holds the clamp in its lower bits
// and the mask of segments above (section 9.7.9.6).
func shuffle(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	mode := m.first("up", "down", "bfly", "idx")
	m.first("b32")
	m.done()
	a := c.args(5)
	d, p := c.dst(a[0], 32), -1
	if a[0].pair != nil {
		p = c.pred(*a[0].pair)
	}
	x, by, clamp, mask := c.src(a[1], 32), c.src(a[2], 32), c.src(a[3], 32), c.src(a[4], 32)
	c.kind = "shfl"
	in.run = func(w *warp, active uint32) {
		w.members(mask, active)
		w.need(active, x, by, clamp)
		in := uint32(0)
		for rest := active; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest)
			b, cv := int(w.r[by][l]&31), int(w.r[clamp][l])
			segment := cv >> 8 & 31
			limit := l&segment | cv&31&^segment
			least := l & segment
			from, ok := l, false
			switch mode {
			case "up":
				from = l - b
				ok = from >= limit
			case "down":
				from = l + b
				ok = from <= limit
			case "bfly":
				from = l ^ b
				ok = from <= limit
			case "idx":
				from = least | b&^segment
				ok = from <= limit
			}
			if !ok {
				from = l
			} else {
				in |= 1 << l
			}
			if active>>from&1 == 0 {
				w.fault(Divergent, l, "it takes a value from lane %d, which is not here", from)
			}
			w.tmp[l] = w.r[x][from]
		}
		w.set(d, active)
		if p >= 0 {
			w.setPred(p, active, in)
		}
	}
}

func vote(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	mode := m.first("all", "any", "uni", "ballot")
	a := c.args(3)
	mask, p := c.src(a[2], 32), c.predSource(a[1])
	c.kind = "vote"
	if mode == "ballot" {
		m.first("b32")
		m.done()
		d := c.dst(a[0], 32)
		in.run = func(w *warp, active uint32) {
			w.members(mask, active)
			v := p(w, active) & active
			for l := range w.tmp {
				w.tmp[l] = uint64(v)
			}
			w.set(d, active)
		}
		return
	}
	m.first("pred")
	m.done()
	d := c.pred(a[0])
	in.run = func(w *warp, active uint32) {
		w.members(mask, active)
		v := p(w, active) & active
		yes := map[string]bool{"all": v == active, "any": v != 0, "uni": v == active || v == 0}[mode]
		if yes {
			w.setPred(d, active, full)
		} else {
			w.setPred(d, active, 0)
		}
	}
}

func activeMask(c *compiler, in *instruction, m modifiers) {
	m.first("b32")
	m.done()
	d := c.dst(c.args(1)[0], 32)
	c.kind = "vote"
	in.run = func(w *warp, active uint32) {
		for l := range w.tmp {
			w.tmp[l] = uint64(active)
		}
		w.set(d, active)
	}
}

// reduceLanes: redux.sync of integers over the warp.
func reduceLanes(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	name := m.first("add", "min", "max", "and", "or", "xor")
	t := m.typed("usb")
	m.done()
	if t.bits != 32 {
		c.fail("redux of %d bits", t.bits)
	}
	a := c.args(3)
	d, x, mask := c.dst(a[0], 32), c.src(a[1], 32), c.src(a[2], 32)
	f := t.atomic(name)
	c.kind = "shfl"
	in.run = func(w *warp, active uint32) {
		w.members(mask, active)
		w.need(active, x)
		first := lowest(active)
		sum := w.r[x][first]
		for l := first + 1; l < warpSize; l++ {
			if active>>l&1 != 0 {
				sum = f(sum, w.r[x][l], 0) & 0xffffffff
			}
		}
		for l := range w.tmp {
			w.tmp[l] = sum
		}
		w.set(d, active)
	}
}

// elect: elect.sync picks one lane; here the lowest.
func elect(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	m.done()
	a := c.args(2)
	if a[0].pair == nil {
		c.fail("elect.sync without a predicate")
	}
	d, p, mask := -1, c.pred(*a[0].pair), c.src(a[1], 32)
	if a[0].kind != isSink {
		d = c.dst(a[0], 32)
	}
	c.kind = "vote"
	in.run = func(w *warp, active uint32) {
		w.members(mask, active)
		leader := lowest(active)
		w.setPred(p, active, 1<<leader)
		if d >= 0 {
			for l := range w.tmp {
				w.tmp[l] = uint64(leader)
			}
			w.set(d, active)
		}
	}
}

// match: match.any.sync gives the lanes that hold the same value.
func match(c *compiler, in *instruction, m modifiers) {
	m.first("any")
	m.first("sync")
	t := m.typed("b")
	m.done()
	a := c.args(3)
	d, x, mask := c.dst(a[0], 32), c.src(a[1], t.bits), c.src(a[2], 32)
	c.kind = "vote"
	in.run = func(w *warp, active uint32) {
		w.members(mask, active)
		w.need(active, x)
		for l := range w.tmp {
			w.tmp[l] = 0
			for k := range w.tmp {
				if active>>k&1 != 0 && w.r[x][k] == w.r[x][l] {
					w.tmp[l] |= 1 << k
				}
			}
		}
		w.set(d, active)
	}
}
