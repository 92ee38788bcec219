package cifar

// shiftPart is the part of the image's size that it is shifted at the farthest:
// 12.5%, which are 4 pixels of 32.
const shiftPart = 8

// An augmentation is what is done to one image of one epoch.
type augmentation struct {
	dx, dy int  // shift right and down in pixels
	flip   bool // mirrored left to right, after the shift
	// reflect fills what a shift leaves empty with the image's mirror image at
	// the edge, which itself is not repeated, instead of with the edge.
	reflect bool
}

// draw returns the augmentation of an image of size by size pixels in an epoch,
// which depends on nothing else.
//
// The law is that of the article's Keras 2.0: a shift drawn uniformly from
// [-4,4) pixels of 32 in each direction and applied with interpolation of order
// 0 (keras/preprocessing/image.py, apply_transform), which rounds it to a whole
// pixel. So -3 to 3 have a chance of 1/8 each, and -4 and 4 of 1/16. Later
// versions interpolate linearly; whole pixels blur nothing and cost less.
func draw(seed uint64, epoch, image, size int) augmentation {
	r := newRNG(seed, forAugment, uint64(epoch), uint64(image))
	v := r.next()
	// Halves of a pixel, paired: of 32 pixels 0 is -4, 1 and 2 are -3, ..., 15 is 4.
	most := size / shiftPart
	shift := func(half int) int { return (half+1)/2 - most }
	a := augmentation{dx: shift(int(v & 15)), dy: shift(int(v >> 4 & 15)), flip: v>>8&1 == 1}
	if size != Size { // the bits of v are made for 32 pixels
		a.dx, a.dy = shift(r.below(4*most)), shift(r.below(4*most))
	}
	return a
}

// alternate tells whether an image is mirrored in an epoch when that is not left
// to chance: by chance in the first, then in every other, so that any two epochs
// show both of its sides (Jordan, arXiv:2404.00498, section 3.6).
func alternate(seed uint64, epoch, image int) bool {
	r := newRNG(seed, forFlips, uint64(image))
	return (r.next()+uint64(epoch))&1 == 1
}

// inside is the row or column that stands for i of size, which may be outside
// the image: the nearest one (Keras's fill_mode="nearest"), or that reflected at
// the edge.
func (a augmentation) inside(i, size int) int {
	if !a.reflect {
		return max(0, min(size-1, i))
	}
	if i < 0 {
		return -i
	}
	return min(i, 2*(size-1)-i)
}

// write converts an image of planes to dst, [size][size][Channels], shifted and
// flipped as a says.
func (p *Preprocess) write(dst []float32, image []byte, size int, a augmentation) {
	if size != Size {
		p.writeAny(dst, image, size, a)
		return
	}
	var from [Size]uint8 // the source column of each column
	for x := range from {
		to := x
		if a.flip {
			to = Size - 1 - x
		}
		from[to] = uint8(a.inside(x-a.dx, Size))
	}
	red, green, blue := &p.table[0], &p.table[1], &p.table[2]
	for y := range Size {
		at := a.inside(y-a.dy, Size) * Size
		// Arrays, not slices: the compiler then needs no bounds checks.
		r := (*[Size]byte)(image[at:])
		g := (*[Size]byte)(image[plane+at:])
		b := (*[Size]byte)(image[2*plane+at:])
		row := (*[Size * Channels]float32)(dst[y*Size*Channels:])
		for x := range Size {
			i := from[x] % Size
			row[3*x] = red[r[i]]
			row[3*x+1] = green[g[i]]
			row[3*x+2] = blue[b[i]]
		}
	}
}

// writeAny is write for a size that the compiler does not know.
func (p *Preprocess) writeAny(dst []float32, image []byte, size int, a augmentation) {
	from := make([]int, size)
	for x := range from {
		to := x
		if a.flip {
			to = size - 1 - x
		}
		from[to] = a.inside(x-a.dx, size)
	}
	for y := range size {
		at := a.inside(y-a.dy, size) * size
		row := dst[y*size*Channels:][:size*Channels]
		for c := range Channels {
			line := image[c*size*size+at:][:size]
			table := &p.table[c]
			for x, i := range from {
				row[Channels*x+c] = table[line[i]]
			}
		}
	}
}

// order fills perm with the order of an epoch: a shuffle by seed and epoch
// (Fisher-Yates), or 0, 1, 2, ... if shuffle is false.
func order(perm []int, seed uint64, epoch int, shuffle bool) {
	for i := range perm {
		perm[i] = i
	}
	if !shuffle {
		return
	}
	r := newRNG(seed, forOrder, uint64(epoch))
	for i := len(perm) - 1; i > 0; i-- {
		j := r.below(i + 1)
		perm[i], perm[j] = perm[j], perm[i]
	}
}
