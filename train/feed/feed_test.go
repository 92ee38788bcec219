package feed

import (
	"context"
	"errors"
	"io"
	"testing"

	"cifartui/cifar"
	"cifartui/nn"
)

// holder is a processor that claims to keep data sets, and makes the batches
// with a loader of its own.
type holder struct {
	*nn.CPU
	t      *testing.T
	loader *cifar.Loader
	ctx    context.Context
	epoch  int
}

func (h *holder) Hold(d nn.Data) (nn.Held, error) {
	set := h.loader.Set()
	if &d.Pixels[0] != &set.Pixels[0] || len(d.Labels) != set.Len() || d.Seed != 7 || !d.Augment || d.Table[1][255] != 1 {
		h.t.Errorf("held %d labels, seed %d, augment %v", len(d.Labels), d.Seed, d.Augment)
	}
	return h, nil
}

func (h *holder) Close() {}

func (h *holder) Order(epoch int, order []int) error {
	h.epoch = epoch
	b, err := h.loader.Epoch(h.ctx, epoch, 0).Next()
	if err != nil {
		return err
	}
	for i, image := range b.Index {
		if order[i] != image {
			h.t.Errorf("epoch %d: place %d has image %d, want %d", epoch, i, order[i], image)
		}
	}
	return nil
}

func (h *holder) Load(images, labels *nn.Buffer, first, rows int) {
	c := h.loader.Config()
	c.Size = images.Image.H
	batches := cifar.NewLoader(h.loader.Set(), c).Epoch(h.ctx, h.epoch, first/c.Batch)
	defer batches.Close()
	b, err := batches.Next()
	if err != nil || len(b.Labels) != rows {
		h.t.Errorf("a batch of %d rows at %d, want %d: %v", rows, first, len(b.Labels), err)
		return
	}
	if err := errors.Join(h.LoadImages(images, b.X, rows), h.LoadLabels(labels, b.Labels)); err != nil {
		h.t.Error(err)
	}
}

// Held or not, a step is given the same batches, from any one on, to the last
// short one, of whole images and of smaller ones.
func TestHeldSetsGiveTheSameBatches(t *testing.T) {
	ctx := t.Context()
	set := cifar.NewSet(cifar.Size, 10)
	for i := range set.Pixels {
		set.Pixels[i] = byte(i * i >> 4)
	}
	loader := cifar.NewLoader(set, cifar.LoaderConfig{Batch: 4, Shuffle: true, Augment: cifar.DefaultAugment(), Seed: 7})
	var losses [2][]float64
	for i := range losses {
		cpu := nn.NewCPU(1)
		defer cpu.Close()
		var on nn.Backend = cpu
		if i == 1 {
			on = &holder{CPU: cpu, t: t, loader: loader, ctx: ctx}
		}
		spec := nn.Spec{Size: 32, Filters: []int{4}, Classes: 10}
		net, err := nn.New(cpu, spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		solver, err := nn.NewSolver(cpu, "sgd", nn.SolverOptions{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(on, loader)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, x := range []struct{ epoch, from, size int }{{1, 0, 16}, {2, 1, 16}, {3, 0, 32}, {4, 1, 32}} {
			step, err := net.NewStepAt(x.size, 4, solver)
			if err != nil {
				t.Fatal(err)
			}
			defer step.Close()
			e, err := f.EpochAt(ctx, x.size, x.epoch, x.from)
			if err != nil {
				t.Fatal(err)
			}
			batches := 0
			for ; ; batches++ {
				_, err := e.Submit(step, 1)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				r, err := step.Result()
				if err != nil {
					t.Fatal(err)
				}
				losses[i] = append(losses[i], r.Loss)
			}
			e.Close()
			if batches != 3-x.from {
				t.Errorf("%+v: %d batches, want %d", x, batches, 3-x.from)
			}
		}
	}
	for i, l := range losses[0] {
		if losses[1][i] != l {
			t.Errorf("loss %d is %v with a held set, %v without", i, losses[1][i], l)
		}
	}
}
