package proof

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"cifartui/cifar"
)

// inputChecks are those of the kernels that begin a step and make its batch.
func inputChecks() []check {
	list := []check{
		{"step_begin", "a ring of 3", checkStepBegin},
		{"batch", "as it is", func(d *device) error { return checkBatch(d, 0, cifar.Size) }},
		{"batch", "augmented", func(d *device) error { return checkBatch(d, augments, cifar.Size) }},
		{"batch", "with edges by reflection", func(d *device) error { return checkBatch(d, augments|reflects, cifar.Size) }},
		{"batch", "with alternating flips", func(d *device) error { return checkBatch(d, augments|alternates, cifar.Size) }},
		{"batch", "of 16 pixels", func(d *device) error { return checkBatch(d, augments|reflects, 16) }},
		{"batch", "of 24 pixels", func(d *device) error { return checkBatch(d, augments, 24) }},
		{"batch", "of 8 pixels", func(d *device) error { return checkBatch(d, augments|alternates, 8) }},
		{"pack_images", "3 images of 300 pixels", checkPack},
	}
	for _, n := range []int{1, 1023, 1026} {
		what := fmt.Sprintf("%d values", n)
		list = append(list,
			check{"to_bf16", what, func(d *device) error { return checkToBF16(d, n) }},
			check{"to_f32", what, func(d *device) error { return checkToFloat(d, n) }})
	}
	return list
}

func checkStepBegin(d *device) error {
	const slots = 3
	ring := make([]uint32, 20*slots)
	for i := range ring {
		ring[i] = uint32(1000 + i)
	}
	r, counter := d.words(ring...), d.words(2)
	for turn := range 3 {
		current := d.empty(80)
		if err := d.launch("step_begin", 1, 1, 0, current, r, counter, slots); err != nil {
			return err
		}
		b, err := d.get(current, 80)
		if err != nil {
			return err
		}
		for i := range 20 {
			if v, want := binary.LittleEndian.Uint32(b[4*i:]), ring[(2+turn)%slots*20+i]; v != want {
				return fmt.Errorf("word %d of step %d is %d, want %d", i, 2+turn, v, want)
			}
		}
	}
	return nil
}

func checkToBF16(d *device, n int) error {
	v := make([]float64, n)
	want := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(d.rand.NormFloat64()))
		want[i] = round(v[i])
	}
	dst := d.empty(2 * n)
	if err := d.launch("to_bf16", blocks(n, 1024), 1, 0, dst, d.floats(v), n); err != nil {
		return err
	}
	have, err := d.getBF16(dst, n)
	if err != nil {
		return err
	}
	return same("dst", have, want, 0)
}

func checkToFloat(d *device, n int) error {
	v := d.normal(n, 1)
	dst := d.empty(4 * n)
	if err := d.launch("to_f32", blocks(n, 1024), 1, 0, dst, d.bf16s(v), n); err != nil {
		return err
	}
	have, err := d.getFloats(dst, n)
	if err != nil {
		return err
	}
	return same("dst", have, v, 0)
}

func checkPack(d *device) error {
	const rows, pixels = 3, 300
	v := d.normal(rows*pixels*3, 1)
	dst := d.empty(2 * 4 * rows * pixels)
	if err := d.launch("pack_images", blocks(pixels, 256), rows+1, 0, dst, d.floats(v), d.step(step{rows: rows}), pixels); err != nil {
		return err
	}
	have, err := d.getBF16(dst, 4*rows*pixels)
	if err != nil {
		return err
	}
	return same("dst", have, four(v), 0)
}

// The bits of Step.augment.
const (
	augments = 1 << iota
	reflects
	alternates
)

// checkBatch draws a batch of the demo set on both sides, of images of a side: the
// pixels must be the same.
func checkBatch(d *device, augment uint32, side int) error {
	const seed, epoch, size, skip = 42, 3, 8, 2
	set := demoSet()
	scale, err := cifar.NewPreprocess(cifar.Standard, set)
	if err != nil {
		return err
	}
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: size, Shuffle: true, Augment: augmentFor(augment), Size: side,
		Reflect: augment&reflects != 0, Alternate: augment&alternates != 0, Preprocess: scale, Seed: seed, Workers: 1})
	batches := loader.Epoch(context.Background(), epoch, skip)
	defer batches.Close()
	b, err := batches.Next()
	if err != nil {
		return err
	}
	defer b.Release()

	order := make([]uint32, set.Len())
	for i, image := range loader.Order(epoch) {
		order[i] = uint32(image)
	}
	var table []float64
	for _, channel := range scale.Table() {
		table = append(table, widen(channel[:])...)
	}
	const rows = size - 1 // the last row of the batch is not valid
	pixels := side * side
	x, labels := d.empty(2*4*rows*pixels), d.empty(4*rows)
	s := d.step(step{rows: rows, first: size * skip, order: d.words(order...), seed: seed, epoch: epoch, augment: augment})
	if err := d.launch("batch", size, 1, 0, x, labels, d.bytes(set.Pixels), d.bytes(set.Labels), d.floats(table), s, side); err != nil {
		return err
	}
	want := four(widen(b.X[:rows*pixels*3]))
	for i := range want {
		want[i] = round(want[i])
	}
	have, err := d.getBF16(x, 4*rows*pixels)
	if err != nil {
		return err
	}
	if err := same("x", have, want, 0); err != nil {
		return err
	}
	p, err := d.get(labels, 4*rows)
	if err != nil {
		return err
	}
	for r := range rows {
		if v := binary.LittleEndian.Uint32(p[4*r:]); v != uint32(b.Labels[r]) {
			return fmt.Errorf("label %d is %d, want %d", r, v, b.Labels[r])
		}
	}
	return nil
}

// demoSet is a few made-up images: noise, so that no two pixels agree by chance of a pattern.
func demoSet() *cifar.Set {
	const n = 50
	s := cifar.NewSet(cifar.Size, n)
	state := uint32(1)
	for i := range s.Pixels {
		state = state*1664525 + 1013904223
		s.Pixels[i] = byte(state >> 24)
	}
	for i := range s.Labels {
		s.Labels[i] = byte(i * 7 % 10)
	}
	return &cifar.Set{Size: s.Size, Pixels: slices.Clip(s.Pixels), Labels: s.Labels}
}

// augmentFor is what the bits of Step.augment stand for.
func augmentFor(bits uint32) cifar.Augment {
	if bits&augments == 0 {
		return cifar.Augment{}
	}
	return cifar.DefaultAugment()
}
