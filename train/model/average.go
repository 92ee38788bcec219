package model

import (
	"errors"
	"fmt"
	"maps"

	"cifartui/train/checkpoint"
)

// MetaAverageOf is the key under which a file of averaged weights names what
// they are the mean of, in JSON.
const MetaAverageOf = "average_of"

// Average is the mean of several models' weights, as of one run at several
// epochs (stochastic weight averaging; Izmailov et al., Averaging Weights Leads
// to Wider Optima and Better Generalization, 2018) or of several fine-tuned from
// the same weights. All must be of one network, with the same classes and the
// same preprocessing.
func Average(models []*Model) (checkpoint.Weights, error) {
	if len(models) < 2 {
		return checkpoint.Weights{}, errors.New("average: name at least two runs or files of weights")
	}
	first := models[0]
	var names []string
	for _, m := range models {
		if why := differ(first, m, true); why != "" {
			return checkpoint.Weights{}, fmt.Errorf("average: %s and %s have no mean: %s", first.Name, m.Name, why)
		}
		names = append(names, m.Name)
	}
	w := checkpoint.Weights{Meta: maps.Clone(first.Meta)}
	for _, key := range []string{checkpoint.MetaEpoch, checkpoint.MetaStep, checkpoint.MetaValAcc, checkpoint.MetaValLoss, checkpoint.MetaRun} {
		delete(w.Meta, key) // true of one of them alone
	}
	w.Meta[checkpoint.MetaFormat] = "pt"
	w.Meta[MetaAverageOf] = text(names)
	for _, m := range models {
		if m.Dataset != first.Dataset {
			delete(w.Meta, checkpoint.MetaDataset)
		}
	}
	for _, t := range first.Tensors {
		sums := make([]float64, len(t.Data))
		for _, m := range models {
			for i, v := range m.tensor(t.Name).Data {
				sums[i] += float64(v)
			}
		}
		mean := checkpoint.Tensor{Name: t.Name, Shape: t.Shape, Data: make([]float32, len(sums))}
		for i, s := range sums {
			mean.Data[i] = float32(s / float64(len(models)))
		}
		w.Tensors = append(w.Tensors, mean)
	}
	w.Tensors = append(w.Tensors, first.whitening()...)
	return w, nil
}

// tensor is the parameter of a name, which the model has: its Spec fits.
func (m *Model) tensor(name string) checkpoint.Tensor {
	for _, t := range m.Tensors {
		if t.Name == name {
			return t
		}
	}
	return checkpoint.Tensor{}
}
