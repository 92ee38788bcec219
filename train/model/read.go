package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cifartui/cifar"
	"cifartui/cifar/plain"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/event"
	"cifartui/train/whiten"
)

// Read makes a model of a file: weights in safetensors, also of another program
// if the network is one of ours, or a run's last.ckpt, of which it takes the
// weights that were or would be validated.
func Read(path string) (*Model, error) {
	if isCheckpoint(path) {
		c, err := checkpoint.Read(path)
		if err != nil {
			return nil, err
		}
		return ofCheckpoint(path, c, false)
	}
	w, err := checkpoint.ReadWeights(path)
	if err != nil {
		return nil, err
	}
	return ofWeights(path, w)
}

// isCheckpoint reports whether a path is that of a run's checkpoint, as against
// weights.
func isCheckpoint(path string) bool {
	base := filepath.Base(path)
	return base == checkpoint.PreviousFile || filepath.Ext(base) == filepath.Ext(checkpoint.LastFile)
}

// ofWeights makes a model of what a file holds.
func ofWeights(path string, w checkpoint.Weights) (*Model, error) {
	m := &Model{
		Name: strings.TrimSuffix(filepath.Base(path), checkpoint.WeightsExt), Path: path,
		Tensors: w.Tensors, Meta: maps.Clone(w.Meta), Dataset: w.Meta[checkpoint.MetaDataset],
		ValAcc: number(w.Meta, checkpoint.MetaValAcc), ValLoss: number(w.Meta, checkpoint.MetaValLoss),
	}
	if m.Meta == nil {
		m.Meta = map[string]string{}
	}
	m.Epoch, _ = strconv.Atoi(w.Meta[checkpoint.MetaEpoch]) // 0 where it does not say
	m.Step, _ = strconv.Atoi(w.Meta[checkpoint.MetaStep])
	if w.Changes != "" {
		m.note("%s: %s", path, w.Changes)
	}
	if err := m.describe(); err != nil {
		return nil, fmt.Errorf("weights: %s: %w", path, err)
	}
	return m, nil
}

// ofCheckpoint makes a model of a last.ckpt: of the weights where the run stands
// or, if asked and it holds them, of the best.
func ofCheckpoint(path string, c *checkpoint.Checkpoint, best bool) (*Model, error) {
	w := checkpoint.Weights{Tensors: c.Weights, Meta: maps.Clone(c.About)}
	if w.Meta == nil {
		w.Meta = map[string]string{}
	}
	w.Meta[checkpoint.MetaRun] = c.Run
	if len(c.Network) > 0 {
		w.Meta[checkpoint.MetaNetwork] = string(c.Network)
	}
	if w.Meta[checkpoint.MetaDataset] == "" {
		w.Meta[checkpoint.MetaDataset] = c.Data.Name
	}
	if w.Meta[checkpoint.MetaPreprocess] == "" {
		p, err := cifar.NewPreprocess(c.Config.Preprocess, nil)
		if err != nil {
			return nil, fmt.Errorf("%s is of a version that did not keep the numbers of --preprocess %s: name a file of weights beside it", path, c.Config.Preprocess)
		}
		w.Meta[checkpoint.MetaPreprocess] = text(p)
	}
	epoch, step := c.Epoch, c.Step
	which := "the weights where it stands"
	switch e := c.Monitor.BestEpoch; {
	case best && len(c.Best) > 0 && e >= 1 && e <= len(c.History):
		w.Tensors, epoch, step = c.Best, e, 0
		which = "the best weights so far"
	case len(c.Average) > 0:
		w.Tensors = c.Average
		which = "the moving average of the weights where it stands"
	}
	if step == 0 && which != "the best weights so far" {
		epoch-- // Epoch is the next one, of which nothing is done
	}
	w.Meta[checkpoint.MetaEpoch] = strconv.Itoa(epoch)
	if step > 0 {
		w.Meta[checkpoint.MetaStep] = strconv.Itoa(step)
	} else if epoch >= 1 && epoch <= len(c.History) {
		e := c.History[epoch-1]
		w.Meta[checkpoint.MetaValAcc] = strconv.FormatFloat(float64(e.ValAcc), 'g', -1, 64)
		w.Meta[checkpoint.MetaValLoss] = strconv.FormatFloat(float64(e.ValLoss), 'g', -1, 64)
	}
	w.Tensors = slices.Concat(w.Tensors, c.Whitening)
	m, err := ofWeights(path, w)
	if err != nil {
		return nil, err
	}
	m.note("of %s it is %s, after epoch %d%s", filepath.Base(path), which, epoch, within(step))
	return m, nil
}

// within says that an epoch is not whole.
func within(step int) string {
	if step == 0 {
		return ""
	}
	return fmt.Sprintf(", step %d", step)
}

// describe finds the network, the preprocessing and the classes: what the
// metadata says, checked, else what can be told from the tensors.
func (m *Model) describe() error {
	if m.Whitening == nil {
		m.Tensors, m.Whitening = checkpoint.WithoutWhitening(m.Tensors)
	}
	if !checkpoint.Finite(m.Tensors) {
		return fmt.Errorf("some of its numbers are not finite: it is damaged, or its training diverged")
	}
	if err := m.network(); err != nil {
		return err
	}
	if err := m.preprocess(); err != nil {
		return err
	}
	return m.classes()
}

// network finds the Spec.
func (m *Model) network() (err error) {
	said := m.Meta[checkpoint.MetaNetwork]
	if said == "" {
		if m.Spec, err = nn.SpecOf(ofCheckpoints(m.Tensors)); err != nil {
			return err
		}
		m.Meta[checkpoint.MetaNetwork] = text(m.Spec)
		return nil
	}
	if err := json.Unmarshal([]byte(said), &m.Spec); err != nil {
		return fmt.Errorf("its description of the network cannot be read: %w", err)
	}
	m.Spec.Frozen, m.Spec.Initializer = nil, "" // which are training's alone
	return m.Spec.Fits(ofCheckpoints(m.Tensors))
}

// preprocess finds the preprocessing.
func (m *Model) preprocess() (err error) {
	said := m.Meta[checkpoint.MetaPreprocess]
	if said != "" {
		m.Preprocess = new(cifar.Preprocess)
		if err := json.Unmarshal([]byte(said), m.Preprocess); err != nil {
			return err
		}
		if m.Preprocess.Whitens() {
			return whiten.Attach(m.Preprocess, m.Spec.Size, m.Whitening)
		}
	}
	if m.Whitening != nil { // programs that copy tensors alone leave such a file
		return fmt.Errorf("it has %s, the matrix of --preprocess %s, and its metadata does not say which means go with it", checkpoint.WhiteningName, cifar.ZCA)
	}
	if said != "" {
		return nil
	}
	if m.Preprocess, err = cifar.NewPreprocess(cifar.Unit, nil); err != nil {
		return err
	}
	m.Meta[checkpoint.MetaPreprocess] = text(m.Preprocess)
	m.note("%s does not say how pixels were preprocessed: taken for %s, numbers from 0 to 1", m.Path, cifar.Unit)
	return nil
}

// classes finds the names of the classes.
func (m *Model) classes() error {
	if said := m.Meta[checkpoint.MetaClasses]; said != "" {
		if err := json.Unmarshal([]byte(said), &m.Classes); err != nil {
			return fmt.Errorf("its names of the classes cannot be read: %w", err)
		}
		if len(m.Classes) != m.Spec.Classes {
			return fmt.Errorf("it names %d classes, and its network has %d", len(m.Classes), m.Spec.Classes)
		}
		if i := slices.IndexFunc(m.Classes, func(name string) bool { return !plain.Is(name) }); i >= 0 {
			return fmt.Errorf("it names class %d %.70q, which can't be shown", i, m.Classes[i])
		}
		return nil
	}
	if cifars := cifar.ClassNames(); m.Spec.Classes == len(cifars) {
		m.Classes = cifars
		m.note("%s does not name its classes: taken for those of CIFAR-10", m.Path)
	} else {
		for i := range m.Spec.Classes {
			m.Classes = append(m.Classes, fmt.Sprintf("class %d", i))
		}
		m.note("%s does not name its %d classes: they are numbered from 0", m.Path, m.Spec.Classes)
	}
	m.Meta[checkpoint.MetaClasses] = text(m.Classes)
	return nil
}

// text is v in JSON; what is given to it can be written so.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// number reads a number of the metadata, NaN where there is none.
func number(meta map[string]string, key string) event.Float {
	v, err := strconv.ParseFloat(meta[key], 64)
	if err != nil {
		return checkpoint.NotKnown
	}
	return event.Float(v)
}

// ofCheckpoints gives a file's tensors to the network. The numbers are shared.
func ofCheckpoints(list []checkpoint.Tensor) []nn.Tensor {
	out := make([]nn.Tensor, len(list))
	for i, t := range list {
		out[i] = nn.Tensor(t)
	}
	return out
}
