package survey

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cifartui/train/config"
	"cifartui/train/runs"
)

// Query is what runs a person means, as they type it: words that all must hold.
//
//	batch=64 lr>0.1     a setting or a fact, see facts; several values with commas
//	running             a state, or one of live, ended, marked
//	vgg                 any other word is a part of the name
//	!failed             not so
//
// Accuracies may be given in percent, times as 90s, 10m, 5h or 2d.
type Query struct {
	terms []term
	// Problem says what of it is not understood, and left out; "" for nothing.
	Problem string
}

// A term is one word of a query.
type term struct {
	not    bool
	key    string // "": a word by itself
	op     string
	values []string
}

// Asked is a run and what is known of it besides.
type Asked struct {
	*Run
	Job    runs.Job
	Marked bool
	Now    time.Time
}

// facts are what can be asked for besides settings: numbers or words.
var facts = map[string]func(Asked) any{
	"name":     func(a Asked) any { return a.Name },
	"state":    func(a Asked) any { return a.State },
	"data":     func(a Asked) any { return a.Data },
	"machine":  func(a Asked) any { return a.Machine() },
	"kernels":  func(a Asked) any { return a.About.Kernels },
	"version":  func(a Asked) any { return a.About.Version },
	"job":      func(a Asked) any { return a.Job.ID },
	"node":     func(a Asked) any { return a.Job.Node },
	"epoch":    func(a Asked) any { return float64(a.Epoch) },
	"best":     func(a Asked) any { return known(float64(a.BestValAcc), a.BestEpoch > 0) },
	"best_at":  func(a Asked) any { return known(float64(a.BestEpoch), a.BestEpoch > 0) },
	"val_acc":  func(a Asked) any { return a.last(func(p Point) float32 { return p.ValAcc }) },
	"acc":      func(a Asked) any { return a.last(func(p Point) float32 { return p.Acc }) },
	"val_loss": func(a Asked) any { return a.last(func(p Point) float32 { return p.ValLoss }) },
	"loss":     func(a Asked) any { return a.last(func(p Point) float32 { return p.Loss }) },
	"speed":    func(a Asked) any { return known(a.ImagesPerSecond, a.ImagesPerSecond > 0) },
	"age":      func(a Asked) any { return known(a.Now.Sub(a.Created).Seconds(), !a.Created.IsZero()) },
	"lr": func(a Asked) any {
		if a.Config.LR > 0 {
			return a.Config.LR
		}
		return known(a.LearnRate, a.LearnRate > 0) // the optimizer's own
	},
}

func known(v float64, ok bool) float64 {
	if !ok {
		return math.NaN()
	}
	return v
}

// last is a value of the newest epoch, NaN before the first.
func (r *Run) last(value func(Point) float32) float64 {
	if n := len(r.Points); n > 0 {
		return float64(value(r.Points[n-1]))
	}
	return math.NaN()
}

// Machine is the name of the machine that trained the run last, or does.
func (r *Run) Machine() string { return r.About.Host }

// words are what a run is called by its state.
var words = map[string]func(Asked) bool{
	"live":    func(a Asked) bool { return a.Live },
	"ended":   func(a Asked) bool { return !a.Live && a.begun() },
	"marked":  func(a Asked) bool { return a.Marked },
	"early":   func(a Asked) bool { return a.State == "early_stopped" },
	"damaged": func(a Asked) bool { return a.Problem != "" },
}

// states are the states that a word may name; the scheduler's among them.
var states = []string{
	"starting", "running", "paused", "saving", "stopping", "waiting", "finished", "early_stopped", "stopped",
	"detached", "diverged", "failed", runs.Interrupted, "pending", "preempted", "requeued", "timeout",
}

// ops are the comparisons, longer ones first.
var ops = []string{"!=", ">=", "<=", "=", ">", "<"}

// Parse reads a query. What it does not understand, such as one half typed, it
// leaves out.
func Parse(text string) Query {
	var q Query
	for word := range strings.FieldsSeq(text) {
		t := term{}
		if rest, ok := strings.CutPrefix(word, "!"); ok {
			t.not, word = true, rest
		}
		if word == "" {
			continue
		}
		at, op := operator(word)
		if op == "" {
			t.values = []string{strings.ToLower(word)}
			q.terms = append(q.terms, t)
			continue
		}
		t.key, t.op = strings.ReplaceAll(strings.ToLower(word[:at]), "-", "_"), op
		if facts[t.key] == nil && (config.Config{}).Field(t.key) == nil {
			q.Problem = fmt.Sprintf("no setting %q", t.key)
			continue
		}
		for v := range strings.SplitSeq(word[at+len(op):], ",") {
			if v != "" {
				t.values = append(t.values, strings.ToLower(v))
			}
		}
		if len(t.values) > 0 {
			q.terms = append(q.terms, t)
		}
	}
	return q
}

// operator finds the first comparison in a word.
func operator(word string) (at int, op string) {
	at = strings.IndexAny(word, "=<>!")
	if at <= 0 {
		return 0, ""
	}
	for _, o := range ops {
		if strings.HasPrefix(word[at:], o) {
			return at, o
		}
	}
	return 0, ""
}

// Holds reports whether a run is meant.
func (q Query) Holds(a Asked) bool {
	for _, t := range q.terms {
		if t.holds(a) == t.not {
			return false
		}
	}
	return true
}

func (t term) holds(a Asked) bool {
	if t.key == "" {
		return isCalled(a, t.values[0])
	}
	var have any
	if f := facts[t.key]; f != nil {
		have = f(a)
	} else {
		have = a.Config.Field(t.key)
	}
	if t.op == "!=" {
		return !slices.ContainsFunc(t.values, func(want string) bool { return t.compare(have, "=", want) })
	}
	return slices.ContainsFunc(t.values, func(want string) bool { return t.compare(have, t.op, want) })
}

// isCalled reports whether a run is called by a word: its state, or a part of its
// name.
func isCalled(a Asked, word string) bool {
	if f := words[word]; f != nil {
		return f(a)
	}
	if slices.Contains(states, word) {
		return a.State == word || a.Job.State == word
	}
	return strings.Contains(strings.ToLower(a.Name), word)
}

// compare compares what a run has with what is wanted, as numbers where both are.
func (t term) compare(have any, op, want string) bool {
	if n, ok := number(have); ok {
		w, ok := t.wanted(want)
		if !ok {
			return false
		}
		near := math.Abs(n-w) <= 1e-7*math.Abs(w) // accuracies are kept in single precision
		switch op {
		case "=":
			return near
		case ">":
			return n > w && !near
		case ">=":
			return n > w || near
		case "<":
			return n < w && !near
		}
		return n < w || near
	}
	text := strings.ToLower(fmt.Sprint(have))
	switch op {
	case "=":
		if t.key == "name" || t.key == "machine" || t.key == "node" || t.key == "job" {
			return strings.Contains(text, want)
		}
		return text == want
	case ">":
		return text > want
	case ">=":
		return text >= want
	case "<":
		return text < want
	}
	return text <= want
}

// number makes a number of a setting that is one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case config.Seconds:
		return float64(v), true
	}
	return 0, false
}

// wanted reads the number that a person has typed: 90% and, of an accuracy, 90 is
// 0.9; 2h is 7200.
func (t term) wanted(text string) (float64, bool) {
	accuracy := t.key == "best" || t.key == "val_acc" || t.key == "acc"
	if rest, ok := strings.CutSuffix(text, "%"); ok {
		v, err := strconv.ParseFloat(rest, 64)
		return v / 100, err == nil
	}
	if unit := map[byte]float64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[text[len(text)-1]]; unit > 0 {
		v, err := strconv.ParseFloat(text[:len(text)-1], 64)
		return v * unit, err == nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if accuracy && v > 1 {
		v /= 100
	}
	return v, err == nil
}
