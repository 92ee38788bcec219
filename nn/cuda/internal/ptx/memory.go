package ptx

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Memory is a GPU's global memory: a list of allocations with nothing between
// them, so that an address past an end belongs to nobody. Addresses are never
// given twice. It knows of each byte whether it was ever written and, during a
// launch, which blocks have used it.
//
// Alloc, Free and the copies may be called from several goroutines, but not
// during a launch on the same bytes.
type Memory struct {
	mu    sync.RWMutex
	list  []*allocation // by address
	next  uint64
	used  int64
	limit int64
	// launching is held while a kernel runs; launch is its number, from 1; see global.go.
	launching sync.Mutex
	launch    uint64
	// published has, for each address of an atomic operation of the launch, the
	// blocks whose writes are seen by who does one there next.
	published map[uint64]map[uint64]bool
}

// allocation is one piece of memory. shadow has a word for each 4 bytes; see
// global.go.
type allocation struct {
	base   uint64
	size   uint64
	data   []byte
	shadow []atomic.Uint64
	name   string // of a module's variable
	freed  bool
}

const (
	// firstAddress is above 32 bits, so that an address that lost its upper half is foreign.
	firstAddress = 0x7_0000_0000
	// guard is the least distance between two allocations.
	guard = 4096
	// alignment is what cuMemAlloc promises, and no more than it.
	alignment = 256
)

// NewMemory makes a memory of limit bytes; 0 means as much as the machine has.
func NewMemory(limit int64) *Memory {
	return &Memory{next: firstAddress + alignment, limit: limit}
}

// ErrOutOfMemory is Alloc's error when the limit would be passed.
type ErrOutOfMemory struct{ Want, Free int64 }

func (e *ErrOutOfMemory) Error() string {
	return fmt.Sprintf("ptx: out of memory: %d bytes wanted, %d free", e.Want, e.Free)
}

// Alloc returns the address of n bytes that nobody has written yet. It is a
// multiple of 256, and not of 512.
func (m *Memory) Alloc(n int64) (uint64, error) {
	if n <= 0 {
		return 0, fmt.Errorf("ptx: allocation of %d bytes", n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.limit > 0 && m.used+n > m.limit {
		return 0, &ErrOutOfMemory{n, m.limit - m.used}
	}
	return m.alloc(n, "").base, nil
}

// alloc places n bytes behind the last allocation.
func (m *Memory) alloc(n int64, name string) *allocation {
	a := &allocation{base: m.next, size: uint64(n), data: make([]byte, (n+7)&^7),
		shadow: make([]atomic.Uint64, (n+3)/4), name: name}
	m.list = append(m.list, a)
	m.next = (a.base+a.size+guard+2*alignment-1)&^(2*alignment-1) + alignment
	m.used += n
	return a
}

// Free gives an allocation back. Its addresses stay foreign for ever.
func (m *Memory) Free(addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.find(addr)
	if a == nil || a.base != addr || a.freed {
		return fmt.Errorf("ptx: free of %#x, which is no allocation's first byte", addr)
	}
	a.freed = true
	a.data, a.shadow = nil, nil
	m.used -= int64(a.size)
	return nil
}

// Used and Limit are in bytes; Limit is 0 where there is none.
func (m *Memory) Used() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.used
}

// Limit is the memory's size in bytes, 0 where there is no limit.
func (m *Memory) Limit() int64 { return m.limit }

// find returns the last allocation that begins at addr or before, or nil.
func (m *Memory) find(addr uint64) *allocation {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].base > addr })
	if i == 0 {
		return nil
	}
	return m.list[i-1]
}

// span finds n bytes at addr, all of them in one living allocation.
func (m *Memory) span(addr uint64, n int64) (*allocation, uint64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	a := m.find(addr)
	switch {
	case n < 0:
		return nil, 0, fmt.Errorf("ptx: a copy of %d bytes", n)
	case a == nil:
		return nil, 0, fmt.Errorf("ptx: address %#x belongs to no allocation", addr)
	case a.freed:
		return nil, 0, fmt.Errorf("ptx: address %#x was freed", addr)
	case addr-a.base+uint64(n) > a.size:
		return nil, 0, fmt.Errorf("ptx: %d bytes at %#x end %d bytes past the allocation of %d bytes at %#x",
			n, addr, addr-a.base+uint64(n)-a.size, a.size, a.base)
	}
	return a, addr - a.base, nil
}

// Write copies from the host to addr.
func (m *Memory) Write(addr uint64, p []byte) error {
	a, off, err := m.span(addr, int64(len(p)))
	if err != nil {
		return err
	}
	copy(a.data[off:], p)
	a.mark(off, uint64(len(p)))
	return nil
}

// Read copies from addr to the host. A byte that nobody has written is an error.
func (m *Memory) Read(addr uint64, p []byte) error {
	if err := m.Check(addr, int64(len(p))); err != nil {
		return err
	}
	return m.Peek(addr, p)
}

// Peek is Read without the check: bytes that nobody has written read as 0.
func (m *Memory) Peek(addr uint64, p []byte) error {
	a, off, err := m.span(addr, int64(len(p)))
	if err != nil {
		return err
	}
	copy(p, a.data[off:])
	return nil
}

// Check reports an error if one of the n bytes at addr was never written.
func (m *Memory) Check(addr uint64, n int64) error {
	a, off, err := m.span(addr, n)
	if err != nil {
		return err
	}
	for i := off; i < off+uint64(n); i++ {
		if a.shadow[i/4].Load()>>(i%4)&1 == 0 {
			return fmt.Errorf("ptx: byte %d of %d at %#x was never written", i-off, n, addr)
		}
	}
	return nil
}

// Copy copies n bytes within the memory; bytes that nobody has written make
// their copies so, too. The two spans may not overlap.
func (m *Memory) Copy(dst, src uint64, n int64) error {
	s, so, err := m.span(src, n)
	if err != nil {
		return err
	}
	d, do, err := m.span(dst, n)
	if err != nil {
		return err
	}
	if s == d && so < do+uint64(n) && do < so+uint64(n) {
		return fmt.Errorf("ptx: copy of %d bytes from %#x to %#x: the two overlap", n, src, dst)
	}
	copy(d.data[do:do+uint64(n)], s.data[so:])
	for i := range uint64(n) {
		bit := s.shadow[(so+i)/4].Load() >> ((so + i) % 4) & 1
		w := &d.shadow[(do+i)/4]
		w.Store(w.Load()&^(1<<((do+i)%4)) | bit<<((do+i)%4))
	}
	return nil
}

// Fill writes count values of width 1, 2 or 4 bytes at addr, as cuMemsetD8,
// D16 and D32 do.
func (m *Memory) Fill(addr uint64, value uint32, width int, count int64) error {
	if width != 1 && width != 2 && width != 4 || addr%uint64(width) != 0 {
		return fmt.Errorf("ptx: fill of width %d at %#x", width, addr)
	}
	a, off, err := m.span(addr, count*int64(width))
	if err != nil {
		return err
	}
	for i := range uint64(count) {
		for b := range uint64(width) {
			a.data[off+i*uint64(width)+b] = byte(value >> (8 * b))
		}
	}
	a.mark(off, uint64(count)*uint64(width))
	return nil
}

// mark records that n bytes have been written from outside of a launch.
func (a *allocation) mark(off, n uint64) {
	for i := off; i < off+n; {
		if i%4 == 0 && i+4 <= off+n {
			a.shadow[i/4].Store(0xf)
			i += 4
			continue
		}
		w := &a.shadow[i/4]
		w.Store(w.Load()&0xf | 1<<(i%4))
		i++
	}
}
