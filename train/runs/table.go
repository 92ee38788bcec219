package runs

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"cifartui/cifar/plain"
	"cifartui/train/event"
	"cifartui/train/record"
)

// Goals are the validation accuracies whose times a comparison tells.
var Goals = [...]float64{0.80, 0.85, 0.88}

// A TableRow is one run of a comparison's table. Values that the run has not
// reached are NaN.
type TableRow struct {
	Run string `json:"run"`
	// Label names the run by what sets it apart: "batch 64".
	Label  string `json:"label"`
	Batch  int    `json:"batch"`
	Epochs int    `json:"epochs"` // done
	// Ended is set when the run is over and not only stopped.
	Ended bool `json:"ended"`
	// EpochSeconds and ImagesPerSecond are medians over the epochs.
	EpochSeconds    event.Float `json:"epoch_seconds"`
	ImagesPerSecond event.Float `json:"images_per_second"`
	BestValAcc      event.Float `json:"best_val_acc"`
	BestEpoch       int         `json:"best_epoch"` // 0: none yet
	// FinalLoss and FinalValLoss are the last epoch's.
	FinalLoss    event.Float `json:"final_loss"`
	FinalValLoss event.Float `json:"final_val_loss"`
	// Seconds is the training time so far.
	Seconds float64 `json:"seconds"`
	// TimeTo is the training time in seconds at the end of the first epoch that
	// reached each of [Goals].
	TimeTo [len(Goals)]event.Float `json:"time_to"`
}

// MarshalJSON has null for what a run has not reached.
func (r TableRow) MarshalJSON() ([]byte, error) {
	type plain TableRow
	v := struct {
		plain
		EpochSeconds    *event.Float             `json:"epoch_seconds"`
		ImagesPerSecond *event.Float             `json:"images_per_second"`
		BestValAcc      *event.Float             `json:"best_val_acc"`
		BestEpoch       *int                     `json:"best_epoch"`
		FinalLoss       *event.Float             `json:"final_loss"`
		FinalValLoss    *event.Float             `json:"final_val_loss"`
		TimeTo          [len(Goals)]*event.Float `json:"time_to"`
	}{plain: plain(r), BestEpoch: known(r.BestEpoch)}
	if r.Epochs > 0 { // the loss of one that has diverged is "NaN", which is a value
		v.EpochSeconds, v.ImagesPerSecond = &r.EpochSeconds, &r.ImagesPerSecond
		v.FinalLoss, v.FinalValLoss = &r.FinalLoss, &r.FinalValLoss
	}
	if r.BestEpoch > 0 {
		v.BestValAcc = &r.BestValAcc
	}
	for i := range r.TimeTo {
		if r.TimeTo[i].Finite() {
			v.TimeTo[i] = &r.TimeTo[i]
		}
	}
	return json.Marshal(v)
}

// A Table compares runs.
type Table struct {
	// Data names the data sets, since an accuracy means nothing without.
	Data string     `json:"data"`
	Rows []TableRow `json:"runs"`
	// Findings are sentences on speed, convergence and the best accuracy, which
	// say no more than the rows show.
	Findings []string `json:"findings"`
}

// NewTable compares runs, in their order.
func NewTable(runs []*record.Run) Table {
	labels := Labels(runs)
	t := Table{Data: dataNames(runs)}
	for i, r := range runs {
		t.Rows = append(t.Rows, newRow(r, labels[i]))
	}
	t.Findings = findings(runs, t.Rows)
	return t
}

func newRow(r *record.Run, label string) TableRow {
	nan := event.Float(math.NaN())
	row := TableRow{Run: r.Name, Label: label, Epochs: len(r.Epochs), Seconds: r.Elapsed(),
		EpochSeconds: nan, ImagesPerSecond: nan, BestValAcc: nan, FinalLoss: nan, FinalValLoss: nan}
	if r.Started != nil {
		row.Batch = r.Started.Config.Batch
	}
	if r.Ended != nil {
		row.Ended = r.Ended.Outcome != event.OutcomeStopped && r.Ended.Outcome != event.OutcomeDetached
	}
	if n := len(r.Epochs); n > 0 {
		last := r.Epochs[n-1]
		row.Batch = last.Batch
		row.FinalLoss, row.FinalValLoss = last.Loss, last.ValLoss
		row.EpochSeconds = event.Float(medianOf(r.Epochs, func(e *event.EpochDone) float64 { return e.Seconds }))
		row.ImagesPerSecond = event.Float(medianOf(r.Epochs, func(e *event.EpochDone) float64 { return e.ImagesPerSecond }))
		if best := r.BestValAcc(); best != nil { // a damaged record may have no finite one
			row.BestValAcc, row.BestEpoch = best.ValAcc, best.Epoch
		}
	}
	for i, goal := range Goals {
		row.TimeTo[i] = nan
		if e := r.Reached(goal); e != nil {
			row.TimeTo[i] = event.Float(e.Elapsed)
		}
	}
	return row
}

func medianOf(epochs []*event.EpochDone, value func(*event.EpochDone) float64) float64 {
	v := make([]float64, len(epochs))
	for i, e := range epochs {
		v[i] = value(e)
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func dataNames(runs []*record.Run) string {
	var names []string
	for _, r := range runs {
		if r.Started == nil {
			continue
		}
		name := r.Started.Dataset
		if r.Started.Demo {
			name = "demo set"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// WriteTo writes the table and its findings as text, in columns.
func (t Table) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	if t.Data != "" {
		fmt.Fprintf(&b, "data: %s\n", t.Data)
	}
	head := []string{"run", "batch", "epochs", "s/epoch", "images/s", "best val_acc", "at epoch", "final loss"}
	for _, g := range Goals {
		head = append(head, fmt.Sprintf("to %.0f%%", 100*g))
	}
	rows := [][]string{head}
	for _, r := range t.Rows {
		best, at := "-", "-"
		if r.BestEpoch > 0 {
			best, at = fmt.Sprintf("%.2f%%", 100*float64(r.BestValAcc)), strconv.Itoa(r.BestEpoch)
		}
		cells := []string{
			r.Label, strconv.Itoa(r.Batch), strconv.Itoa(r.Epochs),
			orDash("%.1f", r.EpochSeconds), orDash("%.1f", r.ImagesPerSecond), best, at, orDash("%.4f", r.FinalLoss),
		}
		for _, s := range r.TimeTo {
			cells = append(cells, shortTime(float64(s)))
		}
		rows = append(rows, cells)
	}
	b.WriteString(plain.Columns(rows, 0))
	for _, f := range t.Findings {
		fmt.Fprintf(&b, "- %s\n", f)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func orDash(format string, v event.Float) string {
	if math.IsNaN(float64(v)) {
		return "-"
	}
	return fmt.Sprintf(format, float64(v))
}

// shortTime writes a time in seconds as 45s, 3m05s or 2h07m; - for NaN.
func shortTime(seconds float64) string {
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return "-"
	}
	switch s := int(math.Round(seconds)); {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	default:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
}
