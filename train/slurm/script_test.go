package slurm

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func example() Script {
	return Script{
		Name: "sizes", Folder: "/home/a person/runs/sizes", Program: "/home/a person/runs/sizes/cifartui",
		Tasks: []Task{{"batch=64", []string{"--batch=64"}}, {"batch=128", []string{"--batch=128"}}},
		Args:  []string{"--recipe=article", "--data=/data/cifar's", "--epochs=20"},
		Resources: Resources{
			Partition: "gpu", Time: "8:00:00", GPUs: "a100:1", CPUs: 4, AtOnce: 2, Grace: 120,
			More: []string{"--constraint=infiniband --exclusive"},
		},
	}
}

func TestScriptIsAsAPersonWouldWriteIt(t *testing.T) {
	s := example()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "submit.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(s.Text()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Text(); got != string(want) {
		t.Errorf("the script has changed (look at it, then -update):\n%s", got)
	}
}

func TestWhatCannotBeSubmittedIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Script)
		want   string
	}{
		"partition":    {func(s *Script) { s.Partition = "gpu\n#SBATCH --x" }, "--partition"},
		"account":      {func(s *Script) { s.Account = "a b" }, "--account"},
		"time":         {func(s *Script) { s.Time = "soon" }, "--time"},
		"short time":   {func(s *Script) { s.Time = "2" }, "nothing would be trained"},
		"early signal": {func(s *Script) { s.Time, s.Grace = "2", 46 }, "want 3 minutes or more"},
		"memory":       {func(s *Script) { s.Memory = "8 gigabytes" }, "--mem"},
		"gpus":         {func(s *Script) { s.GPUs = "many" }, "--gpus"},
		"cpus":         {func(s *Script) { s.CPUs = 0 }, "--cpus"},
		"grace":        {func(s *Script) { s.Grace = 0 }, "--grace"},
		"line":         {func(s *Script) { s.More = []string{"--a\nrm"} }, "one line"},
		"no option":    {func(s *Script) { s.More = []string{"exclusive"} }, "options of sbatch"},
		"array":        {func(s *Script) { s.More = []string{"--exclusive --array=1"} }, "the array"},
		"short array":  {func(s *Script) { s.More = []string{"-a 1"} }, "the array"},
		"quoted path":  {func(s *Script) { s.Folder = `/a"b` }, "quotes"},
		"short path":   {func(s *Script) { s.Folder = "runs" }, "absolute"},
		"no runs":      {func(s *Script) { s.Tasks = nil }, "no runs"},
		"bad programs": {func(s *Script) { s.Program = "/x\ny" }, "program"},
	} {
		s := example()
		c.change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something of %q", name, err, c.want)
		}
	}
	short := example()
	short.Time, short.Grace = "2", 45
	if err := short.Validate(); err != nil {
		t.Errorf("two minutes, of which 45 s are left at the signal: %v", err)
	}
	for _, fine := range []string{"--constraint=a", "-C a100", "--mail-type=END --mail-user=a@b.org", "--wait-all-nodes=1"} {
		s := example()
		s.More = []string{fine}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
}

func TestTimeLimits(t *testing.T) {
	for text, want := range map[string]int{"90": 5400, "2:30": 150, "1:00:00": 3600, "1-2": 93600, "1-0:30": 88200, "1-0:0:5": 86405, "0": 0,
		"08:00:00": 28800, "00:09:30": 570, "010": 600, "0-08:09": 29340} {
		if got, ok := seconds(text); !ok || got != want {
			t.Errorf("%s is %d s, %v; want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "1:2:3:4", "a", "99999999999999999999"} {
		if got, ok := seconds(text); ok {
			t.Errorf("%q is %d s", text, got)
		}
	}
}
