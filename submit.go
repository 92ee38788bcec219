package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/train/slurm"
)

// submission is what the submit command is told, beside the settings of training.
type submission struct {
	settings
	slurm.Resources
	scheduler string
	grace     config.Seconds
	program   string // path on the nodes; "": a copy of this one in the folder
	dryRun    bool
}

func submitCommand() *cobra.Command {
	s := submission{settings: defaultSettings(), scheduler: "slurm", grace: 120}
	s.CPUs = 4
	cmd := &cobra.Command{
		Use:   "submit",
		Short: "Hand a run or a comparison to a cluster's scheduler (Slurm)",
		Long: `Submit takes the flags of training and makes a Slurm job array of them, one task
a run, in one comparison folder, which all nodes must share (a single run is a
comparison of one):

  cifartui submit --batch 64,128,256 --time 8:00:00 --gpus 1
  cifartui submit --sweep seed=1,2,3 --partition gpu --sbatch --constraint=a100
  cifartui submit ... --dry-run         check everything and print the script
  cifartui submit --resume COMPARISON   submit once more what is left to train

The folder gets the batch script (submit.sh), a copy of this program and, when
the tasks run, their output (logs/). A task saves some time before its time
limit, or when it is asked by SIGTERM, and goes back to the queue until its
epochs are done; after a requeue, a preemption or a node's death it goes on from
the last checkpoint. "cifartui watch", "wait", "ctl" and "cancel" know the runs.
With --parallel N at most N tasks run at the same time.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(cmd); err != nil {
				return err
			}
			return s.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.scheduler, "scheduler", s.scheduler, "the cluster's scheduler: slurm")
	f.StringVar(&s.Partition, "partition", "", "`partition` to run in (the cluster's default else)")
	f.StringVar(&s.Account, "account", "", "`account` that is charged")
	f.StringVar(&s.QOS, "qos", "", "quality of `service`")
	f.StringVar(&s.Time, "time", "", "time `limit` of a task until it is requeued, as 8:00:00 or 1-12 (the partition's else)")
	f.StringVar(&s.GPUs, "gpus", "", "GPUs of a task: a `number`, or kind:number")
	f.IntVar(&s.CPUs, "cpus", s.CPUs, "processor cores of a task, if --threads does not say it")
	f.StringVar(&s.Memory, "mem", "", "`memory` of a task, as 8G (the cluster's default else)")
	f.StringArrayVar(&s.More, "sbatch", nil, "further `options` of sbatch, as '--constraint=a100 --exclusive'; may be given again")
	f.Var(&s.grace, "grace", "`time` before the limit at which a task saves and is requeued, as 2m")
	f.StringVar(&s.program, "program", "", "`path` of the program on the nodes, instead of a copy of this one in the folder")
	f.BoolVar(&s.dryRun, "dry-run", false, "check everything and print the batch script; submit nothing")
	s.flags(f)
	f.SortFlags = false
	return cmd
}

// run checks, writes the folder and submits.
func (s *submission) run(cmd *cobra.Command) error {
	ctx, out, errs := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if err := s.complete(); err != nil {
		return err
	}
	if err := s.locate(); err != nil {
		return err
	}
	if s.Resume != "" {
		return s.resubmit(ctx, cmd)
	}
	if err := s.checkFiles(ctx); err != nil {
		return err
	}
	if err := slurm.Here(); err != nil {
		if !s.dryRun {
			return err
		}
		fmt.Fprintf(errs, "cifartui: %v\n", err)
	}
	if s.dryRun {
		if err := writable(s.Runs); err != nil {
			return err
		}
		folder := filepath.Join(s.Runs, s.folderName())
		script, _, err := s.script(folder)
		if err == nil {
			warnLocal(errs, s.Runs)
			_, err = io.WriteString(out, script.Text())
		}
		return err
	}
	return s.submit(ctx, out, errs)
}

// complete checks the settings of the submission and fills in what follows from
// others.
func (s *submission) complete() error {
	if s.scheduler != "slurm" {
		return usage("--scheduler: %q is not known: want slurm", s.scheduler)
	}
	for flag, given := range map[string]bool{"detach": s.Detach, "checkpoint": s.Checkpoint != "", "resume-or-start": s.settings.Again} {
		if given {
			return usage("--%s is not for submit", flag)
		}
	}
	s.Grace = int(s.grace)
	if s.Threads > 0 {
		s.CPUs = s.Threads
	}
	if n, err := s.parallel(); err != nil {
		return err
	} else if n > 0 {
		s.AtOnce = n
	}
	if s.GPUs != "" && s.Device == deviceAuto {
		s.Device = deviceCUDA // the processor would take days of what was asked for
	}
	if len(s.sweeps) == 0 && s.Resume == "" {
		s.sweeps = []config.Sweep{{Key: "batch", Values: []string{strconv.Itoa(s.Batch)}}}
	}
	if err := s.Resources.Validate(); err != nil {
		return usage("%w", err)
	}
	return nil
}

// checkFiles looks at what the tasks will read.
func (s *submission) checkFiles(ctx context.Context) (err error) {
	if s.Runs, err = filepath.Abs(s.Runs); err != nil {
		return fmt.Errorf("working folder: %w", err)
	}
	if cifar.IsWord(s.Data) && !cifar.IsDemo(s.Data) {
		if s.Data, err = cachedData(s.Data); err != nil {
			return fmt.Errorf("the nodes may have no network: %w", err)
		}
	}
	d, err := cifar.Open(ctx, cifar.Options{Data: s.Data, Seed: demoSeed, Size: s.Size})
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if s.Device != "" && s.Device != deviceAuto && s.Device != deviceCPU { // which would fail on the nodes
		if err := (plan{s.settings}).gpuLacks(s.Config, d); err != nil {
			return fmt.Errorf("--device %s: %w", s.Device, err)
		}
	}
	if s.Init != "" {
		if _, err := checkpoint.ReadWeights(s.Init); err != nil {
			return err
		}
	}
	if s.program == "" {
		return nil
	}
	if s.program, err = filepath.Abs(s.program); err != nil {
		return fmt.Errorf("working folder: %w", err)
	}
	st, err := os.Stat(s.program)
	if err != nil {
		return fmt.Errorf("--program: %w", err)
	}
	if !st.Mode().IsRegular() || st.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("--program: %s is no program that can be run", s.program)
	}
	return nil
}

// folderName is what the comparison is to be called.
func (s *submission) folderName() string {
	if s.Name != "" {
		return s.Name
	}
	return "compare_" + time.Now().Format("20060102_1504")
}

// script is the batch script of the comparison in a folder, and its runs.
func (s *submission) script(folder string) (slurm.Script, []config.Config, error) {
	list, err := config.Expand(s.Config, s.sweeps)
	if err != nil {
		return slurm.Script{}, nil, usage("%w", err)
	}
	all := make([][]argument, len(list))
	for i, c := range list {
		one := s.settings
		one.Config = c
		if all[i], err = one.arguments(); err != nil {
			return slurm.Script{}, nil, err
		}
	}
	common, own := takeApart(all)
	script := slurm.Script{
		Name: filepath.Base(folder), Folder: folder, Program: s.program,
		Args: wordsOf(common), Resources: s.Resources,
	}
	if script.Program == "" {
		script.Program = filepath.Join(folder, programName)
	}
	for i, c := range list {
		script.Tasks = append(script.Tasks, slurm.Task{Run: c.Name, Args: wordsOf(own[i])})
	}
	if err := script.Validate(); err != nil {
		return slurm.Script{}, nil, err
	}
	return script, list, nil
}

// programName is what the copy of this program is called.
const programName = "cifartui"

// submit makes the folder, with all that the tasks need, and submits its script.
// A folder that was made for nothing is removed again.
func (s *submission) submit(ctx context.Context, out, errs io.Writer) (err error) {
	folder, err := rundir.Make(s.Runs, s.folderName())
	if err != nil {
		return err
	}
	defer func() {
		switch {
		case errors.Is(err, slurm.ErrUnsure):
			err = unsure(err, folder)
		case err != nil:
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	warnLocal(errs, folder)
	script, list, err := s.script(folder)
	if err != nil {
		return err
	}
	if err := s.fill(folder, script, list); err != nil {
		return err
	}
	tasks := map[int]string{}
	for i, c := range list {
		tasks[i+1] = c.Name
	}
	job, err := slurm.Submit(ctx, folder, tasks, nil)
	if err != nil {
		return err
	}
	tellSubmitted(out, folder, job, len(tasks))
	return nil
}

// fill writes what the tasks need into the comparison's folder.
func (s *submission) fill(folder string, script slurm.Script, list []config.Config) error {
	file := config.Comparison{Order: config.Interleave, Sweeps: s.sweeps, Config: s.Config}
	for _, c := range list {
		file.Runs = append(file.Runs, c.Name)
	}
	if err := file.Write(folder); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(folder, slurm.LogFolder), 0o755); err != nil {
		return fmt.Errorf("folder of the comparison: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, slurm.ScriptFile), []byte(script.Text()), 0o755); err != nil {
		return fmt.Errorf("batch script: %w", err)
	}
	if s.program != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to copy it: %w", err)
	}
	return copyProgram(self, script.Program)
}

// resubmit submits once more what is left to train of a comparison.
func (s *submission) resubmit(ctx context.Context, cmd *cobra.Command) error {
	for key := range s.Given {
		if key != "resume" && key != "runs" && key != "dry_run" && key != "scheduler" {
			return usage("submit --resume submits %s as it stands: leave out --%s, or change the script", slurm.ScriptFile, strings.ReplaceAll(key, "_", "-"))
		}
	}
	list, err := slurm.Read(s.Resume)
	if err != nil {
		return err
	}
	script := filepath.Join(s.Resume, slurm.ScriptFile)
	if _, err := os.Stat(script); errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return fmt.Errorf("%s was not submitted to a scheduler: go on with it by \"cifartui --resume %s\"", s.Resume, rundir.Quote(s.Resume))
	}
	left, err := stillToTrain(ctx, s.Resume, list)
	if err != nil {
		return err
	}
	var numbers []string
	for task := range left {
		numbers = append(numbers, strconv.Itoa(task))
	}
	if len(numbers) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "Nothing of %s is left to submit: its runs have ended or are in the queue.\n", s.Resume)
		return nil
	}
	if s.dryRun {
		text, err := rundir.ReadFile(script, 1<<20)
		if err == nil {
			_, err = cmd.OutOrStdout().Write(text)
		}
		return err
	}
	job, err := slurm.Submit(ctx, s.Resume, list[0].Tasks, sortedNumbers(numbers))
	if errors.Is(err, slurm.ErrUnsure) {
		return unsure(err, s.Resume)
	}
	if err != nil {
		return err
	}
	tellSubmitted(cmd.OutOrStdout(), s.Resume, job, len(left))
	return nil
}

// unsure says how to go on where a job may have been submitted.
func unsure(err error, folder string) error {
	return fmt.Errorf("%w: if it was, \"cifartui cancel %[2]s\" stops it, and else \"cifartui submit --resume %[2]s\" submits it", err, rundir.Quote(folder))
}

// stillToTrain are the runs of a submitted comparison, by their tasks' numbers,
// that have not come to their end and are neither in the queue nor live.
func stillToTrain(ctx context.Context, folder string, list []slurm.Submission) (map[int]string, error) {
	var members []string
	for _, run := range list[0].Tasks {
		members = append(members, filepath.Join(folder, run))
	}
	queued, err := slurm.Jobs(ctx, members)
	if err != nil {
		return nil, err
	}
	left := map[int]string{}
	for task, run := range list[0].Tasks {
		member := filepath.Join(folder, run)
		if _, ok := queued[member]; ok {
			continue
		}
		info, err := runs.Inspect(member)
		if err == nil && (info.Live || info.Outcome.Over()) {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		left[task] = run
	}
	return left, nil
}

// tellSubmitted says what was submitted and how to go on.
func tellSubmitted(w io.Writer, folder, job string, tasks int) {
	what := fmt.Sprintf("%d runs, one a task", tasks)
	if tasks == 1 {
		what = "one run"
	}
	short := folder
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, folder); err == nil && !strings.HasPrefix(rel, "..") {
			short = rel
		}
	}
	short = rundir.Quote(short)
	fmt.Fprintf(w, "Job %s: %s, in %s\n  cifartui watch %s\n  cifartui wait %s\n  cifartui cancel %s\n", job, what, short, short, short, short)
}
