package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strconv"

	"cifartui/nn/cuda"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/rundir"
)

// A plan is what a leg is to do: the settings, and what to resume from which
// checkpoint. It never changes: each method that asks for something else gives
// another plan.
type plan struct{ settings }

// config is what is trained: the settings or, of a run that is resumed, its own
// with those in their place that the person gave this time.
func (p plan) config() (config.Config, error) {
	if p.Resume == "" {
		return p.Config, nil
	}
	saved, err := p.resumedConfig()
	if err != nil {
		return config.Config{}, err
	}
	return p.over(saved), nil
}

// resumedConfig is what a resumed run or comparison was trained with.
func (p plan) resumedConfig() (config.Config, error) {
	if rundir.IsComparison(p.Resume) {
		return config.ReadComparisonConfig(p.Resume)
	}
	saved, _, err := config.Read(p.Resume)
	return saved, err
}

// newRate reports whether the person asks for a learning rate now, over one that
// the run was given while it trained. One that schedulers give at each start is
// that of the run's beginning.
func (p plan) newRate() bool { return p.Given["lr"] && !p.Again }

// begun is the plan of going on with a run that another process began after this
// one had found none to go on with; nil if err is another one.
func (p plan) begun(err error) (*plan, error) {
	var begun *rundir.BegunError
	if !p.Again || p.Resume != "" || !errors.As(err, &begun) {
		return nil, err
	}
	p.Given = maps.Clone(p.Given)
	return &p, p.again()
}

// comparison reports whether several runs are trained.
func (p plan) comparison() bool {
	return len(p.sweeps) > 0 || p.Resume != "" && rundir.IsComparison(p.Resume)
}

// parallel is what --parallel says: 0 nothing, less than 0 auto.
func (s *settings) parallel() (int, error) {
	switch s.Parallel {
	case "":
		return 0, nil
	case "auto":
		return -1, nil
	}
	n, err := strconv.Atoi(s.Parallel)
	if err != nil || !config.IsWhole(s.Parallel) || n < 1 || n > config.MaxRuns {
		return 0, usage("--parallel: %q is neither auto nor a number of runs from 1 to %d", s.Parallel, config.MaxRuns)
	}
	return n, nil
}

// atOnce is how many runs can train at the same time, if there is the device for
// each.
func (p plan) atOnce(c config.Config) (int, error) {
	if !p.comparison() {
		return 1, nil
	}
	n, err := p.parallel()
	if err != nil {
		return 0, err
	}
	count := 0
	if p.Resume == "" {
		list, err := config.Expand(c, p.sweeps)
		if err != nil {
			return 0, err
		}
		count = len(list)
	} else {
		file, err := config.ReadComparison(p.Resume)
		if err != nil {
			return 0, err
		}
		count = len(file.Runs)
		n = cmp.Or(n, file.Parallel)
	}
	if n > 0 {
		return min(n, count), nil
	}
	return count, nil
}

// on is the plan with other data, which a person has named.
func (p plan) on(data string) (plan, error) {
	data, err := dataPath(data)
	p.Data, p.Given = data, maps.Clone(p.Given)
	if p.Given == nil {
		p.Given = map[string]bool{}
	}
	p.Given["data"] = true
	return p, err
}

// resuming goes on in a run folder, as it is; checkpoint "" is the newest.
func (p plan) resuming(folder, checkpoint string) plan {
	p.Resume, p.Checkpoint = folder, checkpoint
	p.sweeps, p.asked, p.left, p.Given, p.Again, p.goesOn = nil, nil, nil, nil, false, false
	return p
}

// goingOn resumes what another leg trained, as it stood: with what was asked for and
// not done, and with the runs left alone that had ended.
func (p plan) goingOn(from runner, left []string) plan {
	p = p.resuming(from.Folder(), "")
	for _, c := range from.Asked() {
		r, err := control.RequestFor(c)
		if line, jerr := json.Marshal(r); err == nil && jerr == nil {
			p.asked = append(p.asked, string(line))
		}
	}
	p.left, p.goesOn = left, true
	return p
}

// from goes on from a checkpoint file that the person chose: in the run itself
// from one that holds the whole state, in a new run from weights.
func (p plan) from(folder, file string) (plan, error) {
	if filepath.Ext(file) != checkpoint.WeightsExt {
		return p.resuming(folder, filepath.Base(file)), nil
	}
	c, _, err := config.Read(folder)
	if err != nil {
		return plan{}, err
	}
	c.Runs, c.Name, c.Init = p.Runs, "", file
	p = p.resuming("", "")
	p.Config = c
	return p, nil
}

// withoutScreen is the plan without a screen.
func (p plan) withoutScreen() plan {
	p.NoTUI = true
	return p
}

// onProcessor is the plan on the processor.
func (p plan) onProcessor() plan {
	p.Device = deviceCPU
	return p
}

// fallsBack reports whether an error is that of a lost GPU which the processor
// is to take over from.
func (p plan) fallsBack(err error) bool {
	var lost *cuda.LostError
	return p.Fallback && p.Device == deviceAuto && errors.As(err, &lost)
}
