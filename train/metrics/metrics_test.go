package metrics

import (
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cifartui/train/config"
	"cifartui/train/event"
)

// The grammar of the text format, from its description: a sample line is a
// metric name, labels in braces and a value.
var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"`)
)

// scrape parses a page and checks its form: every family announced once by HELP
// and TYPE, its samples behind it, no series twice.
func scrape(t *testing.T, page string) map[string]float64 {
	t.Helper()
	if !strings.HasSuffix(page, "\n") {
		t.Error("the last line has no end")
	}
	values := make(map[string]float64)
	types := make(map[string]string)
	current := ""
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			current, _, _ = strings.Cut(rest, " ")
			if _, twice := types[current]; twice {
				t.Errorf("family %s stands twice", current)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if name != current || kind != "gauge" && kind != "counter" {
				t.Errorf("bad line %q", line)
			}
			types[name] = kind
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || m[1] != current {
			t.Errorf("bad line %q in family %s", line, current)
			continue
		}
		if (types[current] == "counter") != strings.HasSuffix(current, "_total") {
			t.Errorf("%s is a %s", current, types[current])
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Errorf("value in %q: %v", line, err)
		}
		key := m[1]
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if pair[1] != "run" {
				key += " " + pair[2]
			} else {
				key += " @" + pair[2]
			}
		}
		if _, twice := values[key]; twice {
			t.Errorf("series %q stands twice", key)
		}
		values[key] = v
	}
	return values
}

func textOf(p *Page) string {
	text, _ := p.text()
	return string(text)
}

func feed(t *testing.T, p *Page, events ...event.Event) {
	t.Helper()
	for _, e := range events {
		if err := p.Write(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPageShowsTheLatestOfEachRun(t *testing.T) {
	var p Page
	a, b := event.Header{Run: `a "quoted" \ name`}, event.Header{Run: "b"}
	feed(t, &p,
		&event.RunStarted{Header: a, Config: config.Config{Batch: 64, Epochs: 3}, Demo: true},
		&event.RunStarted{Header: b, Config: config.Config{Batch: 128, Epochs: 3}, Resumed: true, ResumedTotal: 7, Elapsed: 12},
		&event.StateChanged{Header: b, State: event.StatePaused},
		&event.StepDone{Header: a, Epoch: 1, Total: 4, Loss: 2, LR: 1, Phases: event.Phases{Forward: 0.25}},
		&event.StepDone{Header: a, Epoch: 1, Total: 5, Loss: event.Float(math.Inf(1)), LR: 1, Phases: event.Phases{Forward: 0.5}},
		&event.EpochDone{Header: a, Epoch: 1, ValAcc: 0.75, ValLoss: event.Float(math.NaN()), PatienceLeft: -1},
		&event.EpochDone{Header: a, Epoch: 2, ValAcc: 0.5, Seconds: 9, PatienceLeft: -1},
		&event.Warning{Header: b}, &event.Warning{Header: b},
	)
	got := scrape(t, textOf(&p))
	name := `@a \"quoted\" \\ name`
	for key, want := range map[string]float64{
		"cifartui_batch_loss " + name:                           math.Inf(1),
		"cifartui_phase_seconds_total " + name + " forward":     0.75,
		"cifartui_best_validation_accuracy_ratio " + name:       0.75,
		"cifartui_epoch_accuracy_ratio " + name + " validation": 0.5,
		"cifartui_epoch_duration_seconds " + name:               9,
		"cifartui_batches_total @b":                             7,
		"cifartui_training_seconds_total @b":                    12,
		"cifartui_run_state @b paused":                          1,
		"cifartui_run_state @b running":                         0,
		"cifartui_warnings_total @b":                            2,
	} {
		v, ok := got[key]
		if !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", key, v, ok, want)
		}
	}
	if _, ok := got["cifartui_early_stop_patience_epochs "+name]; ok {
		t.Error("patience is shown though early stopping is off")
	}
}

func TestResumeForgetsWhatCameAfter(t *testing.T) {
	var p Page
	h := event.Header{Run: "r"}
	feed(t, &p, &event.RunStarted{Header: h}, &event.EpochDone{Header: h, Epoch: 1, ValAcc: 0.9},
		&event.RunStarted{Header: h, Resumed: true})
	if got := scrape(t, textOf(&p)); got["cifartui_best_validation_accuracy_ratio @r"] != 0 {
		t.Errorf("best of a taken back epoch is still %v", got["cifartui_best_validation_accuracy_ratio @r"])
	}
}

func TestServedOverHTTP(t *testing.T) {
	var p Page
	feed(t, &p, &event.RunStarted{Header: event.Header{Run: "r"}})
	s, err := Listen(":0", &p)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	host, _, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(s.URL(), "http://"), "/metrics"))
	if !net.ParseIP(host).IsLoopback() {
		t.Errorf("listens on %s, want loopback", host)
	}
	resp, err := http.Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", ct)
	}
	if got := scrape(t, string(body)); got["cifartui_run_state @r starting"] != 1 {
		t.Errorf("page %s", body)
	}
	post, err := http.Post(s.URL(), "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	post.Body.Close()
	if post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered %s", post.Status)
	}
}

func TestAddress(t *testing.T) {
	for flag, want := range map[string]string{
		":9100":        "127.0.0.1:9100",
		"9100":         "127.0.0.1:9100",
		"0.0.0.0:9100": "0.0.0.0:9100",
		"[::]:9100":    "[::]:9100",
		"box:9100":     "box:9100",
		"":             "",
		"box":          "",
		":99999":       "",
		":http":        "",
	} {
		got, err := Address(flag)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Address(%q) = %q, %v, want %q", flag, got, err, want)
		}
	}
}

// With a budget a run has as many epochs as were planned, not as its settings say.
func TestPageKnowsThePlanOfABudget(t *testing.T) {
	var p Page
	started := event.RunStarted{Header: event.Header{Run: "b", Seq: 1}, Config: config.Config{Epochs: 50, Budget: 600}}
	feed(t, &p, &started, &event.Planned{Header: event.Header{Run: "b", Seq: 2}, Epochs: 7, Budget: 600})
	if got := scrape(t, textOf(&p))["cifartui_epochs_configured @b"]; got != 7 {
		t.Errorf("%v epochs, want the 7 that are planned", got)
	}
}
