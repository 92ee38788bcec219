package cuda

import (
	"fmt"
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// images is a data set that lies on the GPU. Batches are made there: shifted
// and flipped as the processor would.
type images struct {
	on     *Backend
	pixels driver.Pointer // [images][3][32][32] bytes
	labels driver.Pointer // a byte each
	table  driver.Pointer // float32 [3][256]: the value of each byte
	order  [2]driver.Pointer
	turn   int // which order the newest steps read
	count  int
	data   nn.Data
	epoch  uint64
}

// The heights and widths of images: of the data set that the kernel is made for,
// and the least that it makes of them.
const (
	side      = 32
	leastSide = 8
)

// Hold brings a data set to the GPU.
func (b *Backend) Hold(d nn.Data) (nn.Held, error) {
	n := len(d.Labels)
	if n == 0 || len(d.Pixels) != n*3*side*side {
		return nil, fmt.Errorf("nn/cuda: %d bytes for %d images, want %d each", len(d.Pixels), n, 3*side*side)
	}
	s := &images{on: b, count: n, data: d}
	for _, m := range []struct {
		to    *driver.Pointer
		from  unsafe.Pointer
		bytes int
	}{
		{&s.pixels, unsafe.Pointer(&d.Pixels[0]), len(d.Pixels)},
		{&s.labels, unsafe.Pointer(&d.Labels[0]), n},
		{&s.table, unsafe.Pointer(d.Table), 3 * 256 * 4},
		{&s.order[0], nil, 4 * n},
		{&s.order[1], nil, 4 * n},
	} {
		var err error
		if *m.to, err = b.alloc(m.bytes); err != nil {
			s.Close()
			return nil, fmt.Errorf("nn/cuda: keep %d images on the GPU: %w", n, err)
		}
		if m.from == nil {
			continue
		}
		if err := b.ctx.Upload(*m.to, m.from, m.bytes, b.stream); err != nil {
			s.Close()
			return nil, b.explain(err)
		}
	}
	if err := b.Sync(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Order sets the epoch and the order of its images, for the batches from now
// on. The steps under way may be of the epoch before, not of an earlier one.
func (s *images) Order(epoch int, order []int) error {
	if len(order) != s.count {
		return fmt.Errorf("nn/cuda: an order of %d images, want %d", len(order), s.count)
	}
	short := make([]uint32, len(order))
	for i, v := range order {
		short[i] = uint32(v)
	}
	s.turn = 1 - s.turn
	s.epoch = uint64(epoch)
	b := s.on
	return b.failed(b.ctx.Upload(s.order[s.turn], unsafe.Pointer(&short[0]), 4*len(short), b.stream))
}

// Load makes the batch of rows images that begins at first in the order, of the
// size of dst.
func (s *images) Load(dst, labels *nn.Buffer, first, rows int) {
	b := s.on
	b.rows(rows)
	b.want.first, b.want.order = uint32(first), s.order[s.turn]
	b.want.seed, b.want.epoch = s.data.Seed, s.epoch
	b.want.augment = one(s.data.Augment) | one(s.data.Reflect)<<1 | one(s.data.Alternate)<<2
	b.launch("batch", dst.Image.N, 1, 0, b.args().
		Pointer(at(dst)).Pointer(at(labels)).Pointer(s.pixels).Pointer(s.labels).Pointer(s.table).Pointer(b.current).
		U32(uint32(dst.Image.H)))
}

// Close gives the memory back.
func (s *images) Close() {
	for _, p := range []driver.Pointer{s.pixels, s.labels, s.table, s.order[0], s.order[1]} {
		s.on.free(p)
	}
}
