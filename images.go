package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"cifartui/cifar"
	"cifartui/train"
	"cifartui/train/config"
	"cifartui/train/record"
	"cifartui/tui"
)

// validationImages gives the screen the images that runs validate on, read from
// the data on this machine, and what the network said of each, from the run's
// folder. Nothing is computed, and no training run is asked.
type validationImages struct {
	// trained is the data of the run that trains in this process, if one does.
	trained func(c config.Config) *cifar.Dataset

	mu    sync.Mutex
	data  *cifar.Dataset // the last one read
	named string         // its dataKey
}

// Open implements [tui.Images].
func (v *validationImages) Open(ctx context.Context, folder string) (*tui.Gallery, error) {
	said, err := record.ReadPredictions(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("what the network says of each image comes after the first epoch; of a run trained by an older version there is none (\"cifartui eval RUN --worst 100 FILE.png\" draws its mistakes)")
	}
	if err != nil {
		return nil, err
	}
	c, _, err := config.ReadQuick(folder)
	if err != nil {
		return nil, err
	}
	d, err := v.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("the images cannot be read here: %w", err)
	}
	set, places, err := validated(c, d)
	if err != nil {
		return nil, err
	}
	labels := make([]byte, len(places))
	for i, at := range places {
		labels[i] = set.Labels[at]
	}
	if !bytes.Equal(labels, said.Labels) {
		return nil, fmt.Errorf("the images of %s here are not those that the run validated on", d.Source)
	}
	g := &tui.Gallery{Predictions: said, Image: func(i int) []byte { return set.Image(places[i]) }}
	if loader := train.LoaderConfig(c); loader.Augment != (cifar.Augment{}) {
		g.Augment = func(i int) [][]byte { return augmented(set, places[i], loader) }
	}
	return g, nil
}

// validated are the images that a run of these settings validates on, as their
// places in a set: to look at them needs no copy, for which there may be no memory.
func validated(c config.Config, d *cifar.Dataset) (set *cifar.Set, places []int, err error) {
	if c.ValSplit > 0 {
		places, err = d.Train.HeldOut(c.ValSplit, c.Seed)
		return d.Train, places, err
	}
	_, set, err = c.Parts(d)
	if err != nil {
		return nil, nil, err
	}
	for i := range set.Len() {
		places = append(places, i)
	}
	return set, places, nil
}

// open reads the data of a run, unless it is at hand. It fetches nothing.
func (v *validationImages) open(ctx context.Context, c config.Config) (*cifar.Dataset, error) {
	if v.trained != nil {
		if d := v.trained(c); d != nil {
			return d, nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.data != nil && v.named == dataKey(c) {
		return v.data, nil
	}
	data := c.Data
	if data == cifar.Auto || data == cifar.CIFAR10 || data == cifar.CIFAR100 {
		var err error
		if data, err = cachedData(data); err != nil {
			return nil, err
		}
	}
	d, err := cifar.Open(ctx, cifar.Options{Data: data, Seed: demoSeed, Size: c.Size, Free: train.FreeMemory()})
	if err != nil {
		return nil, err
	}
	v.data, v.named = d, dataKey(c)
	return d, nil
}

// augmentedExamples is how many examples of an augmented image there are.
const augmentedExamples = 8

// augmented is what training would make of an image in its first epochs.
func augmented(set *cifar.Set, i int, c cifar.LoaderConfig) (list [][]byte) {
	c.Batch, c.Shuffle, c.Size, c.Preprocess, c.Workers = 1, false, set.Size, nil, 1
	c.Seed += uint64(i) // else all would be shifted alike
	loader := cifar.NewLoader(set.Slice(i, i+1), c)
	n := set.Size * set.Size
	for epoch := range augmentedExamples {
		e := loader.Epoch(context.Background(), epoch+1, 0)
		b, err := e.Next()
		if err == nil {
			px := make([]byte, set.ImageBytes())
			for at, v := range b.X { // [height][width][channel], in [0, 1]
				px[at%cifar.Channels*n+at/cifar.Channels] = byte(max(0, min(1, v))*255 + 0.5)
			}
			list = append(list, px)
			b.Release()
		}
		e.Close()
	}
	return list
}
