package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cifartui/cifar"
)

// A Sweep is one setting that the runs of a comparison vary.
type Sweep struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// String writes a sweep as [ParseSweep] reads it.
func (s Sweep) String() string { return s.Key + "=" + strings.Join(s.Values, ",") }

// SweepKeys are the settings that can be varied.
func SweepKeys() []string {
	return []string{"batch", "lr", "optimizer", "dropout", "augment", "seed", "dense", "initializer"}
}

// MaxRuns bounds a comparison: more runs than anyone can look at are a slip.
const MaxRuns = 64

// ParseSweep reads "key=value,value".
func ParseSweep(text string) (Sweep, error) {
	key, values, found := strings.Cut(text, "=")
	s := Sweep{Key: strings.TrimSpace(key)}
	if !found || !slices.Contains(SweepKeys(), s.Key) {
		return Sweep{}, fmt.Errorf("sweep %q: want KEY=VALUE,VALUE with a key of %s", text, strings.Join(SweepKeys(), ", "))
	}
	for v := range strings.SplitSeq(values, ",") {
		v = strings.TrimSpace(v)
		if v == "" {
			return Sweep{}, fmt.Errorf("sweep %q: a value is empty", text)
		}
		s.Values = append(s.Values, v)
	}
	return s, nil
}

// set returns c with the sweep's setting at a value, and the value as the run's
// name shows it.
func (s Sweep) set(c Config, value string) (Config, string, error) {
	var err error
	wrong := "a number"
	switch s.Key {
	case "batch":
		wrong = "a whole number"
		c.Batch, err = strconv.Atoi(value)
	case "seed":
		wrong = "a whole number from 0"
		c.Seed, err = strconv.ParseUint(value, 10, 64)
	case "lr":
		c.LR, err = ParseNumber(value)
	case "dropout":
		c.Dropout, err = ParseNumber(value)
	case "augment":
		wrong = "true, false, or kinds joined by +, as in shift+flip+rotate=10"
		if c.Augment, err = cifar.ParseAugment(value); err != nil {
			wrong += fmt.Sprintf(" (%v)", err)
		}
	case "optimizer":
		c.Optimizer = value
	case "initializer":
		c.Initializer = value
	case "dense":
		wrong = "the units of a hidden dense layer, 0 for none"
		err = c.Dense.Set(value)
	}
	if err != nil {
		return c, "", fmt.Errorf("%s %q: want %s", s.Key, value, wrong)
	}
	return c, strings.ReplaceAll(fmt.Sprintf("%s=%v", s.Key, c.Field(s.Key)), ",", "+"), nil
}

// Expand returns the settings of a comparison's runs: base with every
// combination of the sweeps' values, the last sweep varying fastest, named
// after them: "batch=64+lr=0.1". Every wrong value is named.
func Expand(base Config, sweeps []Sweep) ([]Config, error) {
	if len(sweeps) == 0 || slices.ContainsFunc(sweeps, func(s Sweep) bool { return len(s.Values) == 0 }) {
		return nil, errors.New("sweep: no values to compare")
	}
	runs := []Config{base}
	runs[0].Name = ""
	var wrong []error
	for i, s := range sweeps {
		if slices.ContainsFunc(sweeps[:i], func(o Sweep) bool { return o.Key == s.Key }) {
			return nil, fmt.Errorf("sweep: %s is varied twice: give all its values at once", s.Key)
		}
		if len(runs)*len(s.Values) > MaxRuns {
			return nil, fmt.Errorf("sweep: over %d runs: vary fewer settings", MaxRuns)
		}
		var next []Config
		for _, c := range runs {
			for _, v := range s.Values {
				r, name, err := s.set(c, v)
				if err != nil {
					wrong = append(wrong, err)
					continue
				}
				if c.Name != "" {
					name = c.Name + "+" + name
				}
				r.Name = name
				next = append(next, r)
			}
		}
		if len(wrong) > 0 {
			return nil, fmt.Errorf("sweep:\n%w", errors.Join(wrong...))
		}
		runs = next
	}
	for i, r := range runs {
		if slices.ContainsFunc(runs[:i], func(o Config) bool { return o.Name == r.Name }) {
			return nil, fmt.Errorf("sweep: %s stands twice", r.Name)
		}
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("sweep: run %s:\n%w", r.Name, err)
		}
	}
	return runs, nil
}
