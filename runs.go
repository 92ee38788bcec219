package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cifartui/train/runs"
	"cifartui/tui/format"
)

func runsCommand() *cobra.Command {
	var dir, sortBy string
	var filters []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs; remove or prune them",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := runs.List(dir)
			if err != nil {
				return err
			}
			if list, err = runs.Filter(list, filters); err != nil {
				return usage("--filter: %w", err)
			}
			if err := runs.Sort(list, sortBy); err != nil {
				return usage("--sort: %w", err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), list)
			}
			return runs.Write(cmd.OutOrStdout(), list, time.Now())
		},
	}
	runsFlag(cmd.PersistentFlags(), &dir)
	f := cmd.Flags()
	f.StringArrayVar(&filters, "filter", nil, "keep runs with `key=value` (name, also name=run-*, state, live, data, batch, optimizer, problem); may be given again")
	f.StringVar(&sortBy, "sort", "created", "name, state, data, batch, epoch, best, created or updated; -best is in reverse")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(runsRemoveCommand(&dir), runsPruneCommand(&dir))
	return cmd
}

func runsRemoveCommand(dir *string) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "rm RUN...",
		Short: "Delete runs with all that they hold; asks first",
		Args:  oneOrMoreRuns,
		RunE: func(cmd *cobra.Command, args []string) error {
			var folders []string
			for _, name := range args {
				folder, err := runs.Find(*dir, name)
				if err != nil {
					return err
				}
				if !slices.Contains(folders, folder) {
					folders = append(folders, folder)
				}
			}
			if !yes {
				if sure, err := confirm(cmd, fmt.Sprintf("Delete %s?", strings.Join(folders, ", "))); err != nil || !sure {
					return err
				}
			}
			for _, folder := range folders {
				freed, err := runs.Remove(folder)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "deleted %s, %.1f MiB\n", folder, mib(freed))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func runsPruneCommand(dir *string) *cobra.Command {
	var keepBest, yes bool
	cmd := &cobra.Command{
		Use:   "prune --keep-best",
		Short: "Delete all checkpoints but the best of each run; asks first",
		Long: `Prune frees space: of each run it keeps the weights of the best epoch, and of
one that has not come to its end also what it is resumed from. Live runs are
left alone. What a killed "runs rm" has left goes, too.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !keepBest {
				return usage("prune: say what to keep: --keep-best")
			}
			would, err := runs.Prune(*dir, true)
			if err != nil {
				return err
			}
			total := int64(0)
			for _, p := range would {
				total += p.Bytes
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %.1f MiB\n", p.Folder, format.Plural(len(p.Files), "file"), mib(p.Bytes))
			}
			if len(would) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing to delete")
				return nil
			}
			if !yes {
				if sure, err := confirm(cmd, fmt.Sprintf("Delete these, %.1f MiB?", mib(total))); err != nil || !sure {
					return err
				}
			}
			done, err := runs.Prune(*dir, false)
			freed := int64(0)
			for _, p := range done {
				freed += p.Bytes
			}
			fmt.Fprintf(cmd.OutOrStdout(), "freed %.1f MiB\n", mib(freed))
			return err
		},
	}
	cmd.Flags().BoolVar(&keepBest, "keep-best", false, "keep the weights of each run's best epoch")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// confirm asks on standard error and reads the answer. That nobody can answer is
// an error: a script must not take what is left for deleted.
func confirm(cmd *cobra.Command, question string) (bool, error) {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
		return false, errors.New("not deleted: say --yes where nobody can answer")
	}
	return strings.EqualFold(strings.TrimSpace(line), "y") || strings.EqualFold(strings.TrimSpace(line), "yes"), nil
}
