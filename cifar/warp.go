package cifar

import "math"

// Turning, zooming and changes of colour. They are done in float64, and each
// product is rounded by a conversion: a compiler must not fuse it with an
// addition, so that an image is the same on every processor.

// warps reports whether pixels lie between those of the image.
func (a *augmentation) warps() bool { return a.degrees != 0 || a.zoom != 0 && a.zoom != 1 }

// A jitter is factors of an image's colours, 1 for no change.
type jitter struct {
	on                               bool
	brightness, contrast, saturation float64
}

// writeWarped augments an image pixel by pixel: first where it comes from, then
// its colours, then the preprocessing.
func (p *Preprocess) writeWarped(dst []float32, image []byte, size int, a *augmentation) {
	n := size * size
	pixels := a.room // of 0 to 255
	if len(pixels) < n {
		pixels = make([][Channels]float64, n)
	}
	pixels = pixels[:n]
	if a.warps() {
		a.sample(pixels, image, size)
	} else {
		from := a.columns(size)
		for y := range size {
			at := a.inside(y-a.dy, size) * size
			for x, i := range from[:size] {
				for c := range Channels {
					pixels[y*size+x][c] = float64(image[c*n+at+int(i)])
				}
			}
		}
	}
	if a.color.on {
		a.color.apply(pixels)
	}
	for i, pixel := range pixels {
		for c, v := range pixel {
			dst[Channels*i+c] = float32((v/255 - p.mean[c]) / p.std[c])
		}
	}
}

// sample fills pixels with the image turned and zoomed about its middle, then
// shifted, then flipped, as scipy.ndimage.affine_transform of order 1 does, by
// which Keras's ImageDataGenerator turns and zooms; what lies outside is its
// mode "nearest" or "mirror".
func (a *augmentation) sample(pixels [][Channels]float64, image []byte, size int) {
	sine, cosine := sincos(a.degrees)
	if a.zoom != 0 {
		sine, cosine = sine/a.zoom, cosine/a.zoom
	}
	n, middle := size*size, float64(size-1)/2
	for y := range size {
		v := float64(y-a.dy) - middle
		for x := range size {
			u := float64(x-a.dx) - middle
			if a.flip {
				u = float64(size-1-x-a.dx) - middle
			}
			sx := middle + (float64(cosine*u) - float64(sine*v))
			sy := middle + (float64(sine*u) + float64(cosine*v))
			left, top := math.Floor(sx), math.Floor(sy)
			fx, fy := sx-left, sy-top
			x0, x1 := a.inside(int(left), size), a.inside(int(left)+1, size)
			y0, y1 := a.inside(int(top), size)*size, a.inside(int(top)+1, size)*size
			for c := range Channels {
				in := image[c*n : (c+1)*n]
				upper := between(float64(in[y0+x0]), float64(in[y0+x1]), fx)
				lower := between(float64(in[y1+x0]), float64(in[y1+x1]), fx)
				pixels[y*size+x][c] = between(upper, lower, fy)
			}
		}
	}
}

// between is the value that lies at part t of the way from a to b.
func between(a, b, t float64) float64 { return a + float64(t*(b-a)) }

// apply changes the colours as torchvision's adjust_brightness, adjust_contrast
// and adjust_saturation do, one after the other.
func (j jitter) apply(pixels [][Channels]float64) {
	for i := range pixels {
		for c, v := range pixels[i] {
			pixels[i][c] = inByte(float64(j.brightness * v))
		}
	}
	mean := 0.0
	for i := range pixels {
		mean += gray(pixels[i])
	}
	mean /= float64(len(pixels))
	for i := range pixels {
		for c, v := range pixels[i] {
			pixels[i][c] = inByte(between(mean, v, j.contrast))
		}
		g := gray(pixels[i])
		for c, v := range pixels[i] {
			pixels[i][c] = inByte(between(g, v, j.saturation))
		}
	}
}

// gray is a pixel's brightness, by torchvision's rgb_to_grayscale.
func gray(p [Channels]float64) float64 {
	return float64(0.2989*p[0]) + float64(0.587*p[1]) + float64(0.114*p[2])
}

// inByte holds a value to what a byte has.
func inByte(v float64) float64 { return max(0, min(255, v)) }

// sincos is the sine and cosine of an angle of up to 180 degrees, by Taylor's
// series: math.Sincos may be other bits on another processor.
func sincos(degrees float64) (sine, cosine float64) {
	x := degrees * (math.Pi / 180)
	power := 1.0 // x^k/k!
	for k := range 48 {
		switch k % 4 {
		case 0:
			cosine += power
		case 1:
			sine += power
		case 2:
			cosine -= power
		case 3:
			sine -= power
		}
		power = float64(power*x) / float64(k+1)
	}
	return sine, cosine
}
