// Package modeltest makes files of weights for the tests of those who use trained
// networks.
package modeltest

import (
	"path/filepath"
	"testing"

	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/rundir"
)

// Weights are a network's as drawn from a seed, with what a file says of them.
func Weights(t testing.TB, s nn.Spec, seed uint64, meta map[string]string) checkpoint.Weights {
	t.Helper()
	b := nn.NewCPU(1)
	defer b.Close()
	n, err := nn.New(b, s, seed)
	if err != nil {
		t.Fatal(err)
	}
	list, err := n.Weights()
	if err != nil {
		t.Fatal(err)
	}
	w := checkpoint.Weights{Meta: meta}
	for _, v := range list {
		w.Tensors = append(w.Tensors, checkpoint.Tensor(v))
	}
	return w
}

// File writes weights to a file of a name and returns its path.
func File(t testing.TB, name string, w checkpoint.Weights) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if _, err := rundir.WriteAtomic(rundir.OS{}, path, w.Encode); err != nil {
		t.Fatal(err)
	}
	return path
}
