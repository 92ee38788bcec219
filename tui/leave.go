package tui

import (
	"fmt"

	"cifartui/train/event"
	"cifartui/tui/dialog"
	"cifartui/tui/format"

	tea "github.com/charmbracelet/bubbletea"
)

// detach leaves the run training in the background.
func (s *steering) detach() tea.Cmd {
	if s.o.Mode == Attached || s.over() {
		return s.close()
	}
	return s.leave(Result{Action: Detach})
}

func (s *steering) leaveRunning() tea.Cmd {
	if s.over() {
		return s.close()
	}
	return s.leave(Result{Action: LeaveRunning})
}

func (s *steering) close() tea.Cmd { return s.leave(Result{Action: Closed}) }

// over reports whether no run is at work any more, which may come to be while it
// is asked what is to become of it.
func (s *steering) over() bool { return s.sourceDone || s.allEnded() }

// askQuit leaves at once where nothing would be lost, else it asks.
func (s *steering) askQuit() tea.Cmd {
	if s.o.Control == nil || s.o.Mode == Replay || s.over() {
		return s.close()
	}
	stop := dialog.Option{Key: "s", Label: "stop and save", Hint: "it can be resumed", Do: s.stopAndQuit}
	back := dialog.Option{Key: "b", Label: "go back"}
	goesOn, leave := "the run goes on", "leave it training"
	if s.allPaused() {
		goesOn, leave = "the run stays paused", "leave it paused"
	}
	d := &dialog.Dialog{Title: "Leave", Text: s.whatRuns()}
	switch {
	case s.o.Mode == Attached:
		d.Options = []dialog.Option{{Key: "l", Label: "leave", Hint: goesOn, Do: s.close}, stop, back}
	case s.o.CanDetach:
		d.Options = []dialog.Option{stop, {Key: "l", Label: leave, Hint: "in the background", Do: s.detach}, back}
	default:
		d.Options = []dialog.Option{stop, {Key: "l", Label: leave, Hint: "here, without the screen", Do: s.leaveRunning}, back}
	}
	s.ask(d)
	return nil
}

// allPaused reports whether no run would train on by itself.
func (s *steering) allPaused() bool {
	for _, r := range s.all {
		if r.Ended == nil && r.State != event.StatePaused {
			return false
		}
	}
	return len(s.all) > 0
}

// whatRuns says what would be left.
func (s *steering) whatRuns() string {
	r := s.current()
	if r == nil {
		return "The run is about to begin."
	}
	if s.several() {
		n := 0
		for _, r := range s.all {
			if r.Ended == nil {
				n++
			}
		}
		if n == 1 {
			return "1 run of this comparison is not done."
		}
		return format.Plural(n, "run") + " of this comparison are not done."
	}
	epoch, step, steps := r.Position()
	return fmt.Sprintf("%s is %s in epoch %d of %d, step %d of %d.", r.Name, r.State, epoch, r.Started.Config.Epochs, step, steps)
}

// stopAndQuit stops every run and leaves once they have ended.
func (s *steering) stopAndQuit() tea.Cmd {
	if s.over() {
		return s.close()
	}
	s.quitting = true
	for _, r := range s.all {
		if r.Ended == nil {
			r.asked = "stopping after this batch"
		}
	}
	return s.send(event.Stop{To: event.To{Why: s.pressed + " pressed"}, After: event.AfterBatch})
}

// waitingKey takes a key while the end of the runs is waited for: the second
// wish to leave does not wait.
func (s *steering) waitingKey(k string) tea.Cmd {
	if b := s.find(k); b != nil && b.Action == "quit" {
		return s.leave(Result{Action: Aborted})
	}
	return nil
}
