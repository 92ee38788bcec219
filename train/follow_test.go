package train

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"cifartui/train/event"
	"cifartui/train/record"
)

// equal compares events; NaN equals NaN.
func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y) && reflect.TypeOf(a) == reflect.TypeOf(b)
}

func TestFollowerSeesALiveRunToItsEnd(t *testing.T) {
	tr := newTrainer(t, tinyOptions(t))
	var live recorder
	done := make(chan error, 1)
	started := make(chan struct{})
	live.at = func(e event.Event) {
		if e.Head().Seq == 1 {
			close(started)
		}
	}
	go func() { done <- tr.Run(context.Background(), live.emit) }()
	<-started
	r, err := record.Follow(tr.Folder())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	followed, err := record.ReadHistory(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := new(record.History)
	for _, e := range live.events {
		want.Apply(e)
	}
	a, b := want.Runs[0], followed.Runs[0]
	if !equal(a.Epochs, b.Epochs) || !equal(a.Ended, b.Ended) || !equal(a.Evaluated, b.Evaluated) || a.Last.Total != b.Last.Total || !equal(a.Checkpoints, b.Checkpoints) {
		t.Errorf("followed %+v\nlive %+v", b, a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Next(ctx, 1); err == nil {
		t.Error("events after the end")
	}
}

func TestFollowerStaysThroughAHandOver(t *testing.T) {
	o := tinyOptions(t)
	first := newTrainer(t, o)
	r, err := record.Follow(first.Folder())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	followed := make(chan *record.History, 1)
	go func() {
		h, err := record.ReadHistory(context.Background(), r)
		if err != nil {
			t.Error(err)
		}
		followed <- h
	}()
	if err := first.Run(context.Background(), func(e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 7 {
			first.Send(event.Detach{})
		}
	}); err != nil {
		t.Fatal(err)
	}
	mustTrain(t, resume(o, first.Folder()), nil)
	h := (<-followed).Runs[0]
	if len(h.Epochs) != 3 || h.Ended == nil || h.Ended.Outcome != event.OutcomeFinished || h.Started.ResumedTotal != 7 {
		t.Errorf("followed %+v", h)
	}
}
