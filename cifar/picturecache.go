package cifar

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A picture cache holds what was read of a folder of pictures, in one file of
// the cache folder: a first line, the length of a header and the header, the
// labels and pixels of each part, and the CRC-32C of all that. Its name goes by
// the folder and the images' size.
type pictureCache struct {
	file string // "": there is no cache folder
	is   string // what the pictures are: see fingerprint
	size int
}

const (
	cacheMagic    = "cifartui pictures 1\n"
	picturesDir   = "pictures"
	maxCacheHead  = 1 << 20
	fitterVersion = 1 // another one if picture fits pictures otherwise
)

// cacheHead is the header, in JSON.
type cacheHead struct {
	Folder  string         `json:"folder"`
	Is      string         `json:"is"`
	Size    int            `json:"size"`
	Classes []string       `json:"classes"`
	Images  [partKinds]int `json:"images"` // of each part
	Notes   []string       `json:"notes"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// cacheOf returns the cache of a gallery's pictures at a size.
func cacheOf(g *gallery, size int, dir string) pictureCache {
	c := pictureCache{is: g.fingerprint(size), size: size}
	if dir == "" {
		dir = CacheDir()
	}
	if dir == "" {
		return c
	}
	root := g.root
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	sum := sha256.Sum256([]byte(root))
	c.file = filepath.Join(dir, picturesDir, fmt.Sprintf("%s-%d.bin", hex.EncodeToString(sum[:8]), size))
	return c
}

// fingerprint is other if a class, a picture's name, size or time of change is,
// or if pictures are made images of another size or in another way.
func (g *gallery) fingerprint(size int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %q\n", fitterVersion, size, g.classes)
	for part, files := range g.parts {
		for _, f := range files {
			fmt.Fprintf(h, "%d %d %q %d %d\n", part, f.label, f.path, f.size, f.mtime)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// errNoCache is for a cache that holds nothing of use.
var errNoCache = errors.New("no pictures are cached")

// read returns what is cached of g. The error is for a cache that is not there,
// is of other pictures or is damaged.
func (c pictureCache) read(ctx context.Context, g *gallery, m *meter) (*Dataset, error) {
	if c.file == "" {
		return nil, errNoCache
	}
	f, err := os.Open(c.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errNoCache
	}
	m.start(StageRead, 0, info.Size())
	d := g.newDataset()
	if err := c.decode(&meteredReader{ctx, f, m}, info.Size(), d); err != nil {
		return nil, err
	}
	m.flush()
	return d, nil
}

// decode fills d from a cache of so many bytes.
func (c pictureCache) decode(r io.Reader, bytes int64, d *Dataset) error {
	sum := crc32.New(castagnoli)
	in := io.TeeReader(bufio.NewReaderSize(r, 1<<20), sum)
	start := make([]byte, len(cacheMagic)+4)
	if _, err := io.ReadFull(in, start); err != nil || string(start[:len(cacheMagic)]) != cacheMagic {
		return errNoCache
	}
	n := binary.LittleEndian.Uint32(start[len(cacheMagic):])
	if n > maxCacheHead {
		return errNoCache
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(in, text); err != nil {
		return err
	}
	var head cacheHead
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	if head.Is != c.is || head.Size != c.size || !slices.Equal(head.Classes, d.Classes) || (head.Images[valPart] > 0) != (d.Val != nil) {
		return errNoCache
	}
	// What the header says must be what the file holds, before memory is taken.
	image, left := int64(Channels*c.size*c.size+1), bytes-int64(len(start))-int64(n)-4
	for _, images := range head.Images {
		if images < 0 || int64(images) > left/image {
			return errNoCache
		}
		left -= int64(images) * image
	}
	if left != 0 {
		return errNoCache
	}
	for part, set := range d.sets() {
		*set = *NewSet(c.size, head.Images[part])
		if _, err := io.ReadFull(in, set.Labels); err != nil {
			return err
		}
		if _, err := io.ReadFull(in, set.Pixels); err != nil {
			return err
		}
		if len(set.Labels) > 0 && int(slices.Max(set.Labels)) >= len(d.Classes) {
			return errNoCache
		}
	}
	want := sum.Sum32()
	var end [4]byte
	if _, err := io.ReadFull(in, end[:]); err != nil || binary.LittleEndian.Uint32(end[:]) != want {
		return errNoCache
	}
	d.Notes = head.Notes
	return nil
}

// write keeps d, whole or not at all.
func (c pictureCache) write(d *Dataset) error {
	if c.file == "" {
		return errors.New("there is no cache folder: set XDG_CACHE_HOME, or HOME")
	}
	return WriteCache(c.file, func(w io.Writer) error { return c.encode(w, d) })
}

// encode writes d as decode reads it.
func (c pictureCache) encode(w io.Writer, d *Dataset) error {
	head := cacheHead{Folder: d.Source, Is: c.is, Size: c.size, Classes: d.Classes, Notes: d.Notes}
	for part, set := range d.sets() {
		head.Images[part] = set.Len()
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if len(text) > maxCacheHead {
		return fmt.Errorf("%d bytes of names", len(text))
	}
	var start bytes.Buffer
	start.WriteString(cacheMagic)
	start.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(text))))
	start.Write(text)
	sum := crc32.New(castagnoli)
	out := io.MultiWriter(w, sum)
	pieces := [][]byte{start.Bytes()}
	for _, set := range d.sets() {
		pieces = append(pieces, set.Labels, set.Pixels)
	}
	for _, p := range pieces {
		if _, err := out.Write(p); err != nil {
			return err
		}
	}
	_, err = w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}
