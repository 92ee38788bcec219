package main

// The matrix products of gemm.go for panels of 16 columns. Four rows of c, 16
// registers, are summed at a time: as many as four units with a latency of four
// need, and what is loaded for 16 multiply-adds is one quad a column group and a
// quarter of one a row.

// productRows writes the loop over blocks of four rows of c around sums, which
// adds to the 16 registers, c's four rows of four quads, by the name of the
// block's first row of a.
func (n *neon) productRows(rows, c, ldc reg, start func(sum []vec), sums func(sum []vec), end func(sum []vec)) {
	n.op("LSR $2, %v, %v", rows, rows)
	n.times("block", rows, func() {
		var sum []vec
		for range 16 {
			sum = append(sum, n.v())
		}
		start(sum)
		n.scope(func() { sums(sum) })
		end(sum)
		for r := range 4 {
			n.op("VST1 %s, (%v)", fours(sum[4*r:]), c)
			n.op("ADD %v, %v, %v", ldc, c, c)
		}
	})
}

func (n *neon) clearAll(v []vec) {
	for _, s := range v {
		n.xor(s, s, s)
	}
}

// bytesOf turns strides from elements to bytes.
func (n *neon) bytesOf(strides ...reg) {
	for _, r := range strides {
		n.op("LSL $2, %v, %v", r, r)
	}
}

// rowPointers returns four addresses, set by set to a row and the three that
// follow it.
func (n *neon) rowPointers(stride reg) (p []reg, set func(first reg)) {
	p = []reg{n.r(), n.r(), n.r(), n.r()}
	return p, func(first reg) {
		n.op("MOVD %v, %v", first, p[0])
		for r := 1; r < 4; r++ {
			n.op("ADD %v, %v, %v", stride, p[r-1], p[r])
		}
	}
}

// quadRow adds, for one value of the sum, row b times a lane of a for four rows.
func (n *neon) quadRow(sum, a []vec, lane int, b reg) {
	n.scope(func() {
		v := n.four()
		n.op("VLD1.P 64(%v), %s", b, fours(v))
		for r := range 4 {
			for j := range 4 {
				n.fmlaLane(sum[4*r+j], v[j], a[r], lane)
			}
		}
	})
}

func (n *neon) gemm() {
	n.function("gemmNEON does as gemmGeneric.",
		"gemmNEON", "c []float32, ldc int, a []float32, lda int, b []float32, rows, k int", "")
	c, ldc, a, lda, b := n.load("c"), n.load("ldc"), n.load("a"), n.load("lda"), n.load("b")
	rows, k := n.load("rows"), n.load("k")
	n.bytesOf(ldc, lda)
	row, set := n.rowPointers(lda)
	pb, count := n.r(), n.r()
	n.productRows(rows, c, ldc, n.clearAll, func(sum []vec) {
		set(a)
		n.op("MOVD %v, %v", b, pb)
		n.op("LSR $2, %v, %v", k, count)
		n.times("quads", count, func() {
			q := n.four()
			for r := range q {
				n.op("VLD1.P 16(%v), [%v]", row[r], q[r].lanes())
			}
			for lane := range 4 {
				n.quadRow(sum, q, lane, pb)
			}
		})
		n.op("AND $3, %v, %v", k, count)
		n.times("singles", count, func() {
			q := n.four()
			for r := range q {
				n.op("FMOVS.P 4(%v), F%d", row[r], int(q[r]))
			}
			n.quadRow(sum, q, 0, pb)
		})
		n.op("ADD %v<<2, %v, %v", lda, a, a)
	}, func(sum []vec) {})
	n.ret()
}

func (n *neon) gemmT() {
	n.function("gemmTNEON does as gemmTGeneric.",
		"gemmTNEON", "c []float32, ldc int, a []float32, lda int, b []float32, ldb int, rows, k int, add bool", "")
	c, ldc, a, lda, b, ldb := n.load("c"), n.load("ldc"), n.load("a"), n.load("lda"), n.load("b"), n.load("ldb")
	rows, k := n.load("rows"), n.load("k")
	n.bytesOf(ldc, lda, ldb)
	add, pa, pb, count := n.r(), n.r(), n.r(), n.r()
	n.op("MOVBU %s, %v", n.frame["add"], add)
	n.productRows(rows, c, ldc, func(sum []vec) {
		n.clearAll(sum)
		n.op("CBZ %v, cleared", add)
		n.op("MOVD %v, %v", c, pa)
		for r := range 4 {
			n.op("VLD1 (%v), %s", pa, fours(sum[4*r:]))
			n.op("ADD %v, %v, %v", ldc, pa, pa)
		}
		n.label("cleared")
	}, func(sum []vec) {
		n.op("MOVD %v, %v", a, pa)
		n.op("MOVD %v, %v", b, pb)
		n.op("MOVD %v, %v", k, count)
		n.times("depth", count, func() {
			q, v := n.v(), n.four()
			n.op("VLD1 (%v), [%v]", pa, q.lanes())
			n.op("VLD1 (%v), %s", pb, fours(v))
			n.op("ADD %v, %v, %v", lda, pa, pa)
			n.op("ADD %v, %v, %v", ldb, pb, pb)
			for r := range 4 {
				for j := range 4 {
					n.fmlaLane(sum[4*r+j], v[j], q, r)
				}
			}
		})
		n.op("ADD $16, %v, %v", a, a)
	}, func(sum []vec) {})
	n.ret()
}

func (n *neon) gemmFirst() {
	n.function("gemmFirstNEON does as gemmFirstGeneric.",
		"gemmFirstNEON", "c []float32, ldc int, a []float32, aRow int, b []float32, rows int", "")
	const channels, run = 16, 3 // bytes between two windows, quads of a run
	c, ldc, a, aRow, b, rows := n.load("c"), n.load("ldc"), n.load("a"), n.load("aRow"), n.load("b"), n.load("rows")
	n.bytesOf(ldc, aRow)
	step, line, pb, count := n.r(), n.r(), n.r(), n.r()
	n.op("MOVD $%d, %v", channels, step)
	row, set := n.rowPointers(step)
	n.productRows(rows, c, ldc, n.clearAll, func(sum []vec) {
		n.op("MOVD %v, %v", a, line)
		n.op("MOVD %v, %v", b, pb)
		n.op("MOVD $3, %v", count)
		n.times("runs", count, func() {
			set(line)
			for range run {
				n.scope(func() {
					q := n.four()
					for r := range q {
						n.op("VLD1.P 16(%v), [%v]", row[r], q[r].lanes())
					}
					for lane := range 4 {
						n.quadRow(sum, q, lane, pb)
					}
				})
			}
			n.op("ADD %v, %v, %v", aRow, line, line)
		})
		n.op("ADD $%d, %v, %v", 4*channels, a, a)
	}, func(sum []vec) {
		n.scope(func() {
			zero := n.zero()
			for _, s := range sum {
				n.fmax(s, s, zero)
			}
		})
	})
	n.ret()
}
