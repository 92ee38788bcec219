package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cifartui/nn"
	"cifartui/nn/onnx"
	"cifartui/train/checkpoint"
	"cifartui/train/model"
	"cifartui/train/rundir"
	"cifartui/tui/format"
)

// exportSettings is what the export command can be told.
type exportSettings struct {
	runs, out, input, dtype string
	force                   bool
}

// What export writes, by the ending of the file's name.
const onnxExt = ".onnx"

func exportCommand() *cobra.Command {
	var s exportSettings
	cmd := &cobra.Command{
		Use:   "export RUN|FILE -o FILE",
		Short: "Write trained weights for other programs: ONNX, or safetensors",
		Long: `Export writes a trained network for other programs to run.

  -o NAME.onnx         the whole network, its preprocessing inside: input
                       "images", float [N, 3, height, width] from 0 to 1, or
                       with --input uint8 bytes [N, height, width, 3]; output
                       "probabilities", [N, classes]. N is free. The metadata
                       has the names of the classes, a JSON list under
                       "classes".
  -o NAME.safetensors  the weights under PyTorch's names, in --dtype f32, f16
                       or bf16, with the same metadata

A RUN stands for its best weights, a FILE is one of weights (.safetensors) or a
last.ckpt. A file that is there is kept unless --force is given.`,
		Example: `  cifartui export last -o model.onnx
  cifartui export last -o model.onnx --input uint8
  cifartui export last -o half.safetensors --dtype f16`,
		Args: func(cmd *cobra.Command, args []string) error { return s.check(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error { return s.export(cmd, args[0]) },
	}
	runsFlag(cmd.Flags(), &s.runs)
	f := cmd.Flags()
	f.StringVarP(&s.out, "output", "o", "", "`file` to write: .onnx or .safetensors")
	f.StringVar(&s.input, "input", string(onnx.Float), "what the ONNX file takes: "+inWords(onnx.Inputs()))
	f.StringVar(&s.dtype, "dtype", string(checkpoint.Float32), "numbers of the safetensors file: "+inWords(checkpoint.DTypes()))
	f.BoolVar(&s.force, "force", false, "write over a file that is there")
	return cmd
}

// check refuses what cannot be, naming the flag.
func (s *exportSettings) check(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nameModel(cmd, "")
	case len(args) > 1:
		return usage("%s: one network at a time, not %d", cmd.CommandPath(), len(args))
	case s.out == "":
		return usage("%s: say where to: -o model.onnx, or -o model.safetensors", cmd.CommandPath())
	case !slices.Contains(onnx.Inputs(), onnx.Input(s.input)):
		return usage("--input: %q is none of %s", s.input, inWords(onnx.Inputs()))
	case !slices.Contains(checkpoint.DTypes(), checkpoint.DType(s.dtype)):
		return usage("--dtype: %q is none of %s", s.dtype, inWords(checkpoint.DTypes()))
	}
	switch changed, ext := cmd.Flags().Changed, strings.ToLower(filepath.Ext(s.out)); {
	case ext != onnxExt && ext != checkpoint.WeightsExt:
		return usage("-o %s: the name must end in %s or %s, which says what is written", s.out, onnxExt, checkpoint.WeightsExt)
	case ext == onnxExt && changed("dtype"):
		return usage("--dtype is for %s: an ONNX file is written in float32", checkpoint.WeightsExt)
	case ext != onnxExt && changed("input"):
		return usage("--input is for %s: weights have no input", onnxExt)
	}
	return nil
}

// export writes the file.
func (s *exportSettings) export(cmd *cobra.Command, which string) error {
	if err := mayWrite(s.out, s.force); err != nil {
		return err
	}
	m, err := openModel(s.runs, which, notes(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	write, what := s.weights(m)
	if strings.EqualFold(filepath.Ext(s.out), onnxExt) {
		write, what = s.onnx(m)
	}
	size, err := rundir.WriteAtomic(rundir.OS{}, s.out, write)
	if err != nil {
		return fmt.Errorf("write %s: %w", s.out, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %s\n", s.out, strings.TrimSpace(format.Size(size)), what)
	return err
}

// weights is what writes a safetensors file, and what that is.
func (s *exportSettings) weights(m *model.Model) (write func(io.Writer) error, what string) {
	w := m.Weights()
	return func(to io.Writer) error { return w.EncodeAs(to, checkpoint.DType(s.dtype)) },
		fmt.Sprintf("%d tensors in %s", len(w.Tensors), s.dtype)
}

// onnx is what writes an ONNX file, and what that is.
func (s *exportSettings) onnx(m *model.Model) (write func(io.Writer) error, what string) {
	o := onnx.Model{
		Spec: m.Spec, Mean: m.Preprocess.Mean(), Std: m.Preprocess.Std(),
		Whitening: m.Whitening, Input: onnx.Input(s.input), Metadata: m.Meta, Version: programVersion(),
	}
	for _, t := range m.Tensors {
		o.Tensors = append(o.Tensors, nn.Tensor(t))
	}
	images := fmt.Sprintf("float [N, 3, %[1]d, %[1]d] from 0 to 1", m.Spec.Size)
	if o.Input == onnx.Bytes {
		images = fmt.Sprintf("bytes [N, %[1]d, %[1]d, 3]", m.Spec.Size)
	}
	return o.Write, fmt.Sprintf("ONNX opset %d: %s %s -> %s [N, %d]", onnx.Opset, onnx.InputName, images, onnx.OutputName, m.Spec.Classes)
}
