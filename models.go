package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cifartui/nn/cuda"
	"cifartui/train/model"
)

// What the commands have in common that use trained networks: eval, predict, export
// and average.

// nameModel is the error of a command that was given no network; more is what it
// wants besides.
func nameModel(cmd *cobra.Command, more string) error {
	return usage(`%s: name a run, as last ("cifartui runs" lists them), or a file of weights%s`, cmd.CommandPath(), more)
}

// openModels opens what a person named, a comparison as all of its runs, and tells
// what they should know of it.
func openModels(dir string, names []string, note func(format string, args ...any)) ([]*model.Model, error) {
	models, err := model.OpenAll(dir, names...)
	if err != nil {
		return nil, err
	}
	for _, m := range models {
		tellNotes(m, note)
	}
	return models, nil
}

// openModel opens the one network that a person named.
func openModel(dir, name string, note func(format string, args ...any)) (*model.Model, error) {
	m, err := model.Open(dir, name)
	if err != nil {
		return nil, err
	}
	tellNotes(m, note)
	return m, nil
}

func tellNotes(m *model.Model, note func(format string, args ...any)) {
	for _, n := range m.Notes {
		note("%s", n)
	}
}

// networksLack says what networks want that the GPU's kernels are not made for,
// in a line; nil if there is nothing.
func networksLack(models ...*model.Model) error {
	for _, m := range models {
		if err := cuda.Lacks(m.Spec); err != nil {
			return err
		}
	}
	return nil
}

// mayWrite is canWrite that also refuses to write over a file that nobody said may
// be lost.
func mayWrite(path string, force bool) error {
	if err := canWrite(path); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil && !force {
		return fmt.Errorf("%s is there already: --force writes over it", path)
	}
	return nil
}

// canWrite refuses a file that cannot be written, before the work that is to be
// written there.
func canWrite(path string) error {
	dir := filepath.Dir(path)
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: there is no folder %s: make it first", path, dir)
	case err != nil:
		return fmt.Errorf("write %s: %w", path, err)
	case !st.IsDir():
		return fmt.Errorf("write %s: %s is no folder", path, dir)
	}
	st, err = os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		return fmt.Errorf("write %s: it is a folder: name a file", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
