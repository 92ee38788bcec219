// Package ptx holds the GPU's kernels, compiled: PTX, which the driver compiles
// once more for the GPU that it finds, and a table of what each kernel takes.
//
// The sources lie in ../kernels, one file a module. "go generate" builds them
// with clang-19 by the program in ../_build, which also writes table.go and,
// where NVIDIA's ptxas and nvdisasm can be had, resources.tsv: what each kernel
// takes of each kind of GPU, and loops.tsv: what the inner loops of convolutions are
// made of. None is written by hand.
package ptx

//go:generate go run ../_build

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"strings"
)

//go:embed *.ptx.gz
var files embed.FS

// Module is one PTX file. It runs on GPUs of its compute capability and of
// later ones, or if Exact of its own alone.
type Module struct {
	Name         string
	Major, Minor int
	Exact        bool
}

// Kind is what a parameter of a kernel is.
type Kind uint8

const (
	Ptr       Kind = iota // 8 bytes, an address in device memory
	U32                   // 4 bytes, an integer
	F32                   // 4 bytes, a float
	TensorMap             // 128 bytes, a CUtensorMap
)

// Tile is the part of a matrix product that a block computes, and how: M x N of
// the result, K of the sum at a time, with Stages of that copied ahead. Of the
// filter's gradient M is input channels and N output channels. Zeros where a
// kernel has no tile.
type Tile struct{ M, N, K, Stages int }

// Kernel is a kernel, its parameters in their order, and the threads of a block.
type Kernel struct {
	Name, Module string
	Params       []Kind
	Block        int
	Tile         Tile
}

// By3 stands in the names of kernels for images whose sides are three times a power
// of two: images of 24 pixels, and what pools make of them.
const By3 = "_by3"

// Odd is what the sides of images are divided by a power of two: 3 or, of kernels for
// powers of two or any sides, 1.
func (k Kernel) Odd() int {
	if strings.Contains(k.Name, By3) {
		return 3
	}
	return 1
}

// Shared is the dynamic shared memory of a launch on images w pixels wide, in
// bytes. muon_poly takes the columns of its largest matrix in place of w.
func (k Kernel) Shared(w int) int {
	if hopper, ok := k.Wgmma(); ok {
		return hopper.shared()
	}
	t := k.Tile
	switch {
	case strings.HasPrefix(k.Name, "conv_fwd_"), strings.HasPrefix(k.Name, "conv_bwd_"):
		return t.Stages * (t.M + t.N) * t.K * 2
	case strings.HasPrefix(k.Name, "conv_wgrad_"):
		pixels := k.pixels() // in whole rows, a column on either side
		return t.Stages * (pixels/w*(w+2)*t.M + pixels*t.N) * 2
	case k.Name == "muon_poly":
		return 2 * ((w + 63) / 64) * 64 * 128 // 64 rows of a matrix, twice
	}
	return 0
}

// pixels are those of a step of the sum of a filter's gradient.
func (k Kernel) pixels() int {
	if k.Odd() == 3 {
		return 48
	}
	return 64
}

// Text returns a module's PTX.
func Text(module string) ([]byte, error) {
	compressed, err := files.ReadFile(module + ".ptx.gz")
	if err != nil {
		return nil, fmt.Errorf("ptx: there is no module %q", module)
	}
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("ptx: module %s: %w", module, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("ptx: module %s: %w", module, err)
	}
	return text, nil
}
