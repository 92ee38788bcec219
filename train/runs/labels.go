package runs

import (
	"fmt"
	"slices"
	"strings"

	"cifartui/train/config"
	"cifartui/train/record"
)

// Labels names runs by the settings that set them apart, "batch 64" or "lr 0.1,
// seed 2", and by their names where those don't tell them apart or are many, as
// they are of two recipes.
func Labels(runs []*record.Run) []string {
	names, settings := make([]string, len(runs)), settingsOf(runs)
	for i, r := range runs {
		names[i] = r.Name
	}
	return LabelsBy(names, settings)
}

// LabelsBy is [Labels] for runs of which the names and the settings are known; nil
// settings are not known.
func LabelsBy(names []string, settings []*config.Config) []string {
	keys := differ(settings)
	if len(keys) > maxParts {
		return names
	}
	labels := slices.Clone(names)
	for i, c := range settings {
		if c == nil || len(keys) == 0 {
			continue
		}
		var parts []string
		filled := c.Filled()
		for _, k := range keys {
			parts = append(parts, k+" "+ValueOf(&filled, k))
		}
		labels[i] = strings.Join(parts, ", ")
	}
	seen := map[string]bool{}
	for _, l := range labels {
		if seen[l] {
			return names
		}
		seen[l] = true
	}
	return labels
}

// ValueOf shows a setting. The learning rate of who has given none is the
// optimizer's own, and not the 0 that stands for it.
func ValueOf(c *config.Config, key string) string {
	if key == "lr" && c.LR == 0 {
		return "default"
	}
	return fmt.Sprint(c.Field(key))
}

func settingsOf(runs []*record.Run) []*config.Config {
	settings := make([]*config.Config, len(runs))
	for i, r := range runs {
		if r.Started != nil {
			settings[i] = &r.Started.Config
		}
	}
	return settings
}

// maxParts is how many settings make a label that can be read.
const maxParts = 4

// compared are the settings that bear on what a run learns, in the order in
// which labels tell them.
var compared = []string{
	"batch", "lr", "optimizer", "dropout", "augment", "seed", "momentum", "weight_decay",
	"schedule", "shuffle", "preprocess", "val_split", "data", "filters", "dense", "init", "initializer",
	"freeze", "lr_scale", "smoothing", "small_epochs", "small_size", "size", "fill", "flips", "warmup", "average",
	"bias_lr", "dense_lr", "dense_momentum", "dense_decay",
}

// differing returns those of compared in which runs differ.
func differing(runs []*record.Run) []string { return differ(settingsOf(runs)) }

// differ returns those of compared in which settings differ.
func differ(settings []*config.Config) (apart []string) {
	var known []config.Config
	for _, c := range settings {
		if c != nil {
			known = append(known, c.Filled())
		}
	}
	for _, k := range compared {
		for _, c := range known {
			if c.Field(k) != known[0].Field(k) {
				apart = append(apart, k)
				break
			}
		}
	}
	return apart
}
