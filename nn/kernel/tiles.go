package kernel

// Transforms read and write whole tiles of whole lanes of channels. Where an
// image has them, they work on the image itself; at a border that cuts a tile,
// and for channels that are no multiple of lane, they work on a copy. A max
// pool's gradient is spread to full resolution while it is read, or in such a
// copy, so that the full resolution never takes the way through memory.

// source is an image that tiles are read from. With arg it is the gradient at a
// max pool's output, which is read as if it had been spread to full resolution before.
type source struct {
	img  Image // at full resolution
	data []float32
	arg  []uint8
	c    *Conv
}

// spreadChannels are the channels that are transformed at once where the windows
// of a pooled gradient are copied, tilePositions the positions of 4x4 of them.
const (
	spreadChannels = 64
	tilePositions  = 4 * 4 * spreadChannels
)

// input transforms the 6x6 pixels from (y, x) of image n on. scratch holds
// positions*roundUp(img.C, lane) values.
func (s *source) input(worker int, v []float32, vPos int, scratch []float32, n, y, x int) {
	c, kernels := s.img.C, s.c.kernels
	if s.arg == nil || c%lane > 0 {
		p, row, col := s.tile(scratch, n, y, x, tileInput)
		kernels.inputTile(v, vPos, p, row, col, roundUp(c, lane))
		return
	}
	small := s.img.pooled()
	y, x = (y-1)/2, (x-1)/2 // the first of 4x4 windows, which may be in the border
	first := ((n*small.H+y)*small.W + x) * c
	// There is no arg behind the border of the first and the last image.
	if y+4 <= small.H+1 && x+4 <= small.W+1 && first >= 0 && first+(3*small.W+4)*c <= len(s.arg) {
		kernels.inputTilePooled(v, vPos, s.data[small.At(n, y, x):], small.rowLen(), c, s.arg[first:], small.W*c, c, c)
		return
	}
	for i := 0; i < c; i += spreadChannels {
		some := min(spreadChannels, c-i)
		dp, arg := s.windows(worker, scratch, n, y, x, 4, i, some)
		kernels.inputTilePooled(v[i:], vPos, dp, 4*spreadChannels, spreadChannels, arg, 4*spreadChannels, spreadChannels, some)
	}
}

// windows copies channels first to first+some of a square of side windows of a
// pooled gradient, from window (y, x) of image n on, and the positions of their
// maxima. Where there is no window the gradient is 0. Windows are spreadChannels
// apart.
func (s *source) windows(worker int, scratch []float32, n, y, x, side, first, some int) (dp []float32, arg []uint8) {
	small := s.img.pooled()
	arg = s.c.positions[worker*tilePositions:][:tilePositions]
	for w := range side * side {
		to := w * spreadChannels
		i, j := y+w/side, x+w%side
		if i < 0 || j < 0 || i >= small.H || j >= small.W {
			clear(scratch[to:][:some])
			continue
		}
		copy(scratch[to:][:some], s.data[small.At(n, i, j)+first:])
		copy(arg[to:][:some], s.arg[((n*small.H+i)*small.W+j)*s.img.C+first:])
	}
	return scratch, arg
}

// fetch asks for the pixels that a tile has to itself, the tile's input
// beginning at (y, x) of image n.
func (s *source) fetch(n, y, x int) {
	img := s.img
	if s.arg != nil {
		img = img.pooled()
		y, x = y/2, x/2
		s.c.kernels.prefetch(s.data[img.At(n, y, x):], img.rowLen(), 2, 2*img.C)
		return
	}
	s.c.kernels.prefetch(s.data[img.At(n, y, x):], img.rowLen(), 4, 4*img.C)
}

// gradient transforms the 4x4 pixels from (y, x) of image n on as the filter's
// gradient wants them.
func (s *source) gradient(worker int, d []float32, dPos int, scratch []float32, n, y, x int, sum []float32) {
	c, kernels := s.img.C, s.c.kernels
	if s.arg == nil || c%lane > 0 {
		p, row, col := s.tile(scratch, n, y, x, tileSize)
		kernels.gradientTile(d, dPos, p, row, col, roundUp(c, lane), sum)
		return
	}
	small := s.img.pooled()
	y, x = y/2, x/2
	if y+2 <= small.H && x+2 <= small.W {
		arg := s.arg[((n*small.H+y)*small.W+x)*c:]
		kernels.gradientTilePooled(d, dPos, s.data[small.At(n, y, x):], small.rowLen(), c, arg, small.W*c, c, c, sum)
		return
	}
	for i := 0; i < c; i += spreadChannels {
		some := min(spreadChannels, c-i)
		dp, arg := s.windows(worker, scratch, n, y, x, 2, i, some)
		kernels.gradientTilePooled(d[i:], dPos, dp, 2*spreadChannels, spreadChannels, arg, 2*spreadChannels, spreadChannels, some, sum[i:])
	}
}

// tile returns a square of side pixels whose first is (y, x) of image n, and
// the distances between rows and between columns. scratch holds
// side*side*roundUp(img.C, lane) values.
func (s *source) tile(scratch []float32, n, y, x, side int) (p []float32, row, col int) {
	c := s.img.C
	if s.arg == nil && c%lane == 0 && y+side <= s.img.H+1 && x+side <= s.img.W+1 {
		return s.data[s.img.At(n, y, x):], s.img.rowLen(), c
	}
	col = roundUp(c, lane)
	row = side * col
	if s.arg != nil {
		s.spread(scratch, n, y, x, side, row, col)
		return scratch, row, col
	}
	for i := range side {
		for j := range side {
			dst := scratch[i*row+j*col:][:col]
			if y+i > s.img.H || x+j > s.img.W {
				clear(dst)
				continue
			}
			k := copy(dst[:c], s.data[s.img.At(n, y+i, x+j):])
			clear(dst[k:])
		}
	}
	return scratch, row, col
}

// spread writes the pixels of a tile from the pooled gradient.
func (s *source) spread(dst []float32, n, y, x, side, row, col int) {
	c := s.img.C
	small := s.img.pooled()
	for i := range side {
		for j := range side {
			d := dst[i*row+j*col:][:col]
			h, w := y+i, x+j
			if h < 0 || w < 0 || h/2 >= small.H || w/2 >= small.W {
				clear(d)
				continue
			}
			at := ((n*small.H+h/2)*small.W + w/2) * c
			spreadPixel(d[:c], s.data[small.At(n, h/2, w/2):], s.arg[at:], uint8(h%2*2+w%2))
			clear(d[c:])
		}
	}
}

// spreadPixel copies the gradients whose maximum was at position pos of their
// windows, and 0 for the others.
func spreadPixel(dst, grad []float32, arg []uint8, pos uint8) {
	arg, grad = arg[:len(dst)], grad[:len(dst)]
	for c := range dst {
		if arg[c] == pos {
			dst[c] = grad[c]
		} else {
			dst[c] = 0
		}
	}
}

// scatter copies the part of a tile that lies inside the image from a scratch
// tile of side pixels a side and col values a pixel, to channels first to first+n
// of the image.
func scatter(img Image, dst, scratch []float32, image, y, x, side, col, first, n int) {
	for i := range min(side, img.H-y) {
		for j := range min(side, img.W-x) {
			copy(dst[img.At(image, y+i, x+j)+first:][:n], scratch[(i*side+j)*col:])
		}
	}
}

// gather is scatter the other way.
func gather(img Image, scratch, src []float32, image, y, x, side, col, first, n int) {
	for i := range min(side, img.H-y) {
		for j := range min(side, img.W-x) {
			copy(scratch[(i*side+j)*col:][:n], src[img.At(image, y+i, x+j)+first:])
		}
	}
}

// rowLen returns the distance between two rows of an image.
func (m Image) rowLen() int { return (m.W + 2) * m.C }

// pooled is the geometry behind a 2x2 max pool.
func (m Image) pooled() Image { return Image{m.N, m.H / 2, m.W / 2, m.C} }
