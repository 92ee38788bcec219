package ptx

import (
	"encoding/binary"
	"math/bits"
)

// shared is a block's shared memory. It is kept in lines of 16 bytes; of each
// it is known which bytes were written, which are the target of a copy that
// has not ended, and who used which byte last.
//
// Two accesses of one byte by different warps, one of them a write, must be
// ordered by a barrier. This is told by vector clocks: each warp counts its own
// time, which a barrier moves on, and at a barrier every warp learns the times
// of all others. An access by warp u at its time t came before what warp w does
// now if w.clock[u] >= t. Since the order in which the interpreter happens to
// run warps does not enter, a race is found in every run.
type shared struct {
	data  []byte
	lines []line
	used  []int32 // lines that are not as new
	warps int
	uses  int

	mbarriers map[uint64]*mbarrier // by address; see hopper.go
}

// line is what is known of 16 bytes. Masks have a bit for each byte.
type line struct {
	written uint16
	flight  uint16 // target of an asynchronous copy that was not waited for
	dirty   bool   // listed in used
	writes  []access
	reads   []access
}

// access is the last one of these bytes by one warp.
type access struct {
	time  uint32
	mask  uint16
	warp  uint8
	proxy proxy
}

// proxy is the way by which shared memory is reached: a write by one is not
// seen by the other without a fence (section 8.4, "Proxies").
type proxy uint8

const (
	generic      proxy = iota // ld, st, ldmatrix, cp.async
	asynchronous              // cp.async.bulk, wgmma
	storing                   // cp.async.bulk from shared memory
	atomically                // atom, red: the generic way, in no order
)

func (s *shared) make(n, warps int) {
	n = (n + 15) &^ 15
	s.data = make([]byte, n)
	s.lines = make([]line, n/16)
	s.warps = warps
}

// reset makes the memory as new for the next block.
func (s *shared) reset() {
	for _, i := range s.used {
		l := &s.lines[i]
		l.written, l.flight, l.dirty = 0, 0, false
		l.writes, l.reads = l.writes[:0], l.reads[:0]
	}
	s.used = s.used[:0]
	s.mbarriers = map[uint64]*mbarrier{}
	s.uses++
}

// at checks an address and returns its line and the mask of n bytes from it.
// n divides 16.
func (s *shared) at(w *warp, lane int, addr uint64, n int) (*line, uint16) {
	if addr%uint64(n) != 0 {
		w.fault(Misaligned, lane, "shared address %#x is no multiple of %d", addr, n)
	}
	if addr < firstShared || addr+uint64(n) > uint64(len(s.data)) || addr+uint64(n) > uint64(w.block.prog.dynamic+w.block.dynamic) {
		w.fault(Foreign, lane, "shared address %#x is outside of the block's %d bytes", addr, w.block.prog.dynamic+w.block.dynamic)
	}
	i := addr / 16
	l := &s.lines[i]
	if !l.dirty {
		l.dirty = true
		s.used = append(s.used, int32(i))
	}
	return l, uint16(1<<n-1) << (addr % 16)
}

// read checks that w may read n bytes at addr, and notes that it has.
func (s *shared) read(w *warp, lane int, addr uint64, n int, by proxy) {
	l, mask := s.at(w, lane, addr, n)
	if l.flight&mask != 0 {
		w.fault(InFlight, lane, "shared address %#x is filled by a copy that this warp does not know to have ended", addr)
	}
	if mask&^l.written != 0 {
		w.fault(Uninitialized, lane, "shared address %#x was never written", addr+uint64(bits.TrailingZeros16(mask&^l.written)-int(addr%16)))
	}
	for i := range l.writes {
		a := &l.writes[i]
		if a.mask&mask == 0 {
			continue
		}
		if w.clock[a.warp] < a.time {
			w.fault(Race, lane, "warp %d wrote shared address %#x, with no barrier since", a.warp, addr)
		}
		if (by == asynchronous || by == storing) && (a.proxy == generic || a.proxy == atomically) && w.block.warps[a.warp].fenced < a.time {
			w.fault(Race, lane, "warp %d wrote shared address %#x with no fence.proxy.async since", a.warp, addr)
		}
	}
	l.reads = note(l.reads, access{w.clock[w.id], mask, uint8(w.id), by})
}

// write checks that w may write n bytes at addr, and notes that it has.
func (s *shared) write(w *warp, lane int, addr uint64, n int, by proxy) {
	l, mask := s.claim(w, lane, addr, n, by)
	l.written |= mask
	s.wrote(l, mask, w, by)
}

// claim checks that w may write n bytes at addr: nobody else may be using them.
func (s *shared) claim(w *warp, lane int, addr uint64, n int, by proxy) (*line, uint16) {
	l, mask := s.at(w, lane, addr, n)
	if l.flight&mask != 0 {
		w.fault(InFlight, lane, "shared address %#x is the target of a copy that was not waited for", addr)
	}
	for _, a := range l.writes {
		if a.mask&mask != 0 && w.clock[a.warp] < a.time {
			w.fault(Race, lane, "warp %d wrote shared address %#x, too, with no barrier between", a.warp, addr)
		}
	}
	for i := range l.reads {
		a := &l.reads[i]
		if a.mask&mask == 0 {
			continue
		}
		if w.clock[a.warp] < a.time {
			w.fault(Race, lane, "warp %d read shared address %#x, with no barrier since", a.warp, addr)
		}
		switch a.proxy {
		case asynchronous:
			w.ended(lane, addr, a, "wgmma", &w.block.warps[a.warp].tensor.groups)
		case storing:
			w.ended(lane, addr, a, "store", &w.block.warps[a.warp].bulk.groups)
		}
	}
	return l, mask
}

// ended faults unless a read of shared memory by something that its warp did not
// wait for at once has ended, and w knows it.
func (w *warp) ended(lane int, addr uint64, a *access, what string, of *groups) {
	switch end := of.end(a.time); {
	case end == 0:
		w.fault(InFlight, lane, "shared address %#x is read by a %s of warp %d that was not waited for", addr, what, a.warp)
	case w.clock[a.warp] < end:
		w.fault(Race, lane, "shared address %#x was read by a %s that warp %d has waited for, with no barrier since", addr, what, a.warp)
	}
}

// wrote replaces what was known of the bytes in mask by a write of w.
func (s *shared) wrote(l *line, mask uint16, w *warp, by proxy) {
	l.writes = forget(l.writes, mask)
	l.reads = forget(l.reads, mask)
	l.writes = append(l.writes, access{w.clock[w.id], mask, uint8(w.id), by})
}

// note adds an access to a list in which a warp has each byte at most once.
func note(list []access, a access) []access {
	for i := range list {
		b := &list[i]
		if b.warp != a.warp || b.proxy != a.proxy {
			continue
		}
		if b.time == a.time {
			b.mask |= a.mask
			return list
		}
		if b.mask&^a.mask == 0 {
			b.time, b.mask = a.time, a.mask
			return list
		}
		b.mask &^= a.mask
	}
	return append(list, a)
}

// forget takes the bytes in mask out of a list.
func forget(list []access, mask uint16) []access {
	kept := list[:0]
	for _, a := range list {
		if a.mask &^= mask; a.mask != 0 {
			kept = append(kept, a)
		}
	}
	return kept
}

// load returns n bytes at addr, at most 8, as a number.
func load(p []byte, addr uint64, n int) uint64 {
	le := binary.LittleEndian
	switch n {
	case 1:
		return uint64(p[addr])
	case 2:
		return uint64(le.Uint16(p[addr:]))
	case 4:
		return uint64(le.Uint32(p[addr:]))
	}
	return le.Uint64(p[addr:])
}

// store writes the n lower bytes of v at addr.
func store(p []byte, addr uint64, n int, v uint64) {
	le := binary.LittleEndian
	switch n {
	case 1:
		p[addr] = byte(v)
	case 2:
		le.PutUint16(p[addr:], uint16(v))
	case 4:
		le.PutUint32(p[addr:], uint32(v))
	default:
		le.PutUint64(p[addr:], v)
	}
}

// conflicts is how many more cycles an access takes than it would without two
// lanes at one bank. There are 32 banks of 4 bytes; lanes that want the same
// word share it. An access of 8 bytes a lane is done in two halves, one of 16
// in four quarters (as NVIDIA's guides describe it).
func conflicts(addr *lanes, active uint32, size int) int64 {
	group := warpSize
	if size > 4 {
		group = warpSize * 4 / size
	}
	extra := int64(0)
	for first := 0; first < warpSize; first += group {
		if !apart(addr, active, size, first, group) {
			extra += crowded(addr, active, size, first, group)
		}
	}
	return extra
}

// crowded is conflicts of a group of lanes.
func crowded(addr *lanes, active uint32, size, first, group int) int64 {
	var words [warpSize][4]uint64 // that a bank gives, few of them
	var count [warpSize]int
	worst := 0
	for l := first; l < first+group; l++ {
		if active>>l&1 == 0 {
			continue
		}
		for word := addr[l] / 4; word <= (addr[l]+uint64(size)-1)/4; word++ {
			bank := word % warpSize
			n := count[bank]
			seen := false
			for i := 0; i < min(n, 4); i++ {
				seen = seen || words[bank][i] == word
			}
			if seen {
				continue
			}
			if n < 4 {
				words[bank][n] = word
			}
			count[bank]++
			worst = max(worst, count[bank])
		}
	}
	return int64(max(worst-1, 0))
}

// apart is a quick look that finds most accesses without a conflict: each lane of
// the group has banks of its own, or the same bytes as the lane before that took them.
func apart(addr *lanes, active uint32, size, first, group int) bool {
	shift := bits.TrailingZeros(uint(max(size, 4)))
	last := uint64(128>>shift - 1)
	var taken [warpSize]uint64 // by bank, or banks that are taken together: the bytes, counted from 1
	for l := first; l < first+group; l++ {
		if active>>l&1 == 0 {
			continue
		}
		if addr[l]&uint64(size-1) != 0 {
			return false // a fault, that takes banks of two others
		}
		unit := addr[l] >> shift
		t := &taken[unit&last]
		if *t != 0 && *t != unit+1 {
			return false
		}
		*t = unit + 1
	}
	return true
}

// atomic checks an atomic operation: it races with plain accesses, not with
// another atomic one.
func (s *shared) atomic(w *warp, lane int, addr uint64, n int) {
	l, mask := s.at(w, lane, addr, n)
	if l.flight&mask != 0 {
		w.fault(InFlight, lane, "shared address %#x is the target of a copy that was not waited for", addr)
	}
	if mask&^l.written != 0 {
		w.fault(Uninitialized, lane, "shared address %#x was never written", addr)
	}
	for _, list := range [][]access{l.writes, l.reads} {
		for _, a := range list {
			if a.mask&mask != 0 && a.proxy != atomically && w.clock[a.warp] < a.time {
				w.fault(Race, lane, "warp %d used shared address %#x, with no barrier since", a.warp, addr)
			}
		}
	}
	// Noted as one of several writes: those of other warps stay in the list.
	l.writes = note(l.writes, access{w.clock[w.id], mask, uint8(w.id), atomically})
}
