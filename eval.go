package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar"
	"cifartui/train"
	"cifartui/train/evaluate"
	"cifartui/train/rundir"
)

// evalSettings is what the eval command can be told.
type evalSettings struct {
	runs, data, dataURL, split, tta string
	on                              computeFlags
	worst                           int
	asJSON                          bool

	names []string // runs and files
	sheet string   // PNG file of the worst mistakes; "" for none
}

func evalCommand() *cobra.Command {
	var s evalSettings
	cmd := &cobra.Command{
		Use:   "eval RUN|FILE... [--worst N FILE.png]",
		Short: "Evaluate trained weights: accuracy, confusion, calibration",
		Long: `Eval runs trained networks over the images of a data set and tells loss,
accuracy, top-5, expected calibration error (15 bins) and images a second, the
precision and recall of each class, and the confusion matrix.

A RUN stands for its best weights, a FILE is one of weights (.safetensors) or a
last.ckpt. Several are evaluated each alone and together: as an ensemble, the
mean of their probabilities. A comparison stands for all of its runs.

Without --data it is the data that they were trained on. --split val is what a
run held out of its training images (--val-split), by its own seed, and refused
on other data; --split train is all of them. --tta flip also judges each image
mirrored and tells, in a line of its own, what the mean of both gives.

--json prints one object: loss, accuracy, top5, calibration_error, classes (of
name, precision, recall, count), confusion (rows: what it is) and
images_per_second; "flip" with --tta flip; of an ensemble these are its own,
"models" has each and "gain" the difference in accuracy. A share of no images
is null.`,
		Example: `  cifartui eval last
  cifartui eval last --split val --tta flip
  cifartui eval runs/a runs/b weights.safetensors --json
  cifartui eval last --worst 40 worst.png`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.check(cmd, args); err != nil {
				return err
			}
			if s.sheet != "" {
				if err := canWrite(s.sheet); err != nil {
					return err
				}
			}
			report, set, classes, err := s.evaluate(cmd)
			if err != nil {
				return err
			}
			// First: a picture that cannot be written after all is not to cost the figures.
			if s.asJSON {
				err = writeJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if s.sheet != "" {
				err = errors.Join(err, s.writeSheet(cmd, report, set, classes))
			}
			return err
		},
	}
	runsFlag(cmd.Flags(), &s.runs)
	f := cmd.Flags()
	f.StringVar(&s.data, "data", "", "images to evaluate on, as train takes them (default: what the weights were trained on)")
	f.StringVar(&s.dataURL, "data-url", "", "fetch the data from this `address` instead of its home page")
	f.StringVar(&s.split, "split", "", "part of the data: "+strings.Join(evaluate.Parts(), ", ")+" (default: test, or val of data that has no test images)")
	f.StringVar(&s.tta, "tta", "", "test-time augmentation: flip (also the mean over each image and its mirror image)")
	f.IntVar(&s.worst, "worst", 0, "write a PNG `file` with the N worst mistakes: --worst N FILE.png")
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
	s.on.add(f, deviceAuto)
	return cmd
}

// check refuses what cannot be, naming the flag, and tells the models' names from
// the contact sheet's.
func (s *evalSettings) check(cmd *cobra.Command, args []string) error {
	for _, a := range args {
		if s.sheet == "" && strings.EqualFold(filepath.Ext(a), ".png") {
			s.sheet = a
			continue
		}
		s.names = append(s.names, a)
	}
	worst := cmd.Flags().Changed("worst")
	switch {
	case worst && (s.worst < 1 || s.worst > evaluate.MaxSheet):
		return usage("--worst: %d is not between 1 and %d", s.worst, evaluate.MaxSheet)
	case worst && s.sheet == "":
		return usage("--worst: name the PNG file to write behind the number: --worst %d worst.png", s.worst)
	case !worst && s.sheet != "":
		return usage("%s is a picture: eval takes runs and files of weights; --worst N %s writes a contact sheet there", s.sheet, s.sheet)
	case len(s.names) == 0:
		return nameModel(cmd, "")
	}
	if s.split != "" {
		if err := oneOf("split", s.split, evaluate.Parts()...); err != nil {
			return err
		}
	}
	if err := oneOf("tta", s.tta, "", "flip"); err != nil {
		return usage("--tta: %q: there is only flip", s.tta)
	}
	return s.on.check()
}

// evaluate does the work, and returns also what it was done on.
func (s *evalSettings) evaluate(cmd *cobra.Command) (*evaluate.Report, *cifar.Set, []string, error) {
	note := notes(cmd.ErrOrStderr())
	models, err := openModels(s.runs, s.names, note)
	if err != nil {
		return nil, nil, nil, err
	}
	data := s.data
	if data == "" {
		if data, err = evaluate.Data(models); err != nil {
			return nil, nil, nil, err
		}
	}
	meter := newProgressLine(cmd.ErrOrStderr())
	d, err := cifar.Open(cmd.Context(), cifar.Options{
		Data: data, URL: s.dataURL, Seed: demoSeed, Size: models[0].Spec.Size, Free: train.FreeMemory(), Split: s.split == evaluate.Val, Progress: meter.Show,
	})
	meter.End()
	if err != nil {
		return nil, nil, nil, err
	}
	for _, n := range d.Notes {
		note("%s", n)
	}
	set, part, err := evaluate.Part(d, s.split, models)
	if err != nil {
		return nil, nil, nil, err
	}
	if learnt := evaluate.Learnt(models, data); part == evaluate.Test && learnt != "" {
		note("%s", learnt)
	}
	if s.split == "" && part != evaluate.Test {
		note("%s has no test images: evaluated on what was held out to validate on, as with --split %s", d.Name, part)
	}
	b, err := s.on.open(networksLack(models...), note)
	if err != nil {
		return nil, nil, nil, err
	}
	defer b.Close()
	count := newCountLine(cmd.ErrOrStderr(), "images")
	result, err := evaluate.Run(cmd.Context(), evaluate.Options{
		Models: models, Backend: b, Images: set, Classes: d.Classes, Flip: s.tta == "flip",
		Progress: func(name string, done, total int) { count.show("evaluating "+name, done, total) },
	})
	count.end()
	if err != nil {
		return nil, nil, nil, err
	}
	return &evaluate.Report{Data: d.Name, Part: part, Images: set.Len(), Result: result}, set, d.Classes, nil
}

// writeSheet writes the contact sheet of the worst mistakes, of the ensemble if
// there is one.
func (s *evalSettings) writeSheet(cmd *cobra.Command, r *evaluate.Report, set *cifar.Set, classes []string) error {
	one := r.Models[0]
	if r.Ensemble != nil {
		one = *r.Ensemble
	}
	title := fmt.Sprintf("worst mistakes of %s on %s, %s part: %.2f%% are right", one.Name, r.Data, r.Part, 100*one.Accuracy)
	_, err := rundir.WriteAtomic(rundir.OS{}, s.sheet, func(w io.Writer) error {
		return evaluate.Sheet(w, title, set, classes, &one.Judged, s.worst)
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", s.sheet, err)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), s.sheet)
	return nil
}
