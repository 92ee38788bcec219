package proof

import (
	"fmt"

	"cifartui/nn/kernel"
)

// resampleChecks are those of features on maps of another size.
func resampleChecks() []check {
	var list []check
	for _, c := range []resampleCase{
		{from: kernel.Image{N: 3, H: 2, W: 2, C: 64}, toH: 4, toW: 4},
		{from: kernel.Image{N: 2, H: 1, W: 1, C: 32}, toH: 4, toW: 4},
		{from: kernel.Image{N: 2, H: 3, W: 3, C: 40}, toH: 4, toW: 4},
		{from: kernel.Image{N: 3, H: 5, W: 7, C: 8}, toH: 4, toW: 3}, // more pixels than a row of blocks of threads
		{from: kernel.Image{N: 1, H: 8, W: 6, C: 96}, toH: 4, toW: 2},
		{from: kernel.Image{N: 1, H: 2, W: 3, C: 272}, toH: 5, toW: 2},
	} {
		what := fmt.Sprintf("%+v to %dx%d", c.from, c.toH, c.toW)
		list = append(list,
			check{"resample", what, func(d *device) error { return checkResample(d, c) }},
			check{"resample_bwd", what, func(d *device) error { return checkResampleBackward(d, c, false) }},
			check{"resample_bwd", what + ", in its place", func(d *device) error { return checkResampleBackward(d, c, true) }})
	}
	return list
}

// resampleCase is images that become others of a height and width.
type resampleCase struct {
	from     kernel.Image
	toH, toW int
}

func (c resampleCase) to() kernel.Image {
	return kernel.Image{N: c.from.N, H: c.toH, W: c.toW, C: c.from.C}
}

// rectified are images as they come out of a ReLU.
func (c resampleCase) rectified(d *device) []float64 {
	v := d.normal(elements(c.from), 1)
	for i := range v {
		v[i] = max(v[i], 0)
	}
	return v
}

// launch runs a kernel with blocks for m, and for one image more than is valid.
func (c resampleCase) launch(d *device, name string, m kernel.Image, args ...any) error {
	args = append(args, d.step(step{rows: uint32(m.N)}), c.from.H, c.from.W, c.toH, c.toW, c.from.C)
	return d.launch(name, blocks(m.H*m.W*m.C/8, 256), m.N+1, 0, args...)
}

func checkResample(d *device, c resampleCase) error {
	src, to := c.rectified(d), c.to()
	dst := d.empty(2 * elements(to))
	if err := c.launch(d, "resample", to, dst, d.bf16s(src)); err != nil {
		return err
	}
	want := kernel.Alloc(to.Len())
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	kernel.Resample(workers, want, to, bordered(c.from, src), c.from, to.N)
	have, err := d.getBF16(dst, elements(to))
	if err != nil {
		return err
	}
	return same("dst", have, rounded(to, want), 0)
}

func checkResampleBackward(d *device, c resampleCase, inPlace bool) error {
	src, ddst := c.rectified(d), d.normal(elements(c.to()), 1)
	from := d.bf16s(src)
	dsrc := from
	if !inPlace {
		dsrc = d.empty(2 * len(src))
	}
	if err := c.launch(d, "resample_bwd", c.from, dsrc, d.bf16s(ddst), from); err != nil {
		return err
	}
	want := kernel.Alloc(c.from.Len())
	workers := kernel.NewWorkers(1)
	defer workers.Close()
	kernel.ResampleBackward(workers, want, c.from, bordered(c.to(), ddst), c.to(), bordered(c.from, src), c.from.N)
	have, err := d.getBF16(dsrc, len(src))
	if err != nil {
		return err
	}
	return same("dsrc", have, rounded(c.from, want), 0)
}

// elements are those of images without their border.
func elements(m kernel.Image) int { return m.N * m.H * m.W * m.C }

// bordered are images as the processor's kernels want them.
func bordered(m kernel.Image, v []float64) []float32 {
	to := kernel.Alloc(m.Len())
	for i, x := range v {
		pixel := i / m.C
		to[m.At(pixel/(m.H*m.W), pixel/m.W%m.H, pixel%m.W)+i%m.C] = float32(x)
	}
	return to
}

// rounded are the images in v without border, as bfloat16 keeps them.
func rounded(m kernel.Image, v []float32) []float64 {
	to := make([]float64, elements(m))
	for i := range to {
		pixel := i / m.C
		to[i] = round(float64(v[m.At(pixel/(m.H*m.W), pixel/m.W%m.H, pixel%m.W)+i%m.C]))
	}
	return to
}
