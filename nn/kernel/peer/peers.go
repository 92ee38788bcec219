package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

var (
	//go:embed torch_step.py
	torchStep string
	//go:embed keras_step.py
	kerasStep string
)

// peer is a program that does the work of "cifartui bench", in rounds.
type peer struct {
	name     string
	packages []string // of PyPI, for a virtual environment
	script   string
	args     []string
}

// The versions are those of the day of the last measurement.
var (
	torchPackages = []string{"torch==2.15.0", "numpy==2.4.6"}
	tensorflow    = []string{"keras==3.15.1", "tensorflow-cpu==2.21.0"}
	jax           = []string{"keras==3.15.1", "jax==0.10.2"}
)

var peers = []peer{
	{"torch", torchPackages, torchStep, []string{"--variant", "eager"}},
	{"torch-compile", torchPackages, torchStep, []string{"--variant", "compile"}},
	{"torch-bfloat16", torchPackages, torchStep, []string{"--variant", "bfloat16"}},
	{"keras-tensorflow", tensorflow, kerasStep, []string{"--backend", "tensorflow"}},
	{"keras-jax", jax, kerasStep, []string{"--backend", "jax"}},
}

// peerNames lists them.
func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

// choosePeers finds peers by their names.
func choosePeers(list string) (chosen []peer, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-peers: there is no %q: take some of %s", name, strings.Join(peerNames(), ","))
		}
		chosen = append(chosen, peers[i])
	}
	return chosen, nil
}

// running is a peer's script under way. Between rounds it waits for a line.
type running struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	trouble strings.Builder
}

// round is what a script says of a round.
type round struct {
	Version         string  `json:"version"`
	Layout          string  `json:"layout"`
	ImagesPerSecond float64 `json:"images_per_second"`
	Skipped         string  `json:"skipped"` // why there are no rounds on this machine
}

// start runs p's script in a Python.
func (p peer) start(python, mode string, batch int, o options) (*running, error) {
	args := append([]string{"-c", p.script, "--rounds", "0", "--mode", mode, "--batch", strconv.Itoa(batch),
		"--threads", strconv.Itoa(o.threads), "--seconds", fmt.Sprint(o.seconds)}, p.args...)
	r := &running{cmd: exec.Command(python, args...)}
	r.cmd.Stderr = &r.trouble
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	return r, nil
}

// round runs one round.
func (r *running) round() (result round, err error) {
	_, err = io.WriteString(r.in, "\n")
	if !r.out.Scan() { // a script that skips may say so and read nothing
		err = errors.Join(io.ErrUnexpectedEOF, err, r.out.Err())
		r.close()
		return result, fmt.Errorf("its script ended: %w: %s", err, strings.TrimSpace(r.trouble.String()))
	}
	if err := json.Unmarshal(r.out.Bytes(), &result); err != nil {
		return result, fmt.Errorf("its script said %q: %w", r.out.Text(), err)
	}
	return result, nil
}

// close ends the script; a second close does nothing. How it ends has nothing to
// add to what round reports.
func (r *running) close() {
	_ = r.in.Close()
	_ = r.cmd.Wait()
}
