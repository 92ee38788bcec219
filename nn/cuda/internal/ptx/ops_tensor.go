package ptx

import "math"

// Matrix products of a warp (section 9.7.14).
var tensorOps = map[string]builder{"ldmatrix": loadMatrix, "mma": multiplyMatrix, "movmatrix": moveMatrix}

// loadMatrix: ldmatrix loads 1, 2 or 4 matrices of 8 rows of 8 numbers of 16
// bits. Lanes 8i to 8i+7 give the addresses of matrix i's rows. Lane l gets
// numbers 2(l%4) and the next of row l/4; with .trans, of column l/4.
func loadMatrix(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	m.first("aligned")
	trans := m.take("trans")
	count := m.maybe("x1", "x2", "x4") // ptxas takes the two in either order
	m.first("m8n8")
	if count == "" {
		count = m.first("x1", "x2", "x4")
	}
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[count]
	m.first("shared", "shared::cta")
	m.first("b16")
	m.done()
	a := c.args(2)
	dst := c.vectorOf(a[0], n, func(o operand) int { return c.dst(o, 32) })
	p := c.memory("shared", a[1])
	c.kind = "ldmatrix"
	in.run = func(w *warp, active uint32) {
		w.whole(active)
		var addr lanes
		rows := full >> (warpSize - 8*n) // lanes whose addresses count
		p.addresses(w, rows, &addr)
		w.extra += conflicts(&addr, rows, 16)
		s := &w.block.shared
		for l := range 8 * n {
			s.read(w, l, addr[l], 16, generic)
		}
		for i, d := range dst {
			to, at := &w.r[d], addr[8*i:8*i+8]
			for l := range to {
				row, col := l/4, 2*(l%4)
				if trans {
					lo, hi := load(s.data, at[col]+uint64(2*row), 2), load(s.data, at[col+1]+uint64(2*row), 2)
					to[l] = hi<<16 | lo
				} else {
					to[l] = load(s.data, at[row]+uint64(2*col), 4)
				}
			}
			w.init[d] = full
		}
	}
}

// moveMatrix: movmatrix transposes a matrix of 8x8 numbers held as ldmatrix gives them.
func moveMatrix(c *compiler, in *instruction, m modifiers) {
	for _, word := range []string{"sync", "aligned", "m8n8", "trans", "b16"} {
		m.first(word)
	}
	m.done()
	a := c.args(2)
	d, x := c.dst(a[0], 32), c.src(a[1], 32)
	c.kind = "ldmatrix"
	in.run = func(w *warp, active uint32) {
		w.whole(active)
		w.need(active, x)
		at := func(row, col int) uint64 { return w.r[x][4*row+col/2] >> (16 * (col % 2)) & 0xffff }
		for l := range w.tmp {
			w.tmp[l] = at(2*(l%4), l/4) | at(2*(l%4)+1, l/4)<<16
		}
		w.set(d, active)
	}
}

// fragmentWidth is the largest k of a matrix product.
const fragmentWidth = 16

// multiplyMatrix: mma.sync of a 16xk matrix in rows and a kx8 matrix in columns.
// With g = lane/4 and t = lane%4, register 2j of A holds row g, numbers 2t and
// 2t+1 of the j-th eight; register 2j+1 the same of row g+8. Register j of B
// holds column g, numbers 2t and 2t+1 of the j-th eight. C and D hold (g, 2t),
// (g, 2t+1), (g+8, 2t), (g+8, 2t+1).
func multiplyMatrix(c *compiler, in *instruction, m modifiers) {
	m.first("sync")
	m.first("aligned")
	eights := map[string]int{"m16n8k16": 2, "m16n8k8": 1}[m.first("m16n8k16", "m16n8k8")]
	m.first("row")
	m.first("col")
	sum := m.typed("f")
	t := m.typed("fh")
	m.first(map[byte]string{'f': "f16", 'h': "bf16"}[t.class])
	if m.typed("f") != sum || t.bits != 16 || sum.bits != 32 && (sum.bits != 16 || t.class != 'f') {
		c.fail("these types of a matrix product are not in the list")
	}
	m.done()
	a := c.args(4)
	of := func(o operand, n int) []int {
		return c.vectorOf(o, n, func(o operand) int { return c.src(o, 32) })
	}
	results := 4
	if sum.bits == 16 {
		results = 2
	}
	dst := c.vectorOf(a[0], results, func(o operand) int { return c.dst(o, 32) })
	ra, rb, rc := of(a[1], 2*eights), of(a[2], eights), of(a[3], results)
	value := halfTable
	if t.class == 'h' {
		value = nil
	}
	c.kind = "mma"
	in.run = func(w *warp, active uint32) {
		w.whole(active)
		ok := full
		for _, list := range [3][]int{ra, rb, rc} {
			for _, r := range list {
				ok &= w.init[r]
			}
		}
		if ok != full {
			w.need(full, ra...)
			w.need(full, rb...)
			w.need(full, rc...)
		}
		var x [16][fragmentWidth]float32
		var y [8][fragmentWidth]float32
		for j, r := range ra {
			spread(&w.r[r], x[8*(j&1):8*(j&1)+8], 8*(j>>1), value)
		}
		for j, r := range rb {
			spread(&w.r[r], y[:], 8*j, value)
		}
		if sum.bits == 32 {
			multiplyInto(w, &x, &y, rc, dst)
		} else {
			multiplyHalf(w, &x, &y, rc, dst, 8*eights)
		}
		for _, d := range dst {
			w.init[d] = full
		}
	}
}

// spread puts a register's pairs into 8 rows, from column first on. value
// decodes halves; nil stands for bfloat16.
func spread(r *lanes, rows [][fragmentWidth]float32, first int, value []float32) {
	for l, v := range r {
		row := &rows[l/4]
		k := first + 2*(l%4)
		if value == nil {
			row[k] = math.Float32frombits(uint32(v) << 16)
			row[k+1] = math.Float32frombits(uint32(v) & 0xffff0000)
		} else {
			row[k] = value[v&0xffff]
			row[k+1] = value[v>>16]
		}
	}
}

// multiplyInto computes c + x*y in float32, one product after another. The
// hardware adds several at once, with fewer guard bits than float64 and more
// than none; nobody may rely on the last bits.
func multiplyInto(w *warp, x *[16][fragmentWidth]float32, y *[8][fragmentWidth]float32, c, d []int) {
	c0, c1, c2, c3 := &w.r[c[0]], &w.r[c[1]], &w.r[c[2]], &w.r[c[3]]
	d0, d1, d2, d3 := &w.r[d[0]], &w.r[d[1]], &w.r[d[2]], &w.r[d[3]]
	for l := range c0 {
		g, t := l/4, 2*(l%4)
		s0, s1 := math.Float32frombits(uint32(c0[l])), math.Float32frombits(uint32(c1[l]))
		s2, s3 := math.Float32frombits(uint32(c2[l])), math.Float32frombits(uint32(c3[l]))
		xa, xb, ya, yb := &x[g], &x[g+8], &y[t], &y[t+1]
		for i := range fragmentWidth { // past k there are zeros
			s0 += xa[i] * ya[i]
			s1 += xa[i] * yb[i]
			s2 += xb[i] * ya[i]
			s3 += xb[i] * yb[i]
		}
		d0[l], d1[l] = uint64(math.Float32bits(s0)), uint64(math.Float32bits(s1))
		d2[l], d3[l] = uint64(math.Float32bits(s2)), uint64(math.Float32bits(s3))
	}
}

// multiplyHalf is multiplyInto with sums in half precision, rounded once.
func multiplyHalf(w *warp, x *[16][fragmentWidth]float32, y *[8][fragmentWidth]float32, c, d []int, k int) {
	half := typ{'f', 16}
	for j := range c {
		var out lanes
		for l, v := range w.r[c[j]] {
			g, t := l/4+8*j, 2*(l%4)
			for i := range 2 {
				s := half.decode(v >> (16 * i) & 0xffff)
				for n := range k {
					s += float64(x[g][n]) * float64(y[t+i][n])
				}
				out[l] |= half.encode(s) << (16 * i)
			}
		}
		w.r[d[j]] = out
	}
}

// halfTable has the value of each half.
var halfTable = func() []float32 {
	t := make([]float32, 1<<16)
	for i := range t {
		t[i] = float32(halfToFloat(uint16(i)))
	}
	return t
}()
