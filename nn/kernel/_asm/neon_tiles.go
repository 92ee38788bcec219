package main

import "math"

// What the transforms of neon_winograd.go have in common: constants, arithmetic
// into new registers, and the ways of tiles between memory, stack and registers.

func (n *neon) constant(v float64) vec { return n.bits(math.Float32bits(float32(v))) }

// perQuad writes the loop over n/4 channels, after which the pointers are a quad
// further.
func (n *neon) perQuad(count reg, pointers []reg, body func()) {
	n.op("LSR $2, %v, %v", count, count)
	n.times("channels", count, func() {
		body()
		for _, p := range pointers {
			n.op("ADD $16, %v, %v", p, p)
		}
	})
}

// readColumn loads count registers, stride apart.
func (n *neon) readColumn(p, stride reg, count int) (v []vec) {
	for i := range count {
		v = append(v, n.read(p))
		if i < count-1 {
			n.op("ADD %v, %v, %v", stride, p, p)
		}
	}
	return v
}

// put stores registers on the stack, the first at place, the others step places
// further each; get loads count that follow each other.
func (n *neon) put(v []vec, place, step int) {
	for i, r := range v {
		n.op("FMOVQ F%d, %d(%v)", int(r), 16*(place+i*step), n.stack)
	}
}

func (n *neon) get(place, count int) (v []vec) {
	for i := range count {
		r := n.v()
		n.op("FMOVQ %d(%v), F%d", 16*(place+i), n.stack, int(r))
		v = append(v, r)
	}
	return v
}

// positions stores one row of a tile's positions, stride apart, and steps on.
func (n *neon) positions(v []vec, p, stride reg) {
	for _, r := range v {
		n.op("VST1 [%v], (%v)", r.lanes(), p)
		n.op("ADD %v, %v, %v", stride, p, p)
	}
}

// fresh returns a new register that holds a.
func (n *neon) fresh(a vec) vec {
	v := n.v()
	n.move(v, a)
	return v
}

// sum and difference return new registers.
func (n *neon) sum(a, b vec) vec {
	v := n.v()
	n.fadd(v, a, b)
	return v
}

func (n *neon) difference(a, b vec) vec {
	v := n.v()
	n.fsub(v, a, b)
	return v
}

func (n *neon) product(a, b vec) vec {
	v := n.v()
	n.fmul(v, a, b)
	return v
}

// columns reads the columns of a tile, one after the other for each quad.
type columns struct {
	start func()
	next  func() []vec
}

// plain reads side pixels a column from x.
func (n *neon) plain(x, row, col reg, side int) columns {
	p, column := n.r(), n.r()
	return columns{
		start: func() { n.op("MOVD %v, %v", x, column) },
		next: func() []vec {
			n.op("MOVD %v, %v", column, p)
			n.op("ADD %v, %v, %v", col, column, column)
			return n.readColumn(p, row, side)
		},
	}
}

// pooled reads side pixels a column from 2x2 windows, whose gradient belongs to
// the pixel at the position in arg. The first pixel is at (first, first) of the
// first window. The parameters are named as in winograd.go.
func (n *neon) pooled(side, first int) (c columns, pointers []reg, step func()) {
	dp, dpRow, dpCol := n.load("dp"), n.load("dpRow"), n.load("dpCol")
	arg, argRow, argCol := n.load("arg"), n.load("argRow"), n.load("argCol")
	n.bytesOf(dpRow, dpCol)
	column, argColumn, p, q := n.r(), n.r(), n.r(), n.r()
	var position [4]vec
	for i := range position {
		position[i] = n.bits(uint32(i))
	}
	j := 0
	c.start = func() {
		j = first
		n.op("MOVD %v, %v", dp, column)
		n.op("MOVD %v, %v", arg, argColumn)
	}
	c.next = func() (v []vec) {
		n.op("MOVD %v, %v", column, p)
		n.op("MOVD %v, %v", argColumn, q)
		for range side {
			v = append(v, n.v())
		}
		n.scope(func() {
			gradient, at := n.v(), n.v()
			for i := range side {
				if i == 0 || (i+first)%2 == 0 { // the next window
					n.op("VLD1 (%v), [%v]", p, gradient.lanes())
					n.op("FMOVS (%v), F%d", q, int(at))
					n.op("VUSHLL $0, %v.B8, %v.H8", at, at)
					n.op("VUSHLL $0, %v.H4, %v", at, at.lanes())
					n.op("ADD %v, %v, %v", dpRow, p, p)
					n.op("ADD %v, %v, %v", argRow, q, q)
				}
				n.op("VCMEQ %v, %v, %v", position[(i+first)%2*2+j%2].lanes(), at.lanes(), v[i].lanes())
				n.and(v[i], v[i], gradient)
			}
		})
		if j++; j%2 == 0 {
			n.op("ADD %v, %v, %v", dpCol, column, column)
			n.op("ADD %v, %v, %v", argCol, argColumn, argColumn)
		}
		return v
	}
	return c, []reg{dp}, func() { n.op("ADD $4, %v, %v", arg, arg) }
}
