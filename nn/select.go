package nn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// groups of layers have a name, too; that of the last layer is its own.
var groups = map[string]string{"conv": "conv", "fc": "fc"} // to how their layers' names begin

// weighted lists the layers that have weights, in order.
func (s Spec) weighted() []string {
	var names []string
	for _, l := range s.Layers() {
		if l.Params > 0 {
			names = append(names, l.Name)
		}
	}
	return names
}

// Select returns the layers with weights that a text names, in the network's
// order: names (conv1, fc1, dense), ranges of them (conv1-conv4), and conv for
// all convolutions, fc for all hidden dense layers, with commas between.
func (s Spec) Select(text string) ([]string, error) {
	all := s.weighted()
	chosen := map[string]bool{}
	for word := range strings.SplitSeq(text, ",") {
		list, err := selectLayers(all, strings.TrimSpace(word))
		if err != nil {
			return nil, fmt.Errorf("%w: this network has %s", err, strings.Join(all, ", "))
		}
		for _, name := range list {
			chosen[name] = true
		}
	}
	return slices.DeleteFunc(all, func(name string) bool { return !chosen[name] }), nil
}

// selectLayers is Select for one word.
func selectLayers(all []string, word string) ([]string, error) {
	if word == "" {
		return nil, errors.New("no layer is named")
	}
	if prefix, ok := groups[word]; ok {
		var list []string
		for _, name := range all {
			if strings.HasPrefix(name, prefix) {
				list = append(list, name)
			}
		}
		if list == nil {
			return nil, fmt.Errorf("there are no %s layers", word)
		}
		return list, nil
	}
	first, last, isRange := strings.Cut(word, "-")
	if !isRange {
		last = first
	}
	from, to := slices.Index(all, first), slices.Index(all, last)
	switch {
	case from < 0:
		return nil, fmt.Errorf("there is no layer %q", first)
	case to < 0:
		return nil, fmt.Errorf("there is no layer %q", last)
	case from > to:
		return nil, fmt.Errorf("%s runs backwards", word)
	}
	return all[from : to+1], nil
}
