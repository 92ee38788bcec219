//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/event"
	"cifartui/train/rundir"
	"cifartui/train/slurm"
)

// cluster is a Slurm of this machine's own: a controller and some nodes, each a
// slurmd with one core, all in a temporary folder and without a trace of another
// Slurm that may be here.
type cluster struct {
	t      *testing.T
	folder string
	env    []string
	nodes  map[string]*exec.Cmd // that live
}

// nodeMark in the environment of a slurmd, and so of the processes that keep its
// jobs, says which node they are.
const nodeMark = "CIFARTUI_TEST_NODE="

// newCluster starts one of n nodes.
func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	if os.Getenv("CIFARTUI_SLURM") == "" {
		t.Skip("needs Slurm and munge installed, and takes minutes: set CIFARTUI_SLURM to run it")
	}
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel"} {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := os.Stat("/usr/sbin/" + program); err != nil {
				t.Fatalf("CIFARTUI_SLURM is set, and there is no %s here", program)
			}
		}
	}
	// Not t.TempDir: the socket's path must be short, and the daemons write to the
	// last.
	folder, err := os.MkdirTemp("", "slurm-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, folder: folder, nodes: map[string]*exec.Cmd{}}
	t.Cleanup(func() {
		c.end()
		if t.Failed() {
			c.tellLogs()
		}
		os.RemoveAll(folder)
	})
	c.env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SLURM_") }),
		"SLURM_CONF="+filepath.Join(folder, "slurm.conf"), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	c.startMunge()
	c.configure(n)
	c.daemon("slurmctld", "slurmctld", "-D", "-c")
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		c.nodes[name] = c.daemon(name, "slurmd", "-D", "-N", name)
	}
	eventually(t, fmt.Sprintf("cluster of %d idle nodes", n), func() bool {
		out, err := c.try("sinfo", "--noheader", "--Node", "--format=%T")
		return err == nil && strings.Count(out, "idle\n") == n
	})
	return c
}

// startMunge starts the daemon by which Slurm knows its own.
func (c *cluster) startMunge() {
	c.t.Helper()
	key := bytes.Repeat([]byte("not a secret, of a test "), 8)
	if err := os.WriteFile(filepath.Join(c.folder, "munge.key"), key, 0o600); err != nil {
		c.t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(c.folder, name) }
	// The folder is nobody else's; munged asks for more than it needs to here.
	c.daemon("munge", "munged", "--foreground", "--force", "--key-file="+in("munge.key"), "--socket="+in("munge.sock"),
		"--pid-file="+in("munge.pid"), "--log-file="+in("munge.log"), "--seed-file="+in("munge.seed"))
	eventually(c.t, "socket of munge", func() bool { _, err := os.Stat(in("munge.sock")); return err == nil })
}

// configure writes slurm.conf. A requeued job usually waits for its credential to
// expire, two minutes, and for the next round of scheduling, a minute: here both
// are seconds.
func (c *cluster) configure(nodes int) {
	c.t.Helper()
	host, err := os.Hostname()
	if err != nil {
		c.t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	me, err := user.Current()
	if err != nil {
		c.t.Fatal(err)
	}
	ports := freePorts(c.t, nodes+1)
	var b strings.Builder
	fmt.Fprintf(&b, `ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmUser=%[2]s
SlurmdUser=%[2]s
AuthType=auth/munge
AuthInfo=socket=%[3]s/munge.sock,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=1,sched_min_interval=0
MpiDefault=none
ReturnToService=2
SlurmdTimeout=8
KillWait=10
SlurmdParameters=config_overrides
SlurmctldPidFile=%[3]s/slurmctld.pid
SlurmdPidFile=%[3]s/slurmd.%%n.pid
SlurmdSpoolDir=%[3]s/spool.%%n
StateSaveLocation=%[3]s/state
SlurmctldLogFile=%[3]s/slurmctld.log
SlurmdLogFile=%[3]s/slurmd.%%n.log
SlurmctldPort=%[4]d
`, host, me.Username, c.folder, ports[0])
	for i := range nodes {
		fmt.Fprintf(&b, "NodeName=n%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%d CPUs=1 RealMemory=1000 State=UNKNOWN\n", i+1, host, ports[i+1])
		if err := os.Mkdir(filepath.Join(c.folder, fmt.Sprintf("spool.n%d", i+1)), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	fmt.Fprintf(&b, "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO\n")
	err = os.Mkdir(filepath.Join(c.folder, "state"), 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(c.folder, "slurm.conf"), []byte(b.String()), 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// freePorts are ports that nobody listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// daemon starts a program that stays.
func (c *cluster) daemon(name, program string, args ...string) *exec.Cmd {
	c.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(c.env, nodeMark+name)
	log, err := os.Create(filepath.Join(c.folder, name+".out"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go cmd.Wait() // its end is nobody's business
	return cmd
}

// end kills everything of the cluster, jobs included.
func (c *cluster) end() {
	for range 20 {
		killed := 0
		for _, pid := range processesWith("SLURM_CONF=" + filepath.Join(c.folder, "slurm.conf")) {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed++
			}
		}
		if killed == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Errorf("processes of %s are still there", c.folder)
}

// killNode kills a node as a power cut does: its slurmd, what keeps its jobs, and
// the jobs.
func (c *cluster) killNode(node string) {
	c.t.Helper()
	ours := processesWith("SLURM_CONF=" + filepath.Join(c.folder, "slurm.conf"))
	var pids []int
	for _, mark := range []string{nodeMark + node, "SLURMD_NODENAME=" + node} {
		for _, pid := range processesWith(mark) {
			if slices.Contains(ours, pid) {
				pids = append(pids, pid)
			}
		}
	}
	if len(pids) < 4 { // slurmd, its keeper of the job, the script, the program
		c.t.Errorf("node %s has processes %v only", node, pids)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended with another
	}
	delete(c.nodes, node)
}

// processesWith are the processes that have a variable in their environment.
func processesWith(variable string) (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && slices.Contains(strings.Split(string(env), "\x00"), variable) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// tellLogs shows what the daemons wrote last.
func (c *cluster) tellLogs() {
	logs, _ := filepath.Glob(filepath.Join(c.folder, "*.log"))
	for _, log := range logs {
		text, _ := os.ReadFile(log)
		if n := len(text); n > 1000 {
			text = text[n-1000:]
		}
		c.t.Logf("%s:\n%s", filepath.Base(log), text)
	}
}

// try runs a program in the cluster's environment.
func (c *cluster) try(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = c.env
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program
	}
	cmd.Path, cmd.Err = path, nil
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// do is try for what must succeed.
func (c *cluster) do(program string, args ...string) string {
	c.t.Helper()
	out, err := c.try(program, args...)
	if err != nil {
		c.t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return out
}

// task is what squeue says of a task in a format.
func (c *cluster) task(id, format string) string {
	out, _ := c.try("squeue", "--noheader", "--array", "--states=all", "--jobs="+id, "--format="+format)
	return strings.TrimSpace(out)
}

// legs are the starts of a run: its first, and one for each time that it was
// resumed.
func legs(folder string) (all []*event.RunStarted) {
	for _, e := range recorded(folder) {
		if s, ok := e.(*event.RunStarted); ok {
			all = append(all, s)
		}
	}
	return all
}

// begun waits until a run's n-th leg has begun, and returns where; it may have
// ended since.
func begun(t *testing.T, folder string, n int) *event.RunStarted {
	t.Helper()
	var all []*event.RunStarted
	eventually(t, fmt.Sprintf("leg %d of %s", n, filepath.Base(folder)), func() bool {
		all = legs(folder)
		return len(all) >= n
	})
	return all[n-1]
}

// running waits until a run trains that has begun n times at least, and returns
// its newest leg.
func running(t *testing.T, folder string, n int) *event.RunStarted {
	t.Helper()
	var all []*event.RunStarted
	eventually(t, fmt.Sprintf("leg %d of %s that trains", n, filepath.Base(folder)), func() bool {
		all = legs(folder)
		_, live := rundir.Live(folder)
		return len(all) >= n && live
	})
	return all[len(all)-1]
}

// submitted is the job's number in what submit printed.
var submitted = regexp.MustCompile(`(?m)^Job ([0-9]+): `)

// A comparison of three on a real Slurm, each run ill-treated in another way, ends
// with the bits of the same runs trained alone.
func TestRealSlurmRunsEndWithTheSameBits(t *testing.T) {
	c := newCluster(t, 4)
	binary := program(t)
	dir := filepath.Join(c.folder, "shared runs") // a path with a space in it
	settings := []string{"--data", "demo:400", "--batch", "10,16,25", "--epochs", strconv.Itoa(epochsOf(t, 8*time.Second)),
		"--patience", "0", "--save-seconds", "0.3", "--device", "cpu", "--runs", dir}

	// Alone: in turns, in one process.
	start(t, append([]string{"--no-tui", "--name", "alone"}, settings...)...).mustEnd(t, 0)

	// Slurm looks at time limits each 30 s, and so asks a task to end 45 to 75 s after
	// it began; a shorter limit would disturb what comes before.
	out := c.do(binary, append([]string{"submit", "--name", "sizes", "--cpus", "1", "--time", "2", "--grace", "45s"}, settings...)...)
	match := submitted.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("submit printed %s", out)
	}
	job, folder := match[1], filepath.Join(dir, "sizes")
	run := func(batch int) string { return filepath.Join(folder, fmt.Sprintf("batch=%d", batch)) }
	waiting := []*process{waitFor(t, c, folder)}

	// Paused, they wait for what comes: each as soon as there is a checkpoint of it,
	// since on a quick machine all of it takes seconds.
	held := map[int]bool{}
	eventually(t, "checkpoint of each run", func() bool {
		for _, batch := range []int{10, 16, 25} {
			if held[batch] || !saved(run(batch)) {
				continue
			}
			c.do(binary, "ctl", "--runs", dir, fmt.Sprintf("sizes/batch=%d", batch), "pause", "--wait")
			held[batch] = true
		}
		return len(held) == 3
	})

	// The second is preempted: it puts itself back.
	c.do("scancel", "--signal=TERM", "--batch", job+"_2")
	// The third loses its node.
	before := checkpointtest.Last(t, run(25))
	c.killNode(c.task(job+"_3", "%N"))

	at := running(t, run(16), 2)
	if at.ResumedTotal == 0 {
		t.Error("the preempted run began again")
	}
	// Then its program is killed, which ends the job; then it is requeued, twice.
	c.do("kill", "-KILL", strconv.Itoa(at.PID))
	eventually(t, "failed task", func() bool { return c.task(job+"_2", "%T") == "FAILED" })
	c.do("scontrol", "requeue", job+"_2")
	running(t, run(16), 3)
	if c.task(job+"_2", "%T") == "RUNNING" { // else it has finished already
		c.do("scontrol", "requeue", job+"_2")
	}

	if at := begun(t, run(25), 2); at.ResumedTotal != before.Total {
		t.Errorf("after its node's death the run goes on at step %d; its last checkpoint was at %d", at.ResumedTotal, before.Total)
	}
	// The first stands still until its time limit comes.
	if at := begun(t, run(10), 2); at.ResumedTotal == 0 {
		t.Error("the run whose time was up began again")
	}
	if restarts := c.do("scontrol", "show", "job", job+"_1"); strings.Contains(restarts, "Restarts=0") {
		t.Errorf("the task whose time was up: %s", restarts)
	}

	for _, w := range waiting {
		w.mustEnd(t, 0)
	}
	for _, batch := range []int{10, 16, 25} {
		checkpointtest.SameRuns(t, run(batch), filepath.Join(dir, "alone", fmt.Sprintf("batch=%d", batch)))
	}
}

// waitFor starts "cifartui wait", which must last as long as the comparison does,
// through requeues.
func waitFor(t *testing.T, c *cluster, folder string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program(t), "wait", folder), waited: make(chan struct{})}
	p.Env = c.env
	p.begin(t)
	return p
}

// saved says whether a run has a checkpoint to go on from.
func saved(folder string) bool {
	return slices.ContainsFunc(recorded(folder), func(e event.Event) bool {
		saved, is := e.(*event.CheckpointSaved)
		return is && saved.File == "last.ckpt"
	})
}

// epochsOf is how many epochs of 400 images and their validation take a time at
// least on a thread of this machine, which may be less busy later; three at least.
func epochsOf(t *testing.T, d time.Duration) int {
	t.Helper()
	dir := t.TempDir()
	start(t, "--no-tui", "--data", "demo:400", "--batch", "10", "--epochs", "3", "--threads", "1", "--device", "cpu", "--runs", dir, "--name", "x").mustEnd(t, 0)
	took := d
	for _, e := range recorded(filepath.Join(dir, "x")) {
		if e, ok := e.(*event.EpochDone); ok {
			took = min(took, time.Duration(e.Seconds*float64(time.Second)))
		}
	}
	return max(3, int(math.Ceil(d.Seconds()/took.Seconds())))
}

// Cancelled, a comparison is saved where it trains, leaves the queue where it
// waits, and goes on when it is submitted again.
func TestRealSlurmCancel(t *testing.T) {
	c := newCluster(t, 2)
	binary := program(t)
	dir := filepath.Join(c.folder, "runs")
	c.do(binary, append([]string{"submit", "--cpus", "1", "--device", "cpu", "--sweep", "seed=1,2,3"}, endless(dir, "long")...)...)
	folder := filepath.Join(dir, "long")
	run := func(seed int) string { return filepath.Join(folder, fmt.Sprintf("seed=%d", seed)) }
	for _, seed := range []int{1, 2} {
		has(t, run(seed), "step", func(*event.StepDone) bool { return true })
	}
	// As if the submission had been killed before it noted the job.
	note := fmt.Sprintf(`{"submissions": [{"job": "", "tasks": {"1": "seed=1", "2": "seed=2", "3": "seed=3"}, "user": "%d", "folder": %q}]}`, os.Getuid(), folder)
	if err := os.WriteFile(filepath.Join(folder, slurm.NoteFile), []byte(note), 0o644); err != nil {
		t.Fatal(err)
	}
	out := c.do(binary, "cancel", folder)
	if !strings.Contains(out, "taken out of the queue") || !strings.Contains(out, "seed=3: has not begun") {
		t.Errorf("cancel printed %s", out)
	}
	if left := c.do("squeue", "--noheader"); left != "" {
		t.Errorf("in the queue is left %s", left)
	}
	for _, seed := range []int{1, 2} {
		if last := checkpointtest.Last(t, run(seed)); last.Total != steps(run(seed)) {
			t.Errorf("seed %d is saved at step %d of %d", seed, last.Total, steps(run(seed)))
		}
	}
	c.do(binary, "submit", "--resume", folder)
	if at := running(t, run(1), 2); at.ResumedTotal == 0 {
		t.Error("the run begins again")
	}
	c.do(binary, "cancel", folder)
}
