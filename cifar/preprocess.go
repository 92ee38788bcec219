package cifar

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The ways to make a byte a number. Each is (byte/255 - mean) / std with a mean
// and a std per channel.
const (
	Unit     = "unit"     // [0,1]: the article's
	Signed   = "signed"   // [-1,1]
	Mean     = "mean"     // the training set's mean of the channel taken away
	Standard = "standard" // that, and divided by its standard deviation
	ZCA      = "zca"      // that of mean, then multiplied by a matrix that makes the numbers of an image uncorrelated
)

// Preprocessings returns the names that [NewPreprocess] takes.
func Preprocessings() []string { return []string{Unit, Signed, Mean, Standard, ZCA} }

// Preprocess turns pixel bytes into float32. Its JSON form, for a checkpoint's
// metadata, holds all that is needed to do the same to another image:
// {"name":"standard","mean":[r,g,b],"std":[r,g,b]}. Goroutines may share it.
type Preprocess struct {
	name      string
	mean, std [Channels]float64
	table     [Channels][256]float32 // the value of each byte
	whiten    func(y, x []float32)   // see SetWhitening
}

// NewPreprocess returns the preprocessing called name. Mean and Standard take
// their numbers from all pixels of train, which Unit and Signed don't read and
// may be nil for. The mean is one number a channel, not one a pixel as some
// Keras examples have it: shifted images then keep their meaning, and the
// description is three numbers instead of 3,072.
func NewPreprocess(name string, train *Set) (*Preprocess, error) {
	p := &Preprocess{name: name, std: [Channels]float64{1, 1, 1}}
	switch name {
	case Unit:
	case Signed:
		p.mean = [Channels]float64{0.5, 0.5, 0.5}
		p.std = p.mean
	case Mean, Standard, ZCA:
		if train == nil || train.Len() == 0 {
			return nil, fmt.Errorf("cifar: preprocessing %q needs training images, and there are none", name)
		}
		mean, std := train.Moments()
		p.mean = mean
		if name == Standard {
			p.std = std
		}
	default:
		return nil, fmt.Errorf("cifar: no preprocessing is called %q: want %s", name, strings.Join(Preprocessings(), ", "))
	}
	return p, p.fill()
}

// Moments returns the mean and the standard deviation (of the population) of
// each channel, with pixels in [0,1].
func (s *Set) Moments() (mean, std [Channels]float64) {
	var hist [Channels][256]int64
	plane := s.Size * s.Size
	for i := range s.Len() {
		image := s.Image(i)
		for c := range Channels {
			for _, v := range image[c*plane : (c+1)*plane] {
				hist[c][v]++
			}
		}
	}
	n := float64(s.Len() * plane)
	for c := range Channels {
		var sum int64
		for v, count := range hist[c] {
			sum += int64(v) * count
		}
		mean[c] = float64(sum) / n / 255
		// The conversions keep a compiler from fusing multiply and add: the
		// numbers must be the same bits on every processor.
		var squares float64
		for v, count := range hist[c] {
			d := float64(v)/255 - mean[c]
			squares += float64(float64(d*d) * float64(count))
		}
		std[c] = math.Sqrt(squares / n)
	}
	return mean, std
}

// fill computes the table. It refuses numbers that give no finite value.
func (p *Preprocess) fill() error {
	for c := range Channels {
		for v := range 256 {
			x := (float64(v)/255 - p.mean[c]) / p.std[c]
			if math.IsNaN(x) || math.Abs(x) > math.MaxFloat32 {
				return fmt.Errorf("cifar: preprocessing %q: channel %d has mean %g and standard deviation %g, which gives no finite values: use --preprocess unit",
					p.name, c, p.mean[c], p.std[c])
			}
			p.table[c][v] = float32(x)
		}
	}
	return nil
}

// Whitens reports whether images are multiplied by a matrix, which
// [Preprocess.SetWhitening] sets and the JSON form does not hold.
func (p *Preprocess) Whitens() bool { return p.name == ZCA }

// SetWhitening sets what multiplies images, [n][size][size][Channels] after the
// mean was taken away, by the matrix: y = x Mᵀ. Goroutines may call it at the
// same time. It must be set before a preprocessing that whitens is used.
func (p *Preprocess) SetWhitening(multiply func(y, x []float32)) { p.whiten = multiply }

// Name returns one of [Preprocessings].
func (p *Preprocess) Name() string { return p.name }

// Mean returns what is taken from each channel of pixels in [0,1].
func (p *Preprocess) Mean() [Channels]float64 { return p.mean }

// Std returns what each channel is divided by after that.
func (p *Preprocess) Std() [Channels]float64 { return p.std }

// Table returns the value of each byte in each channel. It must not be changed.
func (p *Preprocess) Table() *[Channels][256]float32 { return &p.table }

// Apply converts whole images of size by size pixels: src holds them in planes,
// as in a [Set], dst gets as many values as [n][size][size][Channels].
func (p *Preprocess) Apply(dst []float32, src []byte, size int) error {
	n := Channels * size * size
	if n <= 0 || len(src)%n != 0 || len(dst) != len(src) {
		return fmt.Errorf("cifar: preprocess %d bytes into %d values: want the same number, a multiple of %d", len(src), len(dst), n)
	}
	if p.Whitens() && p.whiten == nil {
		return errors.New("cifar: the whitening matrix of --preprocess zca is missing")
	}
	for i := 0; i < len(src); i += n {
		p.write(dst[i:i+n], src[i:i+n], size, &augmentation{})
	}
	if p.whiten != nil {
		whole := slices.Clone(dst)
		p.whiten(dst, whole)
	}
	return nil
}

// preprocessJSON is the form in a checkpoint's metadata.
type preprocessJSON struct {
	Name string            `json:"name"`
	Mean [Channels]float64 `json:"mean"`
	Std  [Channels]float64 `json:"std"`
}

// MarshalJSON implements [json.Marshaler].
func (p *Preprocess) MarshalJSON() ([]byte, error) {
	return json.Marshal(preprocessJSON{p.name, p.mean, p.std})
}

// UnmarshalJSON implements [json.Unmarshaler]. The same bits come back.
func (p *Preprocess) UnmarshalJSON(b []byte) error {
	var j preprocessJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("cifar: read the preprocessing: %w", err)
	}
	if j.Name == "" {
		return errors.New("cifar: read the preprocessing: it has no name")
	}
	q := Preprocess{name: j.Name, mean: j.Mean, std: j.Std}
	if err := q.fill(); err != nil {
		return err
	}
	*p = q
	return nil
}
