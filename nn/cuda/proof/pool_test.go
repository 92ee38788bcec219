package proof

import "fmt"

// poolChecks are those of the pool's gradient, the biases' gradients and the
// sums of parts.
func poolChecks() []check {
	var list []check
	for i, s := range []shape{
		{images: 3, rows: 3, lh: 3, lw: 3, out: 64},
		{images: 4, rows: 3, lh: 2, lw: 2, out: 256},
		{images: 2, rows: 1, lh: 4, lw: 5, out: 128},
		{images: 1, rows: 1, lh: 2, lw: 2, out: 24},
		{images: 1, rows: 1, lh: 5, lw: 5, out: 32},
		{images: 4, rows: 3, lh: 1, lw: 1, out: 64},
		{images: 3, rows: 3, by3: true, lh: 2, lw: 2, out: 64},
		{images: 2, rows: 1, by3: true, lh: 1, lw: 3, out: 128},
		{images: 3, rows: 2, by3: true, lh: 1, lw: 1, out: 256},
	} {
		list = append(list,
			check{s.kernel("spread"), fmt.Sprintf("%+v", s), func(d *device) error { return checkSpread(d, s, 1+3*i%7) }},
			check{"colsum", fmt.Sprintf("%+v", s), func(d *device) error { return checkColumnSums(d, s, 1+2*i%5) }})
	}
	// Seven pixels at once, of more channels than there are threads.
	odd := shape{images: 1, rows: 1, lh: 3, lw: 3, out: 288}
	list = append(list,
		check{"spread", fmt.Sprintf("%+v", odd), func(d *device) error { return checkSpread(d, odd, 1) }},
		check{"colsum", fmt.Sprintf("%+v", odd), func(d *device) error { return checkColumnSums(d, odd, 1) }})
	// One to four pixels of each thread, without rest.
	for n := 2; n <= 8; n += 2 {
		s, t := shape{images: n, rows: n, lh: 2, lw: 2, out: 256}, shape{images: n, rows: n, lh: 2, lw: 2, out: 64}
		list = append(list,
			check{s.kernel("spread"), fmt.Sprintf("%+v", s), func(d *device) error { return checkSpread(d, s, 1) }},
			check{"colsum", fmt.Sprintf("%+v", t), func(d *device) error { return checkColumnSums(d, t, 1) }})
	}
	for _, c := range []struct{ n, stride, parts int }{
		{300, 300, 5}, {300, 304, 17}, {257, 259, 8}, {257, 261, 17}, {258, 258, 9}, {259, 259, 9}, {1, 1, 1}, {128, 128, 32}, {128, 128, 40}, {32, 36, 300},
	} {
		list = append(list, check{"reduce", fmt.Sprintf("%+v", c), func(d *device) error { return checkReduce(d, c.n, c.stride, c.parts) }})
	}
	return list
}

func checkSpread(d *device, s shape, grid int) error {
	n := s.pixels() / 4 * s.out
	dp := d.whole(n, 9)
	arg := make([]byte, n)
	for i := range arg {
		arg[i] = byte(d.rand.IntN(4) & d.rand.IntN(4)) // more zeros, so that they meet in fours
	}
	dy, part := d.empty(2*4*n), d.empty(4*grid*s.out)
	if err := d.launch(s.kernel("spread"), grid, 1, 0, dy, part, d.bf16s(dp), d.bytes(arg), d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.out); err != nil {
		return err
	}
	h, w := s.height()/2, s.width()/2
	want := make([]float64, 4*n)
	for i, v := range dp {
		q, o := i/s.out, i%s.out
		n, y, x, k := q/(h*w), q/w%h, q%w, int(arg[i])
		want[((n*2*h+2*y+k/2)*2*w+2*x+k%2)*s.out+o] = v
	}
	have, err := d.getBF16(dy, 4*n)
	if err != nil {
		return err
	}
	if err := same("dy", have, want, 0); err != nil {
		return err
	}
	return checkParts(d, "db", part, columns(dp, s.out), grid)
}

// checkParts holds the sum of parts, as they were written, to what it should be.
func checkParts(d *device, what string, part uint64, want []float64, parts int) error {
	all, err := d.getFloats(part, len(want)*parts)
	if err != nil {
		return err
	}
	return same(what, columns(all, len(want)), want, 0)
}

func checkColumnSums(d *device, s shape, grid int) error {
	v := d.whole(s.pixels()*s.out, 9)
	part := d.empty(4 * grid * s.out)
	if err := d.launch("colsum", grid, 1, 0, part, d.bf16s(v), d.step(step{rows: uint32(s.rows)}), s.out, s.area()); err != nil {
		return err
	}
	return checkParts(d, "sums", part, columns(v, s.out), grid)
}

func checkReduce(d *device, n, stride, parts int) error {
	v := d.whole(stride*(parts-1)+n, 1000)
	first := n - n/3
	dst, rest := d.empty(4*first), d.empty(4*(n-first))
	if err := d.launch("reduce", blocks(n, 128), 1, 0, dst, rest, d.floats(v), n, first, stride, parts); err != nil {
		return err
	}
	want := make([]float64, n)
	for k := range parts {
		for i := range want {
			want[i] += v[k*stride+i]
		}
	}
	have, err := d.getFloats(dst, first)
	if err != nil {
		return err
	}
	more, err := d.getFloats(rest, n-first)
	if err != nil {
		return err
	}
	have = append(have, more...)
	return same("sums", have, want, 0)
}
