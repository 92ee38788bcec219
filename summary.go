package main

import (
	"github.com/spf13/cobra"

	"cifartui/nn"
)

func summaryCommand() *cobra.Command {
	var batch int
	var dropout float64
	cmd := &cobra.Command{
		Use:   "summary",
		Short: "Print the network's layers, parameters, memory and arithmetic",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if batch < 1 || batch > 65536 {
				return usage("--batch: %d is not between 1 and 65536", batch)
			}
			if !(dropout >= 0 && dropout < 1) {
				return usage("--dropout: %g is not from 0 up to but not including 1", dropout)
			}
			return nn.VGG(dropout).Summary(cmd.OutOrStdout(), batch)
		},
	}
	cmd.Flags().IntVar(&batch, "batch", 64, "batch size that the memory is given for")
	cmd.Flags().Float64Var(&dropout, "dropout", 0.5, "share of units dropped before the dense layer")
	return cmd
}
