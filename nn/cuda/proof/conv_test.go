package proof

import (
	"fmt"
	"strings"

	"cifartui/nn/cuda/ptx"
)

// check runs one kernel on one shape and compares what it wrote. kernel is the
// name in the table; run is called with it.
type check struct {
	kernel string
	what   string
	run    func(d *device) error
}

// convShapes are the shapes that a tile is tried on: images of all sizes, one
// alone, odd numbers of them, a batch of which not all are valid; one block and
// several in each direction.
func convShapes(k ptx.Kernel) []shape {
	m, n := k.Tile.M, max(k.Tile.N, 32)
	depth := max(k.Tile.K, 32)
	if strings.HasPrefix(k.Name, "conv_wgrad") {
		depth = m
	}
	if k.Odd() == 3 {
		return []shape{
			{images: 5, rows: 5, by3: true, lh: 1, lw: 1, in: depth, out: 2 * n},
			{images: 4, rows: 3, by3: true, lh: 1, lw: 1, in: 2 * depth, out: n},
			{images: 1, rows: 1, by3: true, lh: 2, lw: 2, in: depth, out: n},
			{images: 2, rows: 1, by3: true, lh: 1, lw: 3, in: depth, out: n},
			{images: 3, rows: 3, by3: true, lh: 2, lw: 2, in: depth, out: n}, // many steps of the filter's gradient
			{images: 7, rows: 5, by3: true, lh: 0, lw: 0, in: depth, out: n},
		}
	}
	return []shape{
		{images: 5, rows: 5, lh: 2, lw: 2, in: depth, out: 2 * n},
		{images: 4, rows: 3, lh: 3, lw: 3, in: 2 * depth, out: n},
		{images: 1, rows: 1, lh: 4, lw: 4, in: depth, out: n},
		{images: 2, rows: 1, lh: 3, lw: 5, in: depth, out: n},
		{images: 3, rows: 3, lh: 4, lw: 4, in: depth, out: n}, // many steps of the filter's gradient
		{images: 7, rows: 5, lh: 1, lw: 1, in: depth, out: n},
	}
}

// convChecks are those of all tiles of the three passes.
func convChecks() []check {
	var list []check
	for _, k := range ptx.Kernels {
		for i, s := range convShapes(k) {
			if i == 4 && !strings.HasPrefix(k.Name, "conv_wgrad_") {
				continue
			}
			add := func(what string, run func(d *device) error) {
				list = append(list, check{k.Name, fmt.Sprintf("%s %+v", what, s), run})
			}
			switch {
			case strings.HasPrefix(k.Name, "conv_fwd_"):
				s.pool = i%2 == 1 && s.lh > 0
				add("forward", func(d *device) error { return checkForward(d, k, s) })
			case strings.HasPrefix(k.Name, "conv_bwd_"):
				s.in, s.out = s.out, s.in
				add("backward", func(d *device) error { return checkBackward(d, k, s) })
			case strings.HasPrefix(k.Name, "conv_wgrad_"):
				add("filter", func(d *device) error { return checkFilter(d, k, s, []int{1, 3, 5, 7, 1, 2}[i]) })
			}
		}
		if k.Name == "conv_fwd_64x64x64s3" {
			s := shape{images: 3, rows: 3, lh: 3, lw: 3, in: 64, out: 64, pool: true}
			list = append(list, check{k.Name, "without the places of the maxima", func(d *device) error { return checkForwardRounding(d, k, s) }})
		}
	}
	return append(list, convEnds()...)
}

// convEnds are batches that end in each place of a tile that the kernels' loops
// over it are unrolled to, on one tile of each pass: all are made of one source.
func convEnds() []check {
	var list []check
	add := func(name string, run func(d *device, k ptx.Kernel) error) {
		list = append(list, check{name, "ends of batches", func(d *device) error {
			k, err := described(name)
			if err != nil {
				return err
			}
			return run(d, k)
		}})
	}
	thrice := shape{by3: true, in: 32, out: 32}
	// The end lies at pixel 4, 12, 20 and so on of 64, or at 9, 18, 27 and so on.
	add("conv_fwd_64x64x64s3", func(d *device, k ptx.Kernel) error {
		s := shape{lh: 1, lw: 1, in: 64, out: 64}
		return s.batches(1, 16, 2, func(s shape) error { return checkForward(d, k, s) })
	})
	add("conv_fwd_by3_64x32x32s3", func(d *device, k ptx.Kernel) error {
		return thrice.batches(1, 16, 1, func(s shape) error { return checkForward(d, k, s) })
	})
	add("conv_bwd_64x32x32s3", func(d *device, k ptx.Kernel) error {
		s := shape{lh: 1, lw: 1, in: 32, out: 32}
		return s.batches(1, 16, 2, func(s shape) error { return checkBackward(d, k, s) })
	})
	add("conv_bwd_by3_64x32x32s3", func(d *device, k ptx.Kernel) error {
		return thrice.batches(1, 16, 1, func(s shape) error { return checkBackward(d, k, s) })
	})
	// In the first step of the sum, in the second, and in one whose copies the loop makes.
	add("conv_wgrad_32x32s3", func(d *device, k ptx.Kernel) error {
		s := shape{lh: 2, lw: 2, in: 32, out: 32}
		return s.batches(1, 12, 1, func(s shape) error { return checkFilter(d, k, s, 1) })
	})
	add("conv_wgrad_by3_32x32s3", func(d *device, k ptx.Kernel) error {
		return thrice.batches(1, 18, 1, func(s shape) error { return checkFilter(d, k, s, 1) })
	})
	return list
}

// batches calls run with whole batches of from to below end images, step apart.
func (s shape) batches(from, end, step int, run func(shape) error) error {
	for n := from; n < end; n += step {
		s.images, s.rows = n, n
		if err := run(s); err != nil {
			return fmt.Errorf("%d images: %w", n, err)
		}
	}
	return nil
}

func blocks(n, each int) int { return (n + each - 1) / each }

func checkForward(d *device, k ptx.Kernel, s shape) error {
	x, w, b := d.whole(s.pixels()*s.in, 2), d.whole(9*s.in*s.out, 1), d.whole(s.out, 3)
	n := s.pixels() * s.out
	if s.pool {
		n /= 4
	}
	y, arg := d.empty(2*n), uint64(0)
	if s.pool {
		arg = d.empty(n)
	}
	grid := blocks(s.images*s.area(), k.Tile.M) * (s.out / k.Tile.N)
	pool := 0
	if s.pool {
		pool = 1
	}
	if err := d.launch(k.Name, grid, 1, s.width(), y, arg, d.bf16s(x), d.bf16s(w), d.floats(b),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.in, s.out, pool); err != nil {
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
	if !s.pool {
		return same("y", have, want, 0)
	}
	best, place := pooled(s, want)
	if err := same("y", have, best, 0); err != nil {
		return err
	}
	places, err := d.get(arg, n)
	if err != nil {
		return err
	}
	for i, p := range place {
		if places[i] != p {
			return fmt.Errorf("arg: value %d is %d, want %d", i, places[i], p)
		}
	}
	return nil
}

// checkForwardRounding takes numbers that are not whole, and no arg.
func checkForwardRounding(d *device, k ptx.Kernel, s shape) error {
	x, w, b := d.normal(s.pixels()*s.in, 1), d.normal(9*s.in*s.out, 0.05), d.normal(s.out, 1)
	n := s.pixels() * s.out / 4
	y := d.empty(2 * n)
	grid := blocks(s.images*s.area(), k.Tile.M) * (s.out / k.Tile.N)
	if err := d.launch(k.Name, grid, 1, s.width(), y, uint64(0), d.bf16s(x), d.bf16s(w), d.floats(b),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.in, s.out, 1); err != nil {
		return err
	}
	want := convolve(s, x, w)
	for i := range want {
		want[i] = max(want[i]+b[i%s.out], 0)
	}
	best, _ := pooled(s, want)
	have, err := d.getBF16(y, n)
	if err != nil {
		return err
	}
	return same("y", have, best, 1.0/256)
}

func checkBackward(d *device, k ptx.Kernel, s shape) error {
	dy, w := d.whole(s.pixels()*s.out, 9), d.whole(9*s.in*s.out, 1)
	x := d.activations(s.pixels() * s.in)
	n := s.pixels() * s.in
	dx := d.empty(2 * n)
	grid := blocks(s.images*s.area(), k.Tile.M) * (s.in / k.Tile.N)
	if err := d.launch(k.Name, grid, 1, s.width(), dx, d.bf16s(dy), d.bf16s(w), d.bf16s(x),
		d.step(step{rows: uint32(s.rows)}), s.lh, s.lw, s.in, s.out); err != nil {
		return err
	}
	want := dataGradient(s, dy, w)
	for i := range want {
		want[i] = round(want[i])
		if x[i] == 0 {
			want[i] = 0
		}
	}
	have, err := d.getBF16(dx, n)
	if err != nil {
		return err
	}
	return same("dx", have, want, 0)
}

func checkFilter(d *device, k ptx.Kernel, s shape, parts int) error {
	x, dy := d.whole(s.pixels()*s.in, 2), d.whole(s.pixels()*s.out, 2)
	n := 9 * s.in * s.out
	part, dw := d.empty(4*n*parts), d.empty(4*n)
	grid := 3 * (s.in / k.Tile.M) * (s.out / k.Tile.N)
	if err := d.launch(k.Name, grid, parts, s.width(), part, d.bf16s(x), d.bf16s(dy),
		d.step(step{rows: uint32(s.rows)}), s.images, s.lh, s.lw, s.in, s.out, parts); err != nil {
		return err
	}
	if err := d.launch("reduce", blocks(n, 128), 1, 0, dw, uint64(0), part, n, n, n, parts); err != nil {
		return err
	}
	have, err := d.getFloats(dw, n)
	if err != nil {
		return err
	}
	return same("dw", have, filterGradient(s, x, dy), 0)
}
