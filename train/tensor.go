package train

import (
	"cifartui/nn"
	"cifartui/train/checkpoint"
)

// ofNetwork gives a checkpoint's tensors to the network. The numbers are shared.
func ofNetwork(list []checkpoint.Tensor) []nn.Tensor {
	out := make([]nn.Tensor, len(list))
	for i, t := range list {
		out[i] = nn.Tensor(t)
	}
	return out
}

// ofCheckpoint gives the network's tensors to a checkpoint. The numbers are
// shared.
func ofCheckpoint(list []nn.Tensor) []checkpoint.Tensor {
	out := make([]checkpoint.Tensor, len(list))
	for i, t := range list {
		out[i] = checkpoint.Tensor(t)
	}
	return out
}
