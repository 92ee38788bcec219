package proof

import (
	"encoding/binary"
	"fmt"
	"math"
)

// muonChecks hold each of Muon's kernels to its formula, on matrices of one
// launch whose sides are no multiples of a tile, with several parts to add.
func muonChecks() []check {
	list := []check{
		{"muon_begin", "", checkMuonBegin},
		{"muon_gram", "", checkMuonGram},
		{"muon_poly", "normalised", func(d *device) error { return checkMuonPoly(d, true) }},
		{"muon_poly", "as it is", func(d *device) error { return checkMuonPoly(d, false) }},
		{"muon_apply", "to the next X", func(d *device) error { return checkMuonApply(d, false) }},
		{"muon_apply", "to the parameters", func(d *device) error { return checkMuonApply(d, true) }},
	}
	// After a loss that is not finite. The matrices lie nowhere: who goes to them is found.
	stopped := func(name string, args ...any) {
		list = append(list, check{name, "after a loss that is not finite", func(d *device) error {
			matrices := muonMatrices()
			before := []any{d.matrices(matrices), len(matrices)}
			if name == "muon_apply" {
				before = append(before, d.step(step{rows: 1, lr: muonLR}))
			}
			return d.launch(name, 1, 1, matrices[0].columns, append(append(before, d.words(1)), args...)...)
		}})
	}
	stopped("muon_begin")
	stopped("muon_gram", 1)
	stopped("muon_poly", 1)
	stopped("muon_apply", 1, 1)
	return list
}

// matrix is one parameter; the addresses are those of kernels/muon.cu's Matrix.
type matrix struct {
	rows, columns, parts, aParts             int
	x, g, m, copy, u0, u1, a, b, scale       uint64
	atBegin, atGram, atPoly, atApply         int
	needBegin, needGram, needPoly, needApply int
}

func muonMatrices() []*matrix {
	list := []*matrix{
		{rows: 70, columns: 224, parts: 11, aParts: 2}, {rows: 330, columns: 32, parts: 1, aParts: 1},
		{rows: 40, columns: 32, parts: 2, aParts: 17}, {rows: 10, columns: 32, parts: 9, aParts: 8}, {rows: 20, columns: 64, parts: 1, aParts: 7},
	}
	for len(list) < 34 { // so that a block looks for its own in two rounds
		list = append(list, &matrix{rows: 2, columns: 32, parts: 1, aParts: 1})
	}
	for _, m := range list {
		across := blocks(m.columns, 64)
		m.needBegin = blocks(m.rows*m.columns, 1024)
		m.needGram = across * across * m.aParts
		m.needPoly = across * across
		m.needApply = blocks(m.rows, 64) * across
	}
	for i, b := range list[1:] {
		a := list[i]
		b.atBegin, b.atGram = a.atBegin+a.needBegin, a.atGram+a.needGram
		b.atPoly, b.atApply = a.atPoly+a.needPoly, a.atApply+a.needApply
	}
	return list
}

const muonRate, muonDecay, muonLR = 0.2, 0.1, 0.5

func (d *device) matrices(list []*matrix) uint64 {
	var b []byte
	le := binary.LittleEndian
	for _, m := range list {
		for _, v := range []uint64{m.x, m.g, m.m, m.copy, m.u0, m.u1, m.a, m.b, m.scale} {
			b = le.AppendUint64(b, v)
		}
		for _, v := range []int{m.rows, m.columns, m.parts, m.rows * m.columns, m.aParts, m.atBegin, m.atGram, m.atPoly, m.atApply} {
			b = le.AppendUint32(b, uint32(v))
		}
		for _, v := range []float32{muonRate, momentum, muonDecay} {
			b = le.AppendUint32(b, math.Float32bits(v))
		}
	}
	return d.bytes(b)
}

func checkMuonBegin(d *device) error {
	list := muonMatrices()
	end := list[len(list)-1]
	var g, m [][]float64
	for i, x := range list {
		n := x.rows * x.columns
		g, m = append(g, d.whole(n*x.parts, 9)), append(m, d.whole(n, 9))
		x.g, x.m, x.u0 = d.floats(g[i]), d.floats(m[i]), d.empty(2*n)
	}
	if err := d.launch("muon_begin", end.atBegin+end.needBegin, 1, 0, d.matrices(list), len(list), d.words(0)); err != nil {
		return err
	}
	for i, x := range list {
		n := x.rows * x.columns
		wantM, wantU := make([]float64, n), make([]float64, n)
		for j := range n {
			sum := 0.0
			for k := range x.parts {
				sum += g[i][k*n+j]
			}
			wantM[j] = momentum*m[i][j] + sum
			wantU[j] = sum + momentum*wantM[j]
		}
		haveM, err := d.getFloats(x.m, n)
		if err != nil {
			return err
		}
		haveU, err := d.getBF16(x.u0, n)
		if err != nil {
			return err
		}
		if err := same("momentum", haveM, wantM, 1e-6); err != nil {
			return err
		}
		if err := same("u", haveU, wantU, 1.0/256); err != nil {
			return err
		}
	}
	return nil
}

func checkMuonGram(d *device) error {
	list := muonMatrices()
	end := list[len(list)-1]
	var u [][]float64
	for i, x := range list {
		u = append(u, d.whole(x.rows*x.columns, 3))
		x.u1, x.a = d.bf16s(u[i]), d.empty(4*x.aParts*x.columns*x.columns)
	}
	if err := d.launch("muon_gram", end.atGram+end.needGram, 1, 0, d.matrices(list), len(list), d.words(0), 1); err != nil {
		return err
	}
	for i, x := range list {
		n := x.columns
		want := make([]float64, n*n)
		for r := range x.rows {
			for p := range n {
				for q := range n {
					want[p*n+q] += u[i][r*n+p] * u[i][r*n+q]
				}
			}
		}
		if err := checkParts(d, fmt.Sprintf("A of matrix %d", i), x.a, want, x.aParts); err != nil {
			return err
		}
	}
	return nil
}

func checkMuonPoly(d *device, first bool) error {
	list := muonMatrices()
	end := list[len(list)-1]
	var sums [][]float64
	for _, x := range list {
		n := x.columns
		a, sum := make([]float64, n*n*x.aParts), make([]float64, n*n)
		for k := range x.aParts {
			for p := range n {
				for q := range p + 1 { // symmetric
					v := float64(d.rand.IntN(5) - 2)
					if p == q {
						v += 9
					}
					a[(k*n+p)*n+q], a[(k*n+q)*n+p] = v, v
				}
			}
			for j := range sum {
				sum[j] += a[k*n*n+j]
			}
		}
		sums = append(sums, sum)
		x.a, x.b, x.scale = d.floats(a), d.empty(2*n*n), d.empty(4)
	}
	flag := 0
	if first {
		flag = 1
	}
	if err := d.launch("muon_poly", end.atPoly+end.needPoly, 1, list[0].columns, d.matrices(list), len(list), d.words(0), flag); err != nil {
		return err
	}
	const b, c = -4.7750, 2.0315
	for i, x := range list {
		n, scale := x.columns, 1.0
		if first {
			trace := 0.0
			for p := range n {
				trace += sums[i][p*n+p]
			}
			scale = 1 / trace
		}
		have, err := d.getFloats(x.scale, 1)
		if err != nil {
			return err
		}
		if err := same("scale", have, []float64{math.Sqrt(scale)}, 1e-6); err != nil {
			return err
		}
		want := make([]float64, n*n)
		for p := range n {
			for q := range n {
				square := 0.0
				for k := range n {
					square += round(scale*sums[i][p*n+k]) * round(scale*sums[i][k*n+q])
				}
				want[p*n+q] = (b*scale*sums[i][p*n+q] + c*square) / scale
			}
		}
		have, err = d.getBF16(x.b, n*n)
		if err != nil {
			return err
		}
		for j := range have {
			have[j] /= scale
		}
		if err := same(fmt.Sprintf("B of matrix %d", i), have, want, 1.0/128); err != nil {
			return err
		}
	}
	return nil
}

func checkMuonApply(d *device, last bool) error {
	const a, scale = 3.4445, 0.25
	list := muonMatrices()
	end := list[len(list)-1]
	var u, b, w [][]float64
	for i, x := range list {
		n := x.rows * x.columns
		u, b, w = append(u, d.whole(n, 3)), append(b, d.whole(x.columns*x.columns, 2)), append(w, d.whole(n, 9))
		x.u1, x.b, x.scale = d.bf16s(u[i]), d.bf16s(b[i]), d.floats([]float64{scale})
		x.x, x.u0 = d.floats(w[i]), d.empty(2*n)
		if i == 0 {
			x.copy = d.empty(2 * n)
		}
	}
	flag := 0
	if last {
		flag = 1
	}
	if err := d.launch("muon_apply", end.atApply+end.needApply, 1, 0, d.matrices(list), len(list), d.step(step{rows: 1, lr: muonLR}), d.words(0), 1, flag); err != nil {
		return err
	}
	for i, x := range list {
		n, cols := x.rows*x.columns, x.columns
		want := make([]float64, n)
		for j := range want {
			sum := a * u[i][j]
			for k := range cols {
				sum += u[i][j/cols*cols+k] * b[i][k*cols+j%cols]
			}
			want[j] = scale * sum
			if last {
				want[j] = (1-muonLR*muonDecay)*w[i][j] - muonLR*muonRate*want[j]
			}
		}
		if !last {
			have, err := d.getBF16(x.u0, n)
			if err != nil {
				return err
			}
			if err := same("next X", have, want, 1.0/256); err != nil {
				return err
			}
			continue
		}
		have, err := d.getFloats(x.x, n)
		if err != nil {
			return err
		}
		if err := same("x", have, want, 1e-5); err != nil {
			return err
		}
		if x.copy == 0 {
			continue
		}
		copied, err := d.getBF16(x.copy, n)
		if err != nil {
			return err
		}
		if err := same("copy", copied, want, 1.0/256); err != nil {
			return err
		}
	}
	return nil
}
