package cuda

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cifartui/nn"
	"cifartui/nn/cuda/ptx"
)

// tile is a convolution kernel chosen for one shape: it computes m x n of the
// result a block.
type tile struct {
	name   string
	m, n   int
	shared int
	hopper *ptx.Wgmma // not nil: one of Hopper's, see wgmma.go
}

// pass is one of the three convolutions of a layer, as the kernels' names say.
type pass string

const (
	forwardPass pass = "conv_fwd_"
	dataPass    pass = "conv_bwd_"
	filterPass  pass = "conv_wgrad_"
	spreadPass  pass = "conv_spread_" // dataPass, spread over a pool before the layer: only wgmma kernels
)

// candidates lists the kernels that fit a pass of s.
func (b *Backend) candidates(p pass, s nn.ConvSpec) []tile {
	var list []tile
	of, _ := sidesOf(s.H, s.W)
	for _, name := range b.names {
		k := b.kernels[name]
		if !strings.HasPrefix(name, string(p)) || k.Odd() != of.odd {
			continue
		}
		var fits bool
		switch p { // pixels may be any number
		case forwardPass:
			fits = s.Out%k.Tile.N == 0 && s.In%k.Tile.K == 0
		case dataPass:
			fits = s.In%k.Tile.N == 0 && s.Out%k.Tile.K == 0
		case filterPass:
			fits = s.In%k.Tile.M == 0 && s.Out%k.Tile.N == 0
		}
		if !fits || s.Images*s.H*s.W*max(s.In, s.Out) > mostElements {
			continue
		}
		t := tile{name: name, m: k.Tile.M, n: k.Tile.N, shared: k.Shared(s.W)}
		if t.shared <= b.Device().SharedMemory {
			list = append(list, t)
		}
	}
	return append(b.hopperTiles(p, s), list...)
}

// use has a pass run by a kernel.
func (c *conv) use(p pass, k tile) {
	for _, x := range c.passes() {
		if x.pass == p {
			*x.tile = k
		}
	}
}

// What the kernels are made for.
const (
	channels     = 32        // numbers of filters are multiples of it
	mostFilters  = 2048      // spread and colsum have a thread for eight
	features     = 64        // of the dense layer, in a block of dense_bwd_filter
	mostElements = 1<<31 - 1 // of a batch of images, which conv.h counts in 32 bits
	mostImages   = 1<<16 - 1 // of a batch: some kernels have a row of blocks for each
)

// Lacks says what of a network the kernels are not made for, in a line; nil if
// there is nothing.
func Lacks(s nn.Spec) error {
	if len(s.Dense) > 0 {
		return errors.New("the GPU's kernels know no hidden dense layers")
	}
	if s.Size != side {
		return fmt.Errorf("the GPU's kernels are made for images of %d pixels, not of %d", side, s.Size)
	}
	last := 0
	for _, f := range s.Filters {
		if f%channels != 0 {
			return fmt.Errorf("the GPU's kernels are made for multiples of %d filters, not for %d", channels, f)
		}
		if f > mostFilters {
			return fmt.Errorf("the GPU's kernels are made for up to %d filters, not for %d", mostFilters, f)
		}
		last = f
	}
	rest := side >> len(s.Filters)
	if n := rest * rest * last; n%features != 0 {
		return fmt.Errorf("the GPU's kernels are made for a dense layer of a multiple of %d features, not of %d", features, n)
	}
	return nil
}

// choose picks the kernels of c.
func (c *conv) choose() error {
	b := c.on
	if c.Images > mostImages {
		return fmt.Errorf("nn/cuda: the GPU's kernels take batches of up to %d images, not of %d: take a smaller --batch", mostImages, c.Images)
	}
	var ok bool
	if c.sides, ok = sidesOf(c.H, c.W); !ok {
		return fmt.Errorf("nn/cuda: images of %dx%d: the GPU's kernels want powers of two, or three times such: train on the processor (--device cpu)", c.H, c.W)
	}
	if c.In == imageChannels {
		if c.Out%32 != 0 || c.Pool {
			return fmt.Errorf("nn/cuda: a first convolution with %d filters, want a multiple of 32 without a pool: train on the processor (--device cpu)", c.Out)
		}
		// A block goes through strips of 128 pixels. With few of them, fewer
		// sums to add up pay more than more blocks.
		c.splits = b.parts()
		if strips := divide(c.Images*c.H*c.W, 128); strips < 8*c.splits {
			c.splits = max(1, min(b.Device().SMs, strips))
		}
		return nil
	}
	c.splits = b.splits(c.ConvSpec)
	c.beside = !c.Inference && !c.Bottom && b.DefersFilters(c.Images) && len(b.hopperTiles(filterPass, c.ConvSpec)) > 0
	for _, x := range c.passes() {
		list := b.candidates(x.pass, c.ConvSpec)
		if len(list) == 0 {
			return fmt.Errorf("nn/cuda: no kernel for a convolution of %d to %d channels on %d images of %dx%d: take a smaller --batch, or train on the processor (--device cpu)", c.In, c.Out, c.Images, c.H, c.W)
		}
		if list[0].hopper != nil { // the others sum in another order, and the clock must not choose the bits
			list = slices.DeleteFunc(list, func(t tile) bool { return t.hopper == nil })
		}
		*x.tile = list[0]
		if len(list) > 1 {
			*x.tile = b.tuned.choose(b, c, x.pass, list)
		}
	}
	return nil
}

// passTile is a pass of a convolution and where its kernel is kept.
type passTile struct {
	pass pass
	tile *tile
}

// passes are those that c is made for.
func (c *conv) passes() []passTile {
	list := []passTile{{forwardPass, &c.forward}, {dataPass, &c.data}, {filterPass, &c.filter}}
	if c.Inference {
		return list[:1]
	}
	return list
}

// The splits are counted for tiles of this size, whichever is chosen, so that
// the order of the sums does not depend on the choice.
const (
	nominalTile   = 64
	pixelsPerTile = 64 // the depth of a tile of the filter's gradient
)

// splits is the number of parts of the filter's gradient: as many as there can
// be with two blocks a multiprocessor, all of them at once, but not so many
// that a part is short.
func (b *Backend) splits(s nn.ConvSpec) int {
	blocks := max(1, s.In/nominalTile) * max(1, s.Out/nominalTile) * 3
	deep := divide(s.Images*s.H*s.W, pixelsPerTile)
	return max(1, min(2*b.Device().SMs/blocks, deep/8))
}
