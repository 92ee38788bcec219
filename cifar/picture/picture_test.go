package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pictures lists the files of testdata, which testdata/make.py made with Pillow.
func pictures(t testing.TB) []string {
	t.Helper()
	files, err := List(t.Context(), "testdata")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, ".want.") })
	if len(files) < 25 {
		t.Fatalf("%d pictures in testdata, want 25 or more", len(files))
	}
	return files
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// differ returns the mean and the largest difference of two pictures' bytes.
func differ(a, b []byte) (mean float64, largest int) {
	for i := range a {
		d := int(a[i]) - int(b[i])
		largest = max(largest, d, -d)
		mean += float64(max(d, -d)) / float64(len(a))
	}
	return mean, largest
}

// Pillow turned, cropped and scaled the same files with its own decoders and
// its own bicubic filter, which is Catmull-Rom's.
func TestPicturesAreWhatPillowMakesOfThem(t *testing.T) {
	const size = 16
	r := NewReader(size)
	for _, path := range pictures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			got, err := r.File(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			m, err := png.Decode(bytes.NewReader(read(t, path+".want.png")))
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 3*size*size)
			for i := range size * size {
				c := color.RGBAModel.Convert(m.At(i%size, i/size)).(color.RGBA)
				want[i], want[size*size+i], want[2*size*size+i] = c.R, c.G, c.B
			}
			// Without loss: rounding. With it, decoders reconstruct and
			// interpolate colours in ways of their own.
			meanMost, most := 0.5, 1
			if ext := filepath.Ext(path); ext == ".jpg" || ext == ".webp" {
				meanMost, most = 2, 12
			}
			if mean, largest := differ(got, want); mean > meanMost || largest > most {
				t.Errorf("differs from Pillow by %.2f in the mean and %d at most, want %.1f and %d", mean, largest, meanMost, most)
			}
		})
	}
}

// Whichever way a picture lies in its file, the same square comes of it, though
// it can't lie exactly in the middle of 25 x 16 pixels.
func TestAllOrientationsGiveTheSameSquare(t *testing.T) {
	r := NewReader(16)
	upright, err := r.File(t.Context(), "testdata/exif1.jpg")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"2", "3", "4", "5", "6", "7", "8"} {
		turned, err := r.File(t.Context(), "testdata/exif"+name+".jpg")
		if err != nil {
			t.Fatal(err)
		}
		if mean, largest := differ(turned, upright); mean > 1 || largest > 8 {
			t.Errorf("orientation %s differs from the upright one by %.2f in the mean, %d at most", name, mean, largest)
		}
	}
}

func TestEXIFThatMakesNoSenseMeansUpright(t *testing.T) {
	entry := func(order binary.AppendByteOrder, mark string, tag, kind, value uint16) []byte {
		b := append([]byte(mark), 0, 0, 0, 0)
		order.(binary.ByteOrder).PutUint32(b[4:], 8)
		b = order.AppendUint16(b, 1)
		b = order.AppendUint16(b, tag)
		b = order.AppendUint16(b, kind)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, value)
		return order.AppendUint16(b, 0)
	}
	little, big := binary.AppendByteOrder(binary.LittleEndian), binary.AppendByteOrder(binary.BigEndian)
	for _, c := range []struct {
		name string
		exif []byte
		want int
	}{
		{"little-endian", entry(little, "II*\x00", orientationTag, 3, 6), 6},
		{"big-endian", entry(big, "MM\x00*", orientationTag, 3, 8), 8},
		{"nothing", nil, 1},
		{"another tag", entry(little, "II*\x00", 0x100, 3, 6), 1},
		{"another type", entry(little, "II*\x00", orientationTag, 4, 6), 1},
		{"nine", entry(little, "II*\x00", orientationTag, 3, 9), 1},
		{"cut off", entry(little, "II*\x00", orientationTag, 3, 6)[:20], 1},
		{"a directory beyond the end", []byte("II*\x00\xff\xff\xff\xff"), 1},
	} {
		if got := orientation(c.exif); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// Each file cut off anywhere is refused or, where only what follows the pixels
// is gone, read as before. The reader lives on.
func TestCutOffPicturesAreRefused(t *testing.T) {
	r := NewReader(8)
	for _, path := range pictures(t) {
		data := read(t, path)
		whole, err := r.Fit(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		step := max(1, len(data)/60)
		for n := 0; n < len(data); n += step {
			if _, err := r.Fit(t.Context(), data[:n]); err == nil && n < len(data)/2 && !strings.Contains(path, "animated") {
				t.Errorf("%s: the first %d of %d bytes are read as a picture", path, n, len(data))
			}
		}
		again, err := r.Fit(t.Context(), data)
		if err != nil || !bytes.Equal(again, whole) {
			t.Errorf("%s: read again: %v, the same %v", path, err, bytes.Equal(again, whole))
		}
	}
	_, err := r.Fit(t.Context(), read(t, "testdata/baseline.jpg")[:700])
	if err == nil || !strings.Contains(err.Error(), "JPEG that can't be read") {
		t.Errorf("a truncated JPEG: %v", err)
	}
}

// claim writes another size into the header of a picture, and nothing else.
func claim(t *testing.T, path string, w, h int) []byte {
	t.Helper()
	b := read(t, path)
	switch filepath.Ext(path) {
	case ".png":
		binary.BigEndian.PutUint32(b[16:], uint32(w))
		binary.BigEndian.PutUint32(b[20:], uint32(h))
		binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	case ".jpg":
		at := bytes.Index(b, []byte{0xff, 0xc0})
		if at < 0 {
			at = bytes.Index(b, []byte{0xff, 0xc2})
		}
		binary.BigEndian.PutUint16(b[at+5:], uint16(h))
		binary.BigEndian.PutUint16(b[at+7:], uint16(w))
	case ".gif":
		binary.LittleEndian.PutUint16(b[6:], uint16(w))
		binary.LittleEndian.PutUint16(b[8:], uint16(h))
	case ".bmp":
		binary.LittleEndian.PutUint32(b[18:], uint32(w))
		binary.LittleEndian.PutUint32(b[22:], uint32(h))
	}
	return b
}

func TestHugePicturesAreRefusedBeforeTheyAreUnpacked(t *testing.T) {
	r := NewReader(32)
	for _, path := range []string{"testdata/rgb16.png", "testdata/baseline.jpg", "testdata/progressive.jpg", "testdata/animated.gif", "testdata/rgb.bmp"} {
		data := claim(t, path, 20_000, 20_000)
		allocated := testing.AllocsPerRun(1, func() {
			if _, err := r.Fit(t.Context(), data); err == nil || !strings.Contains(err.Error(), "20000 x 20000 pixels") {
				t.Errorf("%s that claims 20,000 x 20,000 pixels: %v", path, err)
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations", path, allocated)
		}
	}
	// Few enough pixels, but too much memory: 16 bits a channel; coefficients.
	for _, path := range []string{"testdata/rgb16.png", "testdata/progressive.jpg"} {
		small := newReader(32, 1<<20)
		_, err := small.Fit(t.Context(), claim(t, path, 1000, 1000))
		if err == nil || !strings.Contains(err.Error(), "unpacked: want at most 1 MiB") {
			t.Errorf("%s of 1,000 x 1,000 pixels in a megabyte: %v", path, err)
		}
	}
	if _, err := r.Fit(t.Context(), claim(t, "testdata/animated.gif", 0, 40)); err == nil || !strings.Contains(err.Error(), "nothing to see") {
		t.Errorf("a picture without pixels: %v", err)
	}
	if _, err := r.Fit(t.Context(), claim(t, "testdata/rgb16.png", 1<<31-1, 1<<31-1)); err == nil {
		t.Error("a picture whose pixels don't fit a number is read")
	}
}

// Bytes between the segments of a JPEG are passed over by its decoder, and hide
// nothing of what is to be unpacked.
func TestBytesBetweenSegmentsOfAJPEGArePassedOver(t *testing.T) {
	const start = 2 // behind the mark of a JPEG
	within := func(path, between string) []byte {
		b := read(t, path)
		return slices.Concat(b[:start], []byte(between), b[start:])
	}
	r := NewReader(16)
	want, err := r.File(t.Context(), "testdata/exif6.jpg")
	if err != nil {
		t.Fatal(err)
	}
	for _, between := range []string{"ab", "\xff\x00", "\xff\xff", "\xff\xd3", "\xff\x00\x00\x04"} {
		got, err := r.Fit(t.Context(), within("testdata/exif6.jpg", between))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q before the first segment: %v, the same picture %v", between, err, bytes.Equal(got, want))
		}
	}
	// A frame of one component, in a segment of something else, behind what would be a
	// segment over the real frame if it were one.
	b := read(t, "testdata/progressive.jpg")
	honest, err := inspect(b)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte{0xff, 0xc2})
	frame := b[at : at+2+int(binary.BigEndian.Uint16(b[at+2:]))]
	other := "\xff\xe9\x00\x0f" + "\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
	over := []byte{0xff, 0, 0, byte(2 + len(frame) + 4)}
	forged, err := inspect(slices.Concat(b[:at], over, frame, []byte(other), b[at+len(frame):]))
	if err != nil || forged.memory != honest.memory {
		t.Errorf("a hidden frame: %d bytes to unpack, want %d (%v)", forged.memory, honest.memory, err)
	}
}

// A scan of nothing costs its bytes nothing and the decoder a whole pass.
func TestJPEGOfManyScansIsRefused(t *testing.T) {
	data := read(t, "testdata/progressive.jpg")
	sos := bytes.Index(data, []byte{0xff, 0xda})
	scan := data[sos : sos+2+int(binary.BigEndian.Uint16(data[sos+2:]))]
	for name, before := range map[string]string{"nothing": "", "padding": "\xff\xff\xff", "data": "\x01\xff\x00\x02", "a restart": "\xff\xd3"} {
		bomb := slices.Concat(data[:len(data)-2], bytes.Repeat(slices.Concat([]byte(before), scan), 1000), data[len(data)-2:])
		if _, err := NewReader(32).Fit(t.Context(), bomb); err == nil || !strings.Contains(err.Error(), "scans, want at most 100") {
			t.Errorf("a JPEG of 1,000 scans behind %s: %v", name, err)
		}
	}
}

// A phone appends a film to its pictures, in which there is anything.
func TestWhatIsAppendedToAJPEGIsNoPartOfIt(t *testing.T) {
	for _, path := range []string{"testdata/progressive.jpg", "testdata/baseline.jpg"} {
		data := read(t, path)
		want, err := NewReader(32).Fit(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		// 4,096 scans, and what would be one if the end were passed over.
		got, err := NewReader(32).Fit(t.Context(), slices.Concat(data, bytes.Repeat([]byte("ftyp\xff\xda"), 4096), data[2:]))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s with a film behind it: %v", path, err)
		}
	}
}

// The decoder trusts that the two sizes of an extended WebP file are the same.
func TestWebPWhoseSizesDifferIsRefused(t *testing.T) {
	data := read(t, "testdata/alpha.webp")
	if string(data[12:16]) != "VP8X" {
		t.Fatal("testdata/alpha.webp is no extended file")
	}
	data[24] = 200
	if _, err := NewReader(32).Fit(t.Context(), data); err == nil || !strings.Contains(err.Error(), "where its header says 201 x 40") {
		t.Errorf("got %v", err)
	}
}

func TestFirstFrameLiesWhereTheScreenHasIt(t *testing.T) {
	frame := image.NewPaletted(image.Rect(4, 4, 8, 8), color.Palette{color.Black})
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{
		Image: []*image.Paletted{frame}, Delay: []int{0},
		Config: image.Config{ColorModel: frame.Palette, Width: 8, Height: 8},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewReader(8).Fit(t.Context(), b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got[:64] {
		want := byte(255)
		if i%8 >= 4 && i/8 >= 4 {
			want = 0
		}
		if v != want {
			t.Errorf("the pixel at %d, %d is %d, want %d", i%8, i/8, v, want)
		}
	}
}

func TestWhatIsNoPictureIsRefusedWithTheReason(t *testing.T) {
	r := NewReader(32)
	for _, c := range []struct{ data, want string }{
		{"hello", "no picture: want PNG"},
		{"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC, which is not read"},
		{"II*\x00\x08\x00\x00\x00", "TIFF, which is not read"},
		{"", "empty"},
		{"\xff\xd8\xff", "JPEG that breaks off"},
	} {
		if _, err := r.Stream(t.Context(), strings.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.data, err, c.want)
		}
	}
	dir := t.TempDir()
	if _, err := r.File(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := r.File(t.Context(), filepath.Join(dir, "none.png")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	text := filepath.Join(dir, "text.png")
	if err := os.WriteFile(text, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.File(t.Context(), text); err == nil || strings.Count(err.Error(), text) != 1 {
		t.Errorf("%v: want the file's name, once", err)
	}
}

// Pictures that would take too much together wait for each other, and a
// context that ends ends the waiting.
func TestPicturesWaitForMemory(t *testing.T) {
	data := read(t, "testdata/baseline.jpg")
	h, err := inspect(data)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(32, h.memory)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.Fit(t.Context(), data); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := r.room.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Fit(ctx, data); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with no memory left: %v", err)
	}
}

func TestListFindsPicturesBelowAFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.PNG", "a/x.jpeg", "a/notes.txt", "a/deep/y.WebP", ".hidden/z.png", "._b.png"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skipf("no links can be made here: %v", err)
	}
	for _, root := range []string{dir, link} {
		got, err := List(t.Context(), root)
		want := []string{filepath.Join(root, "a/deep/y.WebP"), filepath.Join(root, "a/x.jpeg"), filepath.Join(root, "b.PNG")}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	if _, err := List(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there is listed")
	}
}

// A folder that can't be read costs its own pictures and no others. It is one
// whose path is too long, which not even the system's owner can read.
func TestListGoesOnBehindAFolderThatCannotBeRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths may be long here")
	}
	dir := t.TempDir()
	for _, name := range []string{"a.png", "z.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 200)
	for range 25 {
		if err := in.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		deeper, err := in.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		in.Close()
		in = deeper
	}
	in.Close()
	got, err := List(t.Context(), dir)
	if want := []string{filepath.Join(dir, "a.png"), filepath.Join(dir, "z.png")}; err == nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v and an error", got, err, want)
	}
}

func FuzzFit(f *testing.F) {
	for _, path := range pictures(f) {
		f.Add(read(f, path))
	}
	r := newReader(8, 16<<20)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := r.Fit(t.Context(), data)
		if err == nil && len(got) != 3*8*8 {
			t.Errorf("%d bytes", len(got))
		}
		if err != nil && strings.Contains(err.Error(), "decoder failed") {
			t.Logf("caught: %v", err)
		}
	})
}

// BenchmarkFit reads pictures of a phone's size and of a thumbnail's.
func BenchmarkFit(b *testing.B) {
	data := read(b, "testdata/baseline.jpg")
	r := NewReader(32)
	for b.Loop() {
		if _, err := r.Fit(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
}
