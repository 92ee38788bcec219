package train

import "cifartui/nn"

// ofNetwork gives a checkpoint's tensors to the network. The numbers are shared.
func ofNetwork(list []Tensor) []nn.Tensor {
	out := make([]nn.Tensor, len(list))
	for i, t := range list {
		out[i] = nn.Tensor(t)
	}
	return out
}

// ofCheckpoint gives the network's tensors to a checkpoint. The numbers are
// shared.
func ofCheckpoint(list []nn.Tensor) []Tensor {
	out := make([]Tensor, len(list))
	for i, t := range list {
		out[i] = Tensor(t)
	}
	return out
}
