package cuda

import "cifartui/nn/cuda/driver"

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
	kernel *kernel
	lane   lane
}

// DefersFilters reports whether filters' gradients of batches of so many images run
// on the branch: on Hopper, up to an image for two multiprocessors. Of the batches
// measured on an H200's 132 (64, 128, 256 and 512) only the least gained.
// The order of sums depends on it, too: it must be the same for every run on a kind
// of GPU.
func (b *Backend) DefersFilters(images int) bool {
	d := b.Device()
	return d.Major == 9 && 2*images <= d.SMs
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
	if !c.beside {
		return sms
	}
	return max(1, sms/2)
}

func (c *conv) dataShare() int {
	sms := c.on.Device().SMs
	if !c.beside {
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
		// Small blocks that come early would take what the branch's next kernel, of large
		// ones, waits for.
		_, large := l.kernel.Wgmma()
		l.Overlap = b.overlaps() && alone[on] && (large || !open)
		if err := b.ctx.Launch(l.Launch, on); err != nil {
			return &KernelError{l.kernel.Name, err}
		}
		alone[on] = true
	}
	if open {
		return follow(b.stream, b.side)
	}
	return nil
}
