// Package nn is the network: what it is made of, how it learns, and the
// machine that runs it.
//
// A [Spec] describes the network. [New] gives it parameters on a [Backend],
// which owns the memory and the kernels. From there two kinds of graph are
// made over the same parameters:
//
//   - [Network.NewStep]: forward, backward and optimiser of one batch size;
//   - [Network.NewEval]: forward only.
//
// Each is a gorgonia.ExprGraph of our own operations (ops_*.go: a convolution
// with its bias, ReLU and max pool, dropout, dense, loss). gorgonia.Grad
// derives the backward pass from their SymDiff methods. [Machine], which is a
// gorgonia.VM, runs the graph: it sorts it once, shares memory between values
// that do not live at the same time (plan.go), and then runs it again and
// again without allocating. The operations also run on Gorgonia's own
// TapeMachine; the tests hold the two to the same bits.
//
// Images lie in memory as kernel.Image says: NHWC with a border of zeros.
// Parameters lie as the kernels want them and leave the package in PyTorch's
// order and under PyTorch's names (order.go). The results do not depend on the
// number of threads.
//
// A Backend and everything made on it belongs to one goroutine at a time.
// Graphs of different backends may be built and run at the same time.
package nn
