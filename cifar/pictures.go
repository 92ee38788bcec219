package cifar

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cifartui/cifar/picture"
	"cifartui/cifar/plain"
)

// openGallery reads a folder of pictures as images of size by size pixels: from
// the cache, if none was changed since, else picture by picture.
func openGallery(ctx context.Context, g *gallery, o Options) (*Dataset, error) {
	size := o.Size
	if size == 0 {
		size = Size
	}
	images, aside := g.len(), ""
	if len(g.parts[valPart]) == 0 && (o.Split || len(g.parts[testPart]) == 0) {
		// Both parts are copies, see [Set.Split], which compared runs of one seed share.
		images, aside = images+len(g.parts[trainPart]), ", with a copy of those that are parted to train and to validate on"
	}
	need := int64(images) * int64(Channels*size*size+1)
	if o.Free > 0 && need > o.Free {
		return nil, fmt.Errorf("cifar: %s: %s pictures take %s MiB of memory as images of %d pixels a side%s, and %s MiB is free: take a smaller --size, or fewer pictures",
			g.root, commas(int64(g.len())), commas(need>>20), size, aside, commas(o.Free>>20))
	}
	m := newMeter(o.Progress)
	cache := cacheOf(g, size, o.CacheDir)
	if d, err := cache.read(ctx, g, m); err == nil {
		return d, nil
	}
	d, again, err := readGallery(ctx, g, size, m)
	if err != nil || again {
		return d, err
	}
	if err := cache.write(d); err != nil {
		d.Notes = append(d.Notes, fmt.Sprintf("what was read of the pictures can't be kept for the next time: %v", err))
	}
	return d, nil
}

// mostBroken is the part of the pictures that may be broken.
const mostBroken = 10

// readGallery reads all pictures, those that are broken left out. again says that
// some may be read another time though they have not changed, as by somebody who
// is allowed to: a cache would go on without them.
func readGallery(ctx context.Context, g *gallery, size int, m *meter) (d *Dataset, again bool, err error) {
	var all []pictureFile
	for _, files := range g.parts {
		all = append(all, files...)
	}
	set := NewSet(size, len(all))
	broken := make([]error, len(all))
	m.start(StagePictures, 0, int64(len(all)))
	var next, done atomic.Int64
	var wg sync.WaitGroup
	reader := picture.NewReader(size)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				set.Labels[i] = all[i].label
				pixels, err := reader.File(ctx, filepath.Join(g.root, filepath.FromSlash(all[i].path)))
				if broken[i] = err; err == nil {
					copy(set.Image(int(i)), pixels)
				}
				done.Add(1)
			}
		})
	}
	m.follow(&done, &wg)
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("cifar: read the pictures of %s: %w", g.root, err)
	}
	d = g.newDataset()
	if err := d.noteBroken(g.root, broken); err != nil {
		return nil, false, err
	}
	at := 0
	for part, files := range g.parts {
		kept := set.Slice(at, at+len(files)).without(broken[at : at+len(files)])
		if len(files) > 0 && kept.Len() == 0 {
			return nil, false, fmt.Errorf("cifar: %s: none of its %s pictures for %s can be read, the first: %w", g.root, commas(int64(len(files))), partNames[part][0], broken[at])
		}
		*d.sets()[part] = *kept
		at += len(files)
	}
	counts := d.Train.Counts(len(d.Classes))
	for i, f := range g.parts[trainPart] {
		if counts[f.label] == 0 {
			return nil, false, fmt.Errorf("cifar: %s: no picture of the class %q can be read, the first: %w", g.root, d.Classes[f.label], broken[i])
		}
	}
	again = slices.ContainsFunc(broken, func(err error) bool { return errors.As(err, new(*picture.FileError)) })
	return d, again, nil
}

// newDataset returns a dataset without images. It is called after its folder.
func (g *gallery) newDataset() *Dataset {
	name := filepath.Base(g.root)
	if abs, err := filepath.Abs(g.root); err == nil {
		name = filepath.Base(abs)
	}
	if !plain.Is(name) || strings.Trim(name, "./\\") == "" {
		name = "pictures"
	}
	d := &Dataset{Name: name, Source: g.root, Train: new(Set), Test: new(Set), Classes: slices.Clone(g.classes)}
	if len(g.parts[valPart]) > 0 {
		d.Val = new(Set)
	}
	return d
}

// sets returns the places of the parts; that of pictures to validate on is not
// d's if it has none.
func (d *Dataset) sets() [partKinds]*Set {
	val := d.Val
	if val == nil {
		val = new(Set)
	}
	return [partKinds]*Set{d.Train, val, d.Test}
}

// noteBroken tells of the pictures that were left out; it is an error if they
// are too many.
func (d *Dataset) noteBroken(root string, broken []error) error {
	const most = 10
	var lines []string
	n := 0
	for _, err := range broken {
		if err == nil {
			continue
		}
		if n++; n <= most {
			lines = append(lines, plain.Line(err.Error()))
		}
	}
	if n == 0 {
		return nil
	}
	if n > most {
		lines = append(lines, fmt.Sprintf("... and %d more", n-most))
	}
	if n*mostBroken > len(broken) {
		return fmt.Errorf("cifar: %s: %d of %s pictures can't be read, more than a tenth:\n  %s", root, n, commas(int64(len(broken))), strings.Join(lines, "\n  "))
	}
	d.Notes = append(d.Notes, fmt.Sprintf("%d of %s pictures can't be read and are left out:", n, commas(int64(len(broken)))))
	d.Notes = append(d.Notes, lines...)
	return nil
}

// without takes the images out of s for which there is an error, in s's memory.
func (s *Set) without(broken []error) *Set {
	kept := 0
	for i, err := range broken {
		if err != nil {
			continue
		}
		if kept != i {
			s.Labels[kept] = s.Labels[i]
			copy(s.Image(kept), s.Image(i))
		}
		kept++
	}
	return s.Slice(0, kept)
}

// follow reports how far a stage is, until those who work on it have ended.
func (m *meter) follow(done *atomic.Int64, wg *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	tick := time.NewTicker(meterEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			m.now.Done = done.Load()
			m.flush()
			return
		case <-tick.C:
			m.now.Done = done.Load()
			m.flush()
		}
	}
}
