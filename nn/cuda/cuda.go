// Package cuda trains and evaluates networks on an NVIDIA GPU: it is an
// nn.Backend over the GPU's driver, with kernels of its own.
//
// # How a step runs
//
// A kernel runs behind its call, on one stream, in the order of the calls.
// Nothing that changes from step to step is an argument of a kernel: rows of
// the batch, dropout's key, learning rate, the place in the data lie in one
// block of the GPU's memory (block.go) that the kernels read. So the kernels of
// a step are the same every time, and [Backend.Submit] notes them once, makes a
// CUDA graph of them and launches that from then on (submit.go), while
// nn.Machine, which knows nothing of it, still calls one method after another.
//
// # Numbers
//
// Images and what flows between the layers are bfloat16, as [N][H][W][C]
// without a border. Sums are float32, and so are the parameters, their
// gradients and the optimiser's state. The convolutions multiply bfloat16
// copies of their weights, which the optimiser writes along (weights.go). Sums
// are taken in an order that depends on the shapes and on the GPU's kind and
// number of multiprocessors ([Backend.Arithmetic]), not on the run: a run
// repeated on the same kind of GPU has the same bits.
//
// # Where to find what
//
//	open.go                      opening a GPU: which, and why not
//	arithmetic.go                what the bits depend on
//	memory.go                    buffers, copies, layouts
//	launch.go, block.go          launching kernels; what changes between steps
//	images.go, conv.go, resample.go, dense.go, loss.go, optimiser.go   the methods of nn.Backend
//	submit.go, resident.go       steps ahead of the host; data on the GPU
//	check.go, tune.go, bench.go  every kernel checked, tiles chosen, times
//	kernels, ptx                 CUDA C++, and what the program carries of it
//	driver                       the calls of the driver
//	internal                     a PTX interpreter and a driver over it, for tests
//	peer                         the script for a day with a GPU
package cuda
