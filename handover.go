package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cifartui/train/control"
	"cifartui/train/event"
)

// handOver moves the run to a process in the background. When that fails the
// run goes on in this process, with the plan that it returns.
func (l *leg) handOver(ctx context.Context, why string) (next *plan, err error) {
	after := l.plan.goingOn(l.folder(), l.seen.paused(), l.ended(event.OutcomeStopped, event.OutcomeFailed))
	child, err := control.HandOver{
		Stop: func(context.Context) error { return l.letGo(why) },
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
	l.voice(l.out).detached(child)
	return nil, nil
}

// letGo ends the run in this process after the batch under way.
func (l *leg) letGo(why string) error {
	if err := l.Send(event.Detach{To: event.To{Why: why}}); err != nil {
		return err
	}
	err := l.finish()
	if l.metrics != nil { // its address is the next process's
		err = errors.Join(err, l.metrics.Close())
	}
	if err != nil {
		return err
	}
	if outcome := l.seen.outcome(); outcome != event.OutcomeDetached {
		return fmt.Errorf("the run %s before it could be handed over", strings.ReplaceAll(string(outcome), "_", " "))
	}
	return nil
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
	for _, run := range p.paused {
		args = append(args, "--paused", run)
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
