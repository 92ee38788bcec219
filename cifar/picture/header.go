package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// A header is what is known of a picture before it is unpacked.
type header struct {
	format        *format
	width, height int
	memory        int64 // bytes that unpacking takes, about
	orientation   int   // EXIF's, 1 to 8
	end           int   // of the picture in the file, which the decoder is given up to there
}

// A format is a kind of file and what reads it.
type format struct {
	name   string
	magic  string // how a file of it begins; ? is any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// more looks at what config does not tell: it sets memory, by default 8
	// bytes a pixel, orientation and end, and refuses what decode would trust.
	more func(h *header, data []byte, model color.Model) error
}

var formats = []format{
	{"JPEG", "\xff\xd8", jpeg.DecodeConfig, jpeg.Decode, inspectJPEG},
	{"PNG", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode, inspectPNG},
	{"GIF", "GIF8?a", gif.DecodeConfig, decodeGIF, nil},
	{"WebP", "RIFF????WEBPVP8", webp.DecodeConfig, decodeWebP, inspectWebP},
	{"BMP", "BM", bmp.DecodeConfig, bmp.Decode, nil},
}

// others are formats that people have and this package does not read.
var others = []struct{ name, magic string }{
	{"HEIC", "????ftyphei"}, {"HEIC", "????ftypmif"}, {"AVIF", "????ftypavi"},
	{"TIFF", "II*\x00"}, {"TIFF", "MM\x00*"}, {"JPEG XL", "\xff\x0a"}, {"JPEG XL", "\x00\x00\x00\x0cJXL "},
	{"PDF", "%PDF"}, {"SVG", "<svg"}, {"SVG", "<?xml"},
}

// begins tells whether data begins as magic says.
func begins(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}

// inspect reads the header of a picture.
func inspect(data []byte) (header, error) {
	for i := range formats {
		f := &formats[i]
		if !begins(data, f.magic) {
			continue
		}
		h := header{format: f, orientation: 1, end: len(data)}
		c, err := f.config(bytes.NewReader(data))
		if err != nil {
			return h, h.damaged(err)
		}
		h.width, h.height = c.Width, c.Height
		h.memory = 8 * h.pixels()
		if f.more != nil {
			if err := f.more(&h, data, c.ColorModel); err != nil {
				return h, h.damaged(err)
			}
		}
		return h, nil
	}
	const want = "want PNG, JPEG, GIF, BMP or WebP"
	for _, o := range others {
		if begins(data, o.magic) {
			return header{}, fmt.Errorf("%s, which is not read: %s", o.name, want)
		}
	}
	return header{}, fmt.Errorf("no picture: %s", want)
}

func (h header) pixels() int64 { return int64(h.width) * int64(h.height) }

// check refuses what would be too much to unpack.
func (h header) check(memory int64) error {
	switch {
	case h.width < 1 || h.height < 1:
		return fmt.Errorf("%s of %d x %d pixels: nothing to see", h.format.name, h.width, h.height)
	// The first two keep the product from running over.
	case h.width > maxPixels || h.height > maxPixels || h.pixels() > maxPixels:
		return fmt.Errorf("%s of %d x %d pixels: more than the %d million that are unpacked", h.format.name, h.width, h.height, maxPixels/1_000_000)
	case h.memory > memory:
		return fmt.Errorf("%s of %d x %d pixels that takes %d MiB unpacked: want at most %d MiB", h.format.name, h.width, h.height, h.memory>>20, memory>>20)
	}
	return nil
}

// unpack decodes the picture that h was read from.
func (h header) unpack(data []byte) (m image.Image, err error) {
	// The decoders are other people's and read what anybody may have made: a
	// mistake in one of them costs a picture and not the program.
	defer func() {
		if p := recover(); p != nil {
			m, err = nil, h.damaged(fmt.Errorf("the decoder failed: %v", p))
		}
	}()
	m, err = h.format.decode(bytes.NewReader(data[:h.end]))
	if err != nil {
		return nil, h.damaged(err)
	}
	if b := m.Bounds(); b.Dx() != h.width || b.Dy() != h.height {
		return nil, h.damaged(fmt.Errorf("%d x %d pixels, where its header says %d x %d", b.Dx(), b.Dy(), h.width, h.height))
	}
	return m, nil
}

// damaged says what a decoder found, in one form for all of them.
func (h header) damaged(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s that breaks off", h.format.name)
	}
	return fmt.Errorf("%s that can't be read: %w", h.format.name, err)
}

// maxScans is far over the ten or so of a real progressive JPEG. Each scan goes
// over the whole picture, though a few bytes may be all there is of it.
const maxScans = 100

// inspectJPEG follows the segments to the end of the picture. What lies behind it,
// such as the film that a phone takes along, is not looked at.
func inspectJPEG(h *header, data []byte, model color.Model) error {
	// Until the frame's segment says better: four components, none of them
	// smaller than another, kept as coefficients.
	samples, progressive := 4.0, true
	scans := 0
	h.end = jpegSegments(data, func(marker byte, body []byte) {
		switch {
		case marker == 0xda:
			scans++
		case scans > 0:
		case marker == 0xe1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			h.orientation = orientation(body[6:])
		case marker == 0xc0 || marker == 0xc1 || marker == 0xc2:
			progressive = marker == 0xc2
			samples = jpegSamples(body)
		}
	})
	if progressive && scans > maxScans {
		return fmt.Errorf("%d scans, want at most %d", scans, maxScans)
	}
	each := samples + 4 // and converted
	if progressive {
		each += 4 * samples
	}
	if model != color.YCbCrModel && model != color.GrayModel { // converted when all is read
		each += 4
	}
	h.memory = int64(each * float64(h.pixels()))
	return nil
}

// jpegSegments tells of the segments of a JPEG, without their lengths, in the way in
// which the decoder comes from one to the next: whatever lies in between is passed
// over, the data of a scan too. It returns where the picture ends.
func jpegSegments(data []byte, tell func(marker byte, body []byte)) (end int) {
	for at := len("\xff\xd8"); ; {
		next := bytes.IndexByte(data[at:], 0xff)
		if next < 0 {
			return len(data)
		}
		at += next
		for at < len(data) && data[at] == 0xff { // any number of them
			at++
		}
		if at == len(data) {
			return len(data)
		}
		marker := data[at]
		at++
		switch {
		case marker == 0 || 0xd0 <= marker && marker <= 0xd7: // of a scan's data: a byte 0xff, a restart
			continue
		case marker == 0xd9:
			return at
		}
		if len(data)-at < 2 {
			return len(data)
		}
		n := int(binary.BigEndian.Uint16(data[at:]))
		if n < 2 || len(data)-at < n {
			return len(data) // the decoder will refuse it
		}
		tell(marker, data[at+2:at+n])
		at += n
	}
}

// jpegSamples returns how many numbers there are for each pixel, by a frame's
// segment: 3 for full colours, 1.5 where colours have half the resolution.
func jpegSamples(frame []byte) float64 {
	if len(frame) < 6 || len(frame) != 6+3*int(frame[5]) {
		return 4 // the decoder will refuse it
	}
	sum, h, v := 0, 1, 1
	for c := 6; c < len(frame); c += 3 {
		ch, cv := int(frame[c+1]>>4), int(frame[c+1]&15)
		sum += ch * cv
		h, v = max(h, ch), max(v, cv)
	}
	return float64(sum) / float64(h*v)
}

// inspectPNG takes the orientation from the eXIf chunk, wherever it is.
func inspectPNG(h *header, data []byte, model color.Model) error {
	each := int64(4)
	switch model {
	case color.NRGBA64Model, color.RGBA64Model:
		each = 8
	}
	const interlaced = 28 // the place of the flag, in the first chunk
	if len(data) > interlaced && data[interlaced] != 0 {
		each *= 2
	}
	h.memory = each * h.pixels()
	for rest := data[8:]; len(rest) >= 12; {
		n := binary.BigEndian.Uint32(rest)
		if uint64(n)+12 > uint64(len(rest)) {
			break
		}
		if string(rest[4:8]) == "eXIf" {
			h.orientation = orientation(rest[8 : 8+n])
		}
		rest = rest[12+n:]
	}
	return nil
}

// decodeGIF returns the first frame where it lies on the screen that the file
// describes: a frame may be smaller.
func decodeGIF(r io.Reader) (image.Image, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	c, err := gif.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	screen := image.Rect(0, 0, c.Width, c.Height)
	if frame.Bounds() == screen {
		return frame, nil
	}
	return place(frame, frame.Bounds().Min, screen), nil
}
