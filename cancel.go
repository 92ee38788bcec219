package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cifartui/train/config"
	"cifartui/train/control"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/runs"
	"cifartui/train/slurm"
)

func cancelCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "cancel RUN|COMPARISON",
		Short: "Stop what was submitted: saved, or taken out of the queue",
		Long: `Cancel stops a run, or all runs of a comparison, that "cifartui submit" gave to
a scheduler. Tasks that wait leave the queue. Those that train finish the batch,
save and end, by a command left in the run's folder; one that does not take it
is ended by scancel, which gives it the cluster's KillWait to save. It returns
when all have left the queue. "cifartui submit --resume COMPARISON" goes on
later.

A run that was not submitted is stopped as by "cifartui ctl RUN stop".`,
		Args: oneRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			return cancel(cmd.Context(), dir, args[0], cmd.OutOrStdout())
		},
	}
	runsFlag(cmd.Flags(), &dir)
	return cmd
}

// cancelPause is the time between two looks at the queue while tasks end.
const cancelPause = 2 * time.Second

// cancel stops a run or a comparison and waits until its tasks have left the
// queue.
func cancel(ctx context.Context, dir, which string, out io.Writer) error {
	folder, err := findMember(dir, which)
	if err != nil {
		return err
	}
	members, submitted, err := submittedRuns(folder)
	if err != nil {
		return err
	}
	if !submitted {
		o := ctlOptions{runs: dir, after: string(event.AfterBatch), wait: true}
		stop, err := o.request([]string{string(control.VerbStop)})
		if err != nil {
			return err
		}
		return o.send(ctx, which, stop, out)
	}
	c := canceller{out: out, stopped: map[string]bool{}, ended: map[string]bool{}}
	for {
		queue, err := slurm.Jobs(ctx, members)
		if err != nil {
			return err
		}
		left, err := c.round(ctx, members, queue)
		if err != nil {
			return err
		}
		if left == 0 {
			return mayWait(members)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cancelPause):
		}
	}
}

// mayWait is the error of a cancel where the queue cannot be asked, if tasks may wait
// there: they would begin to train later.
func mayWait(members []string) error {
	if slurm.KnowsQueue() {
		return nil
	}
	var names []string
	for _, member := range members {
		list, err := runs.Read(member)
		if err != nil || list[0].Ended == nil || list[0].Ended.Signal != "" {
			names = append(names, filepath.Base(member))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w, and so no look into the queue: whether it holds %s is not known: cancel from a login node of the cluster", slurm.ErrNoSlurm, strings.Join(names, ", "))
}

// findMember is runs.Find, also for a run of a submitted comparison that has not
// begun and so has no folder.
func findMember(dir, which string) (string, error) {
	folder, err := runs.Find(dir, which)
	if err == nil {
		return folder, nil
	}
	parent, perr := runs.Find(dir, filepath.Dir(which))
	if perr != nil || !rundir.IsComparison(parent) {
		return "", err
	}
	file, ferr := config.ReadComparison(parent)
	if ferr != nil || !slices.Contains(file.Runs, filepath.Base(which)) {
		return "", err
	}
	return filepath.Join(parent, filepath.Base(which)), nil
}

// submittedRuns are the run folders that a folder stands for, with those of runs
// that have not begun, and whether they were given to a scheduler.
func submittedRuns(folder string) (members []string, submitted bool, err error) {
	comparison := folder
	if !rundir.IsComparison(folder) {
		members, comparison = []string{folder}, filepath.Dir(folder)
	}
	list, err := slurm.Read(comparison)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	if members == nil {
		file, err := config.ReadComparison(folder)
		if err != nil {
			return nil, false, err
		}
		for _, name := range file.Runs {
			members = append(members, filepath.Join(folder, name))
		}
	}
	return members, true, nil
}

// A canceller remembers what was done for each run, to do it once.
type canceller struct {
	out            io.Writer
	stopped, ended map[string]bool
}

// round does what is to be done for the runs as they stand, and counts those
// that are still in the queue or live.
func (c canceller) round(ctx context.Context, members []string, queue map[string]runs.Job) (left int, err error) {
	var pending, running, kill []string
	type answer struct {
		member string
		err    error
	}
	answers := make(chan answer, len(members))
	for _, member := range members {
		job, queued := queue[member]
		_, live := rundir.Live(member)
		if !queued && !live {
			c.tellEnd(member)
			continue
		}
		left++
		switch waits := job.State == "pending" || job.State == "requeued"; {
		case queued && waits:
			pending = append(pending, job.ID)
		case !c.stopped[member] && job.State != "completing":
			running = append(running, member)
		}
	}
	// Those that wait go first: they would take the nodes that become free.
	if len(pending) > 0 {
		fmt.Fprintf(c.out, "%s: taken out of the queue\n", listed(pending))
		if err := slurm.CancelPending(ctx, pending); err != nil {
			return left, err
		}
	}
	for _, member := range running {
		c.stopped[member] = true
		go func() { answers <- answer{member, askToStop(ctx, member)} }()
	}
	for range running {
		a := <-answers
		if a.err == nil {
			continue
		}
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
		if job, queued := queue[a.member]; queued {
			fmt.Fprintf(c.out, "%s: %v: ended by scancel\n", filepath.Base(a.member), a.err)
			kill = append(kill, job.ID)
			continue
		}
		err = errors.Join(err, fmt.Errorf("run %s: %w", filepath.Base(a.member), a.err))
	}
	if len(kill) > 0 {
		err = errors.Join(err, slurm.Cancel(ctx, kill))
	}
	return left, err
}

// tellEnd says once how a run stands that has left the queue.
func (c canceller) tellEnd(member string) {
	if c.ended[member] {
		return
	}
	c.ended[member] = true
	info, err := runs.Inspect(member)
	switch {
	case err != nil:
		fmt.Fprintf(c.out, "%s: has not begun\n", filepath.Base(member))
	case info.Problem == "":
		fmt.Fprintf(c.out, "%s: %s, %d of %d epochs\n", filepath.Base(member), info.State, info.Epoch, info.Epochs)
	}
}

// askToStop has a live run end after its batch, and returns when it has taken
// the command.
func askToStop(ctx context.Context, member string) error {
	client, err := control.Dial(ctx, member)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Do(ctx, control.Request{Cmd: control.VerbStop, After: event.AfterBatch, Why: "cancel"})
	return err
}

// listed are names in the order of their numbers.
func listed(ids []string) string {
	out := ""
	for i, id := range sortedNumbers(slices.Clone(ids)) {
		if i > 0 {
			out += " "
		}
		out += id
	}
	return out
}

// waitSubmitted waits until the runs of a target have left the queue, and
// returns how each ended; the ends of those that have not begun are nil.
func waitSubmitted(ctx context.Context, members []string) (map[string]*event.RunEnded, error) {
	pause := time.Second
	for {
		queue, err := slurm.Jobs(ctx, members)
		if err != nil {
			return nil, err
		}
		ended, waiting := map[string]*event.RunEnded{}, false
		for _, member := range members {
			name := filepath.Base(member)
			ended[name] = nil
			_, live := rundir.Live(member)
			if _, queued := queue[member]; queued || live {
				waiting = true
				continue
			}
			if !rundir.IsRun(member) {
				waiting = waiting || !slurm.KnowsQueue() // nobody else knows more
				continue
			}
			list, err := runs.Read(member)
			if err != nil {
				return nil, err
			}
			ended[name] = list[0].Ended
			if unsettled := list[0].Ended == nil || list[0].Ended.Signal != ""; unsettled && !slurm.KnowsQueue() {
				waiting = true // it may be on its way to another node
			}
		}
		if !waiting {
			return ended, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 15*time.Second)
	}
}

// submittedTargets are what a command to a submitted comparison goes to: its
// live runs, each of which has a process of its own. It is empty for anything
// else.
func submittedTargets(target control.Target) ([]control.Target, error) {
	if _, own := rundir.Live(target.Folder); own || target.Run != "" || !rundir.IsComparison(target.Folder) {
		return nil, nil
	}
	members, submitted, err := submittedRuns(target.Folder)
	if err != nil || !submitted {
		return nil, err
	}
	var list []control.Target
	for _, member := range members {
		if _, live := rundir.Live(member); live {
			list = append(list, control.Target{Folder: member})
		}
	}
	return list, nil
}
