package proof

import "fmt"

// firstChecks are those of the first convolution, of images of four channels,
// the fourth 1.
func firstChecks() []check {
	var list []check
	for i, s := range []shape{
		{images: 3, rows: 3, lh: 3, lw: 3, in: 3, out: 64},
		{images: 4, rows: 2, lh: 4, lw: 4, in: 3, out: 32},
		{images: 5, rows: 5, lh: 2, lw: 5, in: 3, out: 32},
		{images: 3, rows: 3, by3: true, lh: 2, lw: 2, in: 3, out: 64},
		{images: 3, rows: 2, by3: true, lh: 1, lw: 3, in: 3, out: 32},
		{images: 9, rows: 9, by3: true, lh: 0, lw: 1, in: 3, out: 32},
	} {
		list = append(list,
			check{s.kernel("conv1_fwd"), fmt.Sprintf("%+v", s), func(d *device) error { return checkFirst(d, s, blocks(s.images*s.area(), 256)) }},
			check{s.kernel("conv1_wgrad"), fmt.Sprintf("%+v", s), func(d *device) error { return checkFirstFilter(d, s, 2*i+1) }})
	}
	for _, s := range []shape{
		{images: 9, rows: 9, lh: 2, lw: 5, in: 3, out: 32},
		{images: 5, rows: 5, by3: true, lh: 1, lw: 3, in: 3, out: 32},
	} {
		list = append(list,
			check{s.kernel("conv1_fwd"), "several strips of a block", func(d *device) error { return checkFirst(d, s, 1) }},
			check{s.kernel("conv1_wgrad"), "several strips of a block", func(d *device) error { return checkFirstFilter(d, s, 1) }})
	}
	// Every place in a strip that the kernels' loops are unrolled to: of the
	// gradient, in the first strip and in one that the loop copies.
	for _, c := range []struct {
		shape
		forward, filter [3]int // batches
	}{
		{shape{lh: 1, lw: 2, in: 3, out: 32}, [3]int{1, 9, 1}, [3]int{1, 32, 4}},
		{shape{by3: true, lw: 1, in: 3, out: 32}, [3]int{1, 16, 1}, [3]int{1, 16, 1}},
	} {
		list = append(list,
			check{c.kernel("conv1_fwd"), "ends of batches", func(d *device) error {
				return c.batches(c.forward[0], c.forward[1], c.forward[2], func(s shape) error { return checkFirst(d, s, 1) })
			}},
			check{c.kernel("conv1_wgrad"), "ends of batches", func(d *device) error {
				return c.batches(c.filter[0], c.filter[1], c.filter[2], func(s shape) error { return checkFirstFilter(d, s, 1) })
			}})
	}
	return list
}

// four returns pixels of four channels, the fourth 1, from pixels of three.
func four(x []float64) []float64 {
	var v []float64
	for i := 0; i < len(x); i += 3 {
		v = append(v, x[i], x[i+1], x[i+2], 1)
	}
	return v
}

func checkFirst(d *device, s shape, grid int) error {
	x, w, b := d.whole(s.pixels()*3, 4), d.whole(9*3*s.out, 4), d.whole(s.out, 9)
	n := s.pixels() * s.out
	y := d.empty(2 * n)
	if err := d.launch(s.kernel("conv1_fwd"), grid, s.out/32, 0, y, d.bf16s(four(x)), d.floats(w), d.floats(b),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.out); err != nil {
		return err
	}
	want := convolve(s, x, w)
	for i := range want {
		want[i] = round(max(want[i]+b[i%s.out], 0))
	}
	have, err := d.getBF16(y, n)
	if err != nil {
		return err
	}
	return same("y", have, want, 0)
}

func checkFirstFilter(d *device, s shape, parts int) error {
	x, dy := d.whole(s.pixels()*3, 4), d.whole(s.pixels()*s.out, 4)
	n := 28 * s.out
	part, dw := d.empty(4*n*parts), d.empty(4*n)
	if err := d.launch(s.kernel("conv1_wgrad"), parts, s.out/32, 0, part, d.bf16s(four(x)), d.bf16s(dy),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.out); err != nil {
		return err
	}
	if err := d.launch("reduce", blocks(n, 128), 1, 0, dw, uint64(0), part, n, n, n, parts); err != nil {
		return err
	}
	have, err := d.getFloats(dw, n)
	if err != nil {
		return err
	}
	want := append(filterGradient(s, x, dy), columns(dy, s.out)...)
	return same("dw and db", have, want, 0)
}
