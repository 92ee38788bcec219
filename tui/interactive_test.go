package tui

import (
	"context"
	"os"
	"testing"
	"time"

	"cifartui/train/event"
)

// TestInteractive shows a made-up run that answers keys, to look at the screen
// by hand:
//
//	go test -c -o /tmp/tui.test ./tui && CIFARTUI_LOOK=1 /tmp/tui.test -test.run Interactive
//
// CIFARTUI_LOOK=many shows a comparison.
func TestInteractive(t *testing.T) {
	look := os.Getenv("CIFARTUI_LOOK")
	if look == "" {
		t.Skip("set CIFARTUI_LOOK to look at the screen")
	}
	names := []string{"model_20261123_1405"}
	if look == "many" {
		names = []string{"batch64", "batch128", "batch256", "batch512"}
	}
	src := newFakeSource()
	control := &fakeControl{}
	var runs []*liveRun
	for i, name := range names {
		s := newScript(name, 64<<i, 60)
		s.speed, s.every = 30000, 5
		s.run(12)
		src.feed(s.events...)
		runs = append(runs, &liveRun{script: s, src: src, seen: len(s.events), epoch: 13})
	}
	control.answer = func(c event.Command) error {
		for _, r := range runs {
			if c.Target() == "" || c.Target() == r.script.name {
				r.command(c)
			}
		}
		return nil
	}
	stop := make(chan struct{})
	defer close(stop)
	for _, r := range runs {
		go r.live(stop)
	}
	res, err := showAlone(context.Background(), Options{Source: src, Control: control, CanDetach: true, Name: names[0], Theme: os.Getenv("CIFARTUI_THEME")})
	t.Logf("%+v %v", res, err)
}

// A liveRun plays a script at the pace of a real run and obeys commands.
type liveRun struct {
	script *script
	src    *fakeSource
	seen   int
	epoch  int
	step   int

	paused, stopping bool
	commands         chan event.Command
}

func (r *liveRun) command(c event.Command) {
	if r.commands == nil {
		return
	}
	r.commands <- c
}

func (r *liveRun) live(stop chan struct{}) {
	r.commands = make(chan event.Command, 16)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !r.stopping {
		select {
		case <-stop:
			return
		case c := <-r.commands:
			r.obey(c)
		case <-tick.C:
			if !r.paused {
				r.work()
			}
		}
		r.publish()
	}
	r.script.end(event.OutcomeStopped, "", r.epoch-1)
	r.publish()
	r.src.end()
}

func (r *liveRun) work() {
	s := r.script
	to := min(r.step+s.every, s.steps())
	s.train(r.epoch, r.step, to)
	if r.step = to; to == s.steps() {
		n := len(s.events)
		s.epoch(r.epoch)
		for i, e := range s.events[n:] { // the epoch's steps are there already
			if _, ok := e.(*event.EpochDone); ok {
				s.events = append(s.events[:n], s.events[n+i:]...)
				break
			}
		}
		r.epoch, r.step = r.epoch+1, 0
	}
}

func (r *liveRun) obey(c event.Command) {
	s := r.script
	switch c := c.(type) {
	case event.Pause:
		r.paused = true
		s.state(event.StatePaused, c.Why, r.epoch, r.step)
	case event.Resume:
		r.paused = false
		s.state(event.StateRunning, c.Why, r.epoch, r.step)
	case event.Save:
		s.emit(&event.CheckpointSaved{Header: s.head(event.KindCheckpointSaved), File: "CIFAR10-EP13-STEP00100.safetensors", Reason: "manual", Epoch: r.epoch, Step: r.step, Size: 4751234})
	case event.SetLearnRate:
		s.emit(&event.LearnRateChanged{Header: s.head(event.KindLearnRate), From: 1, To: c.Rate, Epoch: r.epoch, Step: r.step, Total: int64((r.epoch-1)*s.steps() + r.step)})
	case event.Stop:
		r.stopping = true
		s.state(event.StateStopping, c.Why, r.epoch, r.step)
	}
}

func (r *liveRun) publish() {
	now := time.Now()
	for _, e := range r.script.events[r.seen:] {
		e.Head().Time = now
	}
	r.src.feed(r.script.events[r.seen:]...)
	r.seen = len(r.script.events)
}
