package ptx

// A shadow word stands for 4 bytes of global memory. Its lowest 4 bits tell
// which of them were ever written. The rest is of one launch: which bytes a
// block has written, and which block; which bytes blocks have read, and which
// block if it was one. A word of an older launch knows only the lowest 4 bits.
const (
	shadowWritten = 4  // 4 bits: written in this launch
	shadowRead    = 8  // 4 bits: read in this launch
	shadowMany    = 12 // read by more than one block
	shadowMixed   = 13 // blocks have read different bytes of it
	shadowWriter  = 14 // 20 bits: block that wrote last
	shadowReader  = 34 // 20 bits: block that read first
	shadowLaunch  = 54 // 10 bits: launch, 1 to 1023

	shadowBlock    = maxBlocks - 1
	shadowLaunches = 1 << 10
)

// begin makes ready for a launch; end ends it. Launches on a memory follow
// each other, as on one stream.
func (m *Memory) begin() {
	m.launching.Lock()
	m.launch++
	m.published = nil
	if m.launch == shadowLaunches {
		m.launch = 1
		for _, a := range m.list {
			for i := range a.shadow {
				a.shadow[i].Store(a.shadow[i].Load() & 0xf)
			}
		}
	}
}

func (m *Memory) end() { m.launching.Unlock() }

// global finds n bytes at addr for a lane; n is a power of 2.
func (w *warp) global(lane int, addr uint64, n int) (*allocation, uint64) {
	if addr%uint64(n) != 0 {
		w.fault(Misaligned, lane, "global address %#x is no multiple of %d", addr, n)
	}
	a := w.near
	if a == nil || addr-a.base >= a.size || a.freed {
		w.block.mem.mu.RLock()
		a = w.block.mem.find(addr)
		w.block.mem.mu.RUnlock()
		if a == nil {
			w.fault(Foreign, lane, "global address %#x belongs to no allocation", addr)
		}
		w.near = a
	}
	if off := addr - a.base; a.freed || off+uint64(n) > a.size {
		what := "is past the end of"
		if a.freed {
			what = "was freed; it belonged to"
		}
		w.fault(Foreign, lane, "global address %#x %s the allocation of %d bytes at %#x", addr, what, a.size, a.base)
	}
	return a, addr - a.base
}

// readGlobal checks that the lane may read n bytes at off, and notes it.
// constant is for loads through the cache that does not see writes of the launch.
func (w *warp) readGlobal(a *allocation, lane int, off uint64, n int, constant bool) {
	for end := off + uint64(n); off < end; off = off&^3 + 4 {
		word := &a.shadow[off/4]
		mask := wordMask(off, end)
		for {
			old := word.Load()
			s := w.present64(old)
			if s&mask != mask {
				w.fault(Uninitialized, lane, "global address %#x was never written", a.base+off)
			}
			if s>>shadowWritten&mask != 0 {
				if by := s >> shadowWriter & shadowBlock; by != w.block.number {
					if !w.block.known[by] {
						w.fault(Race, lane, "block %d wrote global address %#x in the same launch", by, a.base+off)
					}
				} else if constant {
					w.fault(Race, lane, "ld.global.nc of global address %#x, which this launch has written", a.base+off)
				}
			}
			switch read := s >> shadowRead & 0xf; {
			case read == 0:
				s |= w.block.number << shadowReader
			case s>>shadowReader&shadowBlock != w.block.number:
				s |= 1 << shadowMany
				if read != mask {
					s |= 1 << shadowMixed
				}
			}
			s |= mask << shadowRead
			if s == old || word.CompareAndSwap(old, s) {
				break
			}
		}
	}
}

// writeGlobal checks that the lane may write n bytes at off, and notes it.
// An atomic operation races with plain accesses only.
func (w *warp) writeGlobal(a *allocation, lane int, off uint64, n int) {
	for end := off + uint64(n); off < end; off = off&^3 + 4 {
		word := &a.shadow[off/4]
		mask := wordMask(off, end)
		for {
			old := word.Load()
			s := w.present64(old)
			if by := s >> shadowWriter & shadowBlock; by != w.block.number {
				if s>>shadowWritten&mask != 0 {
					w.fault(Race, lane, "block %d wrote global address %#x, too, in the same launch", by, a.base+off)
				}
				s &^= 0xf<<shadowWritten | shadowBlock<<shadowWriter
				s |= w.block.number << shadowWriter
			}
			if s>>shadowRead&mask != 0 && s>>shadowMixed&1 == 0 {
				by := s >> shadowReader & shadowBlock
				if s>>shadowMany&1 != 0 || by != w.block.number {
					w.fault(Race, lane, "block %d read global address %#x in the same launch", by, a.base+off)
				}
			}
			s |= mask | mask<<shadowWritten
			w.unfenced = true
			if s == old || word.CompareAndSwap(old, s) {
				break
			}
		}
	}
}

// wordMask is the mask of the bytes from off on in off's word, up to end.
func wordMask(off, end uint64) uint64 {
	if off%4 == 0 && end >= off+4 {
		return 0xf
	}
	return (1<<min(end-off, 4) - 1) << (off % 4) & 0xf
}

// present64 is a shadow word as it is in this launch.
func (w *warp) present64(s uint64) uint64 {
	if s>>shadowLaunch != w.block.mem.launch {
		return s&0xf | w.block.mem.launch<<shadowLaunch
	}
	return s
}

// atomicGlobal checks an atomic operation: it races with plain accesses of other
// blocks before it, not with another atomic one.
func (w *warp) atomicGlobal(a *allocation, lane int, off uint64, n int) {
	for end := off + uint64(n); off < end; off += 4 {
		s := w.present64(a.shadow[off/4].Load())
		if s&0xf != 0xf {
			w.fault(Uninitialized, lane, "global address %#x was never written", a.base+off)
		}
		if by := s >> shadowWriter & shadowBlock; s>>shadowWritten&0xf != 0 && by != w.block.number {
			w.fault(Race, lane, "block %d wrote global address %#x in the same launch, not atomically", by, a.base+off)
		}
		many := s>>shadowMany&1 != 0
		if by := s >> shadowReader & shadowBlock; s>>shadowRead&0xf != 0 && (many || by != w.block.number) {
			w.fault(Race, lane, "block %d read global address %#x in the same launch, not atomically", by, a.base+off)
		}
	}
}

// What one block wrote another may read in the same launch if the writer went
// through a fence and then an atomic operation, and the reader through an
// atomic operation on the same address and then a fence: the way in which the
// last block of a grid adds up what the others left.
//
// publish is called for each atomic operation on global memory.
func (w *warp) publish(addr uint64) {
	b := w.block
	if b.mem.published == nil {
		b.mem.published = map[uint64]map[uint64]bool{}
	}
	blocks := b.mem.published[addr]
	if blocks == nil {
		blocks = map[uint64]bool{}
		b.mem.published[addr] = blocks
	}
	w.adopt(addr)
	if !w.unfenced {
		blocks[b.number] = true
	}
}

// adopt notes who has published at an address that the warp looks at.
func (w *warp) adopt(addr uint64) {
	for by := range w.block.mem.published[addr] {
		if w.block.told == nil {
			w.block.told = map[uint64]bool{}
		}
		w.block.told[by] = true
	}
}

// fenceGlobal is called for each fence of global memory.
func (w *warp) fenceGlobal() {
	w.unfenced = false
	for by := range w.block.told {
		if w.block.known == nil {
			w.block.known = map[uint64]bool{}
		}
		w.block.known[by] = true
	}
}
