package nn

import "cifartui/nn/kernel"

// CPU is the backend of the processor: kernels of package kernel on host
// memory, split over a fixed number of threads. A kernel has ended when its
// call returns.
type CPU struct {
	w *kernel.Workers
}

var (
	_ Resampler = (*CPU)(nil)
	_ Rectifier = (*CPU)(nil)
)

// NewCPU starts a backend of the given number of threads; 0 or less takes as
// many as the process may use.
func NewCPU(threads int) *CPU {
	if threads < 1 {
		threads = kernel.UsableCPUs()
	}
	return &CPU{w: kernel.NewWorkers(threads)}
}

// Name is the name of the kernels in use.
func (c *CPU) Name() string { return kernel.Name() }

// Arithmetic is their name, too: bits depend on no more, not on the threads either.
func (c *CPU) Arithmetic() string { return kernel.Name() }

// Threads is the number of threads, the caller's included.
func (c *CPU) Threads() int { return c.w.N() }

// Close ends the threads.
func (c *CPU) Close() { c.w.Close() }

// Sync has nothing to wait for.
func (c *CPU) Sync() error { return nil }

// Alloc takes memory that is aligned for the kernels.
func (c *CPU) Alloc(ints bool, n int) (Memory, error) {
	if ints {
		return hostInts(make([]int32, n)), nil
	}
	return hostMemory(kernel.Alloc(n)), nil
}

// Free leaves the memory to the garbage collector.
func (c *CPU) Free(Memory) {}

// Upload copies src to dst.
func (c *CPU) Upload(dst *Buffer, src []float32) error {
	copy(dst.Floats, src)
	return nil
}

// Download copies src to dst.
func (c *CPU) Download(dst []float32, src *Buffer) error {
	copy(dst, src.Floats)
	return nil
}

// LoadImages is kernel.PadInput.
func (c *CPU) LoadImages(dst *Buffer, src []float32, rows int) error {
	kernel.PadInput(c.w, dst.Floats, dst.Image, src, rows)
	return nil
}

// LoadLabels widens the class numbers.
func (c *CPU) LoadLabels(dst *Buffer, src []uint8) error {
	for i, l := range src {
		dst.Ints[i] = int32(l)
	}
	return nil
}

// Dropout is kernel.Dropout.
func (c *CPU) Dropout(dst, src *Buffer, rows int, p float32, key uint64) {
	kernel.Dropout(c.w, dst.Floats, src.Floats, src.Image, rows, p, key)
}

// DropoutBackward is kernel.DropoutBackward.
func (c *CPU) DropoutBackward(dsrc, ddst, src *Buffer, rows int, p float32, key uint64) {
	kernel.DropoutBackward(c.w, dsrc.Floats, dsrc.Image, ddst.Floats, src.Floats, rows, p, key)
}

// DropoutRows is kernel.DropoutRows.
func (c *CPU) DropoutRows(dst, src *Buffer, rows int, p float32, key uint64) {
	kernel.DropoutRows(c.w, dst.Floats, src.Floats, rows, src.shape[1], p, key)
}

// DropoutRowsBackward is kernel.DropoutRows, whose gradient is the same function.
func (c *CPU) DropoutRowsBackward(dsrc, ddst *Buffer, rows int, p float32, key uint64) {
	kernel.DropoutRows(c.w, dsrc.Floats, ddst.Floats, rows, ddst.shape[1], p, key)
}

// ReLU is kernel.ReLU.
func (c *CPU) ReLU(dst, src *Buffer, rows int) {
	kernel.ReLU(dst.Floats, src.Floats, rows*src.shape[1])
}

// ReLUBackward is kernel.ReLUBackward.
func (c *CPU) ReLUBackward(dsrc, ddst, dst *Buffer, rows int) {
	kernel.ReLUBackward(dsrc.Floats, ddst.Floats, dst.Floats, rows*dst.shape[1])
}

// Dense is kernel.Dense.
func (c *CPU) Dense(y, x, w, bias *Buffer, rows int) {
	kernel.Dense(c.w, y.Floats, x.Floats, w.Floats, bias.Floats, rows, w.shape[1], w.shape[0])
}

// DenseBackwardData is kernel.DenseBackwardData.
func (c *CPU) DenseBackwardData(dx, dy, w *Buffer, rows int) {
	kernel.DenseBackwardData(c.w, dx.Floats, dy.Floats, w.Floats, rows, w.shape[1], w.shape[0])
}

// DenseBackwardFilter is kernel.DenseBackwardFilter.
func (c *CPU) DenseBackwardFilter(dw, db, x, dy *Buffer, rows int) {
	kernel.DenseBackwardFilter(c.w, dw.Floats, db.Floats, x.Floats, dy.Floats, rows, dw.shape[1], dw.shape[0])
}

// Adadelta is kernel.Adadelta.
func (c *CPU) Adadelta(x, g, eg2, ed2 *Buffer, lr, rho, eps float32) {
	kernel.Adadelta(c.w, x.Floats, g.Floats, eg2.Floats, ed2.Floats, lr, rho, eps)
}

// SGD is kernel.SGD.
func (c *CPU) SGD(x, g, m *Buffer, lr, momentum, decay float32, decoupled bool) {
	var state []float32
	if m != nil {
		state = m.Floats
	}
	kernel.SGD(c.w, x.Floats, g.Floats, state, lr, momentum, decay, decoupled)
}

// Adam is kernel.Adam.
func (c *CPU) Adam(x, g, m, v *Buffer, a AdamStep) {
	kernel.Adam(c.w, x.Floats, g.Floats, m.Floats, v.Floats, a.LR, a.Beta1, a.Beta2, a.Eps, a.Bias1, a.Bias2, a.Decay, a.Decoupled)
}

// Muon is kernel.Muon.
func (c *CPU) Muon(x, g, m *Buffer, lr, scale float64, momentum, decay float32) {
	cols := x.shape[len(x.shape)-1]
	kernel.Muon(c.w, x.Floats, g.Floats, m.Floats, x.Len/cols, cols, float32(lr*scale), momentum, 1-float32(lr)*decay)
}

// Average is kernel.Average.
func (c *CPU) Average(avg, x *Buffer, part float32) {
	kernel.Average(c.w, avg.Floats, x.Floats, part)
}

// CheckSize allows any size.
func (c *CPU) CheckSize(int) error { return nil }

// Resample is kernel.Resample.
func (c *CPU) Resample(dst, src *Buffer, rows int) {
	kernel.Resample(c.w, dst.Floats, dst.Image, src.Floats, src.Image, rows)
}

// ResampleBackward is kernel.ResampleBackward.
func (c *CPU) ResampleBackward(dsrc, ddst, src *Buffer, rows int) {
	kernel.ResampleBackward(c.w, dsrc.Floats, dsrc.Image, ddst.Floats, ddst.Image, src.Floats, rows)
}

// NewConv makes a kernel.Conv.
func (c *CPU) NewConv(s ConvSpec) (Conv, error) {
	k := &cpuConv{
		conv: kernel.NewConv(c.w, kernel.ConvSpec(s)),
		pool: s.Pool,
	}
	if s.Pool && !s.Inference {
		k.arg = make([]uint8, s.Images*(s.H/2)*(s.W/2)*s.Out)
	}
	return k, nil
}

// cpuConv is a convolution on the CPU.
type cpuConv struct {
	conv *kernel.Conv
	pool bool
	arg  []uint8 // position of each maximum of the pool in its window
}

func (k *cpuConv) SetWeights(w *Buffer) { k.conv.SetWeights(w.Floats) }
func (k *cpuConv) Close()               {}

func (k *cpuConv) Forward(y, x, bias *Buffer, rows int) {
	k.conv.Forward(y.Floats, k.arg, x.Floats, bias.Floats, rows)
}

func (k *cpuConv) BackwardData(dx, dy, x *Buffer, rows int) {
	if k.pool {
		k.conv.BackwardDataPooled(dx.Floats, dy.Floats, k.arg, x.Floats, rows)
		return
	}
	k.conv.BackwardData(dx.Floats, dy.Floats, x.Floats, rows)
}

func (k *cpuConv) BackwardFilter(dw, db, x, dy *Buffer, rows int) {
	if k.pool {
		k.conv.BackwardFilterPooled(dw.Floats, db.Floats, x.Floats, dy.Floats, k.arg, rows)
		return
	}
	k.conv.BackwardFilter(dw.Floats, db.Floats, x.Floats, dy.Floats, rows)
}

// NewLoss makes a loss on kernel.SoftmaxCrossEntropy.
func (c *CPU) NewLoss(batch, classes int, smoothing float32) (Loss, error) {
	return &cpuLoss{prob: kernel.Alloc(batch * classes), classes: classes, smoothing: smoothing}, nil
}

// cpuLoss is the loss on the CPU.
type cpuLoss struct {
	prob      []float32
	classes   int
	smoothing float32

	// of the last Forward
	rows    int
	sum     float64
	correct int
}

func (k *cpuLoss) Forward(loss, logits, labels *Buffer, rows int) {
	k.rows = rows
	k.sum, k.correct = kernel.SoftmaxCrossEntropy(k.prob, logits.Floats, labels.Ints, rows, k.classes, k.smoothing)
	loss.Floats[0] = float32(k.sum / float64(rows))
}

func (k *cpuLoss) Backward(dlogits, labels *Buffer, rows int, scale float32) {
	kernel.SoftmaxCrossEntropyBackward(dlogits.Floats, k.prob, labels.Ints, rows, k.classes, k.smoothing, scale/float32(rows))
}

func (k *cpuLoss) Result() (float64, int, error)     { return k.sum, k.correct, nil }
func (k *cpuLoss) Probabilities() ([]float32, error) { return k.prob[:k.rows*k.classes], nil }
func (k *cpuLoss) Close()                            {}
