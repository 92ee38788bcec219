package cuda

import (
	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/ptx"
)

// kernel is a kernel that is loaded.
type kernel struct {
	ptx.Kernel
	function driver.Function
	shared   int // bytes of dynamic shared memory allowed so far
}

// defaultShared is what every kernel may have without asking.
const defaultShared = 48 << 10

// launch runs the kernel called name behind what was launched before: on grid
// blocks, with so much dynamic shared memory. All others but the optimiser's
// own go through here.
func (b *Backend) launch(name string, x, y int, shared int, args *driver.Args) {
	b.update()
	b.put(name, x, y, shared, args)
}

// put launches or notes a kernel.
func (b *Backend) put(name string, x, y int, shared int, args *driver.Args) {
	if b.err != nil || x == 0 || y == 0 {
		return
	}
	k := b.kernels[name]
	if shared > max(k.shared, defaultShared) {
		if err := b.ctx.SetAttribute(k.function, driver.DynamicShared, shared); err != nil {
			b.fail(&KernelError{name, err})
			return
		}
		k.shared = shared
	}
	l := driver.Launch{
		Function: k.function, Grid: [3]uint32{uint32(x), uint32(y)}, Block: [3]uint32{uint32(k.Block)},
		Shared: uint32(shared), Args: args,
	}
	if b.tape != nil {
		b.tape.note(launch{l, k, b.lane})
		return
	}
	b.refresh()
	if err := b.ctx.Launch(l, b.stream); err != nil {
		b.fail(&KernelError{name, err})
	}
}

// KernelError is a kernel that could not be launched.
type KernelError struct {
	Kernel string
	Err    error
}

func (e *KernelError) Error() string { return "kernel " + e.Kernel + ": " + e.Err.Error() }
func (e *KernelError) Unwrap() error { return e.Err }

// divide rounds up.
func divide(n, by int) int { return (n + by - 1) / by }

// sides are the height and width of images as the kernels take them: odd << lh and
// odd << lw.
type sides struct {
	odd    int // 1 or 3
	lh, lw uint32
}

// sidesOf returns those of images of a height and width; ok tells whether there are
// kernels for them.
func sidesOf(h, w int) (s sides, ok bool) {
	for _, odd := range []int{1, 3} {
		s = sides{odd, power(h / odd), power(w / odd)}
		if odd<<s.lh == h && odd<<s.lw == w {
			return s, true
		}
	}
	return s, false
}

// kernel is the name of a kernel for images of these sides.
func (s sides) kernel(name string) string {
	if s.odd == 3 {
		return name + ptx.By3
	}
	return name
}

// power is the exponent of the least power of two from n on.
func power(n int) uint32 {
	var p uint32
	for 1<<p < n {
		p++
	}
	return p
}
