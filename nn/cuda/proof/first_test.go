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
	} {
		list = append(list,
			check{"conv1_fwd", fmt.Sprintf("%+v", s), func(d *device) error { return checkFirst(d, s, blocks(s.images<<(s.lh+s.lw), 256)) }},
			check{"conv1_wgrad", fmt.Sprintf("%+v", s), func(d *device) error { return checkFirstFilter(d, s, 2*i+1) }})
	}
	return append(list,
		check{"conv1_fwd", "several strips of a block", func(d *device) error {
			return checkFirst(d, shape{images: 9, rows: 9, lh: 2, lw: 5, in: 3, out: 32}, 1)
		}},
		check{"conv1_wgrad", "several strips of a block", func(d *device) error {
			return checkFirstFilter(d, shape{images: 9, rows: 9, lh: 2, lw: 5, in: 3, out: 32}, 1)
		}},
		// Every place in a strip that the kernels' loops are unrolled to: of the
		// gradient, in the first strip and in one that the loop copies.
		check{"conv1_fwd", "ends of batches", func(d *device) error {
			for n := 1; n <= 8; n++ {
				if err := checkFirst(d, shape{images: n, rows: n, lh: 1, lw: 2, in: 3, out: 32}, 1); err != nil {
					return fmt.Errorf("%d images: %w", n, err)
				}
			}
			return nil
		}},
		check{"conv1_wgrad", "ends of batches", func(d *device) error {
			for n := 1; n < 32; n += 4 {
				if err := checkFirstFilter(d, shape{images: n, rows: n, lh: 1, lw: 2, in: 3, out: 32}, 1); err != nil {
					return fmt.Errorf("%d images: %w", n, err)
				}
			}
			return nil
		}})
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
	if err := d.launch("conv1_fwd", grid, s.out/32, 0, y, d.bf16s(four(x)), d.floats(w), d.floats(b),
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
	if err := d.launch("conv1_wgrad", parts, s.out/32, 0, part, d.bf16s(four(x)), d.bf16s(dy),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.out); err != nil {
		return err
	}
	if err := d.launch("reduce", blocks(n, 128), 1, 0, dw, part, n, n, parts); err != nil {
		return err
	}
	have, err := d.getFloats(dw, n)
	if err != nil {
		return err
	}
	want := append(filterGradient(s, x, dy), columns(dy, s.out)...)
	return same("dw and db", have, want, 0)
}
