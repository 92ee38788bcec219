// Package evaluate runs trained networks over labelled images (evaluate.go) and
// tells what came of it: as text and JSON (report.go), and as a picture of the
// worst mistakes (sheet.go). Which part of a data set is meant by a word, and
// whether it is one that a network was made for, is in part.go.
package evaluate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/model"
	"cifartui/train/score"
)

// Options say what is evaluated.
type Options struct {
	Models  []*model.Model
	Backend nn.Backend // stays the caller's
	// Images is what they are evaluated on, Classes the names of its labels.
	Images  *cifar.Set
	Classes []string
	// Flip also has each image judged mirrored, and takes the mean of both.
	Flip bool
	// Progress, if not nil, is told after every batch which model is at work and
	// how many of the images that it is to see it has seen.
	Progress func(model string, done, total int)
}

// Judged is what was said of the images, and how good that is.
type Judged struct {
	score.Score
	// ImagesPerSecond counts from an image's bytes to its probabilities, one
	// model after another in an ensemble.
	ImagesPerSecond float64 `json:"images_per_second"`
	// Prob are the probabilities, [images][classes].
	Prob []float32 `json:"-"`

	seconds float64 // all images took
}

// One is what one model said.
type One struct {
	Name  string
	Model *model.Model // nil for an ensemble
	Judged
	// Flip is the mean over each image and its mirror image, if asked for.
	Flip *Judged
}

// Result is what all of them said.
type Result struct {
	Models []One
	// Ensemble is the mean of the models' probabilities, if there are several.
	Ensemble *One
}

// Run evaluates each model and, if there are several, their ensemble.
func Run(ctx context.Context, o Options) (Result, error) {
	var r Result
	for _, m := range o.Models {
		if why := unfit(m, o.Images, o.Classes); why != "" {
			return Result{}, fmt.Errorf("%s cannot be evaluated on these images: %s", m.Name, why)
		}
	}
	for _, m := range o.Models {
		one, err := o.one(ctx, m)
		if err != nil {
			return Result{}, fmt.Errorf("evaluate %s: %w", m.Name, err)
		}
		r.Models = append(r.Models, one)
	}
	if len(r.Models) > 1 {
		e, err := o.ensemble(r.Models)
		if err != nil {
			return Result{}, fmt.Errorf("evaluate the ensemble: %w", err)
		}
		r.Ensemble = &e
	}
	return r, nil
}

// one evaluates a model.
func (o Options) one(ctx context.Context, m *model.Model) (One, error) {
	p, err := m.NewPredictor(o.Backend)
	if err != nil {
		return One{}, err
	}
	defer p.Close()
	n := o.Images.Len()
	total := n
	if o.Flip {
		total *= 2
	}
	run := func(done int, turn func([]byte) []byte) (Judged, error) {
		j := Judged{Prob: make([]float32, 0, n*len(o.Classes))}
		for at := 0; at < n; at += p.Batch() {
			if err := ctx.Err(); err != nil {
				return Judged{}, err
			}
			pixels := turn(o.Images.Slice(at, min(n, at+p.Batch())).Pixels)
			start := time.Now()
			prob, err := p.Bytes(pixels)
			if err != nil {
				return Judged{}, err
			}
			j.seconds += time.Since(start).Seconds()
			j.Prob = append(j.Prob, prob...)
			if o.Progress != nil {
				o.Progress(m.Name, done+min(n, at+p.Batch()), total)
			}
		}
		return j, o.score(&j)
	}
	one := One{Name: m.Name, Model: m}
	if one.Judged, err = run(0, func(b []byte) []byte { return b }); err != nil {
		return One{}, err
	}
	if !o.Flip {
		return one, nil
	}
	mirrored, err := run(n, func(b []byte) []byte { return mirror(b, o.Images.Size) })
	if err != nil {
		return One{}, err
	}
	one.Flip = &Judged{Prob: score.Mean(one.Prob, mirrored.Prob), seconds: one.seconds + mirrored.seconds}
	return one, o.score(one.Flip)
}

// ensemble is the mean of what several models said.
func (o Options) ensemble(models []One) (One, error) {
	mean := func(of func(One) Judged) (Judged, error) {
		var j Judged
		var all [][]float32
		for _, m := range models {
			all = append(all, of(m).Prob)
			j.seconds += of(m).seconds
		}
		j.Prob = score.Mean(all...)
		return j, o.score(&j)
	}
	e := One{Name: fmt.Sprintf("ensemble of %d", len(models))}
	var err error
	if e.Judged, err = mean(func(m One) Judged { return m.Judged }); err != nil || !o.Flip {
		return e, err
	}
	flip, err := mean(func(m One) Judged { return *m.Flip })
	e.Flip = &flip
	return e, err
}

// score fills in what the probabilities are worth.
func (o Options) score(j *Judged) (err error) {
	j.Score, err = score.Of(j.Prob, o.Images.Labels, o.Classes)
	if j.seconds > 0 {
		j.ImagesPerSecond = float64(o.Images.Len()) / j.seconds
	}
	return err
}

// mirror turns images, in planes of size rows of size bytes, left to right.
func mirror(pixels []byte, size int) []byte {
	out := slices.Clone(pixels)
	for row := range slices.Chunk(out, size) {
		slices.Reverse(row)
	}
	return out
}

// Gain is by how many points of accuracy, as a part of 1, an ensemble is better
// than the best of its models, and than they are in the mean.
func (r Result) Gain() (overBest, overMean float64) {
	best, sum := 0.0, 0.0
	for _, m := range r.Models {
		best = max(best, m.Accuracy)
		sum += m.Accuracy
	}
	return r.Ensemble.Accuracy - best, r.Ensemble.Accuracy - sum/float64(len(r.Models))
}
