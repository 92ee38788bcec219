package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"cifartui/cifar"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/tui"
	"cifartui/tui/watch"
)

// screen shows the run until the person leaves it, and sees to what they chose.
func (l *leg) screen(ctx context.Context) (next *plan, err error) {
	events := l.bus.Subscribe()
	defer events.Close()
	source := event.Source(events)
	if l.plan.Resume != "" {
		if source, err = record.Resumed(l.plan.Resume, events); err != nil {
			return nil, err
		}
	}
	l.errs.hold() // lines would garble the screen; warnings are events
	l.out.hold()  // what a command at the end says
	result, asked, err := l.show(ctx, source)
	l.errs.release()
	l.out.release()
	events.Close() // it would fill for as long as the run goes on without the screen
	if !l.began() {
		if err == nil {
			err = result.Err
		}
		return nil, l.calledOff(err)
	}
	switch {
	case err != nil:
		l.screenLost(err)
		return l.withoutScreen(ctx)
	case asked != "":
		return l.handOver(ctx, asked)
	}
	return l.left(ctx, result)
}

// left sees to what the person chose as they left the screen.
func (l *leg) left(ctx context.Context, result tui.Result) (next *plan, err error) {
	switch result.Action {
	case tui.Detach:
		return l.handOver(ctx, result.Why)
	case tui.LeaveRunning:
		l.voice(l.out).note("%s goes on training without the screen; Ctrl+C stops and saves it", filepath.Base(l.folder()))
		return l.withoutScreen(ctx)
	case tui.Aborted:
		return nil, &exitError{code: exitInterrupted}
	}
	l.halt("screen closed") // a run that has ended does not mind
	err = l.finish()
	if result.Action == tui.ResumeFrom {
		if err != nil {
			l.note("%v", err)
		}
		p, err := l.plan.from(result.Folder, result.File)
		if err != nil {
			return nil, err
		}
		return l.next(p), nil
	}
	l.summary()
	return l.orFallBack(err)
}

// show runs the screen. asked is why another process wants the run handed over,
// which closes the screen, as does the end of a run that a signal stopped or that
// goes on on the processor.
func (l *leg) show(ctx context.Context, events event.Source) (result tui.Result, asked string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	l.signals.onLeave(func() { // restore the terminal before the process exits
		cancel()
		select {
		case <-closed:
		case <-time.After(3 * time.Second): // an answer of the terminal may be waited for
		}
	})
	defer l.signals.onLeave(nil)
	watched := make(chan string, 1)
	go func() {
		why := ""
		select {
		case why = <-l.detach:
		case <-l.signals.ended(l.done):
		case <-l.lost(ctx):
		case <-ctx.Done():
		}
		cancel()
		watched <- why
	}()
	go l.endUnderScreen(ctx)
	w := overAll(l.plan.Runs)
	w.First, w.Folder = true, l.folder
	w.Screen = tui.Options{
		Source: events, Control: l, Mode: tui.Live, Name: l.plan.Name, CanDetach: true,
		Checkpoints: checkpointFiles{}, Images: &validationImages{trained: l.trainsOn}, Theme: l.plan.Theme, Keys: l.plan.Keys, Version: programVersion(),
		Load: func(ctx context.Context, data string, report func(tui.Progress)) error {
			p := l.plan
			if data != "" {
				var err error
				if p, err = p.on(data); err != nil {
					return err
				}
			}
			return l.start(ctx, p, func(p cifar.Progress) { report(screenProgress(p)) })
		},
	}
	result, err = watch.Run(ctx, w)
	close(closed)
	cancel()
	return result, <-watched, err
}

// trainsOn is the data of the runs that are trained, if it is what settings call
// for.
func (l *leg) trainsOn(c config.Config) *cifar.Dataset {
	l.starting.Lock()
	defer l.starting.Unlock()
	if s := l.session; s.data == dataKey(c) {
		return s.dataset
	}
	return nil
}

// began waits for a start under way to succeed or be called off, and reports
// whether there is a run.
func (l *leg) began() bool {
	if l.folder() == "" {
		l.cancel()
		l.starting.Lock()
		defer l.starting.Unlock()
	}
	return l.folder() != ""
}

// screenLost tells what can be told of a screen that died under a run that
// goes on.
func (l *leg) screenLost(err error) {
	var crash *tui.Crash
	switch {
	case errors.As(err, &crash):
		l.note("%v", crashed(l.folder(), crash.Value, crash.Stack))
		l.note("training goes on without the screen")
	case errors.Is(err, tui.ErrTerminal):
		// Nobody is there to be told; whatever is written would fail as well.
		l.out.silence()
		l.errs.silence()
	default:
		l.note("%v: training goes on without the screen", err)
	}
}

// screenProgress puts the progress of the data into the screen's words.
func screenProgress(p cifar.Progress) tui.Progress {
	what := p.What()
	if what != "" {
		what = strings.ToUpper(what[:1]) + what[1:]
	}
	if p.Note != "" {
		what += ": " + p.Note
	}
	return tui.Progress{What: what, Done: p.Done, Total: p.Total, Of: p.Counts()}
}
