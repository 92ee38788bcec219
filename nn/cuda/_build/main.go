// Command _build compiles the GPU's kernels to PTX and tells what they take.
//
//	go generate ./nn/cuda/ptx          writes ptx/*.ptx.gz and ptx/table.go
//	go run ./nn/cuda/_build -check     compares instead, and fails on a difference
//	go run ./nn/cuda/_build -ptxas P   also assembles every kernel for every kind
//	                                   of GPU with NVIDIA's ptxas P, fails on a
//	                                   spill, and writes or compares resources.tsv
//	  -nvdisasm N                      and reads the inner loops off what N makes of
//	                                   that, and writes or compares loops.tsv
//
// It needs clang-19 and no CUDA toolkit. PTX is compared uncompressed, so that
// it does not matter which version of Go compressed it.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// module is one source file and the oldest GPU that it is for.
type module struct {
	name         string
	major, minor int
	exact        bool   // for that kind alone: sm_90a
	version      string // of PTX: the lowest that has what the file uses
}

var modules = []module{
	{name: "conv", major: 8, version: "70"},
	{name: "conv_by3", major: 8, version: "70"},
	{name: "filter", major: 8, version: "70"},
	{name: "first", major: 8, version: "70"},
	{name: "pool", major: 8, version: "70"},
	{name: "input", major: 8, version: "70"},
	{name: "resample", major: 8, version: "70"},
	{name: "dense", major: 8, version: "70"},
	{name: "head", major: 8, version: "70"},
	{name: "optim", major: 8, version: "70"},
	{name: "wgmma_conv", major: 9, exact: true, version: "80"},
	{name: "wgmma_narrow", major: 9, exact: true, version: "80"},
	{name: "wgmma_filter", major: 9, exact: true, version: "80"},
	{name: "muon", major: 8, version: "70"},
}

// arch is the module's target by ptxas's name.
func (m module) arch() string {
	a := fmt.Sprintf("sm_%d%d", m.major, m.minor)
	if m.exact {
		a += "a"
	}
	return a
}

// builder knows where things lie, and whether to write or compare them.
type builder struct {
	kernels, out string
	clang        string
	check        bool
	differ       []string // files that are not what they should be
}

func main() {
	var b builder
	var nvidia tools
	flag.StringVar(&nvidia.ptxas, "ptxas", "", "NVIDIA's ptxas, to assemble the kernels with")
	flag.StringVar(&nvidia.nvdisasm, "nvdisasm", "", "NVIDIA's nvdisasm of the same version, to look at the inner loops with")
	flag.StringVar(&b.clang, "clang", "clang-19", "the compiler")
	flag.BoolVar(&b.check, "check", false, "compare with what is there, and write nothing")
	flag.Parse()
	_, self, _, _ := runtime.Caller(0)
	cuda := filepath.Dir(filepath.Dir(self))
	b.kernels, b.out = filepath.Join(cuda, "kernels"), filepath.Join(cuda, "ptx")
	if err := b.build(nvidia); err != nil {
		fmt.Fprintln(os.Stderr, "_build:", err)
		os.Exit(1)
	}
}

func (b *builder) build(nvidia tools) error {
	var kernels []kernel
	texts := map[string][]byte{}
	for _, m := range modules {
		text, err := b.compile(m)
		if err != nil {
			return err
		}
		if err := b.compressed(m.name+".ptx.gz", text); err != nil {
			return err
		}
		found, err := entries(m, text)
		if err != nil {
			return err
		}
		kernels, texts[m.name] = append(kernels, found...), text
	}
	slices.SortFunc(kernels, func(a, b kernel) int { return strings.Compare(a.name, b.name) })
	source, err := table(kernels)
	if err != nil {
		return err
	}
	if err := b.file("table.go", source); err != nil {
		return err
	}
	if nvidia.ptxas == "" && nvidia.nvdisasm != "" {
		return errors.New("-nvdisasm wants -ptxas too: it reads what that assembles")
	}
	if nvidia.ptxas != "" {
		list, loops, err := assemble(nvidia, texts)
		if err != nil {
			return err
		}
		if err := b.file("resources.tsv", list); err != nil {
			return err
		}
		if loops != nil {
			if err := b.file("loops.tsv", loops); err != nil {
				return err
			}
		}
	}
	if len(b.differ) > 0 {
		return fmt.Errorf("%s: not what the sources in nn/cuda/kernels make; run: go generate ./nn/cuda/ptx", strings.Join(b.differ, ", "))
	}
	return nil
}

// compile makes PTX of a module's source.
func (b *builder) compile(m module) ([]byte, error) {
	cmd := exec.Command(b.clang, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib",
		"--cuda-gpu-arch="+m.arch(), "--cuda-feature=+ptx"+m.version,
		"-O3", "-std=c++20", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-S", m.name+".cu", "-o", "-")
	cmd.Dir = b.kernels
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: install it (Debian: apt-get install clang-19)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("compile %s.cu: %w\n%s", m.name, err, &complaints)
	}
	// Which build of clang it was is of no interest.
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = slices.DeleteFunc(lines, func(l []byte) bool { return bytes.HasPrefix(l, []byte("//")) })
	return bytes.Join(lines, nil), nil
}

// file writes a file, or notes that it differs.
func (b *builder) file(name string, want []byte) error {
	path := filepath.Join(b.out, name)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
		return nil
	}
	if b.check {
		b.differ = append(b.differ, name)
		return nil
	}
	return os.WriteFile(path, want, 0o644)
}

// compressed is file for what is kept compressed: it leaves a file alone that
// holds the same.
func (b *builder) compressed(name string, want []byte) error {
	if have, err := os.Open(filepath.Join(b.out, name)); err == nil {
		defer have.Close()
		if r, err := gzip.NewReader(have); err == nil {
			if text, err := io.ReadAll(r); err == nil && bytes.Equal(text, want) {
				return nil
			}
		}
	}
	if b.check {
		b.differ = append(b.differ, name)
		return nil
	}
	var to bytes.Buffer
	w, err := gzip.NewWriterLevel(&to, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(want); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.out, name), to.Bytes(), 0o644)
}
