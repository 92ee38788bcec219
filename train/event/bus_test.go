package event

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"time"
)

func stepEvent(run string, total int64) *StepDone {
	return &StepDone{
		Header: Header{Event: KindStep, Seq: uint64(total), Run: run}, Epoch: 1, Step: int(total), Steps: 1 << 20, Total: total, Count: 1,
		Loss: Float(total), MinLoss: Float(total), MaxLoss: Float(total), Acc: 0.5, LR: 1, ImagesPerSecond: 100, Elapsed: float64(total),
		Phases: Phases{1, 2, 3, 4},
	}
}

func drain(t *testing.T, s Source, max int) []Event {
	t.Helper()
	var all []Event
	for {
		events, err := s.Next(context.Background(), max)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(events) > max {
			t.Fatalf("%d events at once, asked for %d", len(events), max)
		}
		all = append(all, events...)
	}
}

func TestReaderThatNeverReadsHoldsNobodyUpAndKeepsNoSteps(t *testing.T) {
	b := NewBus()
	stalled, live := b.Subscribe(), b.Subscribe()
	const epochs, steps = 20, 5000
	var got []Event
	done := make(chan struct{})
	go func() { got = drain(t, live, 7); close(done) }()
	for e := range epochs {
		for s := range steps {
			b.Publish(stepEvent("a", int64(e*steps+s+1)))
			b.Publish(stepEvent("b", int64(e*steps+s+1)))
		}
		b.Publish(&EpochDone{Header: Header{Run: "a"}, Epoch: e + 1})
		b.Publish(&EpochDone{Header: Header{Run: "b"}, Epoch: e + 1})
	}
	if n := len(stalled.queue.events); n != 4*epochs {
		t.Errorf("the stalled reader's queue holds %d events, want %d: steps and epoch of two runs", n, 4*epochs)
	}
	b.Close()
	<-done
	for name, events := range map[string][]Event{"stalled": drain(t, stalled, 3), "live": got} {
		count, at := map[string]int64{}, map[string]int64{}
		epochsSeen := 0
		for _, e := range events {
			switch e := e.(type) {
			case *StepDone:
				count[e.Run] += int64(e.Count)
				if count[e.Run] != e.Total || e.Total <= at[e.Run] || int64(e.Seq) != e.Total || float64(e.Elapsed) != float64(e.Total) {
					t.Fatalf("%s: step %+v after %d", name, e, at[e.Run])
				}
				first := float64(e.Total) - float64(e.Count) + 1
				if want := (first + float64(e.Total)) / 2; math.Abs(float64(e.Loss)-want) > 1e-6*want || float64(e.MinLoss) != first || float64(e.MaxLoss) != float64(e.Total) {
					t.Fatalf("%s: merged losses %v, %v, %v; want mean %v", name, e.Loss, e.MinLoss, e.MaxLoss, want)
				}
				if math.Abs(e.ImagesPerSecond-100) > 1e-6 || e.Phases.Optimizer != 4*float64(e.Count) {
					t.Fatalf("%s: %+v", name, e)
				}
				at[e.Run] = e.Total
			case *EpochDone:
				epochsSeen++
				if at[e.Run] != int64(e.Epoch*steps) {
					t.Fatalf("%s: epoch %d came after step %d", name, e.Epoch, at[e.Run])
				}
			}
		}
		if epochsSeen != 2*epochs || count["a"] != epochs*steps || count["b"] != epochs*steps {
			t.Errorf("%s: %d epochs, %v steps", name, epochsSeen, count)
		}
	}
}

func TestStepsInGroups(t *testing.T) {
	b := NewBus()
	s := b.SubscribeSteps(10)
	for i := range 95 {
		b.Publish(stepEvent("a", int64(i+1)))
	}
	b.Close()
	events := drain(t, s, 100)
	if len(events) != 10 {
		t.Fatalf("%d events, want 10", len(events))
	}
	for i, e := range events[:9] {
		if s := e.(*StepDone); s.Total != int64(10*(i+1)) || s.Count != 10 {
			t.Errorf("group %d: %+v", i, s)
		}
	}
}

func TestMergingDoesNotChangeWhatAnotherReaderHas(t *testing.T) {
	b := NewBus()
	fast, slow := b.SubscribeSteps(1), b.Subscribe()
	for i := range 3 {
		b.Publish(stepEvent("a", int64(i+1)))
	}
	events, err := fast.Next(context.Background(), 10)
	if err != nil || len(events) != 3 {
		t.Fatal(events, err)
	}
	for i, e := range events {
		if s := e.(*StepDone); s.Total != int64(i+1) || s.Count != 1 {
			t.Errorf("event %d became %+v", i, s)
		}
	}
	// And what a reader has taken stays as it is when more steps come.
	events, _ = slow.Next(context.Background(), 10)
	b.Publish(stepEvent("a", 4))
	if s := events[0].(*StepDone); len(events) != 1 || s.Total != 3 || s.Count != 3 {
		t.Errorf("taken event became %+v", s)
	}
}

func TestBusWithManyReadersComingAndGoing(t *testing.T) {
	b := NewBus()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				s := b.Subscribe()
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				for range 3 {
					if _, err := s.Next(ctx, 2); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				}
				cancel()
				s.Close()
				if events, err := s.Next(context.Background(), 1); len(events) > 0 || !errors.Is(err, io.EOF) {
					t.Errorf("after Close: %v, %v", events, err)
				}
			}
		})
	}
	for i := range 20000 {
		b.Publish(stepEvent("a", int64(i+1)))
	}
	wg.Wait()
	b.Close()
	if _, err := b.Subscribe().Next(context.Background(), 1); !errors.Is(err, io.EOF) {
		t.Errorf("a reader of a closed bus gets %v", err)
	}
	if n := len(b.subs); n != 0 {
		t.Errorf("%d readers left", n)
	}
}
