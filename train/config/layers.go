package config

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Initializers are the ways to draw a network's first weights, the default first;
// see nn.Initializers.
func Initializers() []string {
	return []string{"he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal", "orthogonal", "zeros"}
}

// filters are the article's blocks.
const filters = Widths("64,128,256")

// Widths are numbers of channels or units, one a layer or block: "64,128,256". ""
// and "0" are none. JSON has a list of numbers.
type Widths string

// The most that there may be.
const (
	maxWidth  = 16384
	maxWidths = 8
)

// List returns the numbers.
func (w Widths) List() []int {
	if w == "0" {
		return nil
	}
	var list []int
	for text := range strings.SplitSeq(string(w), ",") {
		if n, err := strconv.Atoi(text); err == nil {
			list = append(list, n)
		}
	}
	return list
}

// Set reads a flag's value.
func (w *Widths) Set(text string) error {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		n, err := strconv.Atoi(part)
		if !IsWhole(part) || err != nil || n < 0 || n > maxWidth {
			return fmt.Errorf("%q: want whole numbers up to %d with commas between, as 64,128,256", text, maxWidth)
		}
		list = append(list, strconv.Itoa(n))
	}
	if len(list) > maxWidths {
		return fmt.Errorf("%q: want at most %d numbers", text, maxWidths)
	}
	*w = Widths(strings.Join(list, ","))
	return nil
}

// String is what Set reads.
func (w *Widths) String() string { return string(*w) }

// Type names the value in a flag's help.
func (*Widths) Type() string { return "list" }

// MarshalJSON writes a list of numbers.
func (w Widths) MarshalJSON() ([]byte, error) { return []byte("[" + string(w) + "]"), nil }

// UnmarshalJSON takes a list of numbers, a number, or text as people write it.
func (w *Widths) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return w.take(text)
	}
	return w.take(strings.Trim(string(b), "[] \n\r\t"))
}

// UnmarshalYAML takes the same.
func (w *Widths) UnmarshalYAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		return w.take(node.Value)
	case yaml.SequenceNode:
	default:
		return fmt.Errorf("line %d: want a list of numbers", node.Line)
	}
	var list []string
	for _, n := range node.Content {
		list = append(list, n.Value)
	}
	return w.take(strings.Join(list, ","))
}

// take is Set that knows none written as nothing.
func (w *Widths) take(text string) error {
	if text == "" {
		*w = ""
		return nil
	}
	return w.Set(text)
}

// LayerRate is a factor of the learning rate for layers: a name, a range of names
// or a group, as nn.Spec.Select reads it.
type LayerRate struct {
	Layers string
	Factor float64
}

// maxLayerRate keeps a learning rate for layers from being out of all reason.
const maxLayerRate = 1000

// ParseLayerRates reads "conv=0.1,dense=1". "" is none.
func ParseLayerRates(text string) ([]LayerRate, error) {
	if text == "" {
		return nil, nil
	}
	var list []LayerRate
	for part := range strings.SplitSeq(text, ",") {
		layers, number, found := strings.Cut(part, "=")
		r := LayerRate{Layers: strings.TrimSpace(layers)}
		var err error
		if r.Factor, err = ParseNumber(strings.TrimSpace(number)); !found || err != nil || r.Layers == "" {
			return nil, fmt.Errorf("%q: want LAYERS=FACTOR with commas between, as conv=0.1,dense=1", text)
		}
		if !(r.Factor > 0 && r.Factor <= maxLayerRate) || math.IsNaN(r.Factor) {
			return nil, fmt.Errorf("%s: a factor of %v, want one over 0, up to %d (freeze leaves layers as they are)", r.Layers, r.Factor, maxLayerRate)
		}
		list = append(list, r)
	}
	return list, nil
}

// checkLayers reports what cannot be of the settings of layers, by key; whether
// the layers are there, the network knows.
func (c Config) checkLayers() map[string]error {
	wrong := map[string]error{}
	for key, w := range map[string]Widths{"filters": c.Filters, "dense": c.Dense} {
		var again Widths
		if err := again.take(string(w)); err != nil {
			wrong[key] = err
		} else if slices.Contains(w.List(), 0) || key == "filters" && w == "0" {
			wrong[key] = fmt.Errorf("%s: want numbers from 1 to %d", w, maxWidth)
		}
	}
	if _, err := ParseLayerRates(c.LRScale); err != nil {
		wrong["lr_scale"] = err
	}
	return wrong
}
