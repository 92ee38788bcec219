package train

import (
	"fmt"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/config"
)

// NetworkFor is the network that a run with settings c trains on a data set: for
// images of its size and as many classes as it has.
func NetworkFor(c config.Config, d *cifar.Dataset) (nn.Spec, error) {
	return NetworkOf(c, d.Train.Size, len(d.Classes))
}

// NetworkOf is NetworkFor images of a size and a number of classes. The error
// says which setting makes none.
func NetworkOf(c config.Config, size, classes int) (nn.Spec, error) {
	s := nn.VGG(c.Dropout)
	s.Size, s.Classes, s.Smoothing = size, classes, c.Smoothing
	if c.Filters != "" {
		s.Filters = c.Filters.List()
	}
	s.Dense = c.Dense.List()
	s.Initializer = c.Initializer
	if s.Initializer == nn.Initializers()[0] {
		s.Initializer = "" // as in the files of before there were others
	}
	if err := s.Validate(); err != nil {
		return s, err
	}
	if c.Freeze != "" {
		var err error
		if s.Frozen, err = s.Select(c.Freeze); err != nil {
			return s, fmt.Errorf("freeze: %w", err)
		}
	}
	if _, err := layerRates(c, s); err != nil {
		return s, err
	}
	return s, s.Validate()
}

// layerRates are the factors of the learning rate by layers' names; a later one
// wins over an earlier one.
func layerRates(c config.Config, s nn.Spec) (map[string]float64, error) {
	list, err := config.ParseLayerRates(c.LRScale)
	if err != nil {
		return nil, fmt.Errorf("lr_scale: %w", err)
	}
	rates := map[string]float64{}
	for _, r := range list {
		layers, err := s.Select(r.Layers)
		if err != nil {
			return nil, fmt.Errorf("lr_scale: %w", err)
		}
		for _, l := range layers {
			rates[l] = r.Factor
		}
	}
	return rates, nil
}
