package train

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cifartui/cifar/plain"
	"cifartui/nn"
	"cifartui/train/checkpoint"
)

// readInit reads the weights that a run starts with, if the settings name any, and
// checks that they are of its network. The last layer of a file that knows other
// classes is left out: a new one is drawn.
func (t *Trainer) readInit() error {
	if t.config.Init == "" {
		if len(t.spec.Frozen) > 0 {
			t.warnings = append(t.warnings, fmt.Sprintf("%s stay as they are drawn: there are no weights to start from (--init)", t.config.Freeze))
		}
		return nil
	}
	w, err := checkpoint.ReadWeights(t.config.Init)
	if err != nil {
		return err
	}
	w.Tensors, _ = checkpoint.WithoutWhitening(w.Tensors) // it is of other images
	if w.Changes != "" {
		t.warnings = append(t.warnings, fmt.Sprintf("weights: %s: %s", t.config.Init, w.Changes))
	}
	var pixels struct{ Name string }
	if json.Unmarshal([]byte(w.Meta[checkpoint.MetaPreprocess]), &pixels) == nil && pixels.Name != "" && pixels.Name != t.config.Preprocess {
		was := plain.Line(pixels.Name)
		t.warnings = append(t.warnings, fmt.Sprintf("weights: %s was trained on pixels preprocessed as %s, this run has %s (--preprocess %s is as it was)", t.config.Init, was, t.config.Preprocess, was))
	}
	if other, whose := t.otherClasses(w); other {
		w.Tensors = slices.DeleteFunc(w.Tensors, func(t checkpoint.Tensor) bool { return layerOf(t.Name) == nn.LastLayer })
		drawn, err := t.spec.Initial(nn.LastLayer, t.config.Seed)
		if err != nil {
			return err
		}
		w.Tensors = append(w.Tensors, ofCheckpoint(drawn)...)
		note := fmt.Sprintf("weights: %s is of other classes%s: the last dense layer is drawn anew", t.config.Init, whose)
		if slices.Contains(t.spec.Frozen, nn.LastLayer) {
			note += ", and frozen as it is drawn: it learns nothing"
		}
		t.warnings = append(t.warnings, note)
	}
	if err := t.spec.Fits(ofNetwork(w.Tensors)); err != nil {
		return fmt.Errorf("weights: %s: %w", t.config.Init, err)
	}
	t.init = w.Tensors
	return nil
}

// otherClasses reports whether weights are of other classes than the data's, by
// the names that came with them or else by how many there are, and says whose.
func (t *Trainer) otherClasses(w checkpoint.Weights) (other bool, whose string) {
	var names []string
	if json.Unmarshal([]byte(w.Meta[checkpoint.MetaClasses]), &names) == nil && len(names) > 0 {
		return !slices.Equal(names, t.options.Dataset.Classes), " (" + plain.Line(plain.Few(names, 5)) + ")"
	}
	for _, x := range w.Tensors {
		if layerOf(x.Name) == nn.LastLayer && len(x.Shape) > 0 && x.Shape[0] != t.spec.Classes {
			return true, fmt.Sprintf(" (%d of them)", x.Shape[0])
		}
	}
	return false, ""
}

// layerOf is the layer that a tensor is of.
func layerOf(tensor string) string {
	layer, _, _ := strings.Cut(tensor, ".")
	return layer
}
