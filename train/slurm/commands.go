package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// callLimit is how long a command of Slurm may take: its controller answers
// within a second or is in trouble.
const callLimit = 30 * time.Second

// maxOutput bounds what is read of a command.
const maxOutput = 16 << 20

// ErrNoSlurm is in the error of a call where Slurm's commands are not installed.
var ErrNoSlurm = errors.New("there are no commands of Slurm here")

// CommandError is the error of a command of Slurm, with what it said.
type CommandError struct {
	Command string
	Said    string
	Err     error
}

func (e *CommandError) Error() string {
	if e.Said != "" {
		return fmt.Sprintf("%s: %s", e.Command, e.Said)
	}
	return fmt.Sprintf("%s: %v", e.Command, e.Err)
}

func (e *CommandError) Unwrap() error { return e.Err }

// call runs a command and returns what it printed.
func call(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoSlurm, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callLimit, fmt.Errorf("no answer within %v", callLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	out, errs := &bounded{left: maxOutput}, &bounded{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if err == nil && out.full {
		err = fmt.Errorf("it printed over %d bytes", maxOutput)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return "", &CommandError{name, strings.Join(strings.Fields(errs.String()), " "), err}
	}
	return out.String(), nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	left int
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := p
	if len(keep) > b.left {
		keep, b.full = keep[:b.left], true
	}
	b.left -= len(keep)
	b.Buffer.Write(keep)
	return len(p), nil
}

// Here reports whether jobs can be submitted from this machine.
func Here() error {
	if _, err := exec.LookPath("sbatch"); err != nil {
		return fmt.Errorf("%w: %w: submit from a login node of the cluster", ErrNoSlurm, err)
	}
	return nil
}

// KnowsQueue reports whether the queue can be asked from this machine.
func KnowsQueue() bool {
	_, err := exec.LookPath("squeue")
	return err == nil
}

// sbatch submits a script and returns the job's number. tasks, if there are any,
// are those of its array to submit.
func sbatch(ctx context.Context, script string, tasks []string) (job string, err error) {
	args := []string{"--parsable"}
	if len(tasks) > 0 {
		args = append(args, "--array="+strings.Join(tasks, ","))
	}
	out, err := call(ctx, "sbatch", append(args, script)...)
	if err != nil {
		return "", err
	}
	return parseSubmitted(out)
}

// parseSubmitted reads what sbatch --parsable prints: the job's number, and
// behind a semicolon the cluster's name where there are several.
func parseSubmitted(out string) (job string, err error) {
	job, _, _ = strings.Cut(strings.TrimSpace(out), ";")
	if !isNumber(job) {
		return "", fmt.Errorf("sbatch printed %.200q, and not a job's number", out)
	}
	return job, nil
}

// CancelPending takes tasks that wait out of the queue; one that has begun
// meanwhile is left alone.
func CancelPending(ctx context.Context, ids []string) error {
	_, err := call(ctx, "scancel", append([]string{"--state=PENDING"}, ids...)...)
	return err
}

// Cancel ends tasks. One that runs is asked to save first, and killed when it
// takes longer than the cluster allows.
func Cancel(ctx context.Context, ids []string) error {
	_, err := call(ctx, "scancel", ids...)
	return err
}
