package cuda

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
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

// Find returns the GPUs that look as if they could be used, the first first, or the
// one of an index. It is an error if there is none.
func Find(d driver.Driver, index int) ([]driver.Device, error) {
	list, err := d.Devices()
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("the driver finds no NVIDIA GPU" + driver.Hidden())
	}
	if index >= len(list) {
		return nil, fmt.Errorf("there is no GPU %d, the last one is %d%s", index, len(list)-1, driver.Hidden())
	}
	if index >= 0 {
		list = list[index : index+1]
	}
	var usable []driver.Device
	var why []error
	for _, v := range list {
		if err := Supported(v); err != nil {
			why = append(why, err)
			continue
		}
		usable = append(usable, v)
	}
	if len(usable) == 0 {
		return nil, inALine(why)
	}
	return usable, nil
}

// OpenFirst opens the first GPU of a list that can be opened: another process may have
// one for itself, or have filled its memory.
func OpenFirst(d driver.Driver, list []driver.Device) (*Backend, error) {
	var why []error
	for _, v := range list {
		b, err := Open(d, v)
		if err == nil {
			return b, nil
		}
		why = append(why, err)
	}
	return nil, inALine(why)
}

// inALine is several errors as one in a line, in which none is said twice, as it would
// be of several GPUs of a kind. Each can be found in it.
func inALine(errs []error) error {
	var all error
	var said []string
	for _, err := range errs {
		text := err.Error()
		if slices.Contains(said, text) {
			continue
		}
		said = append(said, text)
		if all == nil {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
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
