package ptx

import (
	"math"
	"strconv"
	"strings"
)

// Asynchronous matrix products of a warpgroup (section 9.7.15). Four warps
// multiply 64 rows, each 16 of them, and each reads its rows of A and all of B
// from shared memory. The product is computed when it is begun; until it is
// waited for, its sums may not be read and its sources not be written.
type wgmmaQueue struct {
	groups
	sums   map[int]int // registers that are sums in flight, and the group of each
	fenced bool        // wgmma.fence since the last wait
	open   bool        // a product was not committed yet
}

func (q *wgmmaQueue) reset() {
	q.groups.reset()
	clear(q.sums)
	q.fenced, q.open = false, false
}

// owns says whether a register is a sum in flight.
func (q *wgmmaQueue) owns(r int) bool {
	_, ok := q.sums[r]
	return ok
}

// move lets a sum in flight be renamed: the compiler for the hardware gives
// both names one register.
func (q *wgmmaQueue) move(w *warp, active uint32, d, s int) bool {
	group, ok := q.sums[s]
	if !ok || active != full {
		return false
	}
	w.r[d] = w.r[s]
	w.init[d] = 0
	q.sums[d] = group
	return true
}

func wgmmaOp(c *compiler, in *instruction, m modifiers) {
	c.kind = "wgmma"
	switch m.first("fence", "commit_group", "wait_group", "mma_async") {
	case "fence":
		m.aligned()
		in.run = func(w *warp, active uint32) {
			w.whole(active)
			w.tensor.fenced = true
		}
	case "commit_group":
		m.aligned()
		in.run = func(w *warp, active uint32) {
			w.whole(active)
			w.tensor.commit(w)
			w.tensor.open = false
		}
	case "wait_group":
		m.aligned()
		n := int(c.args(1)[0].bits)
		in.run = func(w *warp, active uint32) {
			w.whole(active)
			w.tensor.waitProducts(w, n)
		}
	case "mma_async":
		c.wgmmaProduct(in, m)
	}
}

func (m *modifiers) aligned() {
	m.first("sync")
	m.first("aligned")
	m.done()
}

// waitProducts ends all groups but the last n.
func (q *wgmmaQueue) waitProducts(w *warp, n int) {
	if !q.wait(w, n) {
		return
	}
	q.fenced = false
	for r, group := range q.sums {
		if group < len(q.waited) {
			w.init[r] = full
			delete(q.sums, r)
		}
	}
}

func (c *compiler) wgmmaProduct(in *instruction, m modifiers) {
	m.first("sync")
	m.first("aligned")
	size, ok := strings.CutPrefix(m.left[0], "m64n")
	size, k16 := strings.CutSuffix(size, "k16")
	n, err := strconv.Atoi(size)
	if !ok || !k16 || err != nil || n%8 != 0 || n < 8 || n > 256 {
		c.fail("the form .%s of it is not in the list", strings.Join(m.left, "."))
	}
	m.left = m.left[1:]
	m.first("f32")
	m.first("bf16")
	m.first("bf16")
	m.done()
	a := c.args(8)
	for _, o := range a[4:] {
		if o.kind != isNumber {
			c.fail("%s is no number", o)
		}
	}
	if a[4].bits != 1 || a[5].bits != 1 {
		c.fail("a change of sign is not in the list")
	}
	sums := c.vectorOf(a[0], n/2, func(o operand) int { return c.dst(o, 32) })
	da, db, add := c.src(a[1], 64), c.src(a[2], 64), c.predSource(a[3])
	transA, transB := a[6].bits == 1, a[7].bits == 1
	in.run = func(w *warp, active uint32) {
		w.whole(active)
		w.need(active, da, db)
		q := &w.tensor
		if !q.fenced {
			w.fault(Race, -1, "no wgmma.fence since the last wgmma.wait_group")
		}
		accumulate := w.samePred(add(w, active))
		for _, r := range sums {
			if accumulate && !q.owns(r) {
				w.need(active, r)
			}
		}
		x := make([][fragmentWidth]float32, 16)
		y := make([][fragmentWidth]float32, n)
		w.operand(w.same(da, active), transA, 16*(w.id%4), x)
		w.operand(w.same(db, active), transB, 0, y)
		w.multiplySums(x, y, sums, accumulate)
		if q.sums == nil {
			q.sums = map[int]int{}
		}
		for _, r := range sums {
			w.init[r] = 0
			q.sums[r] = len(q.committed)
		}
		q.open = true
	}
}

// samePred is a predicate that must be equal in all lanes.
func (w *warp) samePred(p uint32) bool {
	if p != 0 && p != full {
		w.fault(Divergent, -1, "the predicate differs between lanes")
	}
	return p != 0
}

// multiplySums adds x*y to the sums: register 4j+i of a lane is row lane/4 +
// 8(i/2), column 8j + 2(lane%4) + i%2, as of the product of a warp.
func (w *warp) multiplySums(x, y [][fragmentWidth]float32, sums []int, accumulate bool) {
	if !accumulate {
		for _, r := range sums {
			w.r[r] = lanes{}
		}
	}
	for j := 0; j < len(sums); j += 4 {
		multiplyInto(w, (*[16][fragmentWidth]float32)(x), (*[8][fragmentWidth]float32)(y[2*j:]), sums[j:j+4], sums[j:j+4])
	}
}

// operand reads rows first.. of a matrix that a descriptor describes, 16 numbers
// along the sum each. In its plain form a row of memory is one row of the
// matrix, 64 numbers along the sum; turned, it is one place of the sum, 64 rows.
// The bits of the address itself decide on the swizzle, so that a matrix may
// begin in the middle of 8 rows, as H100 and H200 do it.
func (w *warp) operand(desc uint64, turned bool, first int, out [][fragmentWidth]float32) {
	start, block, group := desc&0x3fff<<4, desc>>16&0x3fff<<4, desc>>32&0x3fff<<4
	if desc>>62 != 1 || desc>>49&7 != 0 {
		w.fault(Forbidden, -1, "the descriptor %#x has another layout than 128 bytes' swizzle", desc)
	}
	s := &w.block.shared
	chunk := func(addr uint64) []byte {
		addr = swizzled(addr, 128)
		s.read(w, -1, addr, 16, asynchronous)
		return s.data[addr : addr+16]
	}
	value := func(p []byte, i int) float32 {
		return math.Float32frombits(uint32(load(p, uint64(2*i), 2)) << 16)
	}
	if !turned {
		for r := range out {
			m := uint64(first + r)
			at := start + m/8*group + m%8*128
			for half := range 2 {
				p := chunk(at + uint64(16*half))
				for i := range 8 {
					out[r][8*half+i] = value(p, i)
				}
			}
		}
		return
	}
	for k := range uint64(fragmentWidth) {
		at := start + k/8*group + k%8*128
		for r := 0; r < len(out); r += 8 {
			m := uint64(first + r)
			p := chunk(at + m/64*block + m%64*2)
			for i := range 8 {
				out[r+i][k] = value(p, i)
			}
		}
	}
}
