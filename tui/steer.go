package tui

import (
	"fmt"
	"strconv"
	"strings"

	"cifartui/train/event"
	"cifartui/tui/chart"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// rateStep is the factor of one key that changes the learning rate.
const rateStep = 1.1

// steering turns keys into commands for the selected run.
type steering struct {
	*common
	quitting bool          // stop and save was chosen: wait for the end, then leave
	sending  chan struct{} // closed when the newest command has been sent
}

func (s *steering) bindings() []binding {
	steer := func(b binding) binding {
		b.when, b.whyNot = s.canSteer, s.whyNot
		return b
	}
	another := func(b binding) binding {
		b.when, b.whyNot = s.several, func() string { return "There is only one run." }
		return b
	}
	return grouped("The run", everywhere, []binding{
		steer(binding{action: "pause", keys: []string{" ", "p"}, short: "pause", renamed: s.pauseWord, rank: 1, long: "pause or go on, between two batches", do: s.togglePause}),
		steer(binding{action: "save", keys: []string{"s"}, short: "save", rank: 3, long: "save a checkpoint now, also while paused", do: s.save}),
		steer(binding{action: "stop", keys: []string{"x"}, short: "stop", rank: 4, long: "stop after this batch or this epoch", do: s.askStop}),
		steer(binding{action: "learn_rate", keys: []string{"L"}, short: "rate", rank: 5, long: "set the learning rate", do: s.askRate}),
		steer(binding{action: "learn_rate_up", keys: []string{"+", "="}, long: "raise the learning rate by a tenth", do: func() tea.Cmd { return s.scaleRate(rateStep) }}),
		steer(binding{action: "learn_rate_down", keys: []string{"-"}, long: "lower it as much", do: func() tea.Cmd { return s.scaleRate(1 / rateStep) }}),
		{action: "detach", keys: []string{"d", "ctrl+z"}, short: "detach", rank: 6, long: "leave the run training in the background", when: s.canDetach, whyNot: s.whyNotDetach, do: s.detach},
		another(binding{action: "next_run", keys: []string{"n"}, short: "next run", rank: 6, long: "the next run", do: func() tea.Cmd { s.move(1); return nil }}),
		another(binding{action: "previous_run", keys: []string{"N"}, long: "the run before", do: func() tea.Cmd { s.move(-1); return nil }}),
	})
}

// canDetach reports whether the screen can be left with the run at work.
func (s *steering) canDetach() bool {
	if s.o.Mode == Attached { // it trains elsewhere already
		return !s.sourceDone
	}
	return s.o.CanDetach && s.canSteer()
}

// whyNot says why the run can't be steered now.
func (s *steering) whyNot() string {
	r := s.current()
	switch {
	case s.o.Control == nil && s.o.ReadOnlyWhy != "":
		return format.Sentence(s.o.ReadOnlyWhy)
	case s.o.Mode == Replay:
		return "This run has ended: it can only be looked at."
	case s.o.Control == nil:
		return "This run can only be looked at."
	case r == nil || r.Started.StepsPerEpoch == 0:
		return notBegun
	case r.Ended != nil || s.sourceDone:
		return "The run has ended."
	}
	return "Not now."
}

const notBegun = "The run has not begun yet."

func (s *steering) whyNotDetach() string {
	if s.canSteer() {
		return "This run can't be detached."
	}
	return s.whyNot()
}

// send hands a command to the run, off the drawing goroutine, after those that
// were given before it.
func (s *steering) send(c event.Command) tea.Cmd {
	control, before, done := s.o.Control, s.sending, make(chan struct{})
	s.sending = done
	return s.do(func() tea.Msg {
		defer close(done)
		if before != nil {
			<-before
		}
		return sentMsg{c, control.Send(c)}
	})
}

// sent learns whether a command reached the run.
func (s *steering) sent(msg sentMsg) {
	if msg.err == nil {
		return
	}
	s.quitting = false
	for _, r := range s.all {
		r.asked, r.wanted = "", 0
	}
	s.say(style.Trouble, format.Sentence(msg.err.Error()))
}

// to addresses a command to the selected run.
func (s *steering) to() event.To {
	return event.To{Run: s.current().Name, Why: s.pressed + " pressed"}
}

func (s *steering) pauseWord() string {
	if r := s.current(); r != nil && r.State == event.StatePaused {
		return "go on"
	}
	return "pause"
}

func (s *steering) togglePause() tea.Cmd {
	r := s.current()
	if r.State == event.StatePaused {
		r.asked = "going on"
		return s.send(event.Resume{To: s.to()})
	}
	r.asked = "pausing after this batch"
	return s.send(event.Pause{To: s.to()})
}

func (s *steering) save() tea.Cmd {
	s.current().asked = "saving"
	return s.send(event.Save{To: s.to()})
}

func (s *steering) stop(after event.Boundary) tea.Cmd {
	s.current().asked = "stopping after this " + string(after)
	return s.send(event.Stop{To: s.to(), After: after})
}

func (s *steering) askStop() tea.Cmd {
	r := s.current()
	epoch, step, steps := r.Position()
	inAbout := ""
	if left, _ := r.Remaining(); left >= 0 {
		inAbout = "in about " + format.Duration(left)
	}
	s.ask(&dialog{
		title: "Stop the run",
		text:  fmt.Sprintf("%s is in epoch %d, step %d of %d. It is saved and can be resumed.", r.Name, epoch, step, steps),
		options: []option{
			{"b", "after this batch", "", func() tea.Cmd { return s.stop(event.AfterBatch) }},
			{"e", "after this epoch", inAbout, func() tea.Cmd { return s.stop(event.AfterEpoch) }},
			{"c", "cancel", "", nil},
		},
	})
	return nil
}

func (s *steering) askRate() tea.Cmd {
	now := format.Rate(s.current().LearnRate())
	s.ask(&dialog{
		title: "Learning rate",
		text:  fmt.Sprintf("It is %s now. A schedule goes on from the new one, scaled.", now),
		input: &lineEdit{text: []rune(now), fresh: true},
		accept: func(text string) (tea.Cmd, string) {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || !chart.Finite(v) || v <= 0 {
				return nil, "A learning rate is a number above 0."
			}
			return s.setRate(v), ""
		},
	})
	return nil
}

func (s *steering) setRate(v float64) tea.Cmd {
	s.current().asked = "setting the learning rate to " + format.Rate(v)
	return s.send(event.SetLearnRate{To: s.to(), Rate: v})
}

// scaleRate changes the learning rate by a factor. Keys pressed faster than
// the run answers build on each other.
func (s *steering) scaleRate(factor float64) tea.Cmd {
	r := s.current()
	base := r.LearnRate()
	if r.wanted > 0 {
		base = r.wanted
	}
	if base <= 0 {
		return nil
	}
	v, _ := strconv.ParseFloat(strconv.FormatFloat(base*factor, 'g', 3, 64), 64)
	r.wanted = v
	return s.setRate(v)
}
