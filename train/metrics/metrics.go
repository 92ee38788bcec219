// Package metrics shows a run's latest figures as a page that Prometheus
// scrapes.
//
// The page is in the text format, version 0.0.4, as described in Prometheus'
// documentation under "Exposition formats". A [Page] is a [record.Sink]: it knows
// how each run stands, and a scrape reads that, so neither a slow client nor many
// of them reach the trainer.
package metrics

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cifartui/train/event"
	"cifartui/train/record"
)

// A family is one metric of the page.
type family struct {
	name, kind, help string
}

// The page's metrics. Units are in the names, as Prometheus asks. The label run
// is on all of them, and that of its comparison if it is part of one; set is train
// or validation; phase is where time goes.
var (
	infoMetric       = family{"cifartui_run_info", "gauge", "Always 1; the labels describe the run."}
	stateMetric      = family{"cifartui_run_state", "gauge", "1 for the state that the run is in, 0 for the others."}
	epochMetric      = family{"cifartui_epoch", "gauge", "The epoch in progress, from 1."}
	epochsMetric     = family{"cifartui_epochs_configured", "gauge", "Epochs after which the run ends at the latest."}
	batchesMetric    = family{"cifartui_batches_total", "counter", "Batches trained, over all resumes."}
	imagesMetric     = family{"cifartui_images_per_second", "gauge", "Training images a second over the last batches."}
	rateMetric       = family{"cifartui_learning_rate", "gauge", "Learning rate of the last batch."}
	batchLossMetric  = family{"cifartui_batch_loss", "gauge", "Mean training loss over the last batches."}
	lossMetric       = family{"cifartui_epoch_loss", "gauge", "Loss of the last whole epoch."}
	accMetric        = family{"cifartui_epoch_accuracy_ratio", "gauge", "Accuracy of the last whole epoch, from 0 to 1."}
	bestMetric       = family{"cifartui_best_validation_accuracy_ratio", "gauge", "Best validation accuracy so far, from 0 to 1."}
	patienceMetric   = family{"cifartui_early_stop_patience_epochs", "gauge", "Epochs without a better value left before early stopping."}
	epochTimeMetric  = family{"cifartui_epoch_duration_seconds", "gauge", "Duration of the last whole epoch, validation included."}
	elapsedMetric    = family{"cifartui_training_seconds_total", "counter", "Training time over all resumes, pauses left out."}
	phaseMetric      = family{"cifartui_phase_seconds_total", "counter", "Time of this process by phase of the training step."}
	checkpointMetric = family{"cifartui_last_checkpoint_timestamp_seconds", "gauge", "When the last checkpoint was saved, in Unix time."}
	warningsMetric   = family{"cifartui_warnings_total", "counter", "Warnings of this process."}
)

// families is the page's order.
var families = []family{
	infoMetric, stateMetric, epochMetric, epochsMetric, batchesMetric, imagesMetric, rateMetric,
	batchLossMetric, lossMetric, accMetric, bestMetric, patienceMetric, epochTimeMetric,
	elapsedMetric, phaseMetric, checkpointMetric, warningsMetric,
}

var states = []event.State{
	event.StateStarting, event.StateRunning, event.StatePaused, event.StateSaving,
	event.StateStopping, event.StateWaiting, event.StateFinished, stateStopped, event.StateFailed,
}

// stateStopped is the page's word for a run that ended before its end, since it
// was asked to, and can be resumed: an alert has to tell it from one that is
// through.
const stateStopped event.State = "stopped"

// stateOf is the state that the page tells.
func stateOf(r *record.Run) event.State {
	if e := r.Ended; e != nil && (e.Outcome == event.OutcomeStopped || e.Outcome == event.OutcomeDetached) {
		return stateStopped
	}
	return r.State
}

// A series is one line: a metric's name and its labels, written out.
type series struct{ name, labels string }

// A Page holds the figures of all runs of the process. The zero value is ready.
type Page struct {
	mu         sync.Mutex
	runs       map[string]*record.Run
	comparison string // that the runs are part of; "" for none
	ends       int    // of runs, that came
	scrapes    scrapes
}

// SetComparison gives the name of the comparison that the runs are part of.
func (p *Page) SetComparison(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.comparison = name
}

var _ record.Sink = (*Page)(nil)

// Write implements [record.Sink].
func (p *Page) Write(e event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := e.Head().Run
	if p.runs == nil {
		p.runs = make(map[string]*record.Run)
	}
	r := p.runs[name]
	if r == nil {
		r = &record.Run{Name: name}
		p.runs[name] = r
	}
	r.Apply(e)
	if _, end := e.(*event.RunEnded); end {
		p.ends++
	}
	return nil
}

// Close implements [record.Sink].
func (p *Page) Close() error { return nil }

// figures are the values of series.
type figures struct {
	values     map[series]float64
	comparison string
}

// set adds a series of a run, with more labels than the run's name.
func (f figures) set(what family, value float64, run string, more ...string) {
	pairs := []string{"run", run}
	if f.comparison != "" {
		pairs = append(pairs, "comparison", f.comparison)
	}
	f.values[series{what.name, labels(append(pairs, more...)...)}] = value
}

// add adds what is known of a run.
func (f figures) add(r *record.Run) {
	for _, s := range states {
		value := 0.0
		if s == stateOf(r) {
			value = 1
		}
		f.set(stateMetric, value, r.Name, "state", string(s))
	}
	epoch, _, _ := r.Position()
	f.set(epochMetric, float64(epoch), r.Name)
	f.set(batchesMetric, float64(r.Total()), r.Name)
	f.set(elapsedMetric, r.Elapsed(), r.Name)
	f.set(warningsMetric, float64(r.Warnings), r.Name)
	if e := r.Started; e != nil {
		c := e.Config
		f.set(infoMetric, 1, r.Name, "dataset", e.Dataset, "demo", strconv.FormatBool(e.Demo),
			"batch", strconv.Itoa(c.Batch), "optimizer", c.Optimizer, "kernels", e.Kernels, "version", e.Version)
		f.set(epochsMetric, float64(r.EpochsInAll()), r.Name)
	}
	if e := r.Step; e != nil {
		f.set(imagesMetric, e.ImagesPerSecond, r.Name)
		f.set(rateMetric, r.LearnRate(), r.Name)
		f.set(batchLossMetric, float64(e.Loss), r.Name)
		f.set(phaseMetric, r.Phases.Data, r.Name, "phase", "data")
		f.set(phaseMetric, r.Phases.Forward, r.Name, "phase", "forward")
		f.set(phaseMetric, r.Phases.Backward, r.Name, "phase", "backward")
		f.set(phaseMetric, r.Phases.Optimizer, r.Name, "phase", "optimizer")
	}
	f.addEpochs(r)
	if n := len(r.Checkpoints); n > 0 {
		f.set(checkpointMetric, float64(r.Checkpoints[n-1].Time.UnixMilli())/1e3, r.Name)
	}
}

// addEpochs adds what the epochs done say.
func (f figures) addEpochs(r *record.Run) {
	if acc, epoch := r.Best(); epoch > 0 {
		f.set(bestMetric, float64(acc), r.Name)
	}
	e := r.LastEpoch()
	if e == nil {
		return
	}
	f.set(lossMetric, float64(e.Loss), r.Name, "set", "train")
	f.set(lossMetric, float64(e.ValLoss), r.Name, "set", "validation")
	f.set(accMetric, float64(e.Acc), r.Name, "set", "train")
	f.set(accMetric, float64(e.ValAcc), r.Name, "set", "validation")
	f.set(epochTimeMetric, e.Seconds, r.Name)
	if left := r.PatienceLeft(); left >= 0 {
		f.set(patienceMetric, float64(left), r.Name)
	}
}

// labels writes out pairs of names and values.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%s="%s"`, pairs[i], escape.Replace(pairs[i+1]))
	}
	return b.String()
}

// text writes the page, and tells how many ends of runs it is of.
func (p *Page) text() (text []byte, ends int) {
	p.mu.Lock()
	figures := figures{make(map[series]float64), p.comparison}
	for _, r := range p.runs {
		figures.add(r)
	}
	ends = p.ends
	p.mu.Unlock()
	values := figures.values
	byName := make(map[string][]series)
	for s := range values {
		byName[s.name] = append(byName[s.name], s)
	}
	var b bytes.Buffer
	for _, f := range families {
		list := byName[f.name]
		if len(list) == 0 {
			continue
		}
		slices.SortFunc(list, func(x, y series) int { return cmp.Compare(x.labels, y.labels) })
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		for _, s := range list {
			fmt.Fprintf(&b, "%s{%s} %s\n", s.name, s.labels, number(values[s]))
		}
	}
	return b.Bytes(), ends
}

// number formats a value; the format's non-finite ones are NaN, +Inf and -Inf.
func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// ServeHTTP implements [http.Handler] with the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	text, ends := p.text()
	defer p.scrapes.count(ends)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(text) // a client that went away is its own affair
}
