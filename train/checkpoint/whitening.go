package checkpoint

import "slices"

// WhiteningName is the tensor that holds the matrix of --preprocess zca in a
// weights file, [n][n] for images with n numbers in the order height, width,
// channels: an image, less the mean of each channel, is multiplied by it.
const WhiteningName = "zca.matrix"

// WithoutWhitening parts tensors into a network's and the matrix of --preprocess
// zca, nil if there is none.
func WithoutWhitening(all []Tensor) (network []Tensor, matrix []float32) {
	i := slices.IndexFunc(all, func(t Tensor) bool { return t.Name == WhiteningName })
	if i < 0 {
		return all, nil
	}
	return slices.Delete(slices.Clone(all), i, i+1), all[i].Data
}
