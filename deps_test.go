package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers is the import policy: for each package of ours, who of ours it may
// import and which of the watched libraries it may use. Its tests count too.
// A package that is not listed fails the test, so that a new one is a decision.
var layers = map[string]struct {
	ours      []string
	libraries []string
}{
	"cifartui": {ours: []string{"cifar", "cifar/picture", "cifar/plain", "nn", "nn/bittest", "nn/cuda", "nn/cuda/cudatest", "nn/cuda/driver", "nn/kernel", "nn/onnx", "train", "train/bench", "train/checkpoint", "train/checkpoint/checkpointtest", "train/config", "train/control", "train/evaluate", "train/event",
		"train/metrics", "train/model", "train/plot", "train/predict", "train/record", "train/rundir", "train/runs", "train/score", "train/slurm", "train/tensorboard", "tui", "train/survey/surveytest", "tui/format", "tui/watch"}},
	"cifartui/assets/screenshots": {},
	"cifartui/cifar":              {ours: []string{"cifar/picture", "cifar/plain"}},
	"cifartui/cifar/plain":        {},
	"cifartui/cifar/picture":      {},
	"cifartui/nn":                 {ours: []string{"nn/kernel"}, libraries: []string{"gorgonia.org/"}},
	"cifartui/nn/bittest":         {},
	"cifartui/nn/onnx":            {ours: []string{"nn"}},
	"cifartui/nn/cuda":            {ours: []string{"nn", "nn/bittest", "nn/cuda/driver", "nn/cuda/internal/ptx", "nn/cuda/internal/standin", "nn/cuda/ptx", "nn/cuda/ptx/early"}},
	"cifartui/nn/cuda/cudatest":   {ours: []string{"nn/cuda/internal/ptx", "nn/cuda/internal/standin"}},
	"cifartui/nn/cuda/driver":     {},
	// The interpreter judges the kernels and must not share a line with them.
	"cifartui/nn/cuda/internal/ptx":     {},
	"cifartui/nn/cuda/internal/standin": {ours: []string{"nn/cuda/driver", "nn/cuda/internal/ptx"}},
	"cifartui/nn/cuda/proof":            {ours: []string{"cifar", "nn/cuda/internal/ptx", "nn/cuda/ptx", "nn/cuda/ptx/early", "nn/kernel"}},
	"cifartui/nn/cuda/ptx":              {},
	"cifartui/nn/cuda/ptx/early":        {},
	"cifartui/nn/kernel":                {ours: []string{"nn/kernel/cgroup"}},
	"cifartui/nn/kernel/cgroup":         {},
	"cifartui/nn/kernel/peer":           {},
	"cifartui/train/bench":              {ours: []string{"cifar", "nn", "nn/kernel", "train/feed"}},
	"cifartui/train/feed":               {ours: []string{"cifar", "nn"}},
	"cifartui/train":                    {ours: []string{"cifar", "cifar/plain", "nn", "nn/kernel/cgroup", "train/checkpoint", "train/config", "train/event", "train/feed", "train/record", "train/rundir", "train/runs", "train/whiten"}},
	"cifartui/train/checkpoint":         {ours: []string{"cifar", "train/config", "train/event", "train/rundir"}},
	"cifartui/train/config":             {ours: []string{"cifar", "train/rundir"}},
	"cifartui/train/control":            {ours: []string{"train/config", "train/event", "train/record", "train/rundir", "train/runs"}},
	"cifartui/train/evaluate":           {ours: []string{"cifar", "cifar/plain", "nn", "train/checkpoint", "train/config", "train/model", "train/rundir", "train/score"}},
	"cifartui/train/event":              {ours: []string{"train/config"}},
	"cifartui/train/event/eventtest":    {ours: []string{"train/config", "train/event", "train/rundir"}},
	"cifartui/train/metrics":            {ours: []string{"train/config", "train/event", "train/record"}},
	"cifartui/train/model":              {ours: []string{"cifar", "cifar/plain", "nn", "train", "train/checkpoint", "train/config", "train/event", "train/record", "train/rundir", "train/runs", "train/whiten"}}, // its tests train
	"cifartui/train/plot":               {ours: []string{"train/config", "train/event", "train/record", "train/rundir"}},
	"cifartui/train/predict":            {ours: []string{"cifar/picture", "nn", "train/model"}}, // its benchmark asks a model
	"cifartui/train/record":             {ours: []string{"cifar/plain", "train/config", "train/event", "train/rundir"}},
	"cifartui/train/rundir":             {},
	"cifartui/train/runs":               {ours: []string{"cifar/plain", "train/checkpoint", "train/config", "train/event", "train/record", "train/rundir"}},
	"cifartui/train/score":              {},
	"cifartui/train/slurm":              {ours: []string{"train/rundir", "train/runs"}},
	"cifartui/train/survey":             {ours: []string{"train/config", "train/event", "train/record", "train/rundir", "train/runs"}},
	"cifartui/train/survey/surveytest":  {ours: []string{"train/config", "train/event", "train/rundir"}},
	"cifartui/train/tensorboard":        {ours: []string{"train/config", "train/event", "train/record", "train/rundir"}},
	"cifartui/tui":                      {ours: []string{"train/checkpoint", "train/config", "train/event", "train/record", "train/runs", "tui/canvas", "tui/chart", "tui/dialog", "tui/format", "tui/keymap", "tui/machine", "tui/style", "tui/terminal", "tui/internal/noprobe"}, libraries: []string{"github.com/charmbracelet/"}},
	"cifartui/tui/canvas":               {ours: []string{"tui/style"}},
	"cifartui/tui/chart":                {ours: []string{"tui/canvas", "tui/format", "tui/style"}, libraries: []string{"github.com/guptarohit/asciigraph"}},
	"cifartui/tui/dialog":               {ours: []string{"tui/canvas", "tui/style"}, libraries: []string{"github.com/charmbracelet/"}},
	"cifartui/tui/format":               {},
	"cifartui/tui/keymap":               {ours: []string{"tui/canvas", "tui/style"}, libraries: []string{"github.com/charmbracelet/"}},
	"cifartui/tui/machine":              {},
	"cifartui/tui/style":                {},
	"cifartui/tui/watch":                {ours: []string{"train/config", "train/event", "train/rundir", "train/runs", "train/survey", "tui", "tui/canvas", "tui/chart", "tui/dialog", "tui/format", "tui/keymap", "tui/style"}, libraries: []string{"github.com/charmbracelet/"}},
	"cifartui/tui/terminal":             {libraries: []string{"github.com/charmbracelet/"}},

	"cifartui/train/whiten": {ours: []string{"cifar", "nn/kernel"}},

	"cifartui/cifar/cifartest":                 {ours: []string{"cifar"}},
	"cifartui/train/model/modeltest":           {ours: []string{"nn", "train/checkpoint", "train/rundir"}},
	"cifartui/train/checkpoint/checkpointtest": {ours: []string{"train/checkpoint", "train/rundir"}},

	// It is of use only as long as it imports nothing else.
	"cifartui/tui/internal/noprobe": {libraries: []string{"github.com/charmbracelet/"}},
}

// light packages must not need the network or Gorgonia, not even through others:
// a screen, a list or a plot can be built, and its tests run, without them.
var light = map[string][]string{
	"cifartui/tui":               heavy,
	"cifartui/train/checkpoint":  heavy,
	"cifartui/train/control":     heavy,
	"cifartui/train/metrics":     heavy,
	"cifartui/train/plot":        heavy,
	"cifartui/train/record":      heavy,
	"cifartui/train/runs":        heavy,
	"cifartui/train/score":       {},
	"cifartui/train/slurm":       heavy,
	"cifartui/train/survey":      heavy,
	"cifartui/tui/watch":         heavy,
	"cifartui/train/tensorboard": heavy,
}

// heavy is what light packages do without.
var heavy = []string{"cifartui/nn", "gorgonia.org/"}

// watched libraries are used in one place only; see layers.
var watched = []string{
	"gorgonia.org/",
	"github.com/charmbracelet/",
	"github.com/guptarohit/asciigraph",
}

// testHelpers may be imported by every package's tests and by each other, and by
// nothing else.
var testHelpers = []string{"cifar/cifartest", "nn/bittest", "train/model/modeltest", "train/checkpoint/checkpointtest", "train/event/eventtest", "train/survey/surveytest"}

// kernelImports is all that nn/kernel may import besides the standard library.
const kernelImports = "golang.org/x/sys/cpu"

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		rule, ok := layers[p.ImportPath]
		if !ok {
			t.Errorf("%s is not in the table of layers: say there what it may import", p.ImportPath)
			continue
		}
		imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		slices.Sort(imports)
		for _, imp := range slices.Compact(imports) {
			if ours, ok := strings.CutPrefix(imp, "cifartui/"); ok {
				if slices.Contains(testHelpers, ours) {
					if slices.Contains(p.Imports, imp) && !slices.Contains(testHelpers, strings.TrimPrefix(p.ImportPath, "cifartui/")) {
						t.Errorf("%s imports %s, which is for tests", p.ImportPath, imp)
					}
					continue
				}
				if imp != p.ImportPath && !slices.Contains(rule.ours, ours) {
					t.Errorf("%s imports %s; it may import only %v of ours", p.ImportPath, imp, rule.ours)
				}
				continue
			}
			for _, lib := range watched {
				if strings.HasPrefix(imp, lib) && !slices.Contains(rule.libraries, lib) {
					t.Errorf("%s imports %s; only another package may", p.ImportPath, imp)
				}
			}
			standard := !strings.Contains(strings.Split(imp, "/")[0], ".")
			if p.ImportPath == "cifartui/nn/kernel" && !standard && imp != kernelImports {
				t.Errorf("nn/kernel imports %s; it may import only the standard library and %s", imp, kernelImports)
			}
		}
	}
}

// The interpreter of GPU kernels and the driver over it are for tests.
func TestProgramCarriesNoInterpreter(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, path := range strings.Fields(string(out)) {
		if strings.HasPrefix(path, "cifartui/nn/cuda/internal/") {
			t.Errorf("the program imports %s, which only tests may", path)
		}
	}
}

func TestLightPackagesReachNothingHeavy(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		banned, ok := light[p.ImportPath]
		if !ok {
			continue
		}
		seen++
		for _, dep := range p.Deps {
			for _, b := range banned {
				if strings.HasPrefix(dep, b) {
					t.Errorf("%s reaches %s", p.ImportPath, dep)
				}
			}
		}
	}
	if seen != len(light) {
		t.Errorf("%d packages of the %d that must stay light are there", seen, len(light))
	}
}

// A listed package that is gone would leave a stale row in the table.
func TestLayersNameRealPackages(t *testing.T) {
	have := map[string]bool{}
	for _, p := range packages(t) {
		have[p.ImportPath] = true
	}
	for path := range layers {
		if !have[path] {
			t.Errorf("the table of layers lists %s, which does not exist", path)
		}
	}
}

// The top level holds what the layout in ARCHITECTURE.md lists and nothing else.
func TestTopLevel(t *testing.T) {
	allowed := []string{"tui", "train", "nn", "cifar", "assets", "go.mod", "go.sum",
		"README.md", "ARCHITECTURE.md", "LICENSE", ".golangci.yml", ".ci", ".gitignore", ".git", ".gitattributes", ".github",
		"runs", "cifartui"} // what the program and "go build" leave here, ignored by git
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) && !(strings.HasSuffix(e.Name(), ".go") && !e.IsDir()) {
			t.Errorf("%s at the top level is outside the layout", e.Name())
		}
	}
}

type goPackage struct {
	ImportPath                               string
	Imports, TestImports, XTestImports, Deps []string
}

// packages lists the module's packages as the go command sees them on linux.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		list = append(list, p)
	}
}
