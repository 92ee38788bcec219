package nn

import (
	"fmt"
	"slices"
)

// Tensor is a named array on the host, as it is saved and loaded: PyTorch's
// names and order. Convolutions: conv1.weight [out, in, 3, 3], conv1.bias
// [out]. Dense: dense.weight [classes, features], the features in the order
// channel, row, column; dense.bias [classes]. Row-major.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// order is how a parameter leaves the package: its shape outside, and the
// permutation between the elements' order in memory and outside.
type order struct {
	shape []int  // outside
	dims  [4]int // the axes in memory
	axes  [4]int // axes[i] is the axis in memory that is the i-th outside
}

// plainOrder is the order of what looks the same inside and outside.
func plainOrder(shape ...int) *order {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &order{shape: shape, dims: [4]int{1, 1, 1, n}, axes: [4]int{0, 1, 2, 3}}
}

// convOrder is that of a filter: [3][3][in][out] in memory.
func convOrder(in, out int) *order {
	return &order{shape: []int{out, in, 3, 3}, dims: [4]int{3, 3, in, out}, axes: [4]int{3, 2, 0, 1}}
}

// denseOrder is that of a dense layer's weights behind a flattened image:
// [out][h][w][c] in memory, because images are.
func denseOrder(out, h, w, c int) *order {
	return &order{shape: []int{out, c * h * w}, dims: [4]int{out, h, w, c}, axes: [4]int{0, 3, 1, 2}}
}

// strides gives for each axis outside the distance of its neighbours in memory.
func (o *order) strides() (n, stride [4]int) {
	inner := [4]int{o.dims[1] * o.dims[2] * o.dims[3], o.dims[2] * o.dims[3], o.dims[3], 1}
	for i, a := range o.axes {
		n[i], stride[i] = o.dims[a], inner[a]
	}
	return n, stride
}

// each calls f with every pair of places, outside and in memory, of an element.
func (o *order) each(f func(outside, inside int)) {
	n, s := o.strides()
	at := 0
	for i := range n[0] {
		for j := range n[1] {
			for k := range n[2] {
				for l := range n[3] {
					f(at, i*s[0]+j*s[1]+k*s[2]+l*s[3])
					at++
				}
			}
		}
	}
}

// export returns the elements of b, copied, in PyTorch's order.
func export(on Backend, name string, b *Buffer) (Tensor, error) {
	mem := make([]float32, b.Len)
	if err := on.Download(mem, b); err != nil {
		return Tensor{}, fmt.Errorf("nn: read %s: %w", name, err)
	}
	t := Tensor{Name: name, Shape: append([]int(nil), b.order.shape...), Data: make([]float32, len(mem))}
	b.order.each(func(out, in int) { t.Data[out] = mem[in] })
	return t, nil
}

// load copies t, whose shape was checked, into b.
func load(on Backend, b *Buffer, t Tensor) error {
	mem := make([]float32, b.Len)
	b.order.each(func(out, in int) { mem[in] = t.Data[out] })
	if err := on.Upload(b, mem); err != nil {
		return fmt.Errorf("nn: write %s: %w", t.Name, err)
	}
	b.version++
	return nil
}

// check reports whether t fits a parameter of order o.
func (o *order) check(t Tensor) error {
	if !slices.Equal(t.Shape, o.shape) {
		return fmt.Errorf("nn: %s has shape %v, this network's is %v: the file is of another network", t.Name, t.Shape, o.shape)
	}
	n := 1
	for _, d := range o.shape {
		n *= d
	}
	if len(t.Data) != n {
		return fmt.Errorf("nn: %s has %d elements, its shape %v says %d: the file is damaged", t.Name, len(t.Data), t.Shape, n)
	}
	return nil
}
