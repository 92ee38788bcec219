package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/train/checkpoint"
	"cifartui/train/model"
	"cifartui/train/rundir"
)

func averageCommand() *cobra.Command {
	var dir, out string
	var force bool
	cmd := &cobra.Command{
		Use:   "average RUN|FILE... -o FILE",
		Short: "Average the weights of several runs or files into one",
		Long: `Average writes the mean of several weights (stochastic weight averaging): of one
run at several epochs (--checkpoint-every keeps them), or of runs fine-tuned
from the same weights. A RUN stands for its best weights, a comparison for all
of its runs. They must be of one network, with the same classes and
preprocessing. The mean of networks that were trained apart from their first
step on is no good network, as theirs have nothing in common: for those there is
the ensemble that "cifartui eval RUN RUN" makes.`,
		Example: `  cifartui average runs/a/checkpoints/*EP1*.safetensors -o mean.safetensors
  cifartui eval mean.safetensors`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return nameModel(cmd, ", two or more of them")
			case out == "":
				return usage("%s: say with -o which file to write", cmd.CommandPath())
			case filepath.Ext(out) != checkpoint.WeightsExt:
				return usage("-o %s: weights are written as %s: give it that ending", out, checkpoint.WeightsExt)
			}
			if err := mayWrite(out, force); err != nil {
				return err
			}
			models, err := openModels(dir, args, notes(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			w, err := model.Average(models)
			if err != nil {
				return err
			}
			if _, err := rundir.WriteAtomic(rundir.OS{}, out, w.Encode); err != nil {
				return fmt.Errorf("write %s: %w", out, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: the mean of %d weights; \"cifartui eval %s\" tells what it is worth\n", out, len(models), rundir.Quote(out))
			return nil
		},
	}
	runsFlag(cmd.Flags(), &dir)
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to write, "+checkpoint.WeightsExt)
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}
