package cuda

import (
	"fmt"
	"math"
	"strings"
	"time"

	"cifartui/nn"
)

// batches checks that the GPU makes the batches that package cifar would.
func (c *checker) batches() {
	const count, n, rows, seed, epoch = 7, 5, 4, 3, 2
	d := nn.Data{
		Pixels: make([]byte, count*3*side*side), Labels: make([]byte, count),
		Table: new([3][256]float32), Augment: true, Seed: seed,
	}
	for i := range d.Pixels {
		d.Pixels[i] = byte(c.random.Uint32())
	}
	for i := range d.Labels {
		d.Labels[i] = byte(c.random.IntN(10))
	}
	for ch := range d.Table {
		for v := range d.Table[ch] {
			d.Table[ch][v] = float32(v)/255 - float32(ch)/4
		}
	}
	order := []int{6, 2, 4, 0, 1, 5, 3}
	for _, k := range []struct {
		law  string
		size int
	}{
		{"as they are", side}, {"augmented", side}, {"augmented, reflected", side}, {"augmented, flipped in turn", side},
		{"as they are", 16}, {"augmented, reflected", 16}, {"augmented", 24}, {"augmented", leastSide},
	} {
		start := time.Now()
		d.Augment = k.law != "as they are"
		d.Reflect, d.Alternate = strings.HasSuffix(k.law, "reflected"), strings.HasSuffix(k.law, "turn")
		x := c.pictures(nil, n, k.size, k.size, 4)
		labels := c.pair(func(on nn.Backend) (*nn.Buffer, error) { return nn.NewLabels(on, n) }, nil)
		if c.err != nil {
			return
		}
		set, err := c.b.Hold(d)
		if err != nil {
			c.try(err)
			return
		}
		const first = 1
		c.try(set.Order(epoch, order))
		set.Load(x.gpu, labels.gpu, first, rows)
		classes := make([]float32, n)
		c.widenLabels(labels.gpu, classes)
		want := make([]float32, n)
		for row := range rows {
			image := order[first+row]
			want[row] = float32(d.Labels[image])
			drawImage(x.cpu, row, &d, epoch, image)
		}
		shape := fmt.Sprintf("%d of %d images of %dx%d, %s", rows, n, k.size, k.size, k.law)
		c.compare("batch", shape, 0, start, x.gpu, x.cpu.Floats, rows)
		if c.err == nil {
			c.add("batch", shape+", labels", 0, start, classes, want)
		}
		set.Close()
	}
}

// widenLabels downloads class numbers.
func (c *checker) widenLabels(b *nn.Buffer, to []float32) {
	ids, err := c.b.labels(b)
	c.try(err)
	for i := range ids {
		to[i] = float32(ids[i])
	}
}

// drawImage writes an image as package cifar does, from the same law: see draw
// there. Values are rounded to bfloat16.
func drawImage(to *nn.Buffer, row int, d *nn.Data, epoch uint64, image int) {
	var dx, dy int
	var flip bool
	if d.Augment {
		const forAugment, forFlips = 2, 5
		v := random(d.Seed, forAugment, epoch, uint64(image))
		dx, dy, flip = (int(v&15)+1)/2-4, (int(v>>4&15)+1)/2-4, v>>8&1 == 1
		if d.Alternate {
			flip = (random(d.Seed, forFlips, uint64(image))+epoch)&1 == 1
		}
	}
	pixels := d.Pixels[image*3*side*side:]
	inside := func(i int) int {
		if d.Reflect {
			return min(max(i, -i), 2*(side-1)-i) // of i and its mirror images the one inside
		}
		return max(0, min(side-1, i))
	}
	pixel := func(ch, y, x int) float32 {
		if flip {
			x = side - 1 - x
		}
		return d.Table[ch][pixels[ch*side*side+inside(y-dy)*side+inside(x-dx)]]
	}
	mixes := mixesOf(to.Image.H)
	for y, rows := range mixes {
		for x, columns := range mixes {
			at := to.Image.At(row, y, x)
			for ch := range 3 {
				var sum float32
				for _, r := range rows {
					var part float32
					for _, c := range columns {
						part += float32(c.weight * pixel(ch, r.at, c.at))
					}
					sum += float32(r.weight * part)
				}
				to.Floats[at+ch] = fromBF16(toBF16(sum))
			}
			to.Floats[at+3] = 1
		}
	}
}

// share is what a row or column counts in one of a smaller image.
type share struct {
	at     int
	weight float32
}

// mixesOf is what each row or column of images made size pixels wide and high is
// made of: see shrink in package cifar.
func mixesOf(size int) [][]share {
	mixes := make([][]share, size)
	scale := float64(side) / float64(size)
	for i := range mixes {
		centre, sum := scale*(float64(i)+0.5), 0.0
		part := func(k int) float64 { return max(0, 1-math.Abs(float64(k)+0.5-centre)/scale) }
		for k := range side {
			sum += part(k)
		}
		for k := range side {
			if part(k) > 0 {
				mixes[i] = append(mixes[i], share{k, float32(part(k) / sum)})
			}
		}
	}
	return mixes
}

// random is the first number of package cifar's stream for the keys.
func random(keys ...uint64) uint64 {
	state := uint64(0)
	for _, k := range keys {
		state = splitMix(state ^ k)
	}
	return splitMix(state)
}

// splitMix is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func splitMix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
