package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"cifartui/train"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/runs"
)

// withoutScreen goes on headless after a screen.
func (l *leg) withoutScreen(ctx context.Context) (next *plan, err error) {
	l.screenGone.Store(true)
	events := l.bus.SubscribeSteps(l.plan.LogEvery)
	return l.headless(ctx, events, l.seen.started()...)
}

// headless prints the run's lines until it ends, those of past first.
func (l *leg) headless(ctx context.Context, events event.Source, past ...event.Event) (next *plan, err error) {
	l.report(events, past)
	select {
	case <-l.done:
		return l.orFallBack(l.finish())
	case why := <-l.detach:
		return l.handOver(ctx, why)
	}
}

// orFallBack gives the plan of going on on the processor if a lost GPU has ended
// the leg and the person wants that, else the leg's error, once everybody has seen
// the end.
func (l *leg) orFallBack(err error) (next *plan, _ error) {
	if !l.fallsBack(err) {
		l.linger()
		return nil, err
	}
	l.note("%v", err)
	l.note("going on on the processor")
	l.session.closeBackends()
	return l.next(l.plan.goingOn(l.runner, l.ended(event.OutcomeStopped)).onProcessor()), nil
}

// fallsBack reports whether the leg's error is followed by another leg.
func (l *leg) fallsBack(err error) bool { return l.plan.fallsBack(err) && l.folder() != "" }

// lost is closed when a lost GPU has ended the leg and the processor is to take over,
// for which nobody need leave the screen.
func (l *leg) lost(ctx context.Context) <-chan struct{} {
	lost := make(chan struct{})
	go func() {
		select {
		case <-l.done:
			if l.fallsBack(l.err) {
				close(lost)
			}
		case <-ctx.Done():
		}
	}()
	return lost
}

// comparison reports whether the leg trains several runs.
func (l *leg) comparison() bool {
	_, ok := l.runner.(*train.Comparison)
	return ok
}

// readerPatience is how long the end of a run waits for readers.
const readerPatience = 5 * time.Second

// finish waits for the readers of a run that has ended, prints a comparison's
// table, and does what was wanted at the end.
func (l *leg) finish() error {
	<-l.done
	read := make(chan struct{})
	go func() { l.readers.Wait(); close(read) }()
	select {
	case <-read:
	case <-time.After(readerPatience):
		// A reader of this process that does not read, such as a stopped
		// terminal, does not keep it from ending: the folder holds everything.
	}
	if l.server != nil {
		// The run has ended: what is left of its socket is replaced by the next.
		_ = l.server.Close()
	}
	if l.seen.outcome() == event.OutcomeDetached {
		return l.err
	}
	if l.comparison() && !l.objects && l.headlessNow() {
		list, err := runs.Read(l.folder())
		if err == nil {
			err = writeTable(l.out, list, false)
		}
		if err != nil {
			l.note("compare the runs: %v", err)
		}
	}
	err := l.result()
	if !l.fallsBack(err) {
		l.atEnd()
	}
	return err
}

// result is the error of a leg that has ended, for the exit code.
func (l *leg) result() error {
	if l.err == nil && l.seen.signal() != "" {
		return &exitError{code: exitStopped}
	}
	return l.err
}

// endUnderScreen does what is wanted at the end as soon as the run has ended,
// unless the screen is left before: who wants to be told is not there to leave it.
func (l *leg) endUnderScreen(ctx context.Context) {
	select {
	case <-l.told:
	case <-ctx.Done():
		return
	}
	<-l.done
	if l.seen.outcome() != event.OutcomeDetached && !l.fallsBack(l.err) {
		l.atEnd()
	}
}

// lingerAfterSignal is how long at most the metrics stay after a signal: who
// sends one kills soon.
const lingerAfterSignal = 10 * time.Second

// linger keeps the metrics until they are scraped once more, so that the last
// epoch and the end are seen. A signal ends it. Who has left a screen has seen the
// summary by then, and is told why the shell does not come back.
func (l *leg) linger() {
	limit := time.Duration(float64(l.plan.Linger) * float64(time.Second))
	if l.page == nil || limit <= 0 || l.seen.outcome() == event.OutcomeDetached || !l.page.Awaited() {
		return
	}
	ctx := l.signals.asked
	if l.signals.name() != "" {
		ctx, limit = context.Background(), min(limit, lingerAfterSignal)
	}
	l.note("the metrics stay until they are scraped once more, %v at most; Ctrl+C ends that", limit)
	l.page.Linger(ctx, limit)
}

// atEnd rings the bell and runs the command that the person asked for, once.
func (l *leg) atEnd() {
	l.ending.Do(func() {
		if l.plan.Bell {
			l.errs.ring()
		}
		if l.plan.OnEnd != "" {
			l.onEnd(exitCode(exitOf(l.result())))
		}
	})
}

// onEnd runs the command that the person wants at the end.
func (l *leg) onEnd(exit int) {
	shell := []string{"/bin/sh", "-c", l.plan.OnEnd}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c", l.plan.OnEnd}
	}
	cmd := exec.Command(shell[0], shell[1:]...)
	cmd.Stdout, cmd.Stderr = l.out, l.errs
	// What it leaves running in the background may hold on to the output.
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "CIFARTUI_RUN="+cmp.Or(l.folder(), l.plan.Resume), "CIFARTUI_OUTCOME="+string(l.seen.outcome()), "CIFARTUI_EXIT="+strconv.Itoa(exit))
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		l.note("--on-end %q: %v", l.plan.OnEnd, err)
	}
}

// summary prints, after the screen is gone, what it last showed.
func (l *leg) summary() {
	list, err := runs.Read(l.folder())
	if err != nil {
		l.note("%v", err)
		return
	}
	for _, r := range list {
		report := record.Report{Out: l.out, Err: io.Discard, JSON: l.objects, Names: len(list) > 1}
		if r.Started != nil {
			report.Write(r.Started)
		}
		if r.Ended != nil {
			report.Write(r.Ended)
		}
	}
	if !l.objects {
		fmt.Fprintf(l.out, "run folder: %s\n", l.folder())
	}
}

// close gives back what a leg holds, also one that never started.
func (l *leg) close() {
	l.signals.idle()
	l.cancel()
	l.bus.Close()
	if l.trains() {
		// Aborted under a batch, which uses the device until the process ends.
		l.session.backends = nil
	}
	if l.metrics != nil {
		_ = l.metrics.Close() // nobody is left to ask it
	}
}

// trains reports whether the leg's runs have begun and not ended.
func (l *leg) trains() bool {
	if l.folder() == "" {
		return false
	}
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}
