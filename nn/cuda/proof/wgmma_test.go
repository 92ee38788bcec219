package proof

import (
	"fmt"

	interpreter "cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/ptx"
)

// wgmmaChecks are those of Hopper's convolutions.
func wgmmaChecks() []check {
	var list []check
	for _, k := range ptx.Kernels {
		g, ok := k.Wgmma()
		if !ok {
			continue
		}
		for _, c := range wgmmaCases(g) {
			list = append(list, check{k.Name, fmt.Sprintf("%+v", c), func(d *device) error { return checkWgmma(d, k, g, c.shape, c.multiprocessors) }})
		}
	}
	return list
}

// wgmmaCase is a convolution on a GPU of so many multiprocessors.
type wgmmaCase struct {
	shape
	multiprocessors int
}

// wgmmaCases are a batch of which not all is valid, on a GPU of 3 multiprocessors,
// where some blocks have nothing to do, and a whole one on a GPU of 2, where a block
// computes several tiles and goes round its rings of shared memory more than once.
func wgmmaCases(g ptx.Wgmma) []wgmmaCase {
	if g.Pass == ptx.WgmmaFilter {
		return wgmmaFilterCases(g)
	}
	s := square(g)
	result, sum := &s.out, &s.in
	if g.Pass == ptx.WgmmaBackwardData || g.Pass == ptx.WgmmaSpread {
		result, sum = sum, result
	}
	*result = max(64, g.Channels)
	if *sum = 128; !g.Fits(s.height(), s.width(), s.in, s.out) {
		*sum = 64
	}
	part, whole := s, s
	part.images, part.rows = 3, 2
	whole.images = max(3, 2*int(g.Input()[2])+1) // more than two tiles
	if g.Width == 32 {
		part.images, part.rows, whole.images = 2, 1, 2
	}
	return []wgmmaCase{{part, 3}, {whole.full(), 2}}
}

// square is the shape of a kernel's images.
func square(g ptx.Wgmma) shape {
	log := 0
	for 1<<log < g.Width {
		log++
	}
	return shape{lh: log, lw: log, pool: g.Pass == ptx.WgmmaForwardPool}
}

// wgmmaFilterCases have one block a tile, which goes round its ring twice, and several,
// which meet to add up their parts: a few, and, as the rest of the kernel is the
// same for all sizes of images, on the smallest as many as the threads add up one
// after another, and as many as they share in groups.
func wgmmaFilterCases(g ptx.Wgmma) []wgmmaCase {
	s := square(g)
	on := func(images, rows, in, out, multiprocessors int) wgmmaCase {
		c := wgmmaCase{s, multiprocessors}
		c.images, c.rows, c.in, c.out = images, rows, in, out
		return c
	}
	switch g.Width {
	case 8:
		return []wgmmaCase{on(23, 22, 64, 64, 1), on(10, 9, 128, 128, 36), on(30, 30, 64, 64, 132)}
	case 16:
		return []wgmmaCase{on(3, 3, 128, 64, 1), on(3, 2, 64, 128, 5)}
	}
	return []wgmmaCase{on(1, 1, 64, 64, 1), on(2, 1, 128, 64, 5)}
}

// images puts the tensor [images][H][W][channels] behind a map with a box.
func (d *device) images(s shape, at uint64, channels int, halved bool, box []uint32) uint64 {
	h, w, c := uint64(s.height()), uint64(s.width()), uint64(channels)
	if halved {
		h, w = h/2, w/2
	}
	return d.tensorMap(interpreter.TensorMap{Address: at, ElemSize: 2, Swizzle: 128, Box: box,
		Dims: []uint64{c, w, uint64(s.images), h}, Strides: []uint64{2 * c, 2 * c * h * w, 2 * c * w}})
}

func (d *device) weights(w []float64, s shape) uint64 {
	out := uint64(s.out)
	return d.tensorMap(interpreter.TensorMap{Address: d.bf16s(w), ElemSize: 2, Swizzle: 128, Box: ptx.WeightsBox,
		Dims: []uint64{out, uint64(9 * s.in)}, Strides: []uint64{2 * out}})
}

func (d *device) tensorMap(m interpreter.TensorMap) uint64 {
	p, err := m.Encode()
	if err != nil {
		panic(err) // the geometry of the table is wrong
	}
	return d.bytes(p[:])
}

// whole batch: rows that are not valid hold numbers, too, as they do in training.
func (s shape) full() shape {
	s.rows = s.images
	return s
}

func checkWgmma(d *device, k ptx.Kernel, g ptx.Wgmma, s shape, multiprocessors int) error {
	switch g.Pass {
	case ptx.WgmmaFilter:
		return checkWgmmaFilter(d, k, g, s, multiprocessors)
	case ptx.WgmmaBackwardData:
		return checkWgmmaBackward(d, k, g, s, multiprocessors)
	case ptx.WgmmaSpread:
		return checkWgmmaSpread(d, k, g, s, multiprocessors)
	}
	x, w, b := d.whole(s.full().pixels()*s.in, 2), d.whole(9*s.in*s.out, 1), d.whole(s.out, 3)
	n, total := s.pixels()*s.out, s.full().pixels()*s.out
	if s.pool {
		n, total = n/4, total/4
	}
	y, arg := d.empty(2*total), uint64(0)
	if s.pool {
		arg = d.empty(n)
	}
	if err := d.launch(k.Name, g.Grid(s.images, s.in, s.out, multiprocessors), 1, s.width(),
		d.images(s, d.bf16s(x), s.in, false, g.Input()), d.weights(w, s), d.images(s, y, s.out, s.pool, g.Output()),
		d.floats(b), arg, d.step(step{rows: uint32(s.rows)}), s.in, s.out); err != nil {
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
		if best[i] == 0 {
			p = 4 // no gradient flows
		}
		if places[i] != p {
			return fmt.Errorf("arg: value %d is %d, want %d", i, places[i], p)
		}
	}
	return nil
}

func checkWgmmaBackward(d *device, k ptx.Kernel, g ptx.Wgmma, s shape, multiprocessors int) error {
	dy, w, x := d.whole(s.full().pixels()*s.out, 9), d.whole(9*s.in*s.out, 1), d.activations(s.full().pixels()*s.in)
	dx := d.empty(2 * s.full().pixels() * s.in)
	if err := d.launch(k.Name, g.Grid(s.images, s.in, s.out, multiprocessors), 1, s.width(),
		d.images(s, d.bf16s(dy), s.out, false, g.Input()), d.weights(w, s), d.images(s, dx, s.in, false, g.Output()),
		d.images(s, d.bf16s(x), s.in, false, g.Output()), d.step(step{rows: uint32(s.rows)}), s.in, s.out); err != nil {
		return err
	}
	want := dataGradient(s, dy, w)
	for i := range want {
		want[i] = round(want[i])
		if x[i] == 0 {
			want[i] = 0
		}
	}
	have, err := d.getBF16(dx, len(want))
	if err != nil {
		return err
	}
	return same("dx", have, want, 0)
}

// checkWgmmaSpread wants of a gradient what spread makes of it: in each window of 2x2
// pixels at one place, which is 4 where there is none.
func checkWgmmaSpread(d *device, k ptx.Kernel, g ptx.Wgmma, s shape, multiprocessors int) error {
	dy, w := d.whole(s.full().pixels()*s.out, 9), d.whole(9*s.in*s.out, 1)
	places := make([]byte, s.full().pixels()*s.in)
	for i := range places {
		places[i] = byte(d.rand.IntN(5))
	}
	full := d.empty(4 * 2 * len(places))
	in, width, height, images := uint64(s.in), uint64(s.width()), uint64(s.height()), uint64(s.images)
	row := 4 * in * width // bytes of the result
	maps := make([]uint64, 2)
	for i := range maps {
		maps[i] = d.tensorMap(interpreter.TensorMap{Address: full + uint64(i)*row, ElemSize: 2, Swizzle: 128, Box: g.Output(),
			Dims: []uint64{2 * in, width, images, height}, Strides: []uint64{4 * in, 2 * row * height, 2 * row}})
	}
	arg := d.tensorMap(interpreter.TensorMap{Address: d.bytes(places), ElemSize: 2, Box: g.Places(),
		Dims: []uint64{in / 2, width, images, height}, Strides: []uint64{in, in * width * height, in * width}})
	if err := d.launch(k.Name, g.Grid(s.images, s.in, s.out, multiprocessors), 1, s.width(),
		d.images(s, d.bf16s(dy), s.out, false, g.Input()), d.weights(w, s), maps[0], maps[1], arg,
		d.step(step{rows: uint32(s.rows)}), s.in, s.out); err != nil {
		return err
	}
	want := make([]float64, 4*s.pixels()*s.in)
	for i, v := range dataGradient(s, dy, w) {
		if places[i] == 4 {
			continue
		}
		p, c, k := i/s.in, i%s.in, int(places[i])
		y, x := p/s.width(), p%s.width() // y over all images
		want[((2*y+k/2)*2*s.width()+2*x+k%2)*s.in+c] = round(v)
	}
	have, err := d.getBF16(full, len(want))
	if err != nil {
		return err
	}
	return same("gradient", have, want, 0)
}

func checkWgmmaFilter(d *device, k ptx.Kernel, g ptx.Wgmma, s shape, multiprocessors int) error {
	x, dy := d.whole(s.full().pixels()*s.in, 2), d.whole(s.full().pixels()*s.out, 2)
	n, splits := 9*s.in*s.out, g.Splits(s.in, s.out, multiprocessors)
	dw, db, parts := d.empty(4*n), d.empty(4*s.out), d.empty(4*splits*(n+s.out))
	counters := d.words(make([]uint32, s.in/64*s.out/64)...)
	wantW, wantB := filterGradient(s, x, dy), columns(dy[:s.pixels()*s.out], s.out)
	xMap, dyMap, at := d.images(s, d.bf16s(x), s.in, false, g.Input()), d.images(s, d.bf16s(dy), s.out, false, g.Output()), d.step(step{rows: uint32(s.rows)})
	// Twice where a few blocks meet, since their counters are left as they are.
	launches := 1
	if splits > 1 && splits < 10 {
		launches = 2
	}
	for range launches {
		if err := d.launch(k.Name, g.Grid(s.images, s.in, s.out, multiprocessors), 1, s.width(), xMap, dyMap, dw, db, parts, counters, at, s.in, s.out); err != nil {
			return err
		}
		have, err := d.getFloats(dw, n)
		if err != nil {
			return err
		}
		if err := same("dw", have, wantW, 0); err != nil {
			return err
		}
		if have, err = d.getFloats(db, s.out); err != nil {
			return err
		}
		if err := same("db", have, wantB, 0); err != nil {
			return err
		}
	}
	return nil
}
