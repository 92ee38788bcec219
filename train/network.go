package train

import (
	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/config"
)

// NetworkFor is the network that a run with settings c trains on a data set: the
// article's, for images of its size and as many classes as it has.
func NetworkFor(c config.Config, d *cifar.Dataset) nn.Spec {
	s := nn.VGG(c.Dropout)
	s.Size, s.Classes, s.Smoothing = d.Train.Size, len(d.Classes), c.Smoothing
	return s
}
