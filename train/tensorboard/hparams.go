package tensorboard

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"cifartui/train/config"
	"cifartui/train/event"
)

// An hparam is one hyperparameter: a float64, a bool or a string.
type hparam struct {
	name  string
	value any
}

// hparams lists what a person compares runs by. What is 0 where that
// stands for a default is left out, and so are the epochs of a run with a budget:
// how many fit that is planned later, and anew when the machine turns out to be
// faster or slower, where TensorBoard keeps the values that it sees first.
func hparams(started *event.RunStarted) []hparam {
	c := started.Config
	list := []hparam{
		{"batch", float64(c.Batch)},
		{"seed", float64(c.Seed)},
		{"optimizer", c.Optimizer},
		{"schedule", c.Schedule},
		{"momentum", c.Momentum},
		{"weight_decay", c.WeightDecay},
		{"dropout", c.Dropout},
		{"augment", augment(c.Augment)},
		{"shuffle", c.Shuffle},
		{"preprocess", c.Preprocess},
		{"val_split", float64(c.ValSplit)},
		{"data", c.Data},
	}
	if c.Budget == 0 {
		list = append(list, hparam{"epochs", float64(c.Epochs)})
	}
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"lr", cmp.Or(started.LearnRate, c.LR)}, {"bias_lr", c.BiasLR}, {"dense_lr", c.DenseLR}, {"dense_momentum", c.DenseMomentum},
		{"dense_decay", c.DenseDecay}, {"smoothing", c.Smoothing}, {"warmup", c.Warmup}, {"average", c.Average}, {"small_epochs", c.SmallEpochs},
		{"budget", float64(c.Budget)}, {"max_steps", float64(c.MaxSteps)},
	} {
		if p.value != 0 {
			list = append(list, hparam{p.name, p.value})
		}
	}
	return list
}

// augment is a boolean, as for all runs before there were kinds, where that says
// all.
func augment(a config.Augment) any {
	if a == (config.Augment{}) || a == config.Default().Augment {
		return a != config.Augment{}
	}
	return a.Kinds()
}

// metrics lists what the HParams tab shows beside the hyperparameters: the last
// value of each series, found in the folder group.
var metrics = []struct{ group, tag, display string }{
	{validationFolder, tagEpochAccuracy, "val_acc"},
	{validationFolder, tagEpochLoss, "val_loss"},
	{trainFolder, tagEpochAccuracy, "acc"},
	{trainFolder, tagEpochLoss, "loss"},
}

// experimentMessage is an Experiment: the columns of the HParams tab.
func experimentMessage(created time.Time, list []hparam) []byte {
	b := appendDouble(nil, experimentCreated, seconds(created))
	for _, h := range list {
		kind := typeFloat64
		switch h.value.(type) {
		case string:
			kind = typeString
		case bool:
			kind = typeBool
		}
		info := appendString(nil, hparamName, h.name)
		info = appendString(info, hparamDisplay, h.name)
		info = appendVarint(info, hparamType, uint64(kind))
		b = appendBytes(b, experimentHParam, info)
	}
	for _, m := range metrics {
		name := appendString(nil, metricNameGroup, m.group)
		name = appendString(name, metricNameTag, m.tag)
		info := appendBytes(nil, metricName, name)
		info = appendString(info, metricDisplay, m.display)
		b = appendBytes(b, experimentMetric, info)
	}
	return b
}

// sessionStartMessage is a SessionStartInfo: this run's values. Its group is
// left empty, which makes every run a row of its own.
func sessionStartMessage(start time.Time, list []hparam) []byte {
	var b []byte
	for _, h := range list {
		var value []byte
		switch v := h.value.(type) {
		case float64:
			value = appendDouble(nil, valueNumber, v)
		case string:
			value = appendString(nil, valueString, v)
		case bool:
			value = appendVarint(nil, valueBool, protowire.EncodeBool(v))
		}
		entry := appendString(nil, mapKey, h.name)
		entry = appendBytes(entry, mapValue, value)
		b = appendBytes(b, startHParams, entry)
	}
	return appendDouble(b, startTime, seconds(start))
}

// sessionEndMessage is a SessionEndInfo. A run that was stopped or detached
// writes none: it may go on, and TensorBoard keeps the first it sees.
func sessionEndMessage(end time.Time, outcome event.Outcome) []byte {
	status := statusSuccess
	if outcome == event.OutcomeFailed || outcome == event.OutcomeDiverged {
		status = statusFailure
	}
	b := appendVarint(nil, endStatus, uint64(status))
	return appendDouble(b, endTime, seconds(end))
}
