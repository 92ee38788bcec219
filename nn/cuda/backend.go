package cuda

import (
	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// Backend is an open GPU. It belongs to one goroutine at a time.
type Backend struct {
	ctx     driver.Context
	stream  driver.Stream
	side    driver.Stream // of the branch of a graph
	meeting driver.Event  // where one of the two waits for the other
	kernels map[string]*kernel
	names   []string // of kernels, sorted
	modules []driver.Module
	build   string // which kernels of which program: see Arithmetic
	tuned   *Tuned // nil: the first kernel that fits is taken

	gradient dataGradient // the last one noted, for a pool before its layer

	err  error // the first one of a kernel, until it is reported
	tape *tape // of the step being noted; nil: kernels are launched at once
	lane lane  // where in its graph the launches belong that are being noted

	want, have block          // what the kernels are to read, and what they would
	current    driver.Pointer // where they read it

	updates   updates                           // of parameters, not yet launched
	copies    map[driver.Pointer]driver.Pointer // bfloat16 copies of weights, by the weights' address
	discarded []driver.Pointer                  // to be freed after the step being noted
	sizes     map[driver.Pointer]int            // bytes of each block given out
	staging   scratch                           // for images from the host
	partial   scratch                           // for sums in parts
	besides   scratch                           // the same, of the kernels of the branch
	counters  scratch                           // of blocks that meet
	maps      maps                              // of images and weights, for Hopper

	queue queue       // steps under way
	spare driver.Args // of the launch being made
}

var (
	_ nn.Pipeline  = (*Backend)(nil)
	_ nn.Holder    = (*Backend)(nil)
	_ nn.Resampler = (*Backend)(nil)
	_ nn.Deferrer  = (*Backend)(nil)
)

// Name names the kernels by the GPU that they run on.
func (b *Backend) Name() string { return "cuda " + b.ctx.Device().Name }

// Threads is 0: the processor's do nothing.
func (b *Backend) Threads() int { return 0 }

// Device describes the GPU.
func (b *Backend) Device() driver.Device { return b.ctx.Device() }

// fail keeps the first error for the next call that can return one.
func (b *Backend) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// failed returns the error kept, once, or err.
func (b *Backend) failed(err error) error {
	if b.err != nil {
		err, b.err = b.err, nil
	}
	return b.explain(err)
}

// Sync waits for all kernels.
func (b *Backend) Sync() error {
	b.update()
	return b.failed(b.ctx.Sync(b.stream))
}

// Close gives everything back. It waits for what still runs.
func (b *Backend) Close() {
	// What fails here has failed before, or is lost with the process.
	_ = b.ctx.Sync(b.stream)
	b.queue.close(b)
	for p := range b.sizes {
		_ = b.ctx.Free(p)
	}
	for _, m := range b.modules {
		_ = b.ctx.UnloadModule(m)
	}
	_ = b.ctx.FreeEvent(b.meeting)
	_ = b.ctx.FreeStream(b.side)
	_ = b.ctx.FreeStream(b.stream)
	_ = b.ctx.Close()
}
