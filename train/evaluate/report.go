package evaluate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"cifartui/cifar/plain"
	"cifartui/train/score"
)

// Report is a result and what it is of.
type Report struct {
	Data   string // the data set's name
	Part   string // test, train or val
	Images int
	Result
}

// answer is the whole's: the ensemble's or the only model's.
func (r *Report) answer() *One {
	if r.Ensemble != nil {
		return r.Ensemble
	}
	return &r.Models[0]
}

// jsonOne is a One in JSON.
type jsonOne struct {
	Model string `json:"model"`
	File  string `json:"file,omitempty"`
	Judged
	Flip *Judged `json:"flip,omitempty"`
}

func (o *One) json() jsonOne {
	j := jsonOne{Model: o.Name, Judged: o.Judged, Flip: o.Flip}
	if o.Model != nil {
		j.File = o.Model.Path
	}
	return j
}

// MarshalJSON implements [json.Marshaler]: the figures of the only model, or of
// the ensemble and, under "models", of each.
func (r *Report) MarshalJSON() ([]byte, error) {
	type gain struct {
		OverBest float64 `json:"over_best"`
		OverMean float64 `json:"over_mean"`
	}
	out := struct {
		Data   string `json:"data"`
		Split  string `json:"split"`
		Images int    `json:"images"`
		jsonOne
		Gain   *gain     `json:"gain,omitempty"` // of the ensemble, in accuracy
		Models []jsonOne `json:"models,omitempty"`
	}{Data: r.Data, Split: r.Part, Images: r.Images, jsonOne: r.answer().json()}
	if r.Ensemble != nil {
		best, mean := r.Gain()
		out.Gain = &gain{best, mean}
		for i := range r.Models {
			out.Models = append(out.Models, r.Models[i].json())
		}
	}
	return json.Marshal(out)
}

// Print writes the report as text.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, the %s part, %d images\n\n", r.Data, r.Part, r.Images)
	few := len(r.answer().Classes) <= 5 // of which the best five are all
	rows := [][]string{{"model", "loss", "accuracy", "top-5", "calibration error", "images/s"}}
	add := func(name string, j *Judged) {
		top := percent(j.Top5)
		if few {
			top = "-"
		}
		rows = append(rows, []string{name, fmt.Sprintf("%.4f", j.Loss), percent(j.Accuracy), top, fmt.Sprintf("%.4f", j.CalibrationError), fmt.Sprintf("%.0f", j.ImagesPerSecond)})
	}
	all := r.Models
	if r.Ensemble != nil {
		all = append(slices.Clone(all), *r.Ensemble)
	}
	for i := range all {
		add(all[i].Name, &all[i].Judged)
		if all[i].Flip != nil {
			add("  and its mirror images", all[i].Flip)
		}
	}
	b.WriteString(plain.Columns(rows, 0))
	if r.Ensemble != nil {
		best, mean := r.Gain()
		fmt.Fprintf(&b, "\nThe ensemble gains %s points of accuracy over the best of its models and %s over their mean.\n", points(best), points(mean))
	}
	one := r.answer()
	of := ""
	if r.Ensemble != nil {
		of = ", of the ensemble"
	}
	if one.Flip != nil {
		of += ", without mirror images"
	}
	fmt.Fprintf(&b, "\nBy class%s:\n", of)
	rows = [][]string{{"class", "precision", "recall", "images"}}
	for _, c := range one.Classes {
		rows = append(rows, []string{c.Name, share(c.Precision), share(c.Recall), fmt.Sprint(c.Count)})
	}
	b.WriteString(plain.Columns(rows, 0))
	b.WriteString(confusion(&one.Judged))
	_, err := io.WriteString(w, b.String())
	return err
}

// Of more classes than mostMatrix the matrix would not fit a terminal, and the
// mostPairs most frequent mistakes stand for it.
const (
	mostMatrix = 20
	mostPairs  = 20
	mostName   = 20 // columns of a class's name beside the matrix
)

// confusion is the confusion matrix as text.
func confusion(j *Judged) string {
	n := len(j.Classes)
	if n > mostMatrix {
		return pairs(j)
	}
	rows := [][]string{{""}}
	for _, c := range j.Classes {
		rows[0] = append(rows[0], runewidth.Truncate(c.Name, 6, ""))
	}
	for i, row := range j.Confusion {
		line := []string{plain.Cut(j.Classes[i].Name, mostName)}
		for _, v := range row {
			text := fmt.Sprint(v)
			if v == 0 {
				text = "."
			}
			line = append(line, text)
		}
		rows = append(rows, line)
	}
	return "\nConfusion (a row is what it is, a column what was said):\n" + plain.Columns(rows, 0)
}

// pairs is the most frequent mistakes as text.
func pairs(j *Judged) string {
	type pair struct{ is, said, count int }
	var list []pair
	for i, row := range j.Confusion {
		for c, v := range row {
			if i != c && v > 0 {
				list = append(list, pair{i, c, v})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b pair) int { return cmp.Compare(b.count, a.count) })
	rows := [][]string{{"is", "taken for", "times"}}
	for _, p := range list[:min(len(list), mostPairs)] {
		rows = append(rows, []string{j.Classes[p.is].Name, j.Classes[p.said].Name, fmt.Sprint(p.count)})
	}
	return fmt.Sprintf("\nThe most frequent of %d kinds of mistakes (--json has the whole matrix):\n", len(list)) + plain.Columns(rows, 0, 1)
}

func percent(v float64) string { return fmt.Sprintf("%.2f%%", 100*v) }

// points is a difference of accuracies in points of a hundred.
func points(v float64) string { return fmt.Sprintf("%+.2f", 100*v) }

// share is a share of images, of which there may be none.
func share(s score.Share) string {
	if math.IsNaN(float64(s)) {
		return "-"
	}
	return percent(float64(s))
}
