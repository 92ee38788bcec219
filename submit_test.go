package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"
	"cifartui/train/rundir"
	"cifartui/train/slurm"
)

// slurmHere puts programs of shell in the place of Slurm's.
func slurmHere(t *testing.T, programs map[string]string) {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("there is no shell here")
	}
	folder := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// tool runs a command line in this process.
func tool(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code = run(ctx, args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// What a task is told must give the settings that the person gave, whatever they
// are: a setting that was lost would train something else for days.
func TestTaskTrainsWhatWasSubmitted(t *testing.T) {
	resolve := func(args ...string) settings {
		t.Helper()
		s := defaultSettings()
		cmd := trainCommand()
		cmd.ResetFlags()
		s.flags(cmd.Flags())
		strictFlags(cmd)
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		if err := s.resolve(cmd); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		return s
	}
	for _, args := range [][]string{
		nil,
		{"--recipe", "fast"},
		{"--recipe", "fast", "--optimizer", "sgd", "--lr", "0.1", "--average", "0.99", "--augment=false", "--shuffle=false"},
		{"--epochs", "7", "--seed", "18446744073709551615", "--val-split", "100", "--init", "/a b/c.safetensors", "--budget", "90m", "--log-format", "json", "--on-end", "echo 'done'; date"},
		{"--optimizer", "sgdw", "--momentum", "0.9", "--weight-decay", "0.0005", "--bias-lr", "0.01", "--dense-decay", "1e-5", "--save-seconds", "0.25", "--schedule", "cosine", "--device", "cuda"},
	} {
		s := resolve(args...)
		list, err := s.arguments()
		if err != nil {
			t.Fatal(err)
		}
		again := resolve(wordsOf(list)...)
		if !reflect.DeepEqual(again.Config, s.Config) || again.Device != s.Device || again.LogFormat != s.LogFormat || again.OnEnd != s.OnEnd {
			t.Errorf("%q became %q\n%+v\nwant\n%+v", args, wordsOf(list), again.Config, s.Config)
		}
	}
}

func TestSubmit(t *testing.T) {
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	slurmHere(t, map[string]string{"sbatch": `printf '%s\n' "$@" >` + said + "; echo '77;cluster'", "squeue": "exit 0"})
	folder := filepath.Join(dir, "my runs", "sizes")
	line := []string{"submit", "--data", "demo:40", "--runs", filepath.Dir(folder), "--name", "sizes", "--batch", "4,8", "--sweep", "seed=1,2", "--time", "2:00:00", "--cpus", "3", "--augment", "false"}

	code, out, errs := tool(t, append(line, "--dry-run")...)
	if code != 0 || !strings.Contains(out, "--array=1-4\n") || !strings.Contains(out, "  --augment=false") || !strings.Contains(out, "4) run=batch=8+seed=2; set -- --batch=8 --seed=2 ;;") {
		t.Fatalf("--dry-run: %d %s\n%s", code, errs, out)
	}
	if _, err := os.Stat(filepath.Dir(folder)); err == nil {
		t.Error("--dry-run has left something behind")
	}
	code, out, errs = tool(t, line...)
	if code != 0 || !strings.HasPrefix(out, "Job 77: 4 runs, one a task, in ") || !strings.Contains(out, "cifartui watch ") {
		t.Fatalf("submit: %d %s\n%s", code, errs, out)
	}
	file, err := config.ReadComparison(folder)
	if err != nil || len(file.Runs) != 4 || file.Runs[3] != "batch=8+seed=2" {
		t.Errorf("comparison %v, %v", file.Runs, err)
	}
	list, err := slurm.Read(folder)
	if err != nil || len(list) != 1 || list[0].Job != "77" || list[0].Tasks[2] != "batch=4+seed=2" {
		t.Errorf("noted %+v, %v", list, err)
	}
	text, _ := os.ReadFile(said)
	if want := "--parsable\n" + filepath.Join(folder, slurm.ScriptFile) + "\n"; string(text) != want {
		t.Errorf("sbatch was called with %q, want %q", text, want)
	}
	if st, err := os.Stat(filepath.Join(folder, programName)); err != nil || st.Mode().Perm()&0o100 == 0 {
		t.Errorf("the copy of the program: %v", err)
	}

	// Once more, without the runs that have ended.
	for run, outcome := range map[string]event.Outcome{"batch=4+seed=1": event.OutcomeFinished, "batch=8+seed=1": event.OutcomeStopped} {
		member := filepath.Join(folder, run)
		if err := os.Mkdir(member, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := config.Write(rundir.OS{}, member, config.Default(), config.Machine("test", time.Now())); err != nil {
			t.Fatal(err)
		}
		eventtest.Write(t, member, &event.RunStarted{Header: event.Header{Run: run, Time: time.Now()}}, &event.RunEnded{Header: event.Header{Run: run, Time: time.Now()}, Outcome: outcome})
	}
	code, out, errs = tool(t, "submit", "--runs", filepath.Dir(folder), "--resume", "sizes")
	if text, _ = os.ReadFile(said); code != 0 || !strings.Contains(string(text), "--array=2,3,4\n") || !strings.HasPrefix(out, "Job 77: 3 runs") {
		t.Errorf("submit --resume: %d %s%s; sbatch was called with %q", code, out, errs, text)
	}
	if code, _, errs = tool(t, "submit", "--runs", filepath.Dir(folder), "--resume", "sizes", "--epochs", "3"); code != exitUsage {
		t.Errorf("submit --resume with settings: %d %s", code, errs)
	}
}

func TestSubmitThatFailsLeavesNothing(t *testing.T) {
	slurmHere(t, map[string]string{"sbatch": "echo 'sbatch: error: invalid partition specified: gpuu' >&2; exit 1"})
	dir := t.TempDir()
	base := []string{"submit", "--data", "demo:40", "--runs", filepath.Join(dir, "runs")}
	code, _, errs := tool(t, append(base, "--partition", "gpuu")...)
	if code != exitFailed || !strings.Contains(errs, "invalid partition specified: gpuu") {
		t.Errorf("%d %s", code, errs)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "runs")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--time", "1"}, exitUsage, "nothing would be trained"},
		{[]string{"--scheduler", "pbs"}, exitUsage, "want slurm"},
		{[]string{"--detach"}, exitUsage, "--detach"},
		{[]string{"--sbatch", "--array=1-9"}, exitUsage, "the array"},
		{[]string{"--data", filepath.Join(dir, "nothing")}, exitFailed, "nothing"},
		{[]string{"--init", filepath.Join(dir, "no.safetensors")}, exitFailed, "no.safetensors"},
		{[]string{"--size", "48"}, exitFailed, "is for a folder of pictures"},
		{[]string{"--gpus", "1", "--dense", "128"}, exitFailed, "no hidden dense layers"},
		{[]string{"--program", dir}, exitFailed, "no program"},
		{[]string{"--resume", "nothing"}, exitFailed, "nothing"},
	} {
		code, _, errs := tool(t, append(base, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%q: %d %s", c.args, code, errs)
		}
	}
	t.Setenv("PATH", dir)
	if code, _, errs := tool(t, base...); code != exitFailed || !strings.Contains(errs, "login node") {
		t.Errorf("without sbatch: %d %s", code, errs)
	}
	if code, out, errs := tool(t, append(base, "--dry-run")...); code != 0 || !strings.Contains(out, "#SBATCH") || !strings.Contains(errs, "login node") {
		t.Errorf("--dry-run without sbatch: %d %s", code, errs)
	}
}

// makeSubmitted makes the folder of a comparison of two runs that were submitted as job
// 77 and have not begun.
func makeSubmitted(t *testing.T, folder string) {
	t.Helper()
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	file := config.Comparison{Order: config.Interleave, Sweeps: []config.Sweep{{Key: "batch", Values: []string{"4", "8"}}}, Runs: []string{"batch=4", "batch=8"}, Config: config.Default()}
	if err := file.Write(folder); err != nil {
		t.Fatal(err)
	}
	note := `{"submissions": [{"job": "77", "submitted": "2026-11-23T14:05:00Z", "tasks": {"1": "batch=4", "2": "batch=8"}}]}`
	if err := os.WriteFile(filepath.Join(folder, slurm.NoteFile), []byte(note), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Tasks that wait are taken out of the queue, and one that is not to be reached is
// ended by scancel; cancel returns when the queue is empty.
func TestCancelOfTasksThatDoNotTrainYet(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "sizes")
	asked, gone := filepath.Join(dir, "asked"), filepath.Join(dir, "gone")
	slurmHere(t, map[string]string{
		"scancel": `echo "$@" >>` + asked + "; [ \"$1\" = --state=PENDING ] || touch " + gone,
		"squeue":  "[ -e " + gone + " ] || { echo '77_1|RUNNING|n1|None|" + folder + "'; grep -q PENDING " + asked + " 2>/dev/null || echo '77_2|PENDING||Priority|" + folder + "'; }",
	})
	makeSubmitted(t, folder)
	code, out, errs := tool(t, "cancel", "--runs", dir, "sizes")
	text, _ := os.ReadFile(asked)
	if code != 0 || string(text) != "--state=PENDING 77_2\n77_1\n" || !strings.Contains(out, "77_2: taken out of the queue") || !strings.Contains(out, "batch=8: has not begun") {
		t.Errorf("%d %s%s; scancel was called with %q", code, out, errs, text)
	}
	if code, _, errs := tool(t, "wait", "--runs", dir, "sizes/batch=8"); code != exitFailed || !strings.Contains(errs, "submit --resume") {
		t.Errorf("wait for a run that has not begun: %d %s", code, errs)
	}
	if rundir.IsRun(filepath.Join(folder, "batch=8")) {
		t.Error("a run was begun")
	}
}

// A submission that was killed when sbatch had the job, and before its number was
// noted, must not train unknown to cancel, nor be submitted twice.
func TestJobOfAKilledSubmissionIsFound(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "sizes")
	note := filepath.Join(folder, slurm.NoteFile)
	kept, asked := filepath.Join(dir, "kept"), filepath.Join(dir, "asked")
	mine := "--user=" + strconv.Itoa(os.Getuid())
	slurmHere(t, map[string]string{
		"sbatch":  "cp " + note + " " + kept + "; echo 78",
		"scancel": `echo "$@" >>` + asked,
		// Also a comparison of this name elsewhere, and what is none.
		"squeue": "case \"$*\" in *" + mine + "*|*--jobs=78*) [ -e " + asked + " ] || { echo '78_1|PENDING||Priority|" + folder + "'; echo '78_2|PENDING||Priority|" + folder + "'; };; esac\n" +
			"case \"$*\" in *" + mine + "*) echo '5_1|RUNNING|n1|None|/elsewhere/sizes'; echo '6+0|RUNNING|n1|None|" + folder + "'; echo '7|RUNNING|n1|None|" + folder + "';; esac",
	})
	if code, _, errs := tool(t, "submit", "--data", "demo:40", "--runs", dir, "--name", "sizes", "--batch", "4,8"); code != 0 {
		t.Fatalf("%d %s", code, errs)
	}
	if list, err := slurm.Read(folder); err != nil || len(list) != 1 || list[0].Job != "78" || list[0].User != "" {
		t.Errorf("noted %+v, %v", list, err)
	}
	if err := os.Rename(kept, note); err != nil { // what a kill leaves
		t.Fatal(err)
	}
	if code, out, errs := tool(t, "submit", "--runs", dir, "--resume", "sizes"); code != 0 || !strings.HasPrefix(out, "Nothing of ") {
		t.Errorf("submit --resume of what is in the queue: %d %s%s", code, out, errs)
	}
	code, out, errs := tool(t, "cancel", "--runs", dir, "sizes")
	if text, _ := os.ReadFile(asked); code != 0 || string(text) != "--state=PENDING 78_1 78_2\n" {
		t.Errorf("%d %s%s; scancel was called with %q", code, out, errs, text)
	}
}

// Interrupted in the middle of sbatch, a submission keeps the folder that the tasks may
// be about to use, and says what to do.
func TestSubmissionThatMayHaveHappenedSaysSo(t *testing.T) {
	dir := t.TempDir()
	slurmHere(t, map[string]string{"sbatch": "echo sbatch: warning"})
	code, _, errs := tool(t, "submit", "--data", "demo:40", "--runs", dir, "--name", "one")
	if code != exitFailed || !strings.Contains(errs, "is not known") || !strings.Contains(errs, "cifartui cancel "+filepath.Join(dir, "one")) {
		t.Errorf("%d %s", code, errs)
	}
	if list, err := slurm.Read(filepath.Join(dir, "one")); err != nil || len(list) != 1 || list[0].Job != "" {
		t.Errorf("noted %+v, %v", list, err)
	}
}

// Where there is no Slurm nobody knows whether tasks wait: cancel must not say that
// all is done, and they begin to train in the night.
func TestCancelWithoutTheQueueSaysSo(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "sizes")
	makeSubmitted(t, folder)
	ended := func(run string) {
		member := filepath.Join(folder, run)
		if err := os.Mkdir(member, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := config.Write(rundir.OS{}, member, config.Default(), config.Machine("test", time.Now())); err != nil {
			t.Fatal(err)
		}
		eventtest.Write(t, member, &event.RunStarted{Header: event.Header{Run: run, Time: time.Now()}}, &event.RunEnded{Header: event.Header{Run: run, Time: time.Now()}, Outcome: event.OutcomeStopped})
	}
	ended("batch=4")
	t.Setenv("PATH", dir)
	code, out, errs := tool(t, "cancel", "--runs", dir, "sizes")
	if code != exitFailed || !strings.Contains(errs, "whether it holds batch=8 is not known") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	ended("batch=8")
	if code, out, errs := tool(t, "cancel", "--runs", dir, "sizes"); code != 0 {
		t.Errorf("with nothing left: %d %s%s", code, out, errs)
	}
}
