package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// gpus are the kinds of GPU that everything is assembled for: the oldest that is
// supported, those most in use, and the newest that ptxas knows.
var gpus = []string{"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"}

var (
	release  = regexp.MustCompile(`release [\d.]+, V([\d.]+)`)
	function = regexp.MustCompile(`(?s)Compiling entry function '(\w+)' for '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers([^\n]*)`)
	static   = regexp.MustCompile(`(\d+) bytes smem`)
)

// assemble runs ptxas on every module for every kind of GPU, and returns
// resources.tsv. Which ptxas it was stands in it, since others give other
// figures. A spill is an error.
func assemble(ptxas string, texts map[string][]byte) ([]byte, error) {
	out, err := exec.Command(ptxas, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("run ptxas: %w", err)
	}
	version := release.FindSubmatch(out)
	if version == nil {
		return nil, fmt.Errorf("%s does not say which ptxas it is", ptxas)
	}
	var (
		wait     sync.WaitGroup
		lock     sync.Mutex
		lines    []string
		problems []error
	)
	turns := make(chan struct{}, 2)
	for _, m := range modules {
		targets := gpus
		if m.exact {
			targets = []string{m.arch()}
		}
		for _, gpu := range targets {
			wait.Go(func() {
				turns <- struct{}{}
				defer func() { <-turns }()
				found, err := resources(ptxas, m.name, gpu, texts[m.name])
				lock.Lock()
				defer lock.Unlock()
				lines = append(lines, found...)
				problems = append(problems, err)
			})
		}
	}
	wait.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	slices.Sort(lines)
	return fmt.Appendf(nil, "# by ptxas %s; no kernel spills registers\nkernel\tgpu\tregisters\tstatic shared bytes\n%s\n", version[1], strings.Join(lines, "\n")), nil
}

// resources assembles one module for one kind of GPU.
func resources(ptxas, name, gpu string, text []byte) ([]string, error) {
	file, err := os.CreateTemp("", name+"-*.ptx")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(text); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	said, err := exec.Command(ptxas, "-arch="+gpu, "-v", file.Name(), "-o", os.DevNull).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ptxas: %s for %s: %w\n%s", name, gpu, err, said)
	}
	var lines []string
	for _, f := range function.FindAllSubmatch(said, -1) {
		if string(f[4]) != "0" || string(f[5]) != "0" {
			return nil, fmt.Errorf("ptxas: %s spills registers on %s: %s bytes written, %s read", f[1], gpu, f[4], f[5])
		}
		shared := 0
		if s := static.FindSubmatch(f[7]); s != nil {
			shared, _ = strconv.Atoi(string(s[1]))
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%d", f[1], gpu, f[6], shared))
	}
	if want := bytes.Count(text, []byte(".entry ")); len(lines) != want {
		return nil, fmt.Errorf("ptxas: %s for %s: figures of %d of %d kernels", name, gpu, len(lines), want)
	}
	return lines, nil
}
