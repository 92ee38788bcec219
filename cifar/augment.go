package cifar

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Augment says what is done to the images each time they are trained on. The
// zero value does nothing. People write it as true, false, or kinds with
// amounts: "shift,flip,rotate=10"; see [ParseAugment].
type Augment struct {
	// Shift is how far an image is shifted at most, as a part of its side: by
	// whole pixels, as Keras's width_shift_range and height_shift_range do.
	Shift float64
	// Flip mirrors half of the images.
	Flip bool
	// Rotate is how many degrees an image is turned at most, either way.
	Rotate float64
	// Zoom is by how much of itself an image is made larger or smaller at most.
	Zoom float64
	// Cutout is the side of a square that is set to zero, as a part of the
	// image's (DeVries and Taylor, arXiv:1708.04552). Its centre is any pixel,
	// so that a part of it may lie outside.
	Cutout float64
	// Color is by how much brightness, contrast and saturation change at most,
	// as torchvision's ColorJitter has them.
	Color float64
}

// DefaultAugment is the article's: shifts of 12.5% and flips.
func DefaultAugment() Augment { return Augment{Shift: 0.125, Flip: true} }

// An augmentKind is a field of [Augment] as people write it.
type augmentKind struct {
	name   string
	usual  float64 // the amount if none is given; 0: there are no amounts
	most   float64
	allows string // what an amount may be, in words
	amount func(*Augment) *float64
}

func augmentKinds() []augmentKind {
	return []augmentKind{
		{"shift", 0.125, 0.5, "a part of the side, above 0 up to 0.5 (0.125: 4 of 32 pixels)", func(a *Augment) *float64 { return &a.Shift }},
		{name: "flip"},
		{"rotate", 15, 180, "degrees, above 0 up to 180", func(a *Augment) *float64 { return &a.Rotate }},
		{"zoom", 0.1, 0.9, "a part of the size, above 0 up to 0.9", func(a *Augment) *float64 { return &a.Zoom }},
		{"cutout", 0.5, 1, "a part of the side, above 0 up to 1 (0.5: 16 of 32 pixels)", func(a *Augment) *float64 { return &a.Cutout }},
		{"color", 0.2, 1, "above 0 up to 1", func(a *Augment) *float64 { return &a.Color }},
	}
}

// AugmentKinds returns the names of what [ParseAugment] knows.
func AugmentKinds() (names []string) {
	for _, k := range augmentKinds() {
		names = append(names, k.name)
	}
	return names
}

// ParseAugment reads what people write: true for [DefaultAugment], false for
// none, or kinds with "," or "+" between them, each with "=" and an amount, or
// without for the usual one: "shift,flip,rotate=10,cutout".
func ParseAugment(text string) (a Augment, err error) {
	if on, err := strconv.ParseBool(text); err == nil {
		if on {
			a = DefaultAugment()
		}
		return a, nil
	}
	seen := map[string]bool{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '+' }) {
		name, amount, given := strings.Cut(strings.TrimSpace(word), "=")
		kinds := augmentKinds()
		i := slices.IndexFunc(kinds, func(k augmentKind) bool { return k.name == name })
		if i < 0 {
			return a, fmt.Errorf("%q is none of true, false, %s", name, strings.Join(AugmentKinds(), ", "))
		}
		k := kinds[i]
		switch {
		case seen[name]:
			return a, fmt.Errorf("%s is given twice", name)
		case k.amount == nil && given:
			return a, fmt.Errorf("%s has no amount, such as %q", name, amount)
		case k.amount == nil:
			a.Flip = true
		case !given:
			*k.amount(&a) = k.usual
		default:
			v, err := strconv.ParseFloat(amount, 64)
			if err != nil || !(v > 0 && v <= k.most) {
				return a, fmt.Errorf("%s=%s is not allowed: want %s", name, amount, k.allows)
			}
			*k.amount(&a) = v
		}
		seen[name] = true
	}
	if len(seen) == 0 {
		return a, fmt.Errorf("want true, false, or some of %s, as in shift,flip,rotate=10", strings.Join(AugmentKinds(), ", "))
	}
	return a, nil
}

// String is what [ParseAugment] reads.
func (a Augment) String() string {
	switch a {
	case Augment{}:
		return "false"
	case DefaultAugment():
		return "true"
	}
	return a.Kinds()
}

// Kinds lists what is done, with amounts where they are not the usual ones.
func (a Augment) Kinds() string {
	var words []string
	for _, k := range augmentKinds() {
		switch {
		case k.amount == nil && a.Flip:
			words = append(words, k.name)
		case k.amount == nil || *k.amount(&a) == 0:
		case *k.amount(&a) == k.usual:
			words = append(words, k.name)
		default:
			words = append(words, k.name+"="+strconv.FormatFloat(*k.amount(&a), 'g', -1, 64))
		}
	}
	return strings.Join(words, ",")
}

// warps reports whether images are made pixel by pixel.
func (a Augment) warps() bool { return a.Rotate > 0 || a.Zoom > 0 || a.Color > 0 }

// Set reads a flag's value.
func (a *Augment) Set(text string) error {
	v, err := ParseAugment(text)
	if err == nil {
		*a = v
	}
	return err
}

// Type names the value in a flag's help.
func (*Augment) Type() string { return "kinds" }

// UnmarshalText implements [encoding.TextUnmarshaler], for YAML.
func (a *Augment) UnmarshalText(text []byte) error { return a.Set(string(text)) }

// MarshalJSON writes true or false where they say all, as before there were
// kinds, else text.
func (a Augment) MarshalJSON() ([]byte, error) {
	if a == (Augment{}) || a == DefaultAugment() {
		return json.Marshal(a != Augment{})
	}
	return json.Marshal(a.String())
}

// UnmarshalJSON reads both.
func (a *Augment) UnmarshalJSON(b []byte) error {
	var on bool
	if json.Unmarshal(b, &on) == nil {
		return a.Set(strconv.FormatBool(on))
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("augment: want true, false or text: %w", err)
	}
	return a.Set(text)
}

// An augmentation is what is done to one image of one epoch.
type augmentation struct {
	dx, dy int  // shift right and down in pixels
	flip   bool // mirrored left to right, after the shift
	// reflect fills what a shift leaves empty with the image's mirror image at
	// the edge, which itself is not repeated, instead of with the edge.
	reflect bool

	degrees float64 // turned to the left, before the shift
	zoom    float64 // 0 and 1: as it is; 2: twice as large
	cut     square  // set to zero, last of all
	color   jitter

	room [][Channels]float64 // for an image's pixels, to be used again; may be nil
}

// A square is pixels from x and y on, side of them both ways; some of it may lie
// outside of the image.
type square struct{ x, y, side int }

// draw returns the augmentation of an image of size by size pixels in an epoch,
// which depends on nothing else.
//
// The law of shifts is that of the article's Keras 2.0: drawn uniformly from
// [-4,4) pixels of 32 in each direction and applied with interpolation of order
// 0 (keras/preprocessing/image.py, apply_transform), which rounds it to a whole
// pixel. So -3 to 3 have a chance of 1/8 each, and -4 and 4 of 1/16. Later
// versions interpolate linearly; whole pixels blur nothing and cost less.
//
// Each kind has numbers of its own, so that one more changes no other.
func (a Augment) draw(seed uint64, epoch, image, size int) (d augmentation) {
	r := newRNG(seed, forAugment, uint64(epoch), uint64(image))
	v := r.next()
	most := a.Shift * float64(size)
	switch {
	case size == Size && a.Shift == DefaultAugment().Shift:
		// Halves of a pixel, paired: 0 is -4, 1 and 2 are -3, ..., 15 is 4.
		d.dx, d.dy = int(v&15+1)/2-4, int(v>>4&15+1)/2-4
	case a.Shift > 0:
		d.dx, d.dy = whole(r.within(most)), whole(r.within(most))
	}
	d.flip = a.Flip && v>>8&1 == 1
	draw := func(purpose uint64) rng { return newRNG(seed, purpose, uint64(epoch), uint64(image)) }
	if a.Rotate > 0 {
		r := draw(forRotate)
		d.degrees = r.within(a.Rotate)
	}
	if a.Zoom > 0 {
		r := draw(forZoom)
		d.zoom = 1 + r.within(a.Zoom)
	}
	if a.Cutout > 0 {
		r := draw(forCutout)
		side := max(1, whole(a.Cutout*float64(size)))
		d.cut = square{r.below(size) - side/2, r.below(size) - side/2, side}
	}
	if a.Color > 0 {
		r := draw(forColor)
		d.color = jitter{true, 1 + r.within(a.Color), 1 + r.within(a.Color), 1 + r.within(a.Color)}
	}
	return d
}

// whole is the whole number nearest to v, the larger of two.
func whole(v float64) int { return int(math.Floor(v + 0.5)) }

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
func (a *augmentation) inside(i, size int) int {
	if !a.reflect {
		return max(0, min(size-1, i))
	}
	for i < 0 || i > size-1 { // more than once if it is far outside
		if i < 0 {
			i = -i
		} else {
			i = 2*(size-1) - i
		}
	}
	return i
}

// write converts an image of planes to dst, [size][size][Channels], augmented as
// a says.
func (p *Preprocess) write(dst []float32, image []byte, size int, a *augmentation) {
	switch {
	case a.warps() || a.color.on:
		p.writeWarped(dst, image, size, a)
	case size != Size:
		p.writeAny(dst, image, size, a)
	default:
		p.writeCIFAR(dst, image, a)
	}
	a.cut.clear(dst, size)
}

// clear sets the square of an image to zero.
func (s square) clear(dst []float32, size int) {
	from, to := max(0, s.x), min(size, s.x+s.side)
	for y := max(0, s.y); y < min(size, s.y+s.side) && from < to; y++ {
		clear(dst[(y*size+from)*Channels : (y*size+to)*Channels])
	}
}

// writeCIFAR shifts and flips an image of CIFAR's size.
func (p *Preprocess) writeCIFAR(dst []float32, image []byte, a *augmentation) {
	var from [Size]uint8 // the source column of each column
	for x := range Size {
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

// writeAny is writeCIFAR for a size that the compiler does not know.
func (p *Preprocess) writeAny(dst []float32, image []byte, size int, a *augmentation) {
	from := a.columns(size)
	for y := range size {
		at := a.inside(y-a.dy, size) * size
		row := dst[y*size*Channels:][:size*Channels]
		for c := range Channels {
			line := image[c*size*size+at:][:size]
			table := &p.table[c]
			for x, i := range from[:size] {
				row[Channels*x+c] = table[line[i]]
			}
		}
	}
}

// maxSize is the largest of [Sizes].
const maxSize = 96

// columns returns the source column of each column of an image that is not
// turned or zoomed.
func (a *augmentation) columns(size int) (from [maxSize]uint8) {
	for x := range size {
		to := x
		if a.flip {
			to = size - 1 - x
		}
		from[to] = uint8(a.inside(x-a.dx, size))
	}
	return from
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
