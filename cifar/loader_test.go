package cifar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"
)

// testSet returns n random images.
func testSet(n int) *Set {
	s := newSet(n)
	r := newRNG(99)
	for i := range s.Pixels {
		s.Pixels[i] = byte(r.next())
	}
	for i := range s.Labels {
		s.Labels[i] = byte(r.below(Classes))
	}
	return s
}

// A copied batch outlives its Release.
type copied struct {
	x      []float32
	labels []byte
	index  []int
}

// drain reads a stream to its end.
func drain(t testing.TB, b *Batches) []copied {
	t.Helper()
	defer b.Close()
	var out []copied
	for {
		batch, err := b.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, copied{slices.Clone(batch.X), slices.Clone(batch.Labels), slices.Clone(batch.Index)})
		batch.Release()
	}
}

func sameBatches(t *testing.T, got, want []copied) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d batches, want %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i].index, want[i].index) || !slices.Equal(got[i].labels, want[i].labels) || !slices.Equal(got[i].x, want[i].x) {
			t.Fatalf("batch %d differs", i)
		}
	}
}

func TestBatchesDoNotDependOnWorkersOrOnWhereAnEpochBegins(t *testing.T) {
	set := testSet(103)
	config := LoaderConfig{Batch: 8, Shuffle: true, Augment: DefaultAugment(), Seed: 5, Workers: 1, Ahead: 1}
	want := drain(t, NewLoader(set, config).Epoch(context.Background(), 3, 0))
	for _, workers := range []int{1, 2, 7} {
		for _, ahead := range []int{1, 3, 40} {
			config.Workers, config.Ahead = workers, ahead
			l := NewLoader(set, config)
			for _, from := range []int{0, 1, 12, 13, 14} {
				t.Run(fmt.Sprint(workers, ahead, from), func(t *testing.T) {
					sameBatches(t, drain(t, l.Epoch(context.Background(), 3, from)), want[min(from, len(want)):])
				})
			}
		}
	}
}

func TestEveryImageOnceAnEpochAndInANewOrderEach(t *testing.T) {
	set := testSet(50)
	l := NewLoader(set, LoaderConfig{Batch: 16, Shuffle: true, Seed: 1})
	if l.Steps() != 4 {
		t.Errorf("%d steps, want 4", l.Steps())
	}
	var orders [][]int
	for epoch := 1; epoch <= 3; epoch++ {
		var order []int
		for i, b := range drain(t, l.Epoch(context.Background(), epoch, 0)) {
			if want := []int{16, 16, 16, 2}[i]; len(b.index) != want || len(b.labels) != want || len(b.x) != want*Pixels {
				t.Errorf("batch %d has %d rows, %d labels, %d values; want %d rows", i, len(b.index), len(b.labels), len(b.x), want)
			}
			order = append(order, b.index...)
			for row, image := range b.index {
				if b.labels[row] != set.Labels[image] {
					t.Errorf("row %d of batch %d has another image's label", row, i)
				}
			}
		}
		orders = append(orders, slices.Clone(order))
		slices.Sort(order)
		for i, image := range order {
			if i != image {
				t.Fatalf("epoch %d: not every image once", epoch)
			}
		}
	}
	if slices.Equal(orders[0], orders[1]) || slices.Equal(orders[1], orders[2]) {
		t.Error("two epochs have one order")
	}
}

func TestUnshuffledUnaugmentedBatchesAreTheSet(t *testing.T) {
	set := testSet(20)
	l := NewLoader(set, LoaderConfig{Batch: 7})
	var x []float32
	var labels []byte
	for _, b := range drain(t, l.Epoch(context.Background(), 1, 0)) {
		x, labels = append(x, b.x...), append(labels, b.labels...)
	}
	if !slices.Equal(labels, set.Labels) {
		t.Error("labels differ")
	}
	for i, v := range x {
		image, at := i/Pixels, i%Pixels
		y, xx, c := at/(Size*Channels), at/Channels%Size, at%Channels
		if want := float32(set.Image(image)[c*plane+y*Size+xx]) / 255; v != want {
			t.Fatalf("image %d, row %d, column %d, channel %d is %g, want %g", image, y, xx, c, v, want)
		}
	}
}

func TestNothingIsAllocatedPerBatch(t *testing.T) {
	l := NewLoader(testSet(64), LoaderConfig{Batch: 1, Shuffle: true, Augment: DefaultAugment(), Workers: 1})
	drain(t, l.Epoch(context.Background(), 1, 0)) // makes the buffers
	b := l.Epoch(context.Background(), 2, 0)
	defer b.Close()
	if n := testing.AllocsPerRun(50, func() {
		batch, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		batch.Release()
	}); n != 0 {
		t.Errorf("%g allocations a batch", n)
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	l := NewLoader(testSet(64), LoaderConfig{Batch: 4, Workers: 2, Ahead: 2})
	seen := map[*float32]bool{}
	for epoch := 1; epoch <= 5; epoch++ {
		b := l.Epoch(context.Background(), epoch, 0)
		for range 10 { // an epoch that is broken off
			batch, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			seen[&batch.X[0]] = true
			batch.Release()
			batch.Release() // does nothing
		}
		b.Close()
		b.Close() // does nothing
	}
	if want := 2 + 2 + 1; len(seen) > want {
		t.Errorf("%d buffers, want %d", len(seen), want)
	}
}

func TestHeldBatchStaysWholeAndHoldingAllIsAnError(t *testing.T) {
	set := testSet(40)
	l := NewLoader(set, LoaderConfig{Batch: 2, Workers: 1, Ahead: 2, Augment: DefaultAugment()})
	want := drain(t, l.Epoch(context.Background(), 1, 0))
	b := l.Epoch(context.Background(), 1, 0)
	var held []*Batch
	for {
		batch, err := b.Next()
		if errors.Is(err, errHeld) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, batch)
	}
	if len(held) < 2 {
		t.Errorf("only %d batches may be held, want Ahead at least", len(held))
	}
	held[1].Release() // not in their order
	if _, err := b.Next(); err != nil {
		t.Errorf("after a Release: %v", err)
	}
	b.Close()
	for i, batch := range held {
		if i != 1 && !slices.Equal(batch.X, want[i].x) {
			t.Errorf("batch %d changed while it was held", i)
		}
		batch.Release()
	}
}

func TestClosedOrCancelledStreamEnds(t *testing.T) {
	before := runtime.NumGoroutine()
	l := NewLoader(testSet(64), LoaderConfig{Batch: 1, Workers: 3, Ahead: 2})
	ctx, cancel := context.WithCancel(context.Background())
	b := l.Epoch(ctx, 1, 0)
	if _, err := b.Next(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := b.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	b.Close()
	c := l.Epoch(context.Background(), 1, 0)
	c.Close()
	if _, err := c.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("after Close: %v", err)
	}
	// Close waits for what the workers do; the scheduler may count one for a
	// moment longer.
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestEmptySet(t *testing.T) {
	b := NewLoader(newSet(0), LoaderConfig{Batch: 64, Shuffle: true}).Epoch(context.Background(), 1, 0)
	defer b.Close()
	if _, err := b.Next(); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

// go test -bench Loader -cpu 1 ./cifar prints the time of an image.
func BenchmarkLoader(b *testing.B) {
	set := testSet(4096)
	for _, augment := range []bool{false, true} {
		b.Run(fmt.Sprintf("augment=%v", augment), func(b *testing.B) {
			l := NewLoader(set, LoaderConfig{Batch: 64, Shuffle: true, Augment: map[bool]Augment{true: DefaultAugment()}[augment], Workers: 1})
			images, epoch := 0, 0
			b.ReportAllocs()
			for images < b.N {
				epoch++
				s := l.Epoch(context.Background(), epoch, 0)
				for {
					batch, err := s.Next()
					if err != nil {
						break
					}
					images += len(batch.Labels)
					batch.Release()
				}
				s.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(images), "ns/image")
		})
	}
}
