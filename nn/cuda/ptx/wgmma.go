package ptx

import (
	"regexp"
	"strconv"
)

// Wgmma is what a launch of one of Hopper's wgmma convolutions needs to know,
// read off the kernel's name. Their sources are kernels/wgmma_*.cu:
//
//	wgmma_fwd_w16_128x256s3t5   forward: x, w, y maps, bias, arg (0), step, in, out
//	wgmma_pool_w16_128x256s3t5  the same with a 2x2 max pool; arg may be 0
//	wgmma_bwd_w16_128x256s2t5   gradient of the data: dy, w, dx, x maps, step, in, out
//	wgmma_spread_w16_64x256s3t6 the same at a pool's input: dy, w, upper, lower, arg maps, step, in, out
//	wgmma_pool_w32_64x256s3     as above, for a sum over 64 channels: no t
//	wgmma_wgrad_w16_r4s9        gradient of filter and bias: x, dy maps, dw, db, parts, counters, step, in, out
//
// for images W pixels wide and high, in tiles of channels x pixels, with s slots
// of activations and t of weights; the filter's gradient in chunks of r rows.
// Channels are multiples of 64, those of the result of Channels too.
//
// A map is the address of a CUtensorMap in device memory, at a multiple of 64
// bytes: bf16, element strides 1, no interleave, 128-byte swizzle, zeros out of
// bounds. An image tensor [N][H][W][C] has the dimensions (C, W, N, H), in this
// order, and the box that a method gives; the weights [9][in][out] have the
// dimensions (out, 9 in) and the box WeightsBox, in all passes.
type Wgmma struct {
	Pass     WgmmaPass
	Width    int // of the images, and their height
	Channels int // of a tile of the result
	Pixels   int // of a tile
	rows     int // of a chunk, for the filter
	acts     int // slots
	taps     int // slots; 0: all nine stay
}

// WgmmaPass is what a wgmma kernel computes.
type WgmmaPass string

const (
	WgmmaForward      WgmmaPass = "fwd"
	WgmmaForwardPool  WgmmaPass = "pool"
	WgmmaBackwardData WgmmaPass = "bwd"
	WgmmaSpread       WgmmaPass = "spread"
	WgmmaFilter       WgmmaPass = "wgrad"
)

// WeightsBox is the box of the map of the weights.
var WeightsBox = []uint32{64, 64}

var (
	wgmmaConv   = regexp.MustCompile(`^wgmma_(fwd|pool|bwd|spread)_w(\d+)_(\d+)x(\d+)s(\d+)(?:t(\d+))?$`)
	wgmmaFilter = regexp.MustCompile(`^wgmma_wgrad_w(\d+)_r(\d+)s(\d+)$`)
)

// Wgmma describes k if it is a wgmma convolution.
func (k Kernel) Wgmma() (Wgmma, bool) {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	if m := wgmmaConv.FindStringSubmatch(k.Name); m != nil {
		return Wgmma{Pass: WgmmaPass(m[1]), Width: number(m[2]), Channels: number(m[3]), Pixels: number(m[4]), acts: number(m[5]), taps: number(m[6])}, true
	}
	if m := wgmmaFilter.FindStringSubmatch(k.Name); m != nil {
		return Wgmma{Pass: WgmmaFilter, Width: number(m[1]), Channels: 64, rows: number(m[2]), acts: number(m[3])}, true
	}
	return Wgmma{}, false
}

// narrow tells of a kernel that keeps all weights, for a sum over 64 channels.
func (w Wgmma) narrow() bool { return w.Pass != WgmmaFilter && w.taps == 0 }

// Fits reports whether the kernel computes its pass of a convolution of in to out
// channels on images of this size.
func (w Wgmma) Fits(height, width, in, out int) bool {
	sum, result := in, out
	switch w.Pass {
	case WgmmaBackwardData, WgmmaSpread:
		sum, result = out, in
	case WgmmaFilter:
		sum, result = 64, 64
	}
	return height == w.Width && width == w.Width && in%64 == 0 && out%64 == 0 &&
		result%w.Channels == 0 && (!w.narrow() || sum == 64)
}

// group is the pixels of a warpgroup: it holds 64 channels of them. Two share a
// tile, but where the weights stay each has tiles of its own.
func (w Wgmma) group() int {
	if w.narrow() {
		return w.Pixels
	}
	return w.Pixels * w.Channels / 128
}

// images and tileRows are the images that a tile reaches over, and its rows of each.
func (w Wgmma) images() int   { return max(1, w.Pixels/(w.Width*w.Width)) }
func (w Wgmma) tileRows() int { return w.Pixels / (w.images() * w.Width) }

// stored is the pixels that a warpgroup writes at a time.
func (w Wgmma) stored() int {
	if w.Pass == WgmmaSpread {
		return spreadBox
	}
	return min(128, w.group())
}

// spreadBox is the pixels that a kernel that spreads a pool's gradient writes at a
// time. It has memory for four times as many.
const spreadBox = 64

// Input is the box of the map of the pass's input: x going forward and for the
// filter, dy going backward.
func (w Wgmma) Input() []uint32 {
	if w.Pass == WgmmaFilter {
		return []uint32{64, uint32(w.Width + 2), 1, uint32(w.rows + 2)}
	}
	return []uint32{64, uint32(w.Width), uint32(w.images()), uint32(w.tileRows() + 2)}
}

// Output is the box of the map of the pass's output: y, with a pool of half its
// width and height; dx, and x beside it, going backward; dy for the filter, which
// it reads.
func (w Wgmma) Output() []uint32 {
	row := w.images() * w.Width
	switch w.Pass {
	case WgmmaFilter:
		return []uint32{64, uint32(w.Width), 1, uint32(w.rows)}
	case WgmmaForwardPool:
		return []uint32{64, uint32(w.Width / 2), uint32(w.images()), uint32(w.group() / (2 * row))}
	}
	return []uint32{64, uint32(w.Width), uint32(w.images()), uint32(w.stored() / row)}
}

// Places is the box of the map of a pool's places, two bytes an element.
func (w Wgmma) Places() []uint32 {
	return []uint32{32, uint32(w.Width), uint32(w.images()), uint32(w.group() / (w.images() * w.Width))}
}

// Spreads reports whether w is data's kernel that also spreads the gradient over the
// windows of the pool before.
func (w Wgmma) Spreads(data Wgmma) bool {
	return w.Pass == WgmmaSpread && data.Pass == WgmmaBackwardData && !data.narrow() &&
		w.Width == data.Width && w.Channels == data.Channels && w.Pixels == data.Pixels
}

// Grid is the blocks of a launch for a batch on a GPU with so many
// multiprocessors: no more than can run at once.
func (w Wgmma) Grid(batch, in, out, multiprocessors int) int {
	result := out
	switch w.Pass {
	case WgmmaBackwardData, WgmmaSpread:
		result = in
	case WgmmaFilter:
		return w.Splits(in, out, multiprocessors) * (in / 64) * (out / 64)
	}
	tiles := (batch*max(1, w.Width/w.tileRows()) + w.images() - 1) / w.images()
	across := result / w.Channels
	if w.narrow() {
		return min(max(1, multiprocessors/across), (tiles+1)/2) * across
	}
	return min(multiprocessors, tiles*across)
}

// Splits is the parts that the sums of the filter's gradient are made of. The
// kernel's workspace parts takes so many gradients of the filter, then of the
// bias; counters has a 32-bit zero, at first, for each of in/64 * out/64 tiles.
func (w Wgmma) Splits(in, out, multiprocessors int) int {
	return max(1, multiprocessors/((in/64)*(out/64)))
}

// shared is the dynamic shared memory of a launch.
func (w Wgmma) shared() int {
	const align, barrier = 1024, 8
	if w.Pass == WgmmaFilter {
		x := ((w.rows+2)*(w.Width+2)*128 + 1023) / 1024 * 1024
		return align + w.acts*(x+w.rows*w.Width*128) + 1024 + 2*barrier*w.acts
	}
	act := (w.tileRows() + 2) * w.images() * w.Width * 128
	output := w.stored() * 128
	switch w.Pass {
	case WgmmaForwardPool:
		output = w.group()/4*128 + w.group()/4*64
	case WgmmaBackwardData:
		output = w.group() * 128
	case WgmmaSpread:
		output = 4 * spreadBox * 128
	}
	n := align + w.acts*act + 2*output + 2*barrier*w.acts
	if w.narrow() {
		return n + 9*8192 + barrier*(w.acts+9+2)
	}
	return n + w.taps*w.Channels/64*8192 + barrier*(2*w.taps+2)
}
