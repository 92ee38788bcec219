package cuda

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/ptx"
	"cifartui/nn/cuda/ptx/early"
)

// Capability is the least compute capability that the kernels run on: Ampere.
const Capability = 80

// Supported reports why a GPU can't be used, or nil.
func Supported(d driver.Device) error {
	switch {
	case d.Major*10+d.Minor < Capability:
		return fmt.Errorf("%s has compute capability %d.%d: the kernels need %d.%d or more", d.Name, d.Major, d.Minor, Capability/10, Capability%10)
	case d.ComputeMode == driver.Prohibited:
		return fmt.Errorf(`%s is closed to computing (see "nvidia-smi -q -d COMPUTE")`, d.Name)
	}
	return nil
}

// Find returns the first GPU that can be used, or the one of an index.
func Find(d driver.Driver, index int) (driver.Device, error) {
	list, err := d.Devices()
	if err != nil {
		return driver.Device{}, err
	}
	if len(list) == 0 {
		return driver.Device{}, errors.New("the driver finds no NVIDIA GPU")
	}
	if index >= len(list) {
		return driver.Device{}, fmt.Errorf("there is no GPU %d, the last one is %d", index, len(list)-1)
	}
	if index >= 0 {
		return list[index], Supported(list[index])
	}
	var why []error
	for _, v := range list {
		if err := Supported(v); err != nil {
			why = append(why, err)
			continue
		}
		return v, nil
	}
	return driver.Device{}, errors.New(strings.ReplaceAll(errors.Join(why...).Error(), "\n", "; "))
}

// Open opens a GPU and loads the kernels. It does not check them: see Check.
func Open(d driver.Driver, device driver.Device) (_ *Backend, err error) {
	ctx, err := d.Open(device.Index)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device.Name, err)
	}
	b := &Backend{
		ctx:     ctx,
		kernels: map[string]*kernel{},
		copies:  map[driver.Pointer]driver.Pointer{},
		sizes:   map[driver.Pointer]int{},
		updates: updates{work: map[driver.Pointer]matrixWork{}},
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.stream, err = ctx.NewStream(); err != nil {
		return nil, fmt.Errorf("open %s: %w", device.Name, err)
	}
	if b.side, err = ctx.NewStream(); err != nil {
		return nil, fmt.Errorf("open %s: %w", device.Name, err)
	}
	if b.meeting, err = ctx.NewEvent(); err != nil {
		return nil, fmt.Errorf("open %s: %w", device.Name, err)
	}
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("load the kernels on %s: %w", device.Name, err)
	}
	if b.current, err = b.alloc(blockBytes); err != nil {
		return nil, err
	}
	return b, b.queue.open(b)
}

// load compiles the kernels that this GPU can run, all modules at once: the first
// time that takes the driver seconds.
func (b *Backend) load() error {
	list := slices.DeleteFunc(slices.Clone(ptx.Modules), func(m ptx.Module) bool { return !b.runs(m) })
	loaded := make([]driver.Module, len(list))
	sums := make([]sum, len(list))
	errs := make([]error, len(list))
	var wait sync.WaitGroup
	for i, m := range list {
		wait.Go(func() {
			text, err := ptx.Text(m.Name)
			sums[i] = sha256.Sum256(text)
			if b.overlaps() && !m.Exact {
				text = early.Text(text)
			}
			if err == nil {
				loaded[i], err = b.ctx.LoadModule(text)
			}
			if err != nil {
				errs[i] = fmt.Errorf("module %s: %w", m.Name, err)
			}
		})
	}
	wait.Wait()
	for i := range list {
		if errs[i] == nil {
			b.modules = append(b.modules, loaded[i]) // Close gives them back
		}
	}
	if err := cmp.Or(errs...); err != nil { // the others say the same
		return err
	}
	b.build = buildOf(planNumber, sums)
	for i, m := range list {
		module := loaded[i]
		for _, k := range ptx.Kernels {
			if k.Module != m.Name {
				continue
			}
			f, err := b.ctx.Function(module, k.Name)
			if err != nil {
				return err
			}
			b.kernels[k.Name] = &kernel{Kernel: k, function: f}
			b.names = append(b.names, k.Name)
		}
	}
	slices.Sort(b.names)
	return nil
}

// overlaps reports whether kernels may start before those before them have ended.
func (b *Backend) overlaps() bool { return b.ctx.Device().Major >= 9 && b.ctx.Overlaps() }

// runs reports whether this GPU runs a module. The blocks of Hopper's filter kernels wait
// for each other, for which all of them need a place at once: those of two processes,
// where the driver lets them run side by side, could wait for each other's forever.
func (b *Backend) runs(m ptx.Module) bool {
	d := b.ctx.Device()
	if d.MPS && m.Name == "wgmma_filter" {
		return false
	}
	have, want := d.Major*10+d.Minor, m.Major*10+m.Minor
	return have == want || have > want && !m.Exact
}
