//go:build unix

package slurm

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// stage is a folder with a program and Slurm's commands that write down what they
// are asked, for the script to run on.
type stage struct {
	t      *testing.T
	folder string
}

// newStage makes one. trains is what the program does, state what squeue tells of
// the task.
func newStage(t *testing.T, trains, state string) stage {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash here")
	}
	s := stage{t, filepath.Join(t.TempDir(), "it's a folder")}
	for name, text := range map[string]string{
		"cifartui":     `printf '%s\n' "$@" >"$STAGE/args"; ` + trains,
		"bin/squeue":   "echo " + state,
		"bin/scontrol": `echo "$@" >>"$STAGE/requeued"`,
	} {
		path := filepath.Join(s.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/bash\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// start runs the example's script as a task of its array.
func (s stage) start(task string) *exec.Cmd {
	s.t.Helper()
	script := example()
	script.Folder, script.Program = s.folder, filepath.Join(s.folder, "cifartui")
	path := filepath.Join(s.folder, ScriptFile)
	if err := os.WriteFile(path, []byte(script.Text()), 0o755); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("bash", path)
	cmd.Env = append(os.Environ(), "STAGE="+s.folder, "PATH="+filepath.Join(s.folder, "bin")+":"+os.Getenv("PATH"),
		"SLURM_ARRAY_TASK_ID="+task, "SLURM_ARRAY_JOB_ID=7", "SLURM_CPUS_PER_TASK=3")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

func (s stage) has(name string) string {
	b, _ := os.ReadFile(filepath.Join(s.folder, name))
	return string(b)
}

func TestTaskTrainsItsRun(t *testing.T) {
	s := newStage(t, "exit 0", "RUNNING")
	if err := s.start("2").Wait(); err != nil {
		t.Fatal(err)
	}
	want := "train\n--no-tui\n--resume-or-start\n--runs\n" + s.folder + "\n--name\nbatch=128\n--threads\n3\n--recipe=article\n--data=/data/cifar's\n--epochs=20\n--batch=128\n"
	if got := s.has("args"); got != want {
		t.Errorf("the program was called with\n%swant\n%s", got, want)
	}
	if s.has("requeued") != "" {
		t.Error("a finished run was requeued")
	}
	if err := s.start("3").Wait(); err == nil {
		t.Error("there is a third task")
	}
}

func TestTaskGoesBackToTheQueueOnlyWhereSlurmDoesNotEndIt(t *testing.T) {
	for _, c := range []struct {
		trains, state string
		code          int
		requeued      string
	}{
		{"exit 4", "RUNNING", 4, "requeue 7_1\n"},
		{"exit 4", "COMPLETING", 4, ""}, // scancel, or a requeue by Slurm
		{"exit 4", "", 4, ""},           // squeue does not answer
		{"exit 3", "RUNNING", 3, ""},
		{"kill -9 $$", "RUNNING", 137, ""},
	} {
		s := newStage(t, c.trains, c.state)
		cmd := s.start("1")
		_ = cmd.Wait() // its code is looked at
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("%q, %s: code %d, want %d", c.trains, c.state, got, c.code)
		}
		if got := s.has("requeued"); got != c.requeued {
			t.Errorf("%q, %s: requeued %q, want %q", c.trains, c.state, got, c.requeued)
		}
	}
}

// The shell gets the signals, and the program's code must not be lost to them.
func TestSignalsReachTheProgram(t *testing.T) {
	s := newStage(t, `trap 'echo saved >>"$STAGE/saved"' USR1; trap 'sleep 0.2; exit 4' TERM; echo up >"$STAGE/up"; while :; do sleep 0.05; done`, "RUNNING")
	cmd := s.start("1")
	await := func(name, text string) {
		t.Helper()
		for end := time.Now().Add(4 * time.Minute); s.has(name) != text; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is %q, want %q", name, s.has(name), text)
			}
		}
	}
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	await("up", "up\n")
	signal(syscall.SIGUSR1)
	await("saved", "saved\n")
	signal(syscall.SIGUSR1)
	await("saved", "saved\nsaved\n")
	signal(syscall.SIGTERM)
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 4 || s.has("requeued") != "requeue 7_1\n" {
		t.Errorf("code %d, requeued %q", got, s.has("requeued"))
	}
}

func TestNodeWithoutTheFolderSaysSo(t *testing.T) {
	s := newStage(t, "exit 0", "RUNNING")
	if err := os.Remove(filepath.Join(s.folder, "cifartui")); err != nil {
		t.Fatal(err)
	}
	cmd := s.start("1")
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("code %d, want 1", cmd.ProcessState.ExitCode())
	}
}
