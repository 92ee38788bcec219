package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cifartui/nn/cuda/ptx/early"
)

// gpus are the kinds of GPU that everything is assembled for: the oldest that is
// supported, those most in use, and the newest that ptxas knows.
var gpus = []string{"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}

// overlapping are those on which the kernels are loaded so that they may overlap.
var overlapping = []string{"sm_90", "sm_100", "sm_120"}

var (
	release  = regexp.MustCompile(`release [\d.]+, V([\d.]+)`)
	function = regexp.MustCompile(`(?s)Compiling entry function '(\w+)' for '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers([^\n]*)`)
	static   = regexp.MustCompile(`(\d+) bytes smem`)
)

// tools are NVIDIA's, of the same version.
type tools struct {
	ptxas    string
	nvdisasm string // "": the inner loops are not looked at
}

// version says which version the tools are of.
func (t tools) version() (string, error) {
	var found string
	for _, tool := range []string{t.ptxas, t.nvdisasm} {
		if tool == "" {
			continue
		}
		out, err := exec.Command(tool, "--version").Output()
		if err != nil {
			return "", fmt.Errorf("run %s: %w", tool, err)
		}
		m := release.FindSubmatch(out)
		if m == nil {
			return "", fmt.Errorf("%s does not say which version it is of", tool)
		}
		if found != "" && found != string(m[1]) {
			return "", fmt.Errorf("ptxas is of %s and nvdisasm of %s: take the same", found, m[1])
		}
		found = string(m[1])
	}
	return found, nil
}

// assemble runs ptxas on every module for every kind of GPU, and returns
// resources.tsv and, with nvdisasm, loops.tsv, else nil. Which version it was stands
// in them, since others give other figures. A spill is an error.
func assemble(t tools, texts map[string][]byte) (list, loops []byte, err error) {
	version, err := t.version()
	if err != nil {
		return nil, nil, err
	}
	var (
		wait         sync.WaitGroup
		lock         sync.Mutex
		lines, inner []string
		problems     []error
	)
	turns := make(chan struct{}, 2)
	for _, m := range modules {
		targets := gpus
		if m.exact {
			targets = []string{m.arch()}
		}
		for _, gpu := range targets {
			text := texts[m.name]
			if !m.exact && slices.Contains(overlapping, gpu) {
				text = early.Text(text)
			}
			wait.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				found, loops, err := t.resources(m.name, gpu, text)
				lock.Lock()
				defer lock.Unlock()
				lines, inner = append(lines, found...), append(inner, loops...)
				problems = append(problems, err)
			})
		}
	}
	wait.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	slices.Sort(lines)
	if t.nvdisasm != "" {
		loops = loopsTable(version, inner)
	}
	return fmt.Appendf(nil, "# by ptxas %s; no kernel spills registers\nkernel\tgpu\tregisters\tstatic shared bytes\n%s\n", version, strings.Join(lines, "\n")), loops, nil
}

// resources assembles one module for one kind of GPU. It returns lines of
// resources.tsv and of loops.tsv.
func (t tools) resources(name, gpu string, text []byte) (lines, loops []string, err error) {
	dir, err := os.MkdirTemp("", "cifartui-"+name)
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	ptx, cubin := filepath.Join(dir, name+".ptx"), filepath.Join(dir, name+".cubin")
	if err := os.WriteFile(ptx, text, 0o644); err != nil {
		return nil, nil, err
	}
	said, err := exec.Command(t.ptxas, "-arch="+gpu, "-v", ptx, "-o", cubin).CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("ptxas: %s for %s: %w\n%s", name, gpu, err, said)
	}
	for _, f := range function.FindAllSubmatch(said, -1) {
		if string(f[4]) != "0" || string(f[5]) != "0" {
			return nil, nil, fmt.Errorf("ptxas: %s spills registers on %s: %s bytes written, %s read", f[1], gpu, f[4], f[5])
		}
		shared := 0
		if s := static.FindSubmatch(f[7]); s != nil {
			shared, _ = strconv.Atoi(string(s[1]))
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%d", f[1], gpu, f[6], shared))
	}
	if want := bytes.Count(text, []byte(".entry ")); len(lines) != want {
		return nil, nil, fmt.Errorf("ptxas: %s for %s: figures of %d of %d kernels", name, gpu, len(lines), want)
	}
	if t.nvdisasm != "" && bytes.Contains(text, []byte(".entry conv_")) {
		loops, err = disassembled(t.nvdisasm, cubin, gpu)
	}
	return lines, loops, err
}
