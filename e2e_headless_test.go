//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/rundir"
)

// A run that is killed with SIGKILL at any instant and resumed ends with the
// same bits as one that was left alone.
func TestKilledRunEndsWithTheSameBits(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds(2, 12) {
		name := fmt.Sprintf("killed%d", round)
		folder := filepath.Join(runs, name)
		// The first kill comes while it trains,
		p := start(t, small(runs, name, "--epochs", forever)...)
		at := random.Int64N(smallSteps)
		eventually(t, "step", func() bool { return steps(folder) > at })
		time.Sleep(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
		p.kill(t)
		// the others at any time, also while it starts or ends.
		epochs := strconv.Itoa(epochsFor(t, folder))
		for range 3 {
			p := start(t, "--no-tui", "--runs", runs, "--resume", name, "--epochs", epochs)
			p.waitAtMost(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
			p.Process.Kill()
			p.code(t)
		}
		endsAs(t, folder)
	}
}

// A run that is killed before it has a checkpoint, or a folder, starts again.
func TestRunKilledAtItsStartCanBeStartedAgain(t *testing.T) {
	t.Parallel()
	alone := reference(t)
	runs := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds(1, 8) {
		name := fmt.Sprintf("early%d", round)
		folder := filepath.Join(runs, name)
		args := small(runs, name)
		for range 2 {
			p := start(t, args...)
			p.waitAtMost(time.Duration(random.Int64N(int64(400 * time.Millisecond))))
			p.Process.Kill()
			p.code(t)
			if _, err := os.Stat(filepath.Join(folder, rundir.ConfigFile)); err == nil {
				args = []string{"--no-tui", "--runs", runs, "--resume", name}
			} else {
				os.RemoveAll(folder)
			}
		}
		start(t, args...).mustEnd(t, 0)
		checkpointtest.SameRuns(t, folder, alone)
	}
}

// The same seed gives the same bits, whatever --threads says.
func TestThreadsDoNotChangeTheBits(t *testing.T) {
	t.Parallel()
	two := reference(t)
	runs := t.TempDir()
	for _, threads := range []string{"1", "5"} {
		start(t, small(runs, threads, "--threads", threads)...).mustEnd(t, 0)
		checkpointtest.SameRuns(t, filepath.Join(runs, threads), two)
	}
}

// A comparison that is killed and resumed ends with the same bits as one left
// alone, and its lines begin with the run's name.
func TestKilledComparisonEndsWithTheSameBits(t *testing.T) {
	t.Parallel()
	program(t)
	runs := t.TempDir()
	args := func(name, epochs string) []string {
		return append([]string{"--no-tui", "--data", "demo:40", "--batch", "4,8,16,32", "--epochs", epochs, "--patience", "0",
			"--save-seconds", "0.1", "--runs", runs, "--name", name}, network()...)
	}
	members := []string{"batch=4", "batch=8", "batch=16", "batch=32"}
	trained := func(name string) (all int64) {
		for _, m := range members {
			all += steps(filepath.Join(runs, name, m))
		}
		return all
	}
	for round := range rounds(1, 4) {
		name, untouched := fmt.Sprintf("killed%d", round), fmt.Sprintf("alone%d", round)
		p := start(t, args(name, forever)...)
		at := 10 * int64(1+round)
		eventually(t, "step", func() bool { return trained(name) > at })
		p.kill(t)
		epochs := 0
		for _, m := range members {
			epochs = max(epochs, epochsFor(t, filepath.Join(runs, name, m)))
		}
		start(t, "--no-tui", "--runs", runs, "--resume", name, "--epochs", strconv.Itoa(epochs)).mustEnd(t, 0)
		alone := start(t, args(untouched, strconv.Itoa(epochs))...)
		alone.mustEnd(t, 0)
		for _, want := range []string{"batch=4: ", "batch=32: "} {
			if !strings.Contains("\n"+alone.out.String(), "\n"+want) {
				t.Errorf("no line begins with %q:\n%s", want, alone.out.String())
			}
		}
		for _, m := range members {
			checkpointtest.SameRuns(t, filepath.Join(runs, name, m), filepath.Join(runs, untouched, m))
		}
	}
}

// Headless output in a file is plain lines, one an epoch in the article's form.
func TestHeadlessOutputIsPlain(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	p := start(t, append(network(), "--no-tui", "--data", "demo:80", "--batch", "20", "--epochs", "2", "--runs", runs, "--name", "plain")...)
	p.mustEnd(t, 0)
	out := p.out.String()
	if strings.ContainsAny(out, "\r\x1b") || strings.ContainsAny(p.errs.String(), "\r\x1b") {
		t.Errorf("escape codes or carriage returns in %q %q", out, p.errs.String())
	}
	epoch := regexp.MustCompile(`(?m)^Epoch \d+/2 \d+s - loss: \d+\.\d{4} - acc: \d\.\d{4} - val_loss: \d+\.\d{4} - val_acc: \d\.\d{4}`)
	if n := len(epoch.FindAllString(out, -1)); n != 2 {
		t.Errorf("%d lines of epochs, want 2:\n%s", n, out)
	}
	if n := strings.Count(out, "\n@ "); n != 3 {
		t.Errorf("%d closing lines, want 3:\n%s", n, out)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "acc") && !strings.Contains(line, "demo") {
			t.Errorf("an accuracy of the demo set that does not say so: %s", line)
		}
	}
	// The article's numbers are in history.csv, as Keras' CSVLogger writes them.
	csv, err := os.ReadFile(filepath.Join(runs, "plain", rundir.HistoryFile))
	if err != nil || !strings.HasPrefix(string(csv), "epoch,") || strings.Count(string(csv), "\n") != 3 {
		t.Errorf("history.csv: %v\n%s", err, csv)
	}
}

// SIGTERM and SIGINT end the run after the batch, saved and with 4, as does who
// waits for it; SIGUSR1
// saves; SIGHUP does nothing; a second SIGINT leaves at once with 130.
func TestSignals(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			name := "run" + fmt.Sprint(int(sig))
			folder := filepath.Join(runs, name)
			p := start(t, append(endless(runs, name), "--no-tui")...)
			eventually(t, "step", func() bool { return steps(folder) > 0 })
			p.Process.Signal(syscall.SIGHUP)
			p.Process.Signal(syscall.SIGUSR1)
			has(t, folder, "manual checkpoint", func(c *event.CheckpointSaved) bool { return c.Reason == "manual" })
			waiter := start(t, "wait", "--runs", runs, name)
			p.Process.Signal(sig)
			p.mustEnd(t, exitStopped)
			waiter.mustEnd(t, exitStopped)
			late := start(t, "wait", "--runs", runs, name)
			late.mustEnd(t, exitStopped)
			if signal := signalName(sig); !strings.Contains(late.errs.String(), signal) || !strings.Contains(late.errs.String(), "--resume") {
				t.Errorf("wait does not name %s and the way on: %s", signal, late.errs.String())
			}
			if !strings.Contains(p.out.String(), "@ Total Time Spent") {
				t.Errorf("no summary:\n%s", p.out.String())
			}
			c, err := checkpoint.Read(filepath.Join(folder, rundir.CheckpointsDir, checkpoint.LastFile))
			if err != nil {
				t.Fatal(err)
			}
			if got := steps(folder); c.Total != got {
				t.Errorf("saved after %d steps, trained %d", c.Total, got)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		// A batch of many seconds, so that it cannot end between the two; it is
		// under way when the processor has worked for the run.
		p := start(t, "--no-tui", "--data", "demo:4000", "--batch", "4000", "--threads", "1", "--runs", runs, "--name", "twice")
		has(t, filepath.Join(runs, "twice"), "start", func(e *event.StateChanged) bool { return e.State == event.StateRunning })
		before := p.worked(t)
		eventually(t, "batch", func() bool { return p.worked(t) > before+500*time.Millisecond })
		p.Process.Signal(syscall.SIGINT)
		eventually(t, "word of the first", func() bool { return strings.Contains(p.errs.String(), "SIGINT") })
		time.Sleep(2 * sameKey)
		p.Process.Signal(syscall.SIGINT)
		p.mustEnd(t, exitInterrupted)
	})
}

// worked is how long processors have worked for the process.
func (p *process) worked(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Skipf("it can't be told when a batch is under way: %v", err)
	}
	// proc(5): the name ends with the last parenthesis; the 12th and 13th field
	// behind it are hundredths of a second of user and system time.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// What a command at the end leaves in the background does not keep the program,
// and the command is told how the run ended.
func TestOnEndDoesNotWaitForTheBackground(t *testing.T) {
	t.Parallel()
	p := start(t, small(t.TempDir(), "hooked", "--on-end", `sleep 3600 & echo "left $! outcome $CIFARTUI_OUTCOME exit $CIFARTUI_EXIT"`)...)
	p.mustEnd(t, 0)
	m := regexp.MustCompile(`left (\d+) outcome finished exit 0`).FindStringSubmatch(p.out.String())
	if m == nil {
		t.Fatalf("the command did not run:\n%s%s", p.out.String(), p.errs.String())
	}
	if pid, err := strconv.Atoi(m[1]); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("what it left in the background, process %s, is gone", m[1])
	}
}

// A scraper sees the end of a run: the metrics stay for one more scrape.
func TestMetricsShowTheEnd(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	p := start(t, append(endless(runs, "scraped"), "--no-tui", "--metrics", "127.0.0.1:0")...)
	var page string
	eventually(t, "address of the metrics", func() bool {
		if m := regexp.MustCompile(`http://\S+`).FindString(p.errs.String()); m != "" {
			page = m
		}
		return page != ""
	})
	scrape := func() string {
		r, err := http.Get(page)
		if err != nil {
			return ""
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return string(body)
	}
	eventually(t, "run on the page", func() bool { return strings.Contains(scrape(), `state="running"} 1`) })
	start(t, "ctl", "--runs", runs, "scraped", "stop").mustEnd(t, 0)
	eventually(t, "word that the metrics stay", func() bool { return strings.Contains(p.errs.String(), "scraped once more") })
	last := scrape()
	for _, want := range []string{`state="stopped"} 1`, fmt.Sprintf("cifartui_batches_total{run=\"scraped\"} %d\n", steps(filepath.Join(runs, "scraped")))} {
		if !strings.Contains(last, want) {
			t.Errorf("the last page has no %s:\n%s", want, last)
		}
	}
	p.mustEnd(t, 0)
}

// While the data is fetched, who started a run in the background sees how far it
// is; interrupted, it leaves no process behind.
func TestDetachShowsTheFetching(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	var once sync.Once
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "170052171")
		w.Write(append([]byte{0x1f, 0x8b}, make([]byte, 40<<20)...)) // it begins as an archive does
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the rest never comes
		once.Do(func() { close(gone) })
	}))
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	p := &process{Cmd: exec.Command(program(t), "--detach", "--data-url", site.URL, "--runs", t.TempDir(), "--name", "far"), waited: make(chan struct{})}
	p.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	p.begin(t)
	eventually(t, "line on the way", func() bool {
		return strings.Contains(p.errs.String(), "fetching CIFAR-10") && strings.Contains(p.errs.String(), "%")
	})
	p.Process.Signal(syscall.SIGINT)
	if code := p.code(t); code == exitOK {
		t.Errorf("interrupted, it ends with 0")
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the process in the background goes on fetching")
	}
}

// A signal that comes while a process in the background makes ready to go on with a
// run ends the run, also where nobody waits for that process any more.
func TestSignalEndsARunThatIsHandedOver(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "170052171")
		w.Write(append([]byte{0x1f, 0x8b}, make([]byte, 1<<20)...)) // it begins as an archive does
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the rest never comes
	}))
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	runs := t.TempDir()
	folder := filepath.Join(runs, "moved")
	c := config.Default()
	c.Runs, c.Name = runs, "moved"
	if err := errors.Join(os.Mkdir(folder, 0o755), config.Write(rundir.OS{}, folder, c, config.About{})); err != nil {
		t.Fatal(err)
	}
	record := `{"event":"run_started","seq":1,"time":"2026-01-02T03:04:05Z","run":"moved"}
{"event":"run_ended","seq":2,"time":"2026-01-02T03:04:05Z","run":"moved","outcome":"detached"}
`
	if err := os.WriteFile(filepath.Join(folder, rundir.EventsFile), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(program(t), "train", "--resume", folder, "--runs", runs, "--no-tui", "--child", "--data-url", site.URL,
		"--on-end", `echo "$CIFARTUI_RUN $CIFARTUI_OUTCOME $CIFARTUI_EXIT"`), waited: make(chan struct{})}
	p.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir())
	p.begin(t)
	eventually(t, "fetching", func() bool { return strings.Contains(p.errs.String(), "fetching CIFAR-10") })
	p.Process.Signal(syscall.SIGTERM)
	p.mustEnd(t, exitStopped)
	if want := folder + " stopped 4"; !strings.Contains(p.out.String(), want) {
		t.Errorf("at the end it says %q, want %q", p.out.String(), want)
	}
	start(t, "wait", "--runs", runs, "moved").mustEnd(t, exitStopped)
}

// A named pipe where a file is expected is refused at once, not waited for.
func TestPipesAreNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	inRun := filepath.Join(dir, "runs", "x")
	if err := os.MkdirAll(inRun, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{rundir.ConfigFile, rundir.EventsFile} {
		if err := syscall.Mkfifo(filepath.Join(inRun, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"--no-tui", "--data", "demo:40", "--init", pipe},
		{"--no-tui", "--data", "demo:40", "--config", pipe},
		{"--no-tui", "--data", pipe},
		{"--no-tui", "--data", "demo:40", "--init", "/dev/zero"},
		{"--no-tui", "--resume", inRun},
		{"compare", inRun},
		{"runs", "--runs", filepath.Dir(inRun)},
	} {
		p := start(t, append(args, "--runs", filepath.Join(dir, "runs"))...)
		if code := p.code(t); code == exitOK && args[0] != "runs" {
			t.Errorf("%v: taken\n%s", args, p.out.String())
		}
	}
}

// A run folder that a live process writes is refused, and says by whom.
func TestFolderInUse(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	p := start(t, append(endless(runs, "busy"), "--no-tui")...)
	eventually(t, "step", func() bool { return steps(filepath.Join(runs, "busy")) > 0 })
	second := start(t, "--no-tui", "--runs", runs, "--resume", "busy")
	second.mustEnd(t, exitFailed)
	if !strings.Contains(second.errs.String(), fmt.Sprint(p.Process.Pid)) {
		t.Errorf("it does not name process %d: %s", p.Process.Pid, second.errs.String())
	}
}

// A loss that is not finite ends the run with 3 and says at which step.
func TestDivergedRunExitsWith3(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	p := start(t, small(runs, "nan", "--optimizer", "sgd", "--lr", "1e6")...)
	p.mustEnd(t, exitDiverged)
	if !strings.Contains(p.errs.String(), "step") {
		t.Errorf("it does not say at which step: %s", p.errs.String())
	}
}

// A pipe that nobody reads does not end the run.
func TestClosedPipeDoesNotEndTheRun(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.Command(program(t), small(runs, "pipe", "--log-every", "1")...)
	p.Stdout = w
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	p.Wait() // the log could not be written: that may be told by the exit code
	if got := steps(filepath.Join(runs, "pipe")); got != smallSteps {
		t.Errorf("%d steps trained, want %d", got, smallSteps)
	}
}

// Background runs: started detached, waited for, steered from outside.
func TestDetachedRunIsSteeredFromOutside(t *testing.T) {
	t.Parallel()
	runs := t.TempDir()
	bin := program(t)
	out, err := exec.Command(bin, append(endless(runs, "bg"), "--detach")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "attach") {
		t.Fatalf("%v: %s", err, out)
	}
	defer killLeft(filepath.Join(runs, "bg"))
	// It is ready by the word of one reader of its events, and this is another's.
	eventually(t, "running run", func() bool { return status(t, runs, "bg").State == event.StateRunning })
	ctl := func(args ...string) {
		t.Helper()
		args = append([]string{"ctl", "--runs", runs, "--wait", "bg"}, args...)
		if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	ctl("pause")
	if s := status(t, runs, "bg"); s.State != event.StatePaused {
		t.Errorf("after pause: state %s", s.State)
	}
	ctl("lr", "0.25")
	ctl("save")
	ctl("resume")
	if s := status(t, runs, "bg"); s.State != event.StateRunning || s.LR != 0.25 {
		t.Errorf("after resume: state %s, lr %g", s.State, s.LR)
	}
	waiter := start(t, "wait", "--runs", runs, "bg")
	ctl("stop")
	waiter.mustEnd(t, 0)
	if _, live := rundir.Live(filepath.Join(runs, "bg")); live {
		eventually(t, "end of the process", func() bool { _, live := rundir.Live(filepath.Join(runs, "bg")); return !live })
	}
}
