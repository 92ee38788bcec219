package cuda

import (
	"os"
	"strconv"

	"cifartui/nn/cuda/driver"
)

// At small batches a kernel is too short to keep a GPU busy: much of its time is
// the way in and out. So the graph of a step has a branch: filters' gradients run
// beside the data's, from which they need no more than the dy that both read. Each
// of two that run at once gets half of the multiprocessors.

// lane is where in the graph of a step a launch belongs.
type lane int

const (
	chain  lane = iota // one behind the other, as they were noted
	branch             // behind those before it, but nothing in the chain waits for it
	joined             // in the chain, behind all of the branch
)

// launch is a kernel of a step that is noted.
type launch struct {
	driver.Launch
	lane lane
}

// switches are those of a measurement.
type switches struct {
	branch string // on, off; else by the batch
	half   int    // multiprocessors of a filter's gradient; 0: all, -1: half of them by the batch
	pdl    bool
	early  bool // all kernels, not Hopper's own alone
}

func switchesOf() switches {
	t := switches{branch: os.Getenv("CIFARTUI_GPU_BRANCH"), half: -1, pdl: os.Getenv("CIFARTUI_GPU_PDL") != "off", early: os.Getenv("CIFARTUI_GPU_PDL") != "on"}
	switch h := os.Getenv("CIFARTUI_GPU_HALF"); h {
	case "":
	case "off":
		t.half = 0
	default:
		t.half, _ = strconv.Atoi(h)
	}
	return t
}

// small reports whether a batch of so many images is too small to keep the GPU
// busy with a kernel at a time. It decides the order of sums, too, so it must be
// the same for every run on one kind of GPU.
func (b *Backend) small(images int) bool {
	d := b.Device()
	return d.Major == 9 && images <= 2*d.SMs
}

// DefersFilters reports whether filters' gradients of batches of so many images
// run on the branch.
func (b *Backend) DefersFilters(images int) bool {
	switch b.trial.branch {
	case "on":
		return b.Device().Major == 9
	case "off":
		return false
	}
	return b.small(images)
}

// branched has the launches until its result is called noted for the branch.
func (b *Backend) branched(images int) func() {
	if !b.DefersFilters(images) {
		return func() {}
	}
	was := b.lane
	b.lane = branch
	return func() { b.lane = was }
}

// filterShare and dataShare are the multiprocessors that the gradients take. The
// filter's sums are made of as many parts as fit there.
func (c *conv) filterShare() int {
	sms := c.on.Device().SMs
	switch h := c.on.trial.half; {
	case c.Bottom || h == 0:
		return sms
	case h > 0:
		return h
	case c.beside:
		return max(1, sms/2)
	}
	return sms
}

func (c *conv) dataShare() int {
	sms := c.on.Device().SMs
	if !c.beside || c.on.trial.half == 0 || c.on.trial.branch == "off" {
		return sms
	}
	return max(1, sms-c.filterShare())
}

// record puts launches into the graph that is being captured.
func (b *Backend) record(list []launch) error {
	var (
		open  bool                       // the branch has what the chain has not waited for
		moved bool                       // the chain has what the branch has not waited for
		alone = map[driver.Stream]bool{} // a stream waits for its last kernel and for nothing else
	)
	follow := func(s, other driver.Stream) error {
		alone[s] = false
		if err := b.ctx.Record(b.meeting, other); err != nil {
			return err
		}
		return b.ctx.Follow(s, b.meeting)
	}
	kernels := make(map[driver.Function]*kernel)
	for _, k := range b.kernels {
		kernels[k.function] = k
	}
	for _, l := range list {
		on := b.stream
		var err error
		switch {
		case l.lane == branch:
			on = b.side
			if moved {
				err = follow(b.side, b.stream)
			}
			open, moved = true, false
		case l.lane == joined && open:
			err = follow(b.stream, b.side)
			open, moved = false, true
		default:
			moved = true
		}
		if err != nil {
			return err
		}
		k := kernels[l.Function]
		// Small blocks that come early would take what the branch's next kernel, of large
		// ones, waits for.
		l.Overlap = b.trial.pdl && b.ctx.Overlaps() && alone[on] && (k.branches || k.early && !open)
		if err := b.ctx.Launch(l.Launch, on); err != nil {
			return err
		}
		alone[on] = true
	}
	if open {
		return follow(b.stream, b.side)
	}
	return nil
}
