// Package metrics shows a run's latest figures as a page that Prometheus
// scrapes.
//
// The page is in the text format, version 0.0.4, as described in Prometheus'
// documentation under "Exposition formats". A [Page] is a [record.Sink]: it keeps
// the last value of each figure, and a scrape reads those, so neither a slow
// client nor many of them reach the trainer.
package metrics

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
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
// is on all of them; set is train or validation; phase is where time goes.
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
	event.StateStopping, event.StateWaiting, event.StateFinished, event.StateFailed,
}

// A series is one line: a metric's name and its labels, written out.
type series struct{ name, labels string }

// A Page holds the figures of all runs of the process. The zero value is ready.
type Page struct {
	mu     sync.Mutex
	values map[series]float64
}

var _ record.Sink = (*Page)(nil)

// Write implements [record.Sink].
func (p *Page) Write(e event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	run := e.Head().Run
	switch e := e.(type) {
	case *event.RunStarted:
		// What was before the resume is gone with it.
		maps.DeleteFunc(p.values, func(s series, _ float64) bool {
			return strings.HasPrefix(s.labels, labels("run", run))
		})
		c := e.Config
		p.set(infoMetric, 1, run, "dataset", e.Dataset, "demo", strconv.FormatBool(e.Demo),
			"batch", strconv.Itoa(c.Batch), "optimizer", c.Optimizer, "kernels", e.Kernels, "version", e.Version)
		p.set(epochsMetric, float64(c.Epochs), run)
		p.set(batchesMetric, float64(e.ResumedTotal), run)
		p.set(elapsedMetric, e.Elapsed, run)
		p.set(warningsMetric, 0, run)
		p.state(event.StateStarting, run)
	case *event.StateChanged:
		p.state(e.State, run)
	case *event.StepDone:
		p.set(epochMetric, float64(e.Epoch), run)
		p.set(batchesMetric, float64(e.Total), run)
		p.set(imagesMetric, e.ImagesPerSecond, run)
		p.set(rateMetric, e.LR, run)
		p.set(batchLossMetric, float64(e.Loss), run)
		p.set(elapsedMetric, e.Elapsed, run)
		p.add(phaseMetric, e.Phases.Data, run, "phase", "data")
		p.add(phaseMetric, e.Phases.Forward, run, "phase", "forward")
		p.add(phaseMetric, e.Phases.Backward, run, "phase", "backward")
		p.add(phaseMetric, e.Phases.Optimizer, run, "phase", "optimizer")
	case *event.EpochDone:
		p.set(batchesMetric, float64(e.Total), run)
		p.set(lossMetric, float64(e.Loss), run, "set", "train")
		p.set(lossMetric, float64(e.ValLoss), run, "set", "validation")
		p.set(accMetric, float64(e.Acc), run, "set", "train")
		p.set(accMetric, float64(e.ValAcc), run, "set", "validation")
		p.set(epochTimeMetric, e.Seconds, run)
		p.set(elapsedMetric, e.Elapsed, run)
		if e.PatienceLeft >= 0 {
			p.set(patienceMetric, float64(e.PatienceLeft), run)
		}
		best := series{bestMetric.name, labels("run", run)}
		if old, ok := p.values[best]; !ok || float64(e.ValAcc) > old {
			p.set(bestMetric, float64(e.ValAcc), run)
		}
	case *event.CheckpointSaved:
		p.set(checkpointMetric, float64(e.Time.UnixMilli())/1e3, run)
	case *event.Warning:
		p.add(warningsMetric, 1, run)
	case *event.RunEnded:
		switch e.Outcome {
		case event.OutcomeFailed, event.OutcomeDiverged:
			p.state(event.StateFailed, run)
		default:
			p.state(event.StateFinished, run)
		}
		if e.BestValAccEpoch > 0 {
			p.set(bestMetric, float64(e.BestValAcc), run)
		}
	}
	return nil
}

// Close implements [record.Sink].
func (p *Page) Close() error { return nil }

func (p *Page) state(now event.State, run string) {
	for _, s := range states {
		value := 0.0
		if s == now {
			value = 1
		}
		p.set(stateMetric, value, run, "state", string(s))
	}
}

func (p *Page) set(f family, value float64, run string, more ...string) {
	if p.values == nil {
		p.values = make(map[series]float64)
	}
	p.values[series{f.name, labels(append([]string{"run", run}, more...)...)}] = value
}

func (p *Page) add(f family, value float64, run string, more ...string) {
	key := series{f.name, labels(append([]string{"run", run}, more...)...)}
	p.set(f, p.values[key]+value, run, more...)
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

// text writes the page.
func (p *Page) text() []byte {
	p.mu.Lock()
	values := maps.Clone(p.values)
	p.mu.Unlock()
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
	return b.Bytes()
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
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(p.text()) // a client that went away is its own affair
}
