package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// What winograd.go's transforms have in common: coefficients, addresses, and the
// two passes over a tile.

// coefficient is a number that registers are multiplied by: in a register of
// its own or in memory.
type coefficient struct {
	w   width
	reg Op // nil: in memory
	mem Mem
}

// inMemory returns a coefficient in read-only memory.
func (w width) inMemory(v float64) coefficient {
	name := fmt.Sprintf("f32x%08x%s", math.Float32bits(float32(v)), w.suffix)
	if !written[name] {
		written[name] = true
		GLOBL(name, RODATA|NOPTR)
		n := w.lanes
		if w.wide() {
			n = 1 // AVX-512 instructions broadcast from memory
		}
		for i := range n {
			DATA(4*i, U32(math.Float32bits(float32(v))))
		}
	}
	return coefficient{w: w, mem: NewDataAddr(Symbol{Name: name, Static: true}, 0)}
}

// intConstant returns a register's worth of an integer in memory.
func (w width) intConstant(v uint32) Mem {
	return w.inMemory(float64(math.Float32frombits(v))).mem
}

// inRegister returns a coefficient in a register.
func (w width) inRegister(v float64) coefficient {
	c := w.inMemory(v)
	r := w.reg()
	if w.wide() {
		VBROADCASTSS(c.mem, r)
	} else {
		VMOVUPS(c.mem, r)
	}
	c.reg = r
	return c
}

// times is dst = c x.
func (c coefficient) times(x, dst VecVirtual) {
	switch {
	case c.reg != nil:
		VMULPS(c.reg, x, dst)
	case c.w.wide():
		VMULPS_BCST(c.mem, x, dst)
	default:
		VMULPS(c.mem, x, dst)
	}
}

// add is acc += c x.
func (c coefficient) add(x, acc VecVirtual) {
	switch {
	case c.reg != nil:
		VFMADD231PS(c.reg, x, acc)
	case c.w.wide():
		VFMADD231PS_BCST(c.mem, x, acc)
	default:
		VFMADD231PS(c.mem, x, acc)
	}
}

// subtract is acc -= c x.
func (c coefficient) subtract(x, acc VecVirtual) {
	switch {
	case c.reg != nil:
		VFNMADD231PS(c.reg, x, acc)
	case c.w.wide():
		VFNMADD231PS_BCST(c.mem, x, acc)
	default:
		VFNMADD231PS(c.mem, x, acc)
	}
}

func (w width) copyOf(x VecVirtual) VecVirtual {
	r := w.reg()
	VMOVAPS(x, r)
	return r
}

func (w width) sum(x, y VecVirtual) VecVirtual {
	r := w.reg()
	VADDPS(y, x, r)
	return r
}

func (w width) difference(x, y VecVirtual) VecVirtual {
	r := w.reg()
	VSUBPS(y, x, r)
	return r
}

// line transforms one line of values and hands each result to emit, as early as
// it can. It may destroy the values.
type line func(d []VecVirtual, emit func(i int, v VecVirtual))

// address returns the place of the i-th of up to 6 values that are stride
// apart.
type address func(i int) Mem

// places prepares addresses of values from p on, each stride bytes apart.
func places(p, stride Register, n int) address {
	third := GP64()
	if n > 3 {
		LEAQ(Mem{Base: p, Index: stride, Scale: 2}, third)
		ADDQ(stride, third)
	}
	return func(i int) Mem {
		m := Mem{Base: p}
		if i >= 3 {
			m, i = Mem{Base: third}, i-3
		}
		if i > 0 {
			m.Index, m.Scale = stride, uint8(i)
		}
		return m
	}
}

// pass is a transform in two dimensions: the columns of a square of in values a
// side, then the rows of what came of them.
type pass struct {
	w        width
	in, out  int
	line     line
	src      Register // the tile's first value of this register of channels
	row, col Register // distances between its rows and columns
	stack    Register // in*out registers, where the registers do not suffice
	pool     *pool    // nil: src is at full resolution
}

// pool makes src the gradient at a max pool's output, of which the tile is
// spread while it is read. A column of src's windows is col apart.
type pool struct {
	arg, argRow, argCol Register // positions of the maxima; the strides are in bytes
	shift               int      // of the tile in its first window, in pixels both ways
}

// columns transforms the columns, and returns a function that loads row i of
// the result. seen is called with the values of each column before.
func (p *pass) columns(seen func(d []VecVirtual)) func(i int) []VecVirtual {
	w := p.w
	kept := make([][]VecVirtual, p.out)
	for i := range kept {
		kept[i] = make([]VecVirtual, p.in)
	}
	column := p.columnReader()
	for j := range p.in {
		d := column(j)
		if seen != nil {
			seen(d)
		}
		p.line(d, func(i int, v VecVirtual) {
			if p.stack == nil {
				kept[i][j] = v
			} else {
				VMOVAPS(v, p.kept(i, j))
			}
		})
	}
	return func(i int) []VecVirtual {
		if p.stack != nil {
			for j := range p.in {
				kept[i][j] = w.reg()
				VMOVAPS(p.kept(i, j), kept[i][j])
			}
		}
		return kept[i]
	}
}

// columnReader returns a function that loads the columns one after the other.
func (p *pass) columnReader() func(j int) []VecVirtual {
	w, at := p.w, GP64()
	MOVQ(p.src, at)
	if p.pool == nil {
		return func(j int) []VecVirtual {
			if j > 0 {
				ADDQ(p.col, at)
			}
			place := places(at, p.row, p.in)
			d := make([]VecVirtual, p.in)
			for i := range d {
				d[i] = w.reg()
				VMOVUPS(place(i), d[i])
			}
			return d
		}
	}
	arg, shift := GP64(), p.pool.shift
	MOVQ(p.pool.arg, arg)
	windows := p.in/2 + shift
	var grads, args address
	return func(j int) []VecVirtual {
		if j == 0 || (j+shift)%2 == 0 {
			if j > 0 {
				ADDQ(p.col, at)
				ADDQ(p.pool.argCol, arg)
			}
			grads, args = places(at, p.row, windows), places(arg, p.pool.argRow, windows)
		}
		d := make([]VecVirtual, p.in)
		var where VecVirtual
		for i := range d {
			window := (i + shift) / 2
			if i == 0 || (i+shift)%2 == 0 {
				where = w.reg()
				VPMOVZXBD(args(window), where)
			}
			d[i] = w.reg()
			position := uint32((i+shift)%2*2 + (j+shift)%2)
			if w.wide() {
				k := K()
				VPCMPEQD_BCST(w.intConstant(position), where, k)
				VMOVUPS_Z(grads(window), k, d[i])
			} else {
				VPCMPEQD(w.intConstant(position), where, d[i])
				VANDPS(grads(window), d[i], d[i])
			}
		}
		return d
	}
}

func (p *pass) kept(i, j int) Mem { return Mem{Base: p.stack, Disp: (i*p.in + j) * p.w.bytes()} }

// useStack makes room for what is between the passes where registers do not
// suffice.
func (p *pass) useStack() {
	if p.w.wide() && !(p.pool != nil && p.in == 6) {
		return
	}
	p.stack = GP64()
	LEAQ(AllocLocal((p.in*p.out+1)*p.w.bytes()), p.stack)
	ADDQ(Imm(uint64(p.w.bytes()-1)), p.stack)
	ANDQ(I8(-p.w.bytes()), p.stack)
}

// function begins a transform. A frame that holds registers is too large for
// NOSPLIT.
func (w width) transform(name, signature string) {
	if w.wide() && name != "inputTilePooled" {
		w.function(name, signature)
		return
	}
	TEXT(name+w.suffix, 0, "func"+signature)
	Pragma("noescape")
	Doc(fmt.Sprintf("%s%s does as %sGeneric.", name, w.suffix, name))
}

func base(name string) GPVirtual { return Load(Param(name).Base(), GP64()).(GPVirtual) }

// six returns 6 times a distance.
func six(x Register) GPVirtual {
	r := GP64()
	LEAQ(Mem{Base: x, Index: x, Scale: 2}, r)
	ADDQ(r, r)
	return r
}

// eachRegister runs body over n channels, and moves the pointers along.
func (w width) eachRegister(label string, n Register, pointers []Register, body func()) {
	Label(label)
	body()
	for _, p := range pointers {
		ADDQ(Imm(uint64(w.bytes())), p)
	}
	SUBQ(Imm(uint64(w.lanes)), n)
	JG(LabelRef(label))
}

// newPool loads what a pooled source needs.
func newPool(shift int) *pool {
	return &pool{base("arg"), Load(Param("argRow"), GP64()), Load(Param("argCol"), GP64()), shift}
}

// tileStore writes rows of a tile of positions.
type tileStore struct{ base, pos, row Register }

func newTileStore(name string) tileStore {
	t := tileStore{base: base(name), pos: stride(name + "Pos")}
	t.row = six(t.pos)
	return t
}

func (t tileStore) write(i int, d []VecVirtual, l line) {
	at := GP64()
	MOVQ(t.base, at)
	for range i {
		ADDQ(t.row, at)
	}
	place := places(at, t.pos, 6)
	l(d, func(j int, v VecVirtual) { VMOVUPS(v, place(j)) })
}
