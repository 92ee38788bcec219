package cuda

import (
	"strings"
	"unsafe"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/ptx"
)

// Hopper's convolutions read and write images by tensor maps, which lie on the
// GPU as long as the backend does: what a map says depends on nothing but the
// address and the sizes, so that it is right for whoever has the memory next.

// maps are the tensor maps made so far.
type maps struct {
	known map[string]driver.Pointer // by what they say
	block driver.Pointer            // that the next ones go to
	left  int                       // in block
}

const (
	mapBytes     = 128
	mapsPerBlock = 512
)

// tensorMap returns the address of a map.
func (b *Backend) tensorMap(t driver.TensorMap) driver.Pointer {
	m := &b.maps
	text, err := b.ctx.TensorMap(t)
	if err != nil {
		b.fail(err)
		return 0
	}
	if p, ok := m.known[string(text[:])]; ok {
		return p
	}
	if m.left == 0 {
		if m.block, err = b.alloc(mapsPerBlock * mapBytes); err != nil {
			b.fail(err)
			return 0
		}
		m.left = mapsPerBlock
	}
	p := m.block + driver.Pointer(mapBytes*(mapsPerBlock-m.left))
	m.left--
	if err := b.ctx.Upload(p, unsafe.Pointer(&text), mapBytes, b.stream); err != nil {
		b.fail(err)
		return 0
	}
	if m.known == nil {
		m.known = map[string]driver.Pointer{}
	}
	m.known[string(text[:])] = p
	return p
}

// imageMap is the map of images [n][side][side][channels] in bfloat16.
func (b *Backend) imageMap(p driver.Pointer, n, side, channels int, box []uint32) driver.Pointer {
	pixel := uint64(2 * channels)
	row := pixel * uint64(side)
	return b.tensorMap(driver.TensorMap{
		Address: p,
		Size:    []uint64{uint64(channels), uint64(side), uint64(n), uint64(side)},
		Stride:  []uint64{pixel, row * uint64(side), row},
		Box:     box, Swizzle: 128,
	})
}

// weightsMap is the map of c's weights [9][in][out] in bfloat16.
func (c *conv) weightsMap() driver.Pointer {
	return c.on.tensorMap(driver.TensorMap{
		Address: c.w,
		Size:    []uint64{uint64(c.Out), uint64(9 * c.In)},
		Stride:  []uint64{uint64(2 * c.Out)},
		Box:     ptx.WeightsBox, Swizzle: 128,
	})
}

// hopperTiles lists the wgmma kernels that fit a pass of s.
func (b *Backend) hopperTiles(p pass, s nn.ConvSpec) []tile {
	want := map[pass]ptx.WgmmaPass{forwardPass: ptx.WgmmaForward, dataPass: ptx.WgmmaBackwardData, filterPass: ptx.WgmmaFilter}[p]
	if p == forwardPass && s.Pool {
		want = ptx.WgmmaForwardPool
	}
	var list []tile
	for _, name := range b.names {
		if !strings.HasPrefix(name, "wgmma_") {
			continue
		}
		k := b.kernels[name]
		if w, ok := k.Wgmma(); ok && w.Pass == want && w.Fits(s.H, s.W, s.In, s.Out) && k.Shared(s.W) <= b.Device().SharedMemory {
			list = append(list, tile{name: name, shared: k.Shared(s.W), hopper: &w})
		}
	}
	return list
}

func (c *conv) hopperForward(y, x, bias *nn.Buffer) {
	b, w := c.on, c.forward.hopper
	side := c.W
	if c.Pool {
		side /= 2
	}
	b.launch(c.forward.name, w.Grid(c.Images, c.In, c.Out, b.Device().SMs), 1, c.forward.shared, b.args().
		Pointer(b.imageMap(at(x), c.Images, c.W, c.In, w.Input())).Pointer(c.weightsMap()).
		Pointer(b.imageMap(at(y), c.Images, side, c.Out, w.Output())).
		Pointer(at(bias)).Pointer(c.arg).Pointer(b.current).U32(uint32(c.In)).U32(uint32(c.Out)))
}

func (c *conv) hopperData(dx *nn.Buffer, dy driver.Pointer, x *nn.Buffer) {
	b, w := c.on, c.data.hopper
	b.launch(c.data.name, w.Grid(c.Images, c.In, c.Out, c.dataShare()), 1, c.data.shared, b.args().
		Pointer(b.imageMap(dy, c.Images, c.W, c.Out, w.Input())).Pointer(c.weightsMap()).
		Pointer(b.imageMap(at(dx), c.Images, c.W, c.In, w.Output())).
		Pointer(b.imageMap(at(x), c.Images, c.W, c.In, w.Output())).
		Pointer(b.current).U32(uint32(c.In)).U32(uint32(c.Out)))
	if b.tape != nil && b.err == nil {
		b.gradient = dataGradient{by: c, dy: dy, dx: at(dx), place: len(b.tape.launches) - 1}
	}
}

// dataGradient is a launch of a step being noted that computes the gradient of the
// data, dx, from dy.
type dataGradient struct {
	by     *conv
	dy, dx driver.Pointer
	place  int // in the recording
}

// spreadAhead has the layer behind c's pool write the gradient at the pool's input,
// to the same bits, in place of dp, that at its output, which nobody else reads: in a
// step being noted and where there is a kernel for it. Not where filters' gradients
// take half of the GPU: on the other half it writes longer than the kernel that it
// saves takes. Nor where another kernel than Hopper's was c's: their places of the
// maxima do not tell where one is 0 and lets no gradient through. It reports whether it
// has.
func (c *conv) spreadAhead(dp driver.Pointer) bool {
	b := c.on
	g := b.gradient
	if b.tape == nil || b.err != nil || c.forward.hopper == nil || g.by == nil || g.by.beside || g.dx != dp || g.by.Images != c.Images || 2*g.by.H != c.H || 2*g.by.W != c.W || g.by.In != c.Out {
		return false
	}
	for _, name := range b.names {
		k := b.kernels[name]
		if w, ok := k.Wgmma(); ok && w.Spreads(*g.by.data.hopper) && k.Shared(c.W) <= b.Device().SharedMemory {
			b.replace(g.place, name, k.Shared(c.W), g.by.spreadArgs(w, g.dy, c.full, c.arg))
			return true
		}
	}
	return false
}

// replace puts another launch, of as many blocks, in the place of one that was noted.
func (b *Backend) replace(place int, name string, shared int, args *driver.Args) {
	noted := b.tape
	b.tape = &tape{loss: noted.loss}
	b.put(name, int(noted.launches[place].Grid[0]), 1, shared, args)
	if b.err == nil {
		noted.launches[place] = b.tape.launches[0]
	}
	b.tape = noted
}

// spreadArgs are the arguments of a kernel that computes c's gradient of the data and
// spreads it over the windows of a pool, whose maxima were at the places arg: to
// full, of twice c's height and width, whose windows' upper pixels are every other
// row, and each two of a row together one of twice the channels.
func (c *conv) spreadArgs(w ptx.Wgmma, dy, full, arg driver.Pointer) *driver.Args {
	b := c.on
	side, in, n := uint64(c.W), uint64(c.In), uint64(c.Images)
	row := 8 * side * in // bytes of two
	rows := func(p driver.Pointer) driver.Pointer {
		return b.tensorMap(driver.TensorMap{
			Address: p,
			Size:    []uint64{2 * in, side, n, side},
			Stride:  []uint64{4 * in, row * side, row},
			Box:     w.Output(), Swizzle: 128,
		})
	}
	places := b.tensorMap(driver.TensorMap{ // two bytes an element
		Address: arg,
		Size:    []uint64{in / 2, side, n, side},
		Stride:  []uint64{in, in * side * side, in * side},
		Box:     w.Places(),
	})
	return b.args().
		Pointer(b.imageMap(dy, c.Images, c.W, c.Out, w.Input())).Pointer(c.weightsMap()).
		Pointer(rows(full)).Pointer(rows(full + driver.Pointer(row/2))).Pointer(places).
		Pointer(b.current).U32(uint32(c.In)).U32(uint32(c.Out))
}

// hopperFilter is the gradient of the filter and of the bias.
func (c *conv) hopperFilter(dw, db, x *nn.Buffer, dy driver.Pointer) {
	b, w := c.on, c.filter.hopper
	sms := c.filterShare()
	splits := w.Splits(c.In, c.Out, sms)
	counters := b.scratch(&b.counters, 4*(c.In/64)*(c.Out/64))
	parts := b.scratch(&b.besides, splits*(9*c.In+1)*c.Out*4)
	// Its blocks wait for each other, so that two such kernels must not run at once:
	// all are on the branch, or none.
	defer b.branched(c.Images)()
	b.launch(c.filter.name, w.Grid(c.Images, c.In, c.Out, sms), 1, c.filter.shared, b.args().
		Pointer(b.imageMap(at(x), c.Images, c.W, c.In, w.Input())).
		Pointer(b.imageMap(dy, c.Images, c.W, c.Out, w.Output())).
		Pointer(at(dw)).Pointer(at(db)).Pointer(parts).Pointer(counters).
		Pointer(b.current).U32(uint32(c.In)).U32(uint32(c.Out)))
}
