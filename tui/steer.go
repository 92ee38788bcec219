package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
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

func (s *steering) bindings() []keymap.Binding {
	steer := func(b keymap.Binding) keymap.Binding {
		b.When, b.WhyNot = s.canSteer, s.whyNot
		return b
	}
	another := func(b keymap.Binding) keymap.Binding {
		b.When, b.WhyNot = s.several, func() string { return "There is only one run." }
		return b
	}
	return keymap.Grouped("The run", keymap.Everywhere, []keymap.Binding{
		steer(keymap.Binding{Action: "pause", Keys: []string{" ", "p"}, Short: "pause", Renamed: s.pauseWord, Rank: 1, Long: "pause or go on, between two batches", Do: s.togglePause}),
		steer(keymap.Binding{Action: "save", Keys: []string{"s"}, Short: "save", Rank: 3, Long: "save a checkpoint now, also while paused", Do: s.save}),
		steer(keymap.Binding{Action: "stop", Keys: []string{"x"}, Short: "stop", Rank: 4, Long: "stop after this batch or this epoch", Do: s.askStop}),
		steer(keymap.Binding{Action: "learn_rate", Keys: []string{"L"}, Short: "rate", Rank: 5, Long: "set the learning rate", Do: s.askRate}),
		steer(keymap.Binding{Action: "learn_rate_up", Keys: []string{"+", "="}, Long: "raise the learning rate by a tenth", Do: func() tea.Cmd { return s.scaleRate(rateStep) }}),
		steer(keymap.Binding{Action: "learn_rate_down", Keys: []string{"-"}, Long: "lower it as much", Do: func() tea.Cmd { return s.scaleRate(1 / rateStep) }}),
		{Action: "detach", Keys: []string{"d", "ctrl+z"}, Short: "detach", Rank: 6, Long: "leave the run training in the background", When: s.canDetach, WhyNot: s.whyNotDetach, Do: s.detach},
		another(keymap.Binding{Action: "next_run", Keys: []string{"n"}, Short: "next run", Rank: 6, Long: "the next run", Do: func() tea.Cmd { s.move(1); return nil }}),
		another(keymap.Binding{Action: "previous_run", Keys: []string{"N"}, Long: "the run before", Do: func() tea.Cmd { s.move(-1); return nil }}),
	})
}

// canDetach reports whether the screen can be left with the run at work.
func (s *steering) canDetach() bool {
	if s.o.Mode == Attached { // it trains elsewhere already
		return !s.sourceDone
	}
	// Of a comparison the selected run may have ended: what is left goes on.
	return s.o.CanDetach && s.o.Control != nil && !s.sourceDone && slices.ContainsFunc(s.all, (*run).live)
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

// to addresses a command to a run.
func (s *steering) to(r *run) event.To {
	return event.To{Run: r.Name, Why: s.pressed + " pressed"}
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
		return s.send(event.Resume{To: s.to(r)})
	}
	r.asked = "pausing after this batch"
	if r.State == event.StateStarting { // there is none yet, and it may take a while to be ready
		r.asked = "pausing before the first batch"
	}
	return s.send(event.Pause{To: s.to(r)})
}

func (s *steering) save() tea.Cmd {
	r := s.current()
	r.asked = "saving"
	return s.send(event.Save{To: s.to(r)})
}

func (s *steering) stop(r *run, after event.Boundary) tea.Cmd {
	r.asked = "stopping after this " + string(after)
	return s.send(event.Stop{To: s.to(r), After: after})
}

// askStop asks about the run that is selected now: another one may be by the time
// of the answer, as long as runs begin that come before it.
func (s *steering) askStop() tea.Cmd {
	r := s.current()
	epoch, step, steps := r.Position()
	inAbout := ""
	if left, _ := r.Remaining(); left >= 0 {
		inAbout = "in about " + format.Duration(left)
	}
	s.ask(&dialog.Dialog{
		Title: "Stop the run",
		Text:  fmt.Sprintf("%s is in epoch %d, step %d of %d. It is saved and can be resumed.", r.Name, epoch, step, steps),
		Options: []dialog.Option{
			{Key: "b", Label: "after this batch", Do: func() tea.Cmd { return s.stop(r, event.AfterBatch) }},
			{Key: "e", Label: "after this epoch", Hint: inAbout, Do: func() tea.Cmd { return s.stop(r, event.AfterEpoch) }},
			{Key: "c", Label: "cancel"},
		},
	})
	return nil
}

func (s *steering) askRate() tea.Cmd {
	r := s.current() // see askStop
	now := format.Rate(r.LearnRate())
	s.ask(&dialog.Dialog{
		Title: "Learning rate",
		Text:  fmt.Sprintf("It is %s now. A schedule goes on from the new one, scaled.", now),
		Input: &dialog.Line{Text: []rune(now), Fresh: true},
		Accept: func(text string) (tea.Cmd, string) {
			v, err := config.ParseLearnRate(strings.TrimSpace(text))
			if err != nil {
				return nil, format.Sentence(err.Error())
			}
			return s.setRate(r, v), ""
		},
	})
	return nil
}

func (s *steering) setRate(r *run, v float64) tea.Cmd {
	r.asked = "setting the learning rate to " + format.Rate(v)
	return s.send(event.SetLearnRate{To: s.to(r), Rate: v})
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
	return s.setRate(r, v)
}
