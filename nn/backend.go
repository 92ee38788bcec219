package nn

import "fmt"

// Backend owns memory and runs kernels on it. The CPU is one, a GPU (package cuda)
// another: there kernels may run after their call has returned, in the order of the
// calls, and what goes wrong is reported by the next Sync, Download or Loss.Result.
//
// rows is always the number of images of the batch that are valid: kernels
// read and write no others. Shapes are the program's business: a kernel given
// Buffers that don't fit together panics.
//
// Unless said otherwise a kernel overwrites its destination, the first
// argument, interior only where it is an image: borders stay zero.
type Backend interface {
	// Name names the kernels in use: avx512, avx2, neon, generic.
	Name() string
	// Arithmetic is Name and what else the bits of results depend on: two backends of
	// the same arithmetic compute the same bits.
	Arithmetic() string
	// Threads is the number of the processor's threads that kernels run on, 0
	// on another device.
	Threads() int
	// Alloc returns n zeroed floats, or int32s if ints is set. Where a device's
	// memory is full the error, this one's or a later call's, is a MemoryError.
	Alloc(ints bool, n int) (Memory, error)
	// Free gives memory back; nothing may use it any more.
	Free(Memory)
	// Upload copies len(src) elements to dst, Download from src. They wait.
	Upload(dst *Buffer, src []float32) error
	Download(dst []float32, src *Buffer) error
	// Sync waits for all kernels called so far.
	Sync() error
	// Close ends the backend's threads. Its memory must not be used any more.
	Close()

	// LoadImages fills dst, images of four channels, from src, [rows][H][W][3]
	// on the host; the fourth channel becomes 1. src may change after the call.
	LoadImages(dst *Buffer, src []float32, rows int) error
	// LoadLabels fills dst from class numbers on the host.
	LoadLabels(dst *Buffer, src []uint8) error

	// NewConv makes a convolution with its workspace.
	NewConv(ConvSpec) (Conv, error)
	// NewLoss makes the loss of batches of up to batch rows, with labels
	// smoothed: see kernel.SoftmaxCrossEntropy.
	NewLoss(batch, classes int, smoothing float32) (Loss, error)

	// Dropout flattens the images src to dst, rows of H*W*C features, dropping
	// each with probability p and scaling the others by 1/(1-p). What is
	// dropped depends on key, row and feature alone. With p 0 it copies.
	Dropout(dst, src *Buffer, rows int, p float32, key uint64)
	// DropoutBackward is its gradient, and that of the ReLU before it: dsrc is
	// 0 where src is. dsrc and src may be the same memory.
	DropoutBackward(dsrc, ddst, src *Buffer, rows int, p float32, key uint64)

	// Dense computes y = x w^T + bias, w [out][in].
	Dense(y, x, w, bias *Buffer, rows int)
	DenseBackwardData(dx, dy, w *Buffer, rows int)
	// DenseBackwardFilter writes both dw and db, summed over the rows.
	DenseBackwardFilter(dw, db, x, dy *Buffer, rows int)

	// The optimisers update x in place from its gradient g and their state.
	// See kernel.Adadelta, SGD, Adam and Muon for the formulas.
	Adadelta(x, g, eg2, ed2 *Buffer, lr, rho, eps float32)
	// SGD takes a nil m with momentum 0.
	SGD(x, g, m *Buffer, lr, momentum, decay float32, decoupled bool)
	Adam(x, g, m, v *Buffer, a AdamStep)
	// Muon takes the filters of a convolution, as a matrix of a column for each
	// output channel: x = (1 - lr decay) x - lr scale orthogonal(...).
	Muon(x, g, m *Buffer, lr, scale float64, momentum, decay float32)
	// Average moves avg towards x: avg += part (x - avg).
	Average(avg, x *Buffer, part float32)
}

// Deferrer is a Backend that may run filters' gradients late: beside or after what
// is called behind them.
type Deferrer interface {
	Backend
	// DefersFilters reports whether BackwardFilter and DenseBackwardFilter of batches
	// of up to so many images may read their arguments until an optimiser is called.
	DefersFilters(images int) bool
}

// AdamStep is the numbers of one step of Adam or AdamW.
type AdamStep struct {
	LR, Beta1, Beta2, Eps float32
	Bias1, Bias2          float32 // 1 - Beta1^t and 1 - Beta2^t at step t
	Decay                 float32
	Decoupled             bool // AdamW: the decay does not pass through the moments
}

// ConvSpec is the geometry of a convolution of the network; see
// kernel.ConvSpec.
type ConvSpec struct {
	Images, H, W, In, Out int
	Pool                  bool // a 2x2 max pool follows the ReLU
	Inference             bool // there will be no backward pass
	Inner                 bool // its input is another layer's output, also if it has three channels
	Bottom                bool // nobody will ask for the gradient at its input
}

// Conv is y = relu(x * w + bias), a 3x3 convolution with same padding, and
// with ConvSpec.Pool a 2x2 max pool of that. It keeps what its passes need
// besides their arguments: transformed weights, the position of each maximum.
type Conv interface {
	// SetWeights takes w [3][3][in][out]; Forward and BackwardData use the
	// weights of the last call.
	SetWeights(w *Buffer)
	Forward(y, x, bias *Buffer, rows int)
	// BackwardData computes dx from dy, the gradient at the pre-activation, or
	// with a pool at the pooled output of the last Forward. It sets dx to 0
	// where x, the layer's input, is: the gradient of the ReLU that x came from.
	// dx and x may be the same memory.
	BackwardData(dx, dy, x *Buffer, rows int)
	// BackwardFilter writes both dw and db, summed over the rows, from x and
	// the dy of BackwardData.
	BackwardFilter(dw, db, x, dy *Buffer, rows int)
	Close()
}

// Loss is the mean over the rows of softmax cross-entropy. It keeps the
// probabilities of the last Forward.
type Loss interface {
	// Forward writes the mean loss to the scalar loss.
	Forward(loss, logits, labels *Buffer, rows int)
	// Backward computes the gradient of scale times the mean loss, from the
	// probabilities of the last Forward.
	Backward(dlogits, labels *Buffer, rows int, scale float32)
	// Result waits, and returns the last Forward's losses, summed, and how
	// many rows had their label as the largest logit.
	Result() (sum float64, correct int, err error)
	// Probabilities returns the rows of the last Forward, on the host; they
	// hold until the next.
	Probabilities() ([]float32, error)
	Close()
}

// MemoryError is a device whose memory is full.
type MemoryError struct {
	Device      string
	Free, Total uint64 // bytes
	Err         error
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%v: %s has %d of %d MiB free", e.Err, e.Device, e.Free>>20, e.Total>>20)
}
func (e *MemoryError) Unwrap() error { return e.Err }
