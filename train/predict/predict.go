// Package predict asks a network what pictures show. Pictures are read and
// fitted side by side, ahead of the network, which takes them in batches; the
// answers come in the order in which the pictures were named.
package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"

	"cifartui/cifar/picture"
)

// Stdin is the name that stands for a picture on standard input.
const Stdin = "-"

// A Network gives the probabilities of images of its size, three planes of
// bytes each: [images][classes]. Batch is how many it takes at a time.
// [cifartui/train/model.Predictor] is one.
type Network interface {
	Bytes(pixels []byte) ([]float32, error)
	Batch() int
}

// An Answer is what became of a picture.
type Answer struct {
	Image         string    // as it was named
	Pixels        []byte    // as the network saw it, in planes
	Probabilities []float32 // of each class
	Err           error     // why it can't be read, with its name; the others are nil then
}

// A Class is a class and how likely it is.
type Class struct {
	Name        string  `json:"class"`
	Probability float32 `json:"probability"`
}

// Top returns the n likeliest classes, the likeliest first; n of 0 means all.
// Of two that are as likely the first in order comes first.
func Top(probabilities []float32, names []string, n int) []Class {
	list := make([]Class, len(probabilities))
	for i, p := range probabilities {
		list[i] = Class{names[i], p}
	}
	slices.SortStableFunc(list, func(a, b Class) int {
		switch {
		case a.Probability > b.Probability:
			return -1
		case a.Probability < b.Probability:
			return 1
		}
		return 0
	})
	if n < 1 {
		return list
	}
	return list[:min(n, len(list))]
}

// Names lists the pictures that a person named: files as they are, and for a
// folder those in it and below it, see [picture.List]. Failed says what is wrong
// with folders.
func Names(ctx context.Context, args []string) (names []string, failed []error) {
	for _, arg := range args {
		st, err := os.Stat(arg)
		if arg == Stdin || err != nil || !st.IsDir() {
			names = append(names, arg) // what is wrong with a file, reading it tells
			continue
		}
		found, err := picture.List(ctx, arg)
		names = append(names, found...)
		switch {
		case err != nil:
			failed = append(failed, err)
		case len(found) == 0:
			failed = append(failed, fmt.Errorf("%s: no pictures in this folder or below it", arg))
		}
	}
	return names, failed
}

// job is a picture on its way to the network.
type job struct {
	Answer
	read chan struct{} // closed when it is read, or can't be
}

// Run asks net what the named pictures show and calls answer for each, in
// order, from the goroutine that called Run. A picture that can't be read is an
// Answer with an error; an error of Run is one of the network, of answer, or
// ctx's.
func Run(ctx context.Context, net Network, r *picture.Reader, names []string, stdin io.Reader, answer func(Answer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()

	batch := max(1, net.Batch())
	queue := make(chan *job, 2*batch) // in order; bounds what is read ahead
	todo := make(chan *job)
	workers.Go(func() {
		defer close(queue)
		defer close(todo)
		for _, name := range names {
			j := &job{Answer: Answer{Image: name}, read: make(chan struct{})}
			select {
			case queue <- j:
			case <-ctx.Done():
				return
			}
			select {
			case todo <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	for range min(len(names), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for j := range todo {
				j.Pixels, j.Err = load(ctx, r, j.Image, stdin)
				close(j.read)
			}
		})
	}
	return ask(ctx, net, batch, queue, answer)
}

// load reads and fits a picture.
func load(ctx context.Context, r *picture.Reader, name string, stdin io.Reader) ([]byte, error) {
	if name != Stdin {
		return r.File(ctx, name)
	}
	if stdin == nil {
		return nil, errors.New("standard input: there is none")
	}
	var pixels []byte
	var err error
	done := make(chan struct{})
	// A terminal or a pipe that sends nothing can't be read with an end in mind: the
	// read stays behind, until the process ends.
	go func() {
		defer close(done)
		pixels, err = r.Stream(ctx, stdin)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return pixels, nil
}

// ask takes pictures as they are read and gives the network as many at a time
// as it takes.
func ask(ctx context.Context, net Network, batch int, queue <-chan *job, answer func(Answer) error) error {
	for more := true; more; {
		var jobs []*job
		var pixels []byte
		for len(jobs) < batch {
			var j *job
			if j, more = <-queue; !more {
				break
			}
			select {
			case <-j.read:
			case <-ctx.Done():
				return ctx.Err()
			}
			jobs = append(jobs, j)
			pixels = append(pixels, j.Pixels...)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := answerAll(net, jobs, pixels, answer); err != nil {
			return err
		}
	}
	return nil
}

// answerAll runs a batch through the network.
func answerAll(net Network, jobs []*job, pixels []byte, answer func(Answer) error) error {
	var probabilities []float32
	if len(pixels) > 0 {
		var err error
		if probabilities, err = net.Bytes(pixels); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		if j.Err == nil {
			n := len(probabilities) * len(j.Pixels) / len(pixels) // classes
			j.Probabilities = probabilities[:n:n]
			probabilities, pixels = probabilities[n:], pixels[len(j.Pixels):]
		}
		if err := answer(j.Answer); err != nil {
			return err
		}
	}
	return nil
}
