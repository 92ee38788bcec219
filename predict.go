package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/cifar/picture"
	"cifartui/cifar/plain"
	"cifartui/train/model"
	"cifartui/train/predict"
	"cifartui/tui"
	"cifartui/tui/format"
)

// predictSettings is what the predict command can be told.
type predictSettings struct {
	runs, theme string
	on          computeFlags
	top         int
	asJSON      bool
}

func predictCommand() *cobra.Command {
	var s predictSettings
	cmd := &cobra.Command{
		Use:   "predict RUN|FILE IMAGE...",
		Short: "Say what pictures show, with trained weights",
		Long: `Predict runs a trained network on pictures: PNG, JPEG, GIF, BMP and WebP of any
size, turned as their EXIF data says, cropped to the square of their middle and
scaled to the network's size; of an animation the first frame, with white where
it is transparent. They are preprocessed as the weights' training images were.

A RUN stands for its best weights, a FILE is one of weights (.safetensors) or a
last.ckpt. An IMAGE is a file, a folder (all pictures in it and in the folders
below it) or - for standard input.

On a terminal each picture is drawn, as the network sees it, with its likeliest
classes as bars; elsewhere, and with --theme none, a picture is a line. --json
prints an object a line: {"image": ..., "top": [{"class": ..., "probability":
...}, ...]}.

A picture that can't be read is named on standard error and the others go on;
the exit code is 1 then. One of more than 120 million pixels, or of more than a
gigabyte unpacked, is refused before it is unpacked.`,
		Example: `  cifartui predict last cat.jpg
  cifartui predict last pictures --top 1
  cifartui predict weights.safetensors pictures --json --top 0 > answers.jsonl
  curl -s https://example.org/dog.webp | cifartui predict last -`,
		Args: func(cmd *cobra.Command, args []string) error { return s.check(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error { return s.predict(cmd, args[0], args[1:]) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault // files
			}
			return runNames(cmd, typed), cobra.ShellCompDirectiveDefault
		},
	}
	runsFlag(cmd.Flags(), &s.runs)
	f := cmd.Flags()
	f.IntVar(&s.top, "top", 5, "how many of the likeliest classes to give (0: all)")
	f.BoolVar(&s.asJSON, "json", false, "print JSON, an object a line")
	f.StringVar(&s.theme, "theme", "auto", "colours: auto, dark, light or none")
	s.on.add(f, deviceCPU)
	return cmd
}

// check refuses what cannot be, naming the flag.
func (s *predictSettings) check(cmd *cobra.Command, args []string) error {
	stdin := 0
	for _, a := range args {
		if a == predict.Stdin {
			stdin++
		}
	}
	switch {
	case len(args) == 0:
		return nameModel(cmd, ", and pictures")
	case len(args) == 1:
		return usage("%s: name pictures behind %s: files, a folder, or - for standard input", cmd.CommandPath(), args[0])
	case args[0] == predict.Stdin:
		return usage("%s: standard input is for a picture: name a run or a file of weights first", cmd.CommandPath())
	case stdin > 1:
		return usage("%s: there is one standard input: give - once", cmd.CommandPath())
	case s.top < 0:
		return usage("--top: %d is not 0 (all) or more", s.top)
	}
	if err := oneOf("theme", s.theme, tui.Themes()...); err != nil {
		return err
	}
	return s.on.check()
}

// predict asks what pictures show and prints it. Pictures that can't be read
// make it fail at the end.
func (s *predictSettings) predict(cmd *cobra.Command, which string, images []string) error {
	note := notes(cmd.ErrOrStderr())
	m, err := openModel(s.runs, which, note)
	if err != nil {
		return err
	}
	b, err := s.on.open(networksLack(m), note)
	if err != nil {
		return err
	}
	defer b.Close()
	net, err := m.NewPredictor(b)
	if err != nil {
		return err
	}
	defer net.Close()
	names, failed := predict.Names(cmd.Context(), images)
	for _, err := range failed {
		note("%v", err)
	}
	bad, err := s.answer(cmd, m, net, names)
	if err != nil {
		return err
	}
	if bad += len(failed); bad > 0 {
		if bad > 1 || len(names) > 1 {
			note("%d of %s could not be read", bad, format.Plural(len(names)+len(failed), "picture"))
		}
		return &exitError{code: exitFailed}
	}
	return nil
}

// answer prints what the network says of each picture, and returns how many
// could not be read.
func (s *predictSettings) answer(cmd *cobra.Command, m *model.Model, net predict.Network, names []string) (bad int, err error) {
	out, note := cmd.OutOrStdout(), notes(cmd.ErrOrStderr())
	show := s.printer(out)
	var count *countLine // where the answers themselves don't show how far it is
	if !isTerminal(out) {
		count = newCountLine(cmd.ErrOrStderr(), "pictures")
		defer count.end()
	}
	done := 0
	err = predict.Run(cmd.Context(), net, picture.NewReader(m.Spec.Size), names, cmd.InOrStdin(), func(a predict.Answer) error {
		done++
		if a.Err != nil {
			bad++
			if count != nil {
				count.end()
			}
			note("%s", plain.Line(a.Err.Error()))
			return nil
		}
		if _, err := io.WriteString(out, show(a, predict.Top(a.Probabilities, m.Classes, s.top))); err != nil {
			return fmt.Errorf("write the answers: %w", err)
		}
		if count != nil {
			count.show("predicting", done, len(names))
		}
		return nil
	})
	return bad, err
}

// printer returns what makes text of an answer.
func (s *predictSettings) printer(out io.Writer) func(predict.Answer, []predict.Class) string {
	switch {
	case s.asJSON:
		return jsonAnswer
	case s.theme != "none" && isTerminal(out) && tui.WhyNot(os.Getenv) == "":
		p := tui.NewPrinter(s.theme, os.Getenv, terminalWidth(out))
		return func(a predict.Answer, top []predict.Class) string {
			list := make([]tui.Likelihood, len(top))
			for i, c := range top {
				list[i] = tui.Likelihood{Class: c.Name, Share: float64(c.Probability)}
			}
			return p.Prediction(a.Image, a.Pixels, list)
		}
	}
	return textAnswer
}

// jsonAnswer is an answer as an object of a line.
func jsonAnswer(a predict.Answer, top []predict.Class) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// Encoding text and finite numbers can't fail.
	_ = enc.Encode(struct {
		Image string          `json:"image"`
		Top   []predict.Class `json:"top"`
	}{a.Image, top})
	return b.String()
}

// textAnswer is an answer as a line for people and simple tools.
func textAnswer(a predict.Answer, top []predict.Class) string {
	parts := make([]string, len(top))
	for i, c := range top {
		parts[i] = fmt.Sprintf("%s %.2f%%", plain.Line(c.Name), 100*c.Probability)
	}
	return fmt.Sprintf("%s: %s\n", plain.Line(a.Image), strings.Join(parts, ", "))
}
