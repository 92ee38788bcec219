package main

import (
	"io"
	"slices"
	"testing"

	"cifartui/train/event"
	"cifartui/train/event/eventtest"
)

// One run of several is told in batches that are no larger than asked for, and
// full as long as there is more: a screen draws between two of them.
func TestOneRunOfSeveralIsToldInBatches(t *testing.T) {
	seq := uint64(0)
	of := func(runs string) (list []event.Event) {
		for _, run := range runs {
			seq++
			list = append(list, &event.StepDone{Header: event.Header{Run: string(run), Seq: seq}})
		}
		return list
	}
	source := &only{Source: &eventtest.Batches{of("abab"), of("bbbb"), of("aaaa"), of("aaaa"), of("ab"), of("b")}, run: "a"}
	var lengths []int
	var got []uint64
	for {
		events, err := source.Next(t.Context(), 4)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lengths = append(lengths, len(events))
		for _, e := range events {
			got = append(got, e.Head().Seq)
		}
	}
	if want := []int{4, 4, 3}; !slices.Equal(lengths, want) {
		t.Errorf("batches of %v, want %v", lengths, want)
	}
	if want := []uint64{1, 3, 9, 10, 11, 12, 13, 14, 15, 16, 17}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}
