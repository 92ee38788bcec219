package slurm

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"cifartui/train/rundir"
)

// Script is a batch script: a job array that trains runs, one a task.
type Script struct {
	Name    string // the comparison's
	Folder  string // its path, absolute
	Program string // path of the program, absolute
	Tasks   []Task // the first has number 1
	Args    []string
	Resources
}

// Task trains one run.
type Task struct {
	Run  string
	Args []string // beside those of all
}

// Resources are what is asked of the scheduler. What is empty is left to it.
type Resources struct {
	Partition, Account, QOS string
	Time                    string // Slurm's: minutes, minutes:seconds, hours:minutes:seconds, days-hours...
	Memory                  string // as 8G, of a task
	GPUs                    string // of a task: a number, or kind:number
	CPUs                    int    // of a task
	AtOnce                  int    // tasks that run at the same time at most; 0: any number
	// Grace is how many seconds before the time limit a task is asked to save.
	Grace int
	// More are further options, as on sbatch's command line.
	More []string
}

// What may stand in the options: nothing that ends a word or a line.
var (
	plainWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.,@+-]*$`)
	timeLimit = regexp.MustCompile(`^([0-9]+-)?[0-9]+(:[0-9]+){0,2}$`)
	memory    = regexp.MustCompile(`^[0-9]+[KMGT]?$`)
	gpus      = regexp.MustCompile(`^([A-Za-z0-9_.-]+:)?[0-9]+$`)
)

// early is how many seconds before the time that was asked for a task may get its
// signal, 60 as sbatch(1) says, and as many as it takes to begin to train.
const early = 60 + 15

// Validate names every option that cannot be.
func (r Resources) Validate() error {
	var wrong []error
	check := func(flag, value string, ok bool, want string) {
		if value != "" && !ok {
			wrong = append(wrong, fmt.Errorf("--%s: %q: want %s", flag, value, want))
		}
	}
	for flag, value := range map[string]string{"partition": r.Partition, "account": r.Account, "qos": r.QOS} {
		check(flag, value, plainWord.MatchString(value), "a name")
	}
	check("time", r.Time, timeLimit.MatchString(r.Time), "minutes, hours:minutes:seconds or days-hours:minutes:seconds")
	check("mem", r.Memory, memory.MatchString(r.Memory), "a number and K, M, G or T, as 8G")
	check("gpus", r.GPUs, gpus.MatchString(r.GPUs), "a number, or kind:number as a100:1")
	if r.CPUs < 1 || r.CPUs > 1024 {
		wrong = append(wrong, fmt.Errorf("--cpus: %d: want 1 to 1024", r.CPUs))
	}
	if r.Grace < 1 || r.Grace > 65535 { // Slurm's own bound
		wrong = append(wrong, fmt.Errorf("--grace: %d s: want 1 s to 65535 s", r.Grace))
	} else if limit, ok := seconds(r.Time); ok && limit > 0 && limit < r.Grace+early {
		wrong = append(wrong, fmt.Errorf("--time: %s: nothing would be trained, as a task saves and ends %d s before its limit (--grace) and Slurm may ask it to a minute earlier still: want %d minutes or more, or a shorter --grace",
			r.Time, r.Grace, (r.Grace+early+59)/60))
	}
	for _, line := range r.More {
		switch {
		case strings.IndexFunc(line, unicode.IsControl) >= 0:
			wrong = append(wrong, fmt.Errorf("--sbatch: %q: want options in one line", line))
		case !strings.HasPrefix(strings.TrimSpace(line), "-"):
			wrong = append(wrong, fmt.Errorf("--sbatch: %q: want options of sbatch, as --constraint=a100", line))
		case ours.MatchString(line):
			wrong = append(wrong, fmt.Errorf("--sbatch: %q: the array, the folder and the requeueing are set by this program", line))
		}
	}
	return errors.Join(wrong...)
}

// ours are options that the script depends on.
var ours = regexp.MustCompile(`(^|\s)(--(array|chdir|wrap|no-requeue|test-only|wait)(=|\s|$)|-[aDW])`)

// seconds reads a time limit; ok is false where there is none.
func seconds(limit string) (n int, ok bool) {
	if !timeLimit.MatchString(limit) {
		return 0, false
	}
	days, rest, dashed := strings.Cut(limit, "-")
	if !dashed {
		days, rest = "0", limit
	}
	var v [4]int // days, and what the colons part
	parts := append([]string{days}, strings.Split(rest, ":")...)
	for i, p := range parts {
		var err error
		if v[i], err = strconv.Atoi(p); err != nil { // decimal, also with a 0 before it
			return 0, false
		}
	}
	if dashed || len(parts) == 4 { // hours first
		return v[0]*86400 + v[1]*3600 + v[2]*60 + v[3], true
	}
	return v[1]*60 + v[2], true // minutes first
}

// Validate names what in a script cannot be.
func (s Script) Validate() error {
	var wrong []error
	for what, path := range map[string]string{"folder": s.Folder, "program": s.Program} {
		if !filepath.IsAbs(path) || strings.IndexFunc(path, unicode.IsControl) >= 0 || strings.ContainsAny(path, `"\`) {
			wrong = append(wrong, fmt.Errorf("%s %q: want an absolute path without quotes, backslashes and control characters, which a batch script can't name", what, path))
		}
	}
	if len(s.Tasks) == 0 {
		wrong = append(wrong, errors.New("no runs to submit"))
	}
	return errors.Join(append(wrong, s.Resources.Validate())...)
}

// Text is the script.
func (s Script) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/bash\n# Trains the runs of the comparison %s, one a task. Written by \"cifartui submit\";\n# \"cifartui submit --resume %s\" submits what is left to train once more.\n#\n", s.Name, rundir.Quote(s.Folder))
	s.directives(&b)
	fmt.Fprintf(&b, "\ncifartui=%s\nfolder=%s\n\n", rundir.Quote(s.Program), rundir.Quote(s.Folder))
	b.WriteString("case \"$SLURM_ARRAY_TASK_ID\" in\n")
	for i, t := range s.Tasks {
		fmt.Fprintf(&b, "%d) run=%s; set -- %s ;;\n", i+1, rundir.Quote(t.Run), words(t.Args))
	}
	b.WriteString("*) echo \"there is no task $SLURM_ARRAY_TASK_ID\" >&2; exit 2 ;;\nesac\n")
	b.WriteString(checkNode)
	fmt.Fprintf(&b, trainRun, continued(s.Args))
	b.WriteString(awaitRun)
	return b.String()
}

// directives are what sbatch reads; those that were not asked for stand there
// too, for who edits the script, behind a second #.
func (s Script) directives(b *strings.Builder) {
	set := func(format string, args ...any) { fmt.Fprintf(b, "#SBATCH "+format+"\n", args...) }
	maybe := func(option, value, example string) {
		if value == "" {
			fmt.Fprintf(b, "##SBATCH --%s=%s\n", option, example)
		} else {
			set("--%s=%s", option, value)
		}
	}
	array := fmt.Sprintf("1-%d", len(s.Tasks))
	if s.AtOnce > 0 {
		array += fmt.Sprintf("%%%d", s.AtOnce)
	}
	set("--job-name=\"%s\"", s.Name)
	set("--array=%s", array)
	set("--chdir=\"%s\"", s.Folder)
	set("--output=%s/%%a.log", LogFolder)
	set("--open-mode=append")
	set("--requeue")
	set("--signal=B:TERM@%d", s.Grace)
	set("--ntasks=1 --cpus-per-task=%d", s.CPUs)
	gres := ""
	if s.GPUs != "" {
		gres = "gpu:" + s.GPUs
	}
	maybe("partition", s.Partition, "NAME")
	maybe("account", s.Account, "NAME")
	maybe("qos", s.QOS, "NAME")
	maybe("time", s.Time, "08:00:00")
	maybe("mem", s.Memory, "8G")
	maybe("gres", gres, "gpu:1")
	for _, line := range s.More {
		set("%s", strings.TrimSpace(line))
	}
}

// words are arguments for a shell.
func words(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = rundir.Quote(a)
	}
	return strings.Join(quoted, " ")
}

// continued puts each flag of the arguments on a line of its own.
func continued(args []string) string {
	var b strings.Builder
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			b.WriteString(" \\\n ")
		}
		b.WriteString(" " + rundir.Quote(a))
	}
	return b.String()
}

const checkNode = `
for needed in "$folder" "$cifartui"; do
  if [ ! -e "$needed" ]; then
    echo "$(hostname): there is no $needed here: the folder must be on a file system that all nodes share" >&2
    exit 1
  fi
done
`

const trainRun = `
# Slurm asks by SIGTERM, some time before the limit and when it takes the node away: the batch
# under way is then finished and saved, and the program ends with exit code 4. SIGUSR1 saves.
asked=
pid=
pass() { asked=$1; [ -z "$pid" ] || kill -s "$1" "$pid" 2>/dev/null; }
trap 'pass TERM' TERM
trap 'pass USR1' USR1

# The run goes on from its last checkpoint if it has begun, and is started else.
"$cifartui" train --no-tui --resume-or-start --runs "$folder" --name "$run" \
  --threads "${SLURM_CPUS_PER_TASK:-1}"%s "$@" &
pid=$!
[ -z "$asked" ] || kill -s "$asked" "$pid"
`

const awaitRun = `
# A signal interrupts wait, which is then asked once more.
while
  asked=
  wait "$pid"
  code=$?
  [ -n "$asked" ]
do :; done

# Saved before its end: back into the queue, to go on there. Where Slurm itself ends the job (scancel)
# or has requeued it, the job is not in the state RUNNING any more and is left alone.
task="${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
if [ "$code" -eq 4 ] && [ "$(squeue --noheader --array --jobs="$task" --format=%T)" = RUNNING ]; then
  echo "$(date '+%F %T') $run: saved; requeueing task $task"
  scontrol requeue "$task"
fi
exit "$code"
`
