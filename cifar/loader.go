package cifar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// LoaderConfig says how a [Loader] makes batches.
type LoaderConfig struct {
	Batch      int         // images in a batch; less than 1 means 1
	Shuffle    bool        // a new order each epoch
	Augment    Augment     // what is done to each image anew each epoch
	Reflect    bool        // fill by reflection what a shift or another kind leaves empty, instead of by the nearest pixels
	Alternate  bool        // flip images in every other epoch, instead of by chance
	Size       int         // height and width of the images, made smaller last of all; 0 means the set's
	Preprocess *Preprocess // nil means Unit
	Seed       uint64      // of order and augmentation
	Workers    int         // goroutines that prepare batches; 0 means 2, or 1 on a single CPU
	Ahead      int         // batches kept ready; 0 means 4
}

// A Loader serves a [Set] as batches, epoch after epoch. What a batch holds
// depends on Seed, the epoch and the batch's number, and on nothing else:
// neither on Workers or Ahead nor on where an epoch was begun.
//
// Its buffers are used again from batch to batch and from epoch to epoch, so
// that a running epoch allocates nothing.
type Loader struct {
	set    *Set
	config LoaderConfig

	mu     sync.Mutex
	spare  []*Batch // buffers that no epoch uses
	orders [][]int  // and the same for the order of an epoch
}

// NewLoader returns a loader for the images of s.
func NewLoader(s *Set, c LoaderConfig) *Loader {
	c.Batch = max(c.Batch, 1)
	if c.Size <= 0 {
		c.Size = s.Size
	}
	if c.Preprocess == nil {
		c.Preprocess, _ = NewPreprocess(Unit, nil) // which can't fail
	}
	if c.Workers <= 0 {
		c.Workers = min(2, runtime.GOMAXPROCS(0))
	}
	if c.Ahead <= 0 {
		c.Ahead = 4
	}
	return &Loader{set: s, config: c}
}

// Steps returns the batches of an epoch. The last one is short if the batch
// size doesn't divide the number of images.
func (l *Loader) Steps() int {
	return (l.set.Len() + l.config.Batch - 1) / l.config.Batch
}

// Set returns the images that the loader serves.
func (l *Loader) Set() *Set { return l.set }

// Config returns how it makes batches, defaults filled in.
func (l *Loader) Config() LoaderConfig { return l.config }

// Order returns the order in which an epoch, counted from 1, goes through the
// images.
func (l *Loader) Order(epoch int) []int {
	perm := make([]int, l.set.Len())
	order(perm, l.config.Seed, epoch, l.config.Shuffle)
	return perm
}

// Batch is some images, ready for the network. It belongs to who got it from
// [Batches.Next] until Release.
type Batch struct {
	X      []float32 // [rows][Size][Size][Channels], preprocessed; Size as configured
	Labels []byte    // [rows]
	Index  []int     // [rows]: where each image lies in the set

	owner *Batches
	held  atomic.Bool // out at the caller's
}

// Release gives the batch's memory back; its fields must not be used after
// that. A second Release does nothing.
func (b *Batch) Release() {
	if b.held.CompareAndSwap(true, false) {
		b.owner.take(b)
	}
}

// Batches is the stream of one epoch. Next and Close are for one goroutine;
// Release may be called from any.
type Batches struct {
	loader *Loader
	ctx    context.Context
	cancel context.CancelFunc
	epoch  int
	order  []int

	free  chan *Batch   // buffers to fill
	ready []chan *Batch // batch n comes through ready[n%len(ready)]
	lock  sync.Mutex    // held to take a buffer and a number together
	next  int           // the number of the batch to prepare next
	taken int           // the number of the batch that Next returns next
	out   atomic.Int32  // batches at the caller's
	wg    sync.WaitGroup

	closing sync.Mutex // orders Release and Close
	closed  bool
}

// Epoch starts to prepare the batches of an epoch, which counts from 1. The
// first one is batch from: 0, or as many as were done before a resume. The
// caller must Close what it gets. An ended ctx ends the stream.
func (l *Loader) Epoch(ctx context.Context, epoch, from int) *Batches {
	ctx, cancel := context.WithCancel(ctx)
	buffers := l.config.Ahead + l.config.Workers + 1 // ready, being filled, at the caller's
	b := &Batches{
		loader: l, ctx: ctx, cancel: cancel, epoch: epoch,
		free:  make(chan *Batch, buffers),
		ready: make([]chan *Batch, buffers),
		next:  max(from, 0), taken: max(from, 0),
	}
	l.mu.Lock()
	for i := range buffers {
		b.ready[i] = make(chan *Batch, 1)
		b.free <- l.buffer(b)
	}
	if n := len(l.orders); n > 0 {
		b.order, l.orders = l.orders[n-1], l.orders[:n-1]
	} else {
		b.order = make([]int, l.set.Len())
	}
	l.mu.Unlock()
	order(b.order, l.config.Seed, epoch, l.config.Shuffle)
	for range l.config.Workers {
		b.wg.Go(b.work)
	}
	return b
}

// buffer returns a batch for owner, a spare one if there is one. l.mu is held.
func (l *Loader) buffer(owner *Batches) *Batch {
	if n := len(l.spare); n > 0 {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		b.owner = owner
		return b
	}
	rows := min(l.config.Batch, l.set.Len())
	return &Batch{
		X:      make([]float32, rows*l.pixels()),
		Labels: make([]byte, rows),
		Index:  make([]int, rows),
		owner:  owner,
	}
}

// pixels returns the numbers of an image in a batch.
func (l *Loader) pixels() int { return l.config.Size * l.config.Size * Channels }

// work prepares batches until there are none left or the stream ends.
func (b *Batches) work() {
	c, size := &b.loader.config, b.loader.set.Size
	small := newShrink(size, c.Size)
	var room [][Channels]float64
	if c.Augment.warps() {
		room = make([][Channels]float64, size*size)
	}
	var plain []float32 // images before they are whitened
	if c.Preprocess.whiten != nil {
		plain = make([]float32, min(c.Batch, b.loader.set.Len())*b.loader.pixels())
	}
	for {
		batch, n := b.claim()
		if batch == nil {
			return
		}
		b.fill(batch, n, small, room)
		if plain != nil {
			plain := plain[:copy(plain, batch.X)]
			c.Preprocess.whiten(batch.X, plain)
		}
		b.ready[n%len(b.ready)] <- batch // never blocks: see claim
	}
}

// claim returns an empty buffer and the number of the batch to put in it, or
// nil when there is no more to do. Buffer and number are taken in one step, so
// that the batch that is due next always has a buffer, and the batches under
// way but not yet taken by Next are consecutive and no more than there are
// buffers: each has its own channel in ready.
func (b *Batches) claim() (*Batch, int) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.next >= b.loader.Steps() || b.ctx.Err() != nil {
		return nil, 0
	}
	select {
	case batch := <-b.free:
		b.next++
		return batch, b.next - 1
	case <-b.ctx.Done():
		return nil, 0
	}
}

// fill makes batch n, but for whitening; small, if not nil, makes its images
// smaller, room is for their augmentation.
func (b *Batches) fill(batch *Batch, n int, small *shrink, room [][Channels]float64) {
	c, set := &b.loader.config, b.loader.set
	images := b.order[n*c.Batch : min((n+1)*c.Batch, set.Len())]
	pixels := b.loader.pixels()
	batch.X = batch.X[:len(images)*pixels]
	batch.Labels = batch.Labels[:len(images)]
	batch.Index = batch.Index[:len(images)]
	copy(batch.Index, images)
	for row, i := range images {
		var a augmentation
		if c.Augment != (Augment{}) {
			a = c.Augment.draw(c.Seed, b.epoch, i, set.Size)
			a.reflect, a.room = c.Reflect, room
			if c.Alternate && c.Augment.Flip {
				a.flip = alternate(c.Seed, b.epoch, i)
			}
		}
		batch.Labels[row] = set.Labels[i]
		x := batch.X[row*pixels : (row+1)*pixels]
		if small == nil {
			c.Preprocess.write(x, set.Image(i), set.Size, &a)
			continue
		}
		c.Preprocess.write(small.whole, set.Image(i), set.Size, &a)
		small.write(x)
	}
}

// errHeld is for a caller that would wait for ever.
var errHeld = errors.New("every buffer is in use: Release batches before asking for more")

// Next returns the next batch and waits until it is ready. After the last one
// the error is [io.EOF]; when the context has ended or the stream is closed, it
// is the context's. A caller may hold a few batches (Ahead at least), but not
// all there are buffers for.
func (b *Batches) Next() (*Batch, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, fmt.Errorf("cifar: batch %d of epoch %d: %w", b.taken, b.epoch, err)
	}
	if b.taken >= b.loader.Steps() {
		return nil, io.EOF
	}
	if int(b.out.Load()) == len(b.ready) {
		return nil, fmt.Errorf("cifar: batch %d of epoch %d: %w", b.taken, b.epoch, errHeld)
	}
	select {
	case batch := <-b.ready[b.taken%len(b.ready)]:
		b.taken++
		b.out.Add(1)
		batch.held.Store(true)
		return batch, nil
	case <-b.ctx.Done():
		return nil, fmt.Errorf("cifar: batch %d of epoch %d: %w", b.taken, b.epoch, b.ctx.Err())
	}
}

// take gets a buffer back from the caller.
func (b *Batches) take(batch *Batch) {
	b.closing.Lock()
	defer b.closing.Unlock()
	b.out.Add(-1)
	if !b.closed {
		b.free <- batch // never blocks: it has room for all buffers
		return
	}
	b.loader.mu.Lock()
	b.loader.spare = append(b.loader.spare, batch)
	b.loader.mu.Unlock()
}

// Close stops the goroutines, waits for them and gives the buffers back to the
// loader. Batches that the caller still holds stay good until their Release. A
// second Close does nothing.
func (b *Batches) Close() {
	b.cancel()
	b.wg.Wait()
	b.closing.Lock()
	defer b.closing.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	b.loader.mu.Lock()
	defer b.loader.mu.Unlock()
	b.loader.orders = append(b.loader.orders, b.order)
	for _, ready := range append(b.ready, b.free) {
		for len(ready) > 0 {
			b.loader.spare = append(b.loader.spare, <-ready)
		}
	}
}
