// Package kernel does the arithmetic of the network on the processor: plain
// functions on []float32, without graphs, tensors or cgo.
//
// # Layout
//
// Images are stored pixel by pixel with the channels innermost (NHWC), inside
// a border of zeros one pixel wide ([Image]), so that a 3x3 convolution has no
// edge cases. Whoever writes an image writes its interior only: the border is
// zero from the allocation on and stays so. rows is everywhere the number of
// images of a batch that hold data; a short batch leaves the others alone.
//
// # Implementations
//
// Every kernel exists in plain Go, always compiled, and where it pays in
// assembly for AVX2, AVX-512 or NEON. [Use] and [Name] tell which set runs; it
// is chosen once at start by the processor's features (dispatch.go). Each
// assembly kernel names the Go function that it must agree with, and the tests
// run every set that the machine has against a float64 reference. The tag
// purego leaves the assembly out. All assembly is written by the generator in
// _asm, a module of its own.
//
// # Threads
//
// [Workers] runs the pieces of a kernel on a fixed number of goroutines. Work
// is cut into pieces by the size of the problem, never by the number of
// workers, and sums are taken in a fixed order, so that a result has the same
// bits on one worker and on sixteen. Pieces of the same images go to the same
// worker in all tasks, as far as it has time: what it reads is then near.
//
// # Errors
//
// Lengths are checked before anything is written. A wrong one is a mistake of
// the program, not of its user, and panics with the name of the kernel.
//
// # Where to find what
//
//	conv.go                         3x3 convolution and its gradients
//	product.go, filtergrad.go       the two kinds of passes, by Winograd's algorithm
//	winograd.go, tiles.go, gemm.go  what they are made of; its mathematics
//	firstlayer.go                   the layer with 3 input channels
//	elementwise.go                  input padding, dropout
//	resample.go                     images of features to another size
//	dense.go, loss.go               last layer, softmax and cross-entropy
//	optim.go                        Adadelta, SGD, Adam; muon.go: Muon
//	workers.go, cpus.go             threads, and how many there may be
//	dispatch.go, alloc.go, peak.go  choice of kernels, memory, peak measurement
//	_asm, peer                      generator of the assembly; comparison with PyTorch
package kernel

//go:generate go -C _asm run . -out ../vector_amd64.s -stubs ../vector_stubs_amd64.go -pkg kernel vector
//go:generate go -C _asm run . -out ../vector_arm64.s -stubs ../vector_stubs_arm64.go -pkg kernel neon_vector

import "fmt"

// checkLen panics unless a buffer holds at least want elements. kernel and
// name say which one in the message.
func checkLen(kernel, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("kernel: %s: %s holds %d elements, want %d", kernel, name, have, want))
	}
}

// check panics with the kernel's name and what is wrong unless ok.
func check(kernel string, ok bool, wrong string) {
	if !ok {
		panic("kernel: " + kernel + ": " + wrong)
	}
}
