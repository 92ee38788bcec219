package slurm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// Entry is what the queue says of a task.
type Entry struct {
	State  string // Slurm's word: PENDING, RUNNING, COMPLETING...
	Reason string // why it is pending
	Node   string
	Folder string // its working folder
}

// Pending reports whether the task waits for a node.
func (e Entry) Pending() bool {
	switch e.State {
	case "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT":
		return true
	}
	return false
}

// queueFormat is what squeue is asked for; the folder, which may hold anything,
// stands last.
const queueFormat = "%i|%T|%N|%r|%Z"

// Queue asks once for all tasks of jobs that are in the queue, by the tasks'
// names ("1234_2"). A job that is over is in the queue no more, or for some
// minutes in a state that says how it ended: those are left out.
func Queue(ctx context.Context, jobs []string) (map[string]Entry, error) {
	if len(jobs) == 0 {
		return map[string]Entry{}, nil
	}
	out, err := call(ctx, "squeue", "--noheader", "--array", "--format="+queueFormat, "--jobs="+strings.Join(jobs, ","))
	var said *CommandError
	if errors.As(err, &said) && strings.Contains(said.Said, "Invalid job id") {
		return map[string]Entry{}, nil // none of them is known any more
	}
	if err != nil {
		return nil, err
	}
	return parseQueue(out)
}

// queueOf asks for all tasks of a user, whose number is given. Those that no
// submission of this program could have are left out, whatever they look like.
func queueOf(ctx context.Context, user string) (map[string]Entry, error) {
	out, err := call(ctx, "squeue", "--noheader", "--array", "--format="+queueFormat, "--user="+user)
	if err != nil {
		return nil, err
	}
	queue := map[string]Entry{}
	for line := range strings.Lines(out) {
		if one, err := parseQueue(line); err == nil {
			maps.Copy(queue, one)
		}
	}
	return queue, nil
}

// What squeue's fields look like.
var (
	taskID    = regexp.MustCompile(`^[0-9]+(_[0-9]+)?$`)
	stateWord = regexp.MustCompile(`^[A-Z_]{2,24}$`)
	nodeList  = regexp.MustCompile(`^[A-Za-z0-9_.,\[\]-]*$`)
)

// parseQueue reads squeue's lines. A line that is not as it was asked for is an
// error: then nothing of the answer can be relied on.
func parseQueue(out string) (map[string]Entry, error) {
	queue := map[string]Entry{}
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		f := strings.SplitN(line, "|", 5)
		if len(f) != 5 || !taskID.MatchString(f[0]) || !stateWord.MatchString(f[1]) || !nodeList.MatchString(f[2]) || len(f[2]) > 4096 || len(f[3]) > 1000 {
			return nil, fmt.Errorf("squeue: %.200q is not as it was asked for (%s)", line, queueFormat)
		}
		if over(f[1]) {
			continue
		}
		e := Entry{State: f[1], Node: f[2], Folder: f[4]}
		if e.Pending() {
			e.Reason, e.Node = printable(f[3]), ""
		}
		queue[f[0]] = e
	}
	return queue, nil
}

// over reports whether a state is that of a task that has ended.
func over(state string) bool {
	switch state {
	case "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "REVOKED":
		return true
	}
	return false
}

// printable is text without control characters: it is shown on a screen.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
