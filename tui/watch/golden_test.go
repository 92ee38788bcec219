package watch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cifartui/train/survey"
	"cifartui/tui"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update and look at the file", err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s, line %d differs:\n got %q\nwant %q\nrun the test with -update and look at the file", file, i+1, g[min(i, len(g)-1)], w[min(i, len(w)-1)])
		}
	}
}

var sizes = [][2]int{{40, 12}, {80, 24}, {120, 36}, {250, 80}}

var colourCode = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// views are what the screen shows after some keys.
var views = []struct {
	name string
	keys []string
}{
	{"list", nil},
	{"curves", []string{" ", "down", " ", "down", "down", "down", "down", " "}},
	{"curves-time", []string{" ", "down", " ", "t", "t", "left", "left", "m"}},
	{"settings", []string{"down", "down", " ", "down", " ", "down", "down", "down", " ", "tab"}},
	{"no-pane", []string{"shift+tab", "o", "o", "o"}},
	{"filter", []string{"/", "l", "r", ">", "0", ".", "1"}},
	{"filter-wrong", []string{"/", "f", "o", "o", "=", "1"}},
	{"filter-none", []string{"/", "z", "z", "enter"}},
	{"damaged", []string{"end"}},
	{"pause", []string{"a", "p"}},
	{"stop", []string{" ", "x"}},
	{"help", []string{"?"}},
}

func show(t testing.TB, o tui.Options, size [2]int, keys ...string) *bench {
	b := newBench(t, o, size[0], size[1], scene()...)
	b.Update(jobsMsg{jobs: jobs()})
	b.press(keys...)
	return b
}

func TestViewsLookAsTheyDid(t *testing.T) {
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			var all strings.Builder
			for _, size := range sizes {
				b := show(t, tui.Options{Theme: "none"}, size, v.keys...)
				fmt.Fprintf(&all, "=== %dx%d\n%s\n", size[0], size[1], colourCode.ReplaceAllString(b.View(), ""))
			}
			golden(t, v.name+".txt", all.String())
		})
	}
}

func TestEmptyListsSayWhy(t *testing.T) {
	reading := newBench(t, tui.Options{Theme: "none"}, 80, 24)
	reading.Update(updateMsg{at: testNow})
	empty := newBench(t, tui.Options{Theme: "none"}, 80, 24)
	problem := newBench(t, tui.Options{Theme: "none"}, 80, 24)
	problem.Update(updateMsg{update: survey.Update{Listed: true, Problem: "open /data/runs: permission denied"}, at: testNow})
	for want, b := range map[string]*bench{"Reading": reading, "No runs in /data/runs yet.": empty, "permission denied": problem} {
		if !strings.Contains(b.View(), want) {
			t.Errorf("no %q in\n%s", want, b.View())
		}
	}
}

// A scheduler that does not answer is told of, and what it has told is shown.
func TestASchedulerInTroubleIsTold(t *testing.T) {
	b := newBench(t, tui.Options{Theme: "none"}, 120, 36, scene()...)
	b.Update(jobsMsg{jobs: jobs(), err: errors.New("squeue: Unable to contact slurm controller")})
	for _, want := range []string{"Squeue: Unable to contact slurm controller.", "1234_1 running"} {
		if !strings.Contains(b.View(), want) {
			t.Errorf("no %q in\n%s", want, b.View())
		}
	}
	b.Update(jobsMsg{jobs: jobs()})
	if strings.Contains(b.View(), "contact") {
		t.Error("an answer does not take the trouble away")
	}
}

var themes = []struct {
	name string
	o    tui.Options
}{
	{"dark", tui.Options{Theme: "dark"}},
	{"light", tui.Options{Theme: "light"}},
	{"no-color", tui.Options{Theme: "dark", Env: env("NO_COLOR", "1")}},
	{"16", tui.Options{Theme: "dark", Env: env("COLORTERM", "", "TERM", "xterm")}},
	{"ascii", tui.Options{Theme: "dark", Env: env("LANG", "C")}},
}

func TestColoursLookAsTheyDid(t *testing.T) {
	for _, th := range themes {
		golden(t, "colours-"+th.name+".ansi", show(t, th.o, [2]int{120, 36}, views[1].keys...).View()+"\n")
	}
}

// What is said in colours must be said without them too, no line is too long, and
// other locales get ASCII only.
func TestEverySizeAndTheme(t *testing.T) {
	for _, v := range views {
		for _, size := range append(sizes, [2]int{109, 25}, [2]int{110, 26}, [2]int{60, 18}, [2]int{20, 5}) {
			plain := ""
			for _, th := range []string{"none", "dark", "light"} {
				got := colourCode.ReplaceAllString(show(t, tui.Options{Theme: th}, size, v.keys...).View(), "")
				if th == "none" {
					plain = got
				} else if got != plain {
					t.Errorf("%s, %v: theme %s reads otherwise than none", v.name, size, th)
				}
			}
			lines := strings.Split(plain, "\n")
			if len(lines) != size[1] {
				t.Errorf("%s, %v: %d lines", v.name, size, len(lines))
			}
			for _, l := range lines {
				if n := len([]rune(l)); n > size[0] {
					t.Errorf("%s, %v: a line of %d columns: %s", v.name, size, n, l)
				}
			}
			for _, r := range show(t, tui.Options{Env: env("LANG", "de_DE.ISO-8859-1")}, size, v.keys...).View() {
				if r > '~' {
					t.Fatalf("%s, %v: %q", v.name, size, r)
				}
			}
		}
	}
}
