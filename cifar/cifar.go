// Package cifar gives CIFAR-10, CIFAR-100 or one's own pictures to a training
// loop: it finds or fetches the images, reads them, and serves them as batches
// that are shuffled, augmented and preprocessed ahead of time.
//
// A byte of the published files goes this way:
//
//	layout.go   which files there are, of which size
//	fetch.go    cs.toronto.edu -> archive in the cache, resumed and checksummed
//	archive.go  archive -> the six batch files, or straight into memory
//	read.go     batch files -> [Set]: 3,072 bytes and a label an image
//	folder.go   a folder of pictures -> [Set], by way of package picture
//	split.go    [Set] -> a training part and a validation part
//	loader.go   [Set] -> [Batch]es of float32, prepared ahead by goroutines
//	augment.go  the order of an epoch, the shift and flip of an image
//	preprocess.go  byte -> float32
//
// [Open] does the first three by one word: "auto", "demo" or a path. The demo
// set (demo*.go) is drawn by this package from a seed, for machines without
// CIFAR-10; it has the same shapes and class names and is always marked by
// [Dataset.Demo].
//
// CIFAR-10 and its file layout: Alex Krizhevsky, Learning Multiple Layers of
// Features from Tiny Images, 2009; https://www.cs.toronto.edu/~kriz/cifar.html.
package cifar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The shape of CIFAR's images, of CIFAR-10's labels and of its records in a
// file. A [Set] of other images has a size of its own.
const (
	Size     = 32                     // height and width of an image in pixels
	Channels = 3                      // red, green, blue; of all images
	Classes  = 10                     // labels run from 0 to Classes-1
	Pixels   = Channels * Size * Size // bytes of an image
	plane    = Size * Size            // bytes of one channel of an image
	record   = 1 + Pixels             // a label byte, then the image
)

// MaxClasses is how many classes a data set may have: a label is a byte.
const MaxClasses = 256

// Sizes returns the heights and widths that images may have, CIFAR's first.
func Sizes() []int { return []int{Size, 48, 64, 96} }

// ClassNames returns CIFAR-10's class names in the order of their labels. The
// caller owns the slice.
func ClassNames() []string {
	return []string{
		"airplane", "automobile", "bird", "cat", "deer",
		"dog", "frog", "horse", "ship", "truck",
	}
}

// A Set is a list of labelled images. It is not written to after it is made,
// so that any number of goroutines may read it.
type Set struct {
	// Size is the height and width of each image in pixels.
	Size int
	// Pixels holds Len() images of Channels*Size*Size bytes: the red plane, the
	// green and the blue, each row by row, as in CIFAR-10's files.
	Pixels []byte
	// Labels holds the class of each image, its place in [Dataset.Classes].
	Labels []byte
}

// NewSet returns n black images of class 0, to be filled before anybody else
// reads them.
func NewSet(size, n int) *Set {
	return &Set{Size: size, Pixels: make([]byte, n*Channels*size*size), Labels: make([]byte, n)}
}

// Len returns the number of images.
func (s *Set) Len() int { return len(s.Labels) }

// ImageBytes returns the bytes of an image.
func (s *Set) ImageBytes() int { return Channels * s.Size * s.Size }

// Image returns the bytes of image i, which belong to the set.
func (s *Set) Image(i int) []byte {
	n := s.ImageBytes()
	return s.Pixels[i*n : (i+1)*n : (i+1)*n]
}

// Slice returns the images from up to, not including, to. They share the
// memory of s.
func (s *Set) Slice(from, to int) *Set {
	size := s.ImageBytes()
	return &Set{
		Size:   s.Size,
		Pixels: s.Pixels[from*size : to*size : to*size],
		Labels: s.Labels[from:to:to],
	}
}

// Counts returns the number of images of each class, of so many as there are
// in the data set.
func (s *Set) Counts(classes int) []int {
	n := make([]int, classes)
	for _, label := range s.Labels {
		n[label]++
	}
	return n
}

// newSet returns a set of CIFAR's images.
func newSet(n int) *Set { return NewSet(Size, n) }

// A Dataset is a training and a test set, and where they come from.
type Dataset struct {
	Name    string   // "CIFAR-10", "CIFAR-100", "demo" or that of a folder of pictures
	Demo    bool     // true for the demo set, which every shown accuracy must say
	Source  string   // folder or archive that was read, or "drawn from seed N"
	Train   *Set     // 50,000 images; 4,000 in the demo set
	Val     *Set     // to validate on; nil: none but those of the two others
	Test    *Set     // 10,000 images; 1,000 in the demo set; none in a folder without test/
	Classes []string // names in the order of the labels
	Notes   []string // what a person should know of how it was read
}

// The data that [Options] may name by a word. Anything else is a path; a
// folder that is called like one of them is reached as "./demo".
const (
	Auto     = "auto" // CIFAR-10
	CIFAR10  = "cifar10"
	CIFAR100 = "cifar100"
	DemoName = "demo"
)

// IsWord reports whether data means a data set by a word, and not by a path.
func IsWord(data string) bool {
	_, published := layoutOf(data)
	return published || IsDemo(data)
}

// Options says which data [Open] opens. The zero value means Auto.
type Options struct {
	// Data is Auto, CIFAR10 or "" (the cache, else the network), CIFAR100 (the
	// same), DemoName (with ":400" behind it: that many training images and a
	// quarter of it for testing), or the path of a folder or of an archive.
	Data string
	// URL is where the archive is fetched from; "" means where its authors keep
	// it.
	URL string
	// CacheDir is where archives are looked for and kept; "" means [CacheDir].
	CacheDir string
	// Seed draws the demo set.
	Seed uint64
	// Size is the height and width that the pictures of a folder are fitted to,
	// one of [Sizes]; 0 means CIFAR's. All other data has that.
	Size int
	// Free is how many bytes of memory a folder of pictures may take; 0: any.
	Free int64
	// Split says that training images will be held out to validate on, which takes
	// memory for both parts besides.
	Split bool
	// Progress, if not nil, is called now and then from the goroutine that
	// called Open, at most some ten times a second and at the end of a stage.
	Progress func(Progress)
}

// Stage is a part of the work of [Open] and [Fetch].
type Stage string

// The stages, in the order in which they come.
const (
	StageWait     Stage = "wait"     // another process is fetching; Done and Total are 0
	StageDownload Stage = "download" // in bytes
	StageVerify   Stage = "verify"   // in bytes
	StageUnpack   Stage = "unpack"   // in bytes of the batch files
	StageRead     Stage = "read"     // in bytes of the batch files, or of the cache of pictures
	StagePictures Stage = "pictures" // in pictures of a folder
	StageDraw     Stage = "draw"     // in images of the demo set
	StageRetry    Stage = "retry"    // the transfer broke: Note says why; Done is where it stands
)

// Progress says how far a stage has come.
type Progress struct {
	Stage Stage
	// Done and Total are in the stage's unit; Total is 0 where it is unknown.
	Done, Total int64
	// Data is what is fetched; "" means CIFAR-10.
	Data string
	// Note says in words what a bar can't: why a transfer is tried again.
	Note string
}

// ErrNoData is what [Open] wraps when Auto finds no data in the cache and can't
// fetch any. The error's text says what was tried and what the person can do.
var ErrNoData = errors.New("no data")

// NoDataError is the error of [Open] for published data. It matches [ErrNoData]
// and what went wrong while fetching.
type NoDataError struct {
	layout   layout
	CacheDir string // the folder that was looked in; "" if there is none
	Err      error  // why fetching failed, with what from where
}

// Error names what was tried, one line each, and the ways out.
func (e *NoDataError) Error() string {
	cache := "looked in the cache " + e.CacheDir + ": nothing there"
	if e.CacheDir == "" {
		cache = "found no cache folder to look in"
	}
	return fmt.Sprintf(`cifar: no %s data
  %s
  tried to %s
use --data demo to train on the built-in demo set, or --data DIR with a folder
of pictures, a subfolder for each class, or one that holds %s
or %s`, e.layout.name, cache, strings.TrimPrefix(e.Err.Error(), "cifar: "), e.layout.dir, e.layout.archive)
}

// Unwrap lets errors.Is and errors.As see ErrNoData and the cause.
func (e *NoDataError) Unwrap() []error { return []error{ErrNoData, e.Err} }

// Open opens the data that o names. Auto never falls back to the demo set: if
// the cache holds nothing and the network neither, the error is a
// [*NoDataError]. An ended ctx ends Open with ctx's error.
func Open(ctx context.Context, o Options) (*Dataset, error) {
	if !slices.Contains(Sizes(), cmp.Or(o.Size, Size)) {
		return nil, fmt.Errorf("cifar: images of %d pixels: want a size of %v", o.Size, Sizes())
	}
	if n, demo, err := demoSize(o.Data); err != nil {
		return nil, err
	} else if demo {
		if err := (layout{name: "the demo set"}).checkSize(o); err != nil {
			return nil, err
		}
		return drawDemo(ctx, o.Seed, n, newMeter(o.Progress))
	}
	if l, ok := layoutOf(o.Data); ok { // the cache, filled first if there is nothing in it
		if err := l.checkSize(o); err != nil {
			return nil, err
		}
		return FetchOptions{URL: o.URL, CacheDir: o.CacheDir, Progress: o.Progress, layout: l}.withDefaults().open(ctx)
	}
	return openPath(ctx, o)
}

// open reads the cache that o names.
func (o FetchOptions) open(ctx context.Context) (*Dataset, error) {
	read := func(path string) (*Dataset, error) {
		return o.layout.openPath(ctx, path, newMeter(o.Progress))
	}
	dir, archive := filepath.Join(o.CacheDir, o.layout.dir), filepath.Join(o.CacheDir, o.layout.archive)
	if o.CacheDir != "" && exists(dir) {
		return read(dir)
	}
	_, err := Fetch(ctx, o)
	switch {
	case err == nil:
		return read(dir)
	case ctx.Err() != nil:
		return nil, err
	case o.CacheDir != "" && exists(archive): // the folder can't be written, or the archive is bad
		return read(archive)
	}
	return nil, &NoDataError{layout: o.layout, CacheDir: o.CacheDir, Err: err}
}

// exists is true also for what may not be looked at, so that reading it tells
// why.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil || errors.Is(err, fs.ErrPermission)
}

// CacheDir returns the folder that Auto uses: $XDG_CACHE_HOME/cifartui, or
// cifartui in the system's own cache folder ([os.UserCacheDir]). It returns ""
// where neither is known. A relative XDG_CACHE_HOME is ignored, as the XDG base
// directory specification asks.
func CacheDir() string {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cifartui")
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "cifartui")
}
