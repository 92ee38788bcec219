// Command _asm writes the assembly of package kernel, one subject a run:
//
//	go run . -out ../SUBJECT_amd64.s -stubs ../SUBJECT_stubs_amd64.go -pkg kernel SUBJECT
//
// The subjects that begin with neon_ are for arm64, _arm64.s.
// "go generate ./nn/kernel" runs it for all of them. It is a module of its own,
// so that the program does not depend on avo. Kernels for AVX2 and AVX-512 come
// out of the same functions, by width.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/mmcloughlin/avo/build"
)

// subjects are the files that can be written, each by one function.
var subjects = map[string]func(){
	"gemm":        amd64(gemmKernels),
	"vector":      amd64(vector),
	"winograd":    amd64(winograd),
	"neon_conv":   arm64((*neon).convKernels),
	"neon_vector": arm64((*neon).vectorKernels),
}

func main() {
	// avo's own flags come first, so the subject is the last argument.
	write := subjects[os.Args[len(os.Args)-1]]
	if write == nil {
		fmt.Fprintf(os.Stderr, "usage: go run . -out FILE -stubs FILE -pkg kernel SUBJECT; subjects: %v\n",
			slices.Sorted(maps.Keys(subjects)))
		os.Exit(2)
	}
	write()
}

// amd64 makes a subject of a function that writes with avo.
func amd64(write func()) func() {
	return func() {
		build.ConstraintExpr("!purego")
		write()
		build.Generate()
	}
}

func arm64(write func(n *neon)) func() {
	return func() {
		var n neon
		write(&n)
		if err := n.save(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
