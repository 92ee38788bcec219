package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"

	"golang.org/x/image/webp"
)

// A webpChunk is a part of a WebP file: four letters, a length and that many
// bytes. Google's WebP Container Specification describes them.
type webpChunk struct {
	id   string
	body []byte
}

// webpChunks lists chunks up to one that goes past the end, which is cut off.
func webpChunks(b []byte) []webpChunk {
	var chunks []webpChunk
	for len(b) >= 8 {
		n := uint64(binary.LittleEndian.Uint32(b[4:]))
		chunks = append(chunks, webpChunk{string(b[:4]), b[8:min(8+n, uint64(len(b)))]})
		n += n & 1 // chunks begin at even places
		b = b[min(8+n, uint64(len(b))):]
	}
	return chunks
}

// size returns the pixels that a chunk of image data says it has; 0 for others.
func (c webpChunk) size() (width, height int) {
	switch {
	case c.id == "VP8 " && len(c.body) >= 10:
		return int(binary.LittleEndian.Uint16(c.body[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(c.body[8:]) & 0x3fff)
	case c.id == "VP8L" && len(c.body) >= 5:
		bits := binary.LittleEndian.Uint32(c.body[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
	}
	return 0, 0
}

// The bytes before and in the header of an extended file, and its flags.
const (
	webpStart    = 12 // RIFF, length, WEBP
	webpExtended = 10 // flags, three bytes of nothing, width-1, height-1
	webpFrame    = 16 // x/2, y/2, width-1, height-1, duration, flags
	webpAnimated = 2
	webpAlpha    = 16
)

// uint24 reads three bytes, little-endian.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// inspectWebP looks into the chunks: an extended file says its size twice, and
// the decoder goes by the inner one and trusts the two to be the same.
func inspectWebP(h *header, data []byte, _ color.Model) error {
	chunks := webpChunks(data[webpStart:])
	for _, c := range chunks {
		if c.id == "EXIF" {
			h.orientation = orientation(bytes.TrimPrefix(c.body, []byte("Exif\x00\x00")))
		}
	}
	still, at, err := firstFrame(data)
	if err != nil {
		return err
	}
	if !at.In(image.Rect(0, 0, h.width, h.height)) && !at.Empty() {
		return fmt.Errorf("a frame at %v, outside of its %d x %d pixels", at, h.width, h.height)
	}
	want := image.Pt(h.width, h.height)
	if !at.Empty() {
		want = at.Size()
	}
	for _, c := range webpChunks(still[webpStart:]) {
		if w, ht := c.size(); w > 0 && (w != want.X || ht != want.Y) {
			return fmt.Errorf("%d x %d pixels inside, where its header says %d x %d", w, ht, want.X, want.Y)
		}
	}
	return nil
}

// firstFrame returns a file that holds only the first frame of an animation,
// and where that lies; a file without animation itself, and no place.
func firstFrame(data []byte) ([]byte, image.Rectangle, error) {
	chunks := webpChunks(data[webpStart:])
	if len(chunks) == 0 || chunks[0].id != "VP8X" || len(chunks[0].body) < webpExtended || chunks[0].body[0]&webpAnimated == 0 {
		return data, image.Rectangle{}, nil
	}
	for _, c := range chunks {
		if c.id != "ANMF" || len(c.body) < webpFrame {
			continue
		}
		at := image.Pt(2*uint24(c.body), 2*uint24(c.body[3:]))
		size := image.Pt(uint24(c.body[6:])+1, uint24(c.body[9:])+1)
		b := []byte("RIFF\x00\x00\x00\x00WEBP")
		parts := webpChunks(c.body[webpFrame:])
		if len(parts) > 0 && parts[0].id == "ALPH" {
			head := make([]byte, webpExtended)
			head[0] = webpAlpha
			copy(head[4:], c.body[6:12]) // the frame's width and height
			b = appendChunk(b, webpChunk{"VP8X", head})
		}
		for _, p := range parts {
			b = appendChunk(b, p)
		}
		binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
		return b, image.Rectangle{Min: at, Max: at.Add(size)}, nil
	}
	return nil, image.Rectangle{}, errors.New("an animation without a frame")
}

func appendChunk(b []byte, c webpChunk) []byte {
	b = append(b, c.id...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.body)))
	b = append(b, c.body...)
	return append(b, make([]byte, len(c.body)&1)...)
}

// decodeWebP returns the picture, or the first frame where it lies on the
// canvas that the file describes.
func decodeWebP(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	still, at, err := firstFrame(data)
	if err != nil {
		return nil, err
	}
	m, err := webp.Decode(bytes.NewReader(still))
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *image.YCbCr:
		fullRange(m)
	case *image.NYCbCrA:
		fullRange(&m.YCbCr)
	}
	if at.Empty() {
		return m, nil
	}
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return place(m, at.Min, image.Rect(0, 0, c.Width, c.Height)), nil
}

// fullRange stretches what VP8 keeps as video does, 16 to 235 for brightness and
// 16 to 240 for colours (RFC 6386, section 9.2; ITU-R BT.601), over a whole
// byte, as [image.YCbCr] has it.
func fullRange(m *image.YCbCr) {
	var brightness, colour [256]byte
	for v := range 256 {
		brightness[v] = clampedByte(float64(v-16) * 255 / 219)
		colour[v] = clampedByte(float64(v-128)*255/224 + 128)
	}
	for i, v := range m.Y {
		m.Y[i] = brightness[v]
	}
	for i, v := range m.Cb {
		m.Cb[i] = colour[v]
	}
	for i, v := range m.Cr {
		m.Cr[i] = colour[v]
	}
}

func clampedByte(v float64) byte { return byte(math.Round(max(0, min(255, v)))) }
