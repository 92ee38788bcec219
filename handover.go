package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"

	"cifartui/train/control"
	"cifartui/train/event"
)

// handOver moves the run to a process in the background. When that fails the
// run goes on in this process, with the plan that it returns. A run that ends
// before it lets go has ended as any other.
func (l *leg) handOver(ctx context.Context, why string) (next *plan, err error) {
	left := l.ended(event.OutcomeStopped, event.OutcomeFailed)
	// After the batch under way. It fails only for a run that has ended.
	_ = l.Send(event.Detach{To: event.To{Why: why}})
	end := l.finish()
	if l.seen.outcome() != event.OutcomeDetached {
		l.note("the run ended before it could be handed over")
		if !l.headlessNow() {
			l.summary()
		}
		return l.orFallBack(end)
	}
	after := l.plan.goingOn(l.runner, left)
	paused := allPaused(l.runner.Asked(), l.seen.endedBy(event.OutcomeDetached))
	child, err := control.HandOver{
		Stop: func(context.Context) error {
			// Some GPUs serve one process at a time, and on any the next one wants the memory.
			l.session.closeBackends()
			if l.metrics == nil {
				return end
			}
			return errors.Join(end, l.metrics.Close()) // its address is the next process's
		},
		Next: control.Background{Folder: after.Resume, Args: after.childArgs()},
		Resume: func() error {
			next = l.next(after)
			return nil
		},
	}.Do(ctx)
	switch {
	case next != nil:
		l.note("%v", err)
		return next, nil
	case err != nil:
		return nil, err
	}
	l.voice(l.out).detached(child, paused)
	return nil, nil
}

// allPaused reports whether of what is asked of runs holds a pause for each.
func allPaused(asked []event.Command, runs []string) bool {
	for _, c := range asked {
		if p, ok := c.(event.Pause); ok {
			runs = slices.DeleteFunc(runs, func(run string) bool { return run == p.Run })
		}
	}
	return len(runs) == 0
}

// childArgs are the arguments of the process that goes on with the plan's run.
func (p plan) childArgs() []string {
	args := []string{"train", "--resume", p.Resume, "--runs", filepath.Dir(p.Resume), "--no-tui", "--child"}
	for _, flag := range [][2]string{
		{"--data-url", p.DataURL}, {"--device", p.Device}, {"--kernels", p.Kernels}, {"--log-format", p.LogFormat},
		{"--log-every", strconv.Itoa(p.LogEvery)}, {"--metrics", p.Metrics},
		{"--metrics-linger", p.Linger.String()}, {"--on-end", p.OnEnd},
	} {
		if flag[1] != "" {
			args = append(args, flag[0], flag[1])
		}
	}
	if p.Fallback {
		args = append(args, "--fallback")
	}
	for _, line := range p.asked {
		args = append(args, "--asked", line)
	}
	for _, run := range p.left {
		args = append(args, "--left", run)
	}
	return args
}

// ended are the runs that have ended so, or had before the leg: a run of a
// comparison that a person has stopped stays so when the others move.
func (l *leg) ended(outcomes ...event.Outcome) []string {
	return append(slices.Clone(l.plan.left), l.seen.endedBy(outcomes...)...)
}
