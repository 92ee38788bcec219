package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train"
	"cifartui/train/control"
	"cifartui/train/metrics"
	"cifartui/train/tfevents"
	"cifartui/tui"
)

// session is what one process does about training. It trains in legs: one from
// the start to the end as a rule; another one when the person goes on from a
// checkpoint, or when a hand-over to the background fails.
type session struct {
	settings
	in    io.Reader
	out   io.Writer
	errs  *holdWriter       // held while a screen is up
	ready control.Readiness // who waits for a process in the background

	backend *nn.CPU        // made with the first leg
	dataset *cifar.Dataset // read once
	signals *signals
}

// runner trains: one run, or a comparison of several.
type runner interface {
	train.Controller
	Run(ctx context.Context, emit func(train.Event)) error
	Folder() string
	Name() string
	Close() error
}

// run trains, leg after leg.
func (s *session) run(ctx context.Context) error {
	s.signals = catchSignals()
	defer s.signals.close()
	defer func() {
		if s.backend != nil {
			s.backend.Close()
		}
	}()
	for {
		again, err := s.leg(ctx)
		if !again || err != nil {
			return exitOf(err)
		}
	}
}

// leg trains once, with a screen or without. It reports whether another leg is
// to follow.
func (s *session) leg(ctx context.Context) (again bool, err error) {
	l := newLeg(s)
	defer l.close()
	s.signals.obey(l)
	if s.NoTUI {
		events := l.bus.SubscribeSteps(s.LogEvery)
		meter := newProgressLine(s.errs)
		err := l.start(ctx, "", meter.Show)
		meter.End()
		if err != nil {
			return false, err
		}
		return l.headless(ctx, events)
	}
	return l.screen(ctx)
}

// leg is one run of a runner, with all that reads its events.
type leg struct {
	*session
	bus    *train.Bus
	ctx    context.Context // of making ready; ended by a signal
	cancel context.CancelFunc
	detach chan string // asks for a hand-over to the background, and why

	starting sync.Mutex // held by start
	mu       sync.Mutex
	runner   runner          // nil until start
	early    []train.Command // given before there was a runner

	server  *control.Server
	metrics *metrics.Server
	page    *metrics.Page  // what metrics serves
	readers sync.WaitGroup // what reads the bus and must see its end
	done    chan struct{}  // closed when Run has returned and err is set
	err     error
	outcome train.Outcome // of the last RunEnded; read after readers are done

	seenMu  sync.Mutex
	started []train.Event          // the RunStarted of each run
	states  map[string]train.State // of each run, the newest
}

func newLeg(s *session) *leg {
	l := &leg{session: s, bus: train.NewBus(), detach: make(chan string, 1), done: make(chan struct{}), states: map[string]train.State{}}
	for _, run := range s.paused {
		l.early = append(l.early, train.Pause{To: train.To{Run: run, Why: "paused before the hand-over"}})
	}
	s.paused = nil
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// start makes data, network and run folder ready and begins to train. data is
// "" for what the settings say. After an error it may be called again.
func (l *leg) start(ctx context.Context, data string, progress func(cifar.Progress)) error {
	l.starting.Lock()
	defer l.starting.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	if data != "" {
		l.Data, l.Given["data"] = data, true
	}
	var saved train.Config
	config := l.Config
	if l.Resume != "" {
		var err error
		if saved, err = l.resumedConfig(); err != nil {
			return err
		}
		config = l.over(saved)
	}
	if err := l.listen(); err != nil {
		return err
	}
	if err := l.open(ctx, config, progress); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // no run folder for a run that was called off
	}
	r, err := l.newRunner(config)
	if err != nil {
		return err
	}
	if err := l.serve(r); err != nil {
		return errors.Join(err, r.Close())
	}
	l.mu.Lock()
	l.runner = r
	for _, c := range l.early {
		// It fails only for a run that has ended.
		_ = r.Send(c)
	}
	l.mu.Unlock()
	go l.train(r)
	return nil
}

// listen opens the metrics page, once.
func (l *leg) listen() error {
	if l.Metrics == "" || l.metrics != nil {
		return nil
	}
	page := new(metrics.Page)
	server, err := metrics.Listen(l.Metrics, page)
	if err != nil {
		return err
	}
	l.metrics, l.page = server, page
	l.note("metrics at %s", server.URL())
	return nil
}

// open reads the data and makes the backend, once.
func (l *leg) open(ctx context.Context, config train.Config, progress func(cifar.Progress)) error {
	if l.dataset == nil {
		d, err := cifar.Open(ctx, cifar.Options{Data: config.Data, URL: l.DataURL, Seed: demoSeed, Progress: progress})
		if err != nil {
			return err
		}
		l.session.dataset = d
	}
	if l.backend == nil {
		l.session.backend = nn.NewCPU(config.Threads)
	}
	return nil
}

// demoSeed draws the demo set. It is not the run's seed: runs that differ in
// that are compared on the same images.
const demoSeed = 1

// newRunner makes the run folder, or opens the one to resume.
func (l *leg) newRunner(config train.Config) (runner, error) {
	if len(l.sweeps) > 0 || l.Resume != "" && train.IsComparison(l.Resume) {
		return train.NewComparison(train.ComparisonOptions{
			Config: config, Sweeps: l.sweeps, Order: train.Order(l.Order), Dataset: l.dataset, Backend: l.backend,
			Resume: l.Resume, Adjust: l.over, Version: programVersion(),
		})
	}
	return train.NewTrainer(train.Options{
		Config: config, Dataset: l.dataset, Backend: l.backend,
		Resume: l.Resume, Checkpoint: l.Checkpoint, Version: programVersion(),
	})
}

// serve starts the readers that every run has. They subscribe here, before the
// first event.
func (l *leg) serve(r runner) error {
	sinks := []train.Sink{train.NewFolderSink(train.OpenCSV, tfevents.Open)}
	if l.page != nil {
		sinks = append(sinks, l.page)
	}
	options := control.Options{Folder: r.Folder(), Name: r.Name(), Events: l.bus.SubscribeSteps(1), Control: r}
	if !l.child {
		options.Detach = func(why string) error { return l.askDetach(why) }
	}
	server, err := control.Serve(options)
	if err != nil {
		return err
	}
	l.server = server
	if err := server.NoSocket(); err != nil {
		l.note("%v", err)
	}
	history := l.bus.Subscribe()
	l.read(func() {
		err := train.Drain(context.Background(), history, func(err error) { l.note("cannot write a history file: %v", err) }, sinks...)
		if err != nil {
			l.note("%v", err)
		}
	})
	events := l.bus.Subscribe()
	l.read(func() { l.watch(r, events) })
	return nil
}

// read runs a reader of the bus, whose end the leg waits for.
func (l *leg) read(f func()) { l.readers.Go(f) }

// watch follows the run for the process: who waits for it in the background is
// told when it trains, and what is asked about it later is kept.
func (l *leg) watch(r runner, events train.Source) {
	told := false
	ready := func() {
		if !told {
			told = true
			if err := l.ready.Ready(r.Folder()); err != nil {
				l.note("%v", err)
			}
		}
	}
	for {
		list, err := events.Next(context.Background(), 64)
		for _, e := range list {
			switch e := e.(type) {
			case *train.RunStarted:
				l.seenMu.Lock()
				l.started = append(l.started, e)
				l.seenMu.Unlock()
			case *train.StateChanged:
				// The network is built by then. The first batch may come only
				// after a whole validation.
				if e.State == train.StateRunning || e.State == train.StatePaused {
					ready()
				}
				l.seenMu.Lock()
				l.states[e.Run] = e.State
				l.seenMu.Unlock()
			case *train.RunEnded:
				l.outcome = e.Outcome
			}
		}
		if err != nil {
			break
		}
	}
	switch l.outcome {
	case train.OutcomeFinished, train.OutcomeEarlyStopped, train.OutcomeStopped:
		ready() // there was nothing left to train
	}
}

// train runs the runner to its end and closes what it fed. A panic in it ends
// the run, not the program: the screen still restores the terminal.
func (l *leg) train(r runner) {
	defer close(l.done)
	defer l.bus.Close()
	defer func() {
		if p := recover(); p != nil {
			l.err = errors.Join(l.crashed(r.Folder(), p, debug.Stack()), r.Close())
		}
	}()
	l.err = r.Run(context.Background(), l.bus.Publish)
}

// crashed keeps a panic's stack in the run folder and gives the one line that a
// person is told.
func (l *leg) crashed(folder string, p any, stack []byte) error {
	path := filepath.Join(folder, control.OutputFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s panic: %v\n%s\n", time.Now().Format(time.RFC3339), p, stack)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("a fault in the program: %v (its stack could not be kept: %w)\n%s", p, err, stack)
	}
	return fmt.Errorf("a fault in the program: %v: the stack is in %s; go on from the last checkpoint with \"cifartui --resume %s\"", p, path, filepath.Base(folder))
}

// Send implements [train.Controller]. A command given before the run exists is
// kept for it.
func (l *leg) Send(c train.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runner == nil {
		l.early = append(l.early, c)
		return nil
	}
	return l.runner.Send(c)
}

// halt asks for the end after the batch, or ends making ready.
func (l *leg) halt(why string) {
	l.cancel()
	// It fails only for a run that has ended.
	_ = l.Send(train.Stop{To: train.To{Why: why}, After: train.AfterBatch})
}

// askDetach asks the leg to hand its run over to the background.
func (l *leg) askDetach(why string) error {
	select {
	case l.detach <- why:
		return nil
	default:
		return errors.New("the run is being handed over already")
	}
}

// folder is the run folder; "" until there is one.
func (l *leg) folder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runner == nil {
		return ""
	}
	return l.runner.Folder()
}

// note tells a person of the process's own trouble.
func (l *leg) note(format string, args ...any) {
	fmt.Fprintf(l.errs, "cifartui: "+format+"\n", args...)
}

// withoutScreen goes on headless after a screen.
func (l *leg) withoutScreen(ctx context.Context) (again bool, err error) {
	l.NoTUI = true
	events := l.bus.SubscribeSteps(l.LogEvery)
	l.seenMu.Lock()
	began := l.started
	l.seenMu.Unlock()
	return l.headless(ctx, events, began...)
}

// headless prints the run's lines until it ends, those of past first.
func (l *leg) headless(ctx context.Context, events train.Source, past ...train.Event) (again bool, err error) {
	l.report(events, past)
	select {
	case <-l.done:
	case why := <-l.detach:
		return l.handOver(ctx, why)
	}
	return false, l.finish()
}

func (l *leg) report(events train.Source, past []train.Event) {
	r := train.Report{Out: l.out, Err: l.errs, JSON: l.LogFormat == "json", Every: l.LogEvery, Names: l.comparison()}
	l.read(func() {
		for _, e := range past {
			r.Write(e)
		}
		if err := r.Run(context.Background(), events); err != nil {
			l.note("write the log: %v", err)
		}
	})
}

// comparison reports whether the leg trains several runs.
func (l *leg) comparison() bool {
	_, ok := l.runner.(*train.Comparison)
	return ok
}

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
	if l.outcome == train.OutcomeDetached {
		return l.err
	}
	if l.comparison() && l.LogFormat == "text" && l.NoTUI {
		list, err := train.ReadRuns(l.folder())
		if err == nil {
			err = writeTable(l.out, list, false)
		}
		if err != nil {
			l.note("compare the runs: %v", err)
		}
	}
	l.atEnd()
	return l.err
}

// readerPatience is how long the end of a run waits for readers.
const readerPatience = 5 * time.Second

// atEnd rings the bell and runs the command that the person asked for.
func (l *leg) atEnd() {
	if l.Bell && isTerminal(l.errs.w) {
		fmt.Fprint(l.errs, "\a")
	}
	if l.OnEnd == "" {
		return
	}
	shell := []string{"/bin/sh", "-c", l.OnEnd}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/c", l.OnEnd}
	}
	cmd := exec.Command(shell[0], shell[1:]...)
	cmd.Stdout, cmd.Stderr = l.out, l.errs
	cmd.Env = append(os.Environ(), "CIFARTUI_RUN="+l.folder(), "CIFARTUI_OUTCOME="+string(l.outcome), "CIFARTUI_EXIT="+strconv.Itoa(exitCode(exitOf(l.err))))
	if err := cmd.Run(); err != nil {
		l.note("--on-end %q: %v", l.OnEnd, err)
	}
}

// handOver moves the run to a process in the background.
func (l *leg) handOver(ctx context.Context, why string) (again bool, err error) {
	folder := l.folder()
	args := []string{"train", "--resume", folder, "--runs", filepath.Dir(folder), "--no-tui", "--child"}
	for flag, value := range map[string]string{
		"--data-url": l.DataURL, "--kernels": l.Kernels, "--log-format": l.LogFormat,
		"--log-every": strconv.Itoa(l.LogEvery), "--metrics": l.Metrics, "--on-end": l.OnEnd,
	} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	l.seenMu.Lock()
	for run, state := range l.states {
		if state == train.StatePaused {
			args = append(args, "--paused", run)
		}
	}
	l.seenMu.Unlock()
	resumed := false
	child, err := control.HandOver{
		Stop: func(context.Context) error {
			if err := l.Send(train.Detach{To: train.To{Why: why}}); err != nil {
				return err
			}
			err := l.finish()
			if l.metrics != nil { // its address is the next process's
				err = errors.Join(err, l.metrics.Close())
			}
			if err != nil {
				return err
			}
			if l.outcome != train.OutcomeDetached {
				return fmt.Errorf("the run %s before it could be handed over", strings.ReplaceAll(string(l.outcome), "_", " "))
			}
			return nil
		},
		Next: control.Background{Folder: folder, Args: args},
		Resume: func() error {
			resumed = true
			l.goOn(folder, "")
			return nil
		},
	}.Do(ctx)
	if resumed {
		l.note("%v", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	sayDetached(l.out, child)
	return false, nil
}

// close gives back what a leg holds, also one that never started.
func (l *leg) close() {
	l.signals.obey(nil)
	l.cancel()
	l.bus.Close()
	if l.metrics != nil {
		_ = l.metrics.Close() // nobody is left to ask it
	}
}

// screen shows the run until the person leaves it, and sees to what they chose.
func (l *leg) screen(ctx context.Context) (again bool, err error) {
	events := l.bus.Subscribe()
	defer events.Close()
	source := train.Source(events)
	if l.Resume != "" {
		if source, err = train.Resumed(l.Resume, events); err != nil {
			return false, err
		}
	}
	l.errs.hold() // lines would garble the screen; warnings are events
	result, asked, err := l.show(ctx, source)
	l.errs.release()
	if !l.began() {
		return false, err
	}
	switch {
	case err != nil:
		l.screenLost(err)
		return l.withoutScreen(ctx)
	case asked != "":
		return l.handOver(ctx, asked)
	case result.Action == tui.Detach:
		return l.handOver(ctx, "d pressed")
	case result.Action == tui.LeaveRunning:
		fmt.Fprintf(l.out, "%s goes on training without the screen; Ctrl+C stops and saves it.\n", filepath.Base(l.folder()))
		return l.withoutScreen(ctx)
	case result.Action == tui.Aborted:
		return false, &exitError{code: exitInterrupted}
	}
	l.halt("screen closed") // a run that has ended does not mind
	err = l.finish()
	if result.Action == tui.ResumeFrom {
		if err != nil {
			l.note("%v", err)
		}
		return true, l.goOnFrom(result.Folder, result.File)
	}
	l.summary()
	return false, err
}

// show runs the screen. asked is why another process wants the run handed over,
// which closes the screen, as does the end of a run that a signal stopped.
func (l *leg) show(ctx context.Context, events train.Source) (result tui.Result, asked string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	l.signals.onLeave(func() { // restore the terminal before the process exits
		cancel()
		select {
		case <-closed:
		case <-time.After(time.Second):
		}
	})
	defer l.signals.onLeave(nil)
	watched := make(chan string, 1)
	go func() {
		why := ""
		select {
		case why = <-l.detach:
		case <-l.signals.ended(l.done):
		case <-ctx.Done():
		}
		cancel()
		watched <- why
	}()
	result, err = tui.Run(ctx, tui.Options{
		Source: events, Control: l, Mode: tui.Live, Name: l.Name, CanDetach: true,
		Checkpoints: checkpointFiles{}, Theme: l.Theme, Keys: l.Keys, Version: programVersion(),
		Load: func(ctx context.Context, data string, report func(tui.Progress)) error {
			return l.start(ctx, data, func(p cifar.Progress) { report(screenProgress(p)) })
		},
	})
	close(closed)
	cancel()
	return result, <-watched, err
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

// goOn makes the next leg resume a run folder; checkpoint "" is the newest.
func (s *session) goOn(folder, checkpoint string) {
	s.Resume, s.Checkpoint = folder, checkpoint
	s.sweeps, s.Given = nil, map[string]bool{}
}

// goOnFrom makes the next leg go on from a checkpoint file that the person chose:
// in the run itself from one that holds the whole state, in a new run from
// weights.
func (s *session) goOnFrom(folder, file string) error {
	if filepath.Ext(file) != train.WeightsExt {
		s.goOn(folder, filepath.Base(file))
		return nil
	}
	config, _, err := train.ReadConfig(folder)
	if err != nil {
		return err
	}
	s.goOn("", "")
	s.Config = config
	s.Name, s.Init = "", file
	return nil
}

// screenLost tells what can be told of a screen that died under a run that
// goes on.
func (l *leg) screenLost(err error) {
	var crash *tui.Crash
	switch {
	case errors.As(err, &crash):
		l.note("%v", l.crashed(l.folder(), crash.Value, crash.Stack))
		l.note("training goes on without the screen")
	case errors.Is(err, tui.ErrTerminal):
		// Nobody is there to be told; whatever is written would fail as well.
		l.session.out = io.Discard
		l.errs.silence()
	default:
		l.note("%v: training goes on without the screen", err)
	}
}

// summary prints, after the screen is gone, what it last showed.
func (l *leg) summary() {
	list, err := train.ReadRuns(l.folder())
	if err != nil {
		l.note("%v", err)
		return
	}
	for _, r := range list {
		report := train.Report{Out: l.out, Err: io.Discard, Names: len(list) > 1}
		if r.Started != nil {
			report.Write(r.Started)
		}
		if r.Ended != nil {
			report.Write(r.Ended)
		}
	}
	fmt.Fprintf(l.out, "run folder: %s\n", l.folder())
}

// screenProgress puts the progress of the data into the screen's words.
func screenProgress(p cifar.Progress) tui.Progress {
	what := p.Stage.String()
	if what != "" {
		what = strings.ToUpper(what[:1]) + what[1:]
	}
	if p.Note != "" {
		what += ": " + p.Note
	}
	return tui.Progress{What: what, Done: p.Done, Total: p.Total}
}
