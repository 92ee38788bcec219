package slurm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cifartui/train/runs"
)

const answer = `12_1|RUNNING|n1|None|/r/a
12_2|PENDING||Resources|/r/a
12_3|PENDING||ReqNodeNotAvail, UnavailableNodes:n[2-3]|/r/a|b
13|COMPLETING|n2|None|/r/b
14_1|COMPLETED|n2|None|/r/b
14_2|CANCELLED|n2|None|/r/b
`

func TestQueueIsReadStrictly(t *testing.T) {
	queue, err := parseQueue(answer)
	if err != nil {
		t.Fatal(err)
	}
	if len(queue) != 4 || queue["12_1"] != (Entry{"RUNNING", "", "n1", "/r/a"}) || queue["12_2"].Reason != "Resources" ||
		queue["12_3"].Folder != "/r/a|b" || queue["13"].State != "COMPLETING" {
		t.Errorf("read %+v", queue)
	}
	for _, line := range []string{
		"12_1|RUNNING|n1|None", "x|RUNNING|n1|None|/r", "12_1|running|n1|None|/r", "12_1|RUNNING|n 1|None|/r", "slurm is down",
		"12_[1-3]|PENDING||None|/r", "12_1|RUNNING|\x1b[2J|None|/r",
	} {
		if queue, err := parseQueue(answer + line + "\n"); err == nil || queue != nil {
			t.Errorf("%q was read as %+v", line, queue)
		}
	}
}

func FuzzQueue(f *testing.F) {
	f.Add(answer)
	f.Add("1|PENDING||\x1b]0;x\a|/r")
	f.Fuzz(func(t *testing.T, text string) {
		queue, err := parseQueue(text)
		for id, e := range queue {
			if err != nil || !taskID.MatchString(id) || strings.ContainsFunc(e.Reason+e.Node+e.State, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%q: %+v, %v", id, e, err)
			}
		}
	})
}

func FuzzNote(f *testing.F) {
	f.Add([]byte(`{"submissions":[{"job":"12","tasks":{"1":"batch=64"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n note
		if parseNote(b, &n) != nil {
			return
		}
		for _, id := range TaskIDs(n.Submissions, "batch=64") {
			if !taskID.MatchString(id) {
				t.Errorf("task %q", id)
			}
		}
	})
}

func TestNumberOfASubmittedJob(t *testing.T) {
	for out, want := range map[string]string{"123\n": "123", "123;cluster\n": "123", "": "", "Submitted batch job 12": "", "+1": "", "-1": ""} {
		if got, err := parseSubmitted(out); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: job %q, %v; want %q", out, got, err, want)
		}
	}
}

// standIn puts programs of shell in the place of Slurm's, and nothing else in the
// PATH.
func standIn(t *testing.T, programs map[string]string) (folder string) {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no shell here")
	}
	folder = t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
	return folder
}

func TestJobsAskOnceAndOnlyWhereSomethingWasSubmitted(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	standIn(t, map[string]string{"squeue": `echo "$@" >>` + calls + "\necho '12_1|RUNNING|n1|None|" + filepath.Join(dir, "a") + "'\necho '12_2|PENDING||Priority|" + filepath.Join(dir, "a") + "'\necho '9_1|RUNNING|n3|None|/elsewhere'"})
	member := func(comparison, run string) string { return filepath.Join(dir, comparison, run) }
	if known, err := Jobs(context.Background(), []string{member("plain", "x")}); err != nil || len(known) != 0 {
		t.Fatalf("%v, %v", known, err)
	}
	if _, err := os.Stat(calls); err == nil {
		t.Fatal("squeue was asked about nothing")
	}
	for comparison, s := range map[string][]Submission{
		"a": {{Job: "11", Tasks: map[int]string{1: "x", 2: "y"}}, {Job: "12", Tasks: map[int]string{1: "x", 2: "y"}}},
		"b": {{Job: "9", Tasks: map[int]string{1: "x"}}}, // of a cluster that has another job 9
	} {
		if err := os.Mkdir(filepath.Join(dir, comparison), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(filepath.Join(dir, comparison), s); err != nil {
			t.Fatal(err)
		}
	}
	known, err := Jobs(context.Background(), []string{member("a", "x"), member("a", "y"), member("b", "x"), member("plain", "x")})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]runs.Job{
		member("a", "x"): {ID: "12_1", State: "running", Node: "n1"},
		member("a", "y"): {ID: "12_2", State: "pending", Reason: "Priority"},
	}
	if len(known) != 2 || known[member("a", "x")] != want[member("a", "x")] || known[member("a", "y")] != want[member("a", "y")] {
		t.Errorf("%+v, want %+v", known, want)
	}
	if b, _ := os.ReadFile(calls); strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), "--jobs=11,12,9") {
		t.Errorf("squeue was called with %s", b)
	}
}

// sbatch that refuses leaves the note as it was; one that was cut short leaves word
// that there may be a job.
func TestNoteOfASubmissionThatFails(t *testing.T) {
	tasks := map[int]string{1: "x"}
	earlier := []Submission{{Job: "12", Tasks: tasks}}
	for _, c := range []struct {
		sbatch string
		unsure bool
		want   int
	}{
		{"exit 1", false, 1},
		{"echo no number", true, 2},
		{"kill -9 $$", true, 2},
	} {
		folder := t.TempDir()
		standIn(t, map[string]string{"sbatch": c.sbatch})
		if err := write(folder, earlier); err != nil {
			t.Fatal(err)
		}
		_, err := Submit(t.Context(), folder, tasks, nil)
		list, rerr := Read(folder)
		if err == nil || errors.Is(err, ErrUnsure) != c.unsure || rerr != nil || len(list) != c.want || list[0].Job != "12" {
			t.Errorf("%s: %v; noted %+v, %v", c.sbatch, err, list, rerr)
		}
	}
}

func TestSlurmThatDoesNotAnswer(t *testing.T) {
	standIn(t, nil)
	if _, err := Queue(context.Background(), []string{"1"}); !errors.Is(err, ErrNoSlurm) {
		t.Errorf("without squeue: %v", err)
	}
	standIn(t, map[string]string{"squeue": "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1"})
	if queue, err := Queue(context.Background(), []string{"1"}); err != nil || len(queue) != 0 {
		t.Errorf("a job that is not known any more: %v, %v", queue, err)
	}
	standIn(t, map[string]string{"squeue": "echo Unable to contact slurm controller >&2; exit 1"})
	if _, err := Queue(context.Background(), []string{"1"}); err == nil || !strings.Contains(err.Error(), "Unable to contact") {
		t.Errorf("no controller: %v", err)
	}
	standIn(t, map[string]string{"squeue": "while :; do :; done"})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Queue(ctx, []string{"1"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
}

func TestDamagedNoteIsNamed(t *testing.T) {
	for _, text := range []string{"{", `{"submissions":[{"job":"1 --all"}]}`, `{"submissions":[{"job":"1","tasks":{"-1":"a"}}]}`,
		`{"submissions":[{"job":"","user":"1 --all","folder":"/r"}]}`, `{"submissions":[{"job":""}]}`} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, NoteFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(folder); err == nil || !strings.Contains(err.Error(), NoteFile) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
