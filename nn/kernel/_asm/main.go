// Command _asm writes the assembly of package kernel for amd64, one subject a
// run:
//
//	go run . -out ../SUBJECT_amd64.s -stubs ../SUBJECT_stubs_amd64.go -pkg kernel SUBJECT
//
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
	"vector": vector,
}

func main() {
	// avo's own flags come first, so the subject is the last argument.
	write := subjects[os.Args[len(os.Args)-1]]
	if write == nil {
		fmt.Fprintf(os.Stderr, "usage: go run . -out FILE -stubs FILE -pkg kernel SUBJECT; subjects: %v\n",
			slices.Sorted(maps.Keys(subjects)))
		os.Exit(2)
	}
	build.ConstraintExpr("!purego")
	write()
	build.Generate()
}
