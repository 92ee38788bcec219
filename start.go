package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/metrics"
	"cifartui/train/rundir"
	"cifartui/tui"
)

// start makes data, network and run folder ready and begins to train as p says,
// which is the leg's plan or the same on other data. After an error it may be
// called again.
func (l *leg) start(ctx context.Context, p plan, progress func(cifar.Progress)) error {
	l.starting.Lock()
	defer l.starting.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !p.goesOn { // its data is at hand, and its record, which says that it goes on, is to tell of its end
		defer context.AfterFunc(l.ctx, cancel)()
		if l.ctx.Err() != nil {
			cancel() // now, and not when that comes to it: a run may have begun by then
		}
	}
	c, err := p.config()
	if err != nil {
		return cannot("The run cannot be resumed", err)
	}
	if err := l.listen(); err != nil {
		return cannot("The metrics cannot be served", err)
	}
	if err := l.open(ctx, p, c, progress); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // no run folder for a run that was called off
	}
	r, err := l.newRunner(p, c)
	if err != nil {
		return err
	}
	if c, ok := r.(*train.Comparison); ok && l.page != nil {
		l.page.SetComparison(c.Name())
	}
	if err := l.serve(r); err != nil {
		return errors.Join(err, r.Close())
	}
	l.run(r)
	go l.train(r)
	return nil
}

// listen opens the metrics page, once.
func (l *leg) listen() error {
	if l.plan.Metrics == "" || l.metrics != nil {
		return nil
	}
	page := new(metrics.Page)
	server, err := metrics.Listen(l.plan.Metrics, page)
	if err != nil {
		return err
	}
	l.metrics, l.page = server, page
	l.note("metrics at %s", server.URL())
	return nil
}

// open reads the data and makes the backends, each again only where this leg wants
// others than the one before.
func (l *leg) open(ctx context.Context, p plan, c config.Config, progress func(cifar.Progress)) error {
	s := l.session
	if data := dataKey(c); s.dataset == nil || s.data != data {
		d, err := cifar.Open(ctx, cifar.Options{
			Data: c.Data, URL: p.DataURL, Seed: demoSeed, Size: c.Size, Free: train.FreeMemory(), Split: c.ValSplit > 0, Progress: progress,
		})
		if err != nil {
			return dataError(err)
		}
		s.dataset, s.data = d, data
	}
	most, err := p.atOnce(c)
	if err != nil {
		return err
	}
	lacks := p.gpuLacks(c, s.dataset)
	if made := fmt.Sprint(p.Device, c.Threads, most, lacks); len(s.backends) == 0 || s.made != made {
		s.closeBackends()
		if s.backends, err = openDevices(p.Device, c.Threads, max(1, most), lacks, l.note); err != nil {
			return cannot("The device cannot be used", err)
		}
		s.made = made
		if _, host := s.backends[0].(*nn.CPU); !host && p.comparison() && most > len(s.backends) {
			if n, _ := p.parallel(); n > 0 {
				l.note("--parallel %d: %d runs train at once, one a GPU; --device cpu trains more on the processor", n, len(s.backends))
			}
		}
	}
	return nil
}

// dataKey is what settings call their data.
func dataKey(c config.Config) string { return fmt.Sprintf("%d %s", c.Size, c.Data) }

// cannot is an error at the start, with the title that a screen shows it under.
func cannot(title string, err error) error { return &tui.StartError{Title: title, Err: err} }

// dataError is the error of data that cannot be opened: other data may help.
func dataError(err error) error {
	title := "The data cannot be read"
	if errors.Is(err, cifar.ErrNoData) || errors.Is(err, fs.ErrNotExist) {
		title = "The data is not there"
	}
	return &tui.StartError{Title: title, Data: true, Err: err}
}

// demoSeed draws the demo set. It is not the run's seed: runs that differ in
// that are compared on the same images.
const demoSeed = 1

// newRunner makes the run folder, or opens the one to resume.
func (l *leg) newRunner(p plan, c config.Config) (r runner, err error) {
	if p.Resume == "" && c.Init != "" { // what is wrong with it is told by itself
		if _, err := checkpoint.ReadWeights(c.Init); err != nil {
			return nil, cannot("The weights cannot be read", err)
		}
	}
	if p.comparison() {
		parallel, perr := p.parallel()
		if perr != nil {
			return nil, perr
		}
		r, err = train.NewComparison(train.ComparisonOptions{
			Config: c, Sweeps: p.sweeps, Order: config.Order(p.Order), Parallel: parallel, Dataset: l.dataset, Backends: l.backends,
			Resume: p.Resume, Exact: p.Again, Left: p.left, Adjust: p.over, NewRate: p.newRate(), GoesOn: p.fallsBack, Version: programVersion(),
		})
	} else {
		r, err = train.NewTrainer(train.Options{
			Config: c, Dataset: l.dataset, Backend: l.backends[0], Warnings: l.dataset.Notes,
			Resume: p.Resume, Exact: p.Again, Checkpoint: p.Checkpoint, NewRate: p.newRate(), GoesOn: p.fallsBack, Version: programVersion(),
		})
	}
	var inUse *rundir.InUseError
	switch {
	case err == nil:
		return r, nil
	case errors.As(err, &inUse):
		return nil, cannot("The run is in use", err)
	case p.Resume != "":
		return nil, cannot("The run cannot be resumed", err)
	}
	return nil, cannot("The run cannot be started", err)
}

// train runs the runner to its end and closes what it fed. A panic in it ends
// the run, not the program: the screen still restores the terminal.
func (l *leg) train(r runner) {
	defer close(l.done)
	defer l.bus.Close()
	defer func() {
		if p := recover(); p != nil {
			l.err = errors.Join(crashed(r.Folder(), p, debug.Stack()), r.Close())
		}
	}()
	l.err = r.Run(context.Background(), l.bus.Publish)
}

// crashed keeps a panic's stack in the run folder and gives the one line that a
// person is told.
func crashed(folder string, p any, stack []byte) error {
	err := faulty(folder, p, stack)
	return fmt.Errorf("%w; go on from the last checkpoint with \"cifartui --resume %s\"", err, rundir.Quote(folder))
}

// faulty is crashed for a fault that the run survives.
func faulty(folder string, p any, stack []byte) error {
	path := filepath.Join(folder, control.OutputFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s panic: %v\n%s\n", time.Now().Format(time.RFC3339), p, stack)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("a fault in the program: %v (its stack could not be kept: %w)\n%s", p, err, stack)
	}
	return fmt.Errorf("a fault in the program: %v: the stack is in %s", p, path)
}
