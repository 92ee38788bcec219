package main

import (
	"bytes"
	"testing"

	"cifartui/cifar"
	"cifartui/train/config"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// What the screen shows of the images that a run held out lies in the data at hand:
// for a copy of them there may be no memory.
func TestScreenCopiesNoHeldOutImages(t *testing.T) {
	c := config.Default()
	c.Data, c.ValSplit = "demo:40", 10
	d, err := cifar.Open(t.Context(), cifar.Options{Data: c.Data, Seed: demoSeed})
	if err != nil {
		t.Fatal(err)
	}
	_, held, err := c.Parts(d)
	if err != nil {
		t.Fatal(err)
	}
	said := record.Predictions{Epoch: 1, Classes: len(d.Classes)}
	for _, label := range held.Labels {
		said.Add(label, make([]float32, said.Classes))
	}
	folder := t.TempDir()
	if err := said.Write(rundir.OS{}, folder); err != nil {
		t.Fatal(err)
	}
	if err := config.Write(rundir.OS{}, folder, c, config.About{}); err != nil {
		t.Fatal(err)
	}
	images := validationImages{trained: func(config.Config) *cifar.Dataset { return d }}
	g, err := images.Open(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	for i := range g.Labels {
		if !bytes.Equal(g.Image(i), held.Image(i)) {
			t.Errorf("image %d is another than the run validates on", i)
		}
	}
	clear(d.Train.Pixels)
	if px := g.Image(0); !bytes.Equal(px, make([]byte, len(px))) {
		t.Error("the images are copied")
	}
}
