package cuda

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// updates are the parameters that the optimiser's kernels are to update: nn
// gives them one by one, a kernel takes all that follow one rule.
type updates struct {
	groups   []group
	changed  []driver.Pointer              // the parameters in groups
	matrices []matrix                      // of Muon
	work     map[driver.Pointer]matrixWork // of matrices, by the parameter's address
	known    []table
	args     driver.Args // not the one of the launch that has them launched first
}

// rule is a kernel with the arguments that stay the same from step to step.
type rule struct {
	kernel    string
	numbers   [3]float32
	decoupled uint32
}

// group is the parameters of a rule: struct Tensor of each.
type group struct {
	rule
	table  []byte
	blocks int
}

// table is a group's that lies on the GPU.
type table struct {
	bytes []byte
	at    driver.Pointer
}

// The kernels' side of it.
const (
	tensorBytes    = 80   // struct Tensor
	tensorPerBlock = 1024 // elements a block
	maxTables      = 16
)

// tensor is a parameter for the table.
type tensor struct {
	x, g, s0, s1          *nn.Buffer
	rate, momentum, decay float32
}

// Adadelta notes a parameter for the next launch.
func (b *Backend) Adadelta(x, g, eg2, ed2 *nn.Buffer, lr, rho, eps float32) {
	b.begin(x)
	b.add(rule{kernel: "adadelta", numbers: [3]float32{rho, eps}}, tensor{x: x, g: g, s0: eg2, s1: ed2, rate: b.rate(lr)})
}

// SGD notes a parameter for the next launch.
func (b *Backend) SGD(x, g, m *nn.Buffer, lr, momentum, decay float32, decoupled bool) {
	b.begin(x)
	if momentum == 0 {
		m = nil
	}
	b.add(rule{kernel: "sgd", decoupled: one(decoupled)}, tensor{x: x, g: g, s0: m, rate: b.rate(lr), momentum: momentum, decay: decay})
}

// Adam notes a parameter for the next launch.
func (b *Backend) Adam(x, g, m, v *nn.Buffer, a nn.AdamStep) {
	b.begin(x)
	b.want.bias1, b.want.bias2 = a.Bias1, a.Bias2
	b.add(rule{kernel: "adam", numbers: [3]float32{a.Beta1, a.Beta2, a.Eps}, decoupled: one(a.Decoupled)},
		tensor{x: x, g: g, s0: m, s1: v, rate: b.rate(a.LR), decay: a.Decay})
}

// Average notes a moving average for the next launch; x takes the gradient's
// place.
func (b *Backend) Average(avg, x *nn.Buffer, part float32) {
	b.begin(avg)
	b.add(rule{kernel: "average", numbers: [3]float32{part}}, tensor{x: avg, g: x})
}

// begin launches what was noted if x is among it: one launch changes it once,
// with the numbers of its step.
func (b *Backend) begin(x *nn.Buffer) {
	if slices.Contains(b.updates.changed, at(x)) {
		b.update()
	}
}

func one(v bool) uint32 {
	if v {
		return 1
	}
	return 0
}

// rate returns a parameter's learning rate as a factor of the block's, which is
// the first parameter's. Where a group of parameters has a rate of its own, the
// quotient stays the same through a schedule but for rounding, which is not let
// through: the table would differ at each step. It goes by the step's own rates
// alone, so that a run that is resumed there has the same.
func (b *Backend) rate(lr float32) float32 {
	u := &b.updates
	if len(u.matrices) == 0 && !slices.ContainsFunc(u.groups, func(g group) bool { return g.kernel != "average" }) {
		b.want.lr = lr
	}
	if lr == b.want.lr {
		return 1
	}
	const dropped = 8 // of the bits of a float32
	bits := math.Float32bits(lr/b.want.lr) + 1<<(dropped-1)
	return math.Float32frombits(bits >> dropped << dropped)
}

// add puts a parameter into the table of its rule.
func (b *Backend) add(r rule, t tensor) {
	u := &b.updates
	u.changed = append(u.changed, at(t.x))
	i := slices.IndexFunc(u.groups, func(g group) bool { return g.rule == r })
	if i < 0 {
		i = len(u.groups)
		u.groups = append(u.groups, group{rule: r})
	}
	g := &u.groups[i]
	le := binary.LittleEndian
	for _, v := range []*nn.Buffer{t.x, t.g, t.s0, t.s1} {
		var p driver.Pointer
		if v != nil {
			p = at(v)
		}
		g.table = le.AppendUint64(g.table, uint64(p))
	}
	g.table = le.AppendUint64(g.table, uint64(b.copies[at(t.x)]))
	for _, v := range []uint32{
		uint32(t.x.Len), 1, uint32(t.x.Len), uint32(g.blocks), // the gradient is in one part
		math.Float32bits(t.rate), math.Float32bits(t.momentum), math.Float32bits(t.decay), 0, 0, 0,
	} {
		g.table = le.AppendUint32(g.table, v)
	}
	g.blocks += divide(t.x.Len, tensorPerBlock)
}

// update launches what add has noted. Everything that reads parameters or
// writes gradients calls it first.
func (b *Backend) update() {
	u := &b.updates
	if len(u.changed) == 0 {
		return
	}
	was := b.lane
	b.lane = joined
	defer func() { b.lane = was }()
	// A step that was submitted must not learn from a loss that isn't finite;
	// else the host looks at it before it calls the optimiser.
	var flag driver.Pointer
	if b.tape != nil && b.tape.loss != nil {
		flag = b.tape.loss.flag
	}
	if len(u.matrices) > 0 { // before their averages
		b.updateMatrices(u.matrices, flag)
	}
	for _, g := range u.groups {
		b.launchUpdate(g, flag)
	}
	u.groups, u.changed, u.matrices = u.groups[:0], u.changed[:0], u.matrices[:0]
}

// launchUpdate launches the kernel of one rule.
func (b *Backend) launchUpdate(g group, flag driver.Pointer) {
	where := b.place(g.table)
	args := b.updates.args.Reset().Pointer(where).U32(uint32(len(g.table) / tensorBytes))
	if g.kernel == "average" {
		args.Pointer(flag).F32(g.numbers[0])
	} else {
		args.Pointer(b.current).Pointer(flag)
	}
	switch g.kernel {
	case "adadelta":
		args.F32(g.numbers[0]).F32(g.numbers[1])
	case "sgd":
		args.U32(g.decoupled)
	case "adam":
		args.F32(g.numbers[0]).F32(g.numbers[1]).F32(g.numbers[2]).U32(g.decoupled)
	}
	b.put(g.kernel, g.blocks, 1, 0, args)
}

// place returns where a table lies on the GPU, and brings it there if it is
// new.
func (b *Backend) place(content []byte) driver.Pointer {
	u := &b.updates
	for _, t := range u.known {
		if bytes.Equal(t.bytes, content) {
			return t.at
		}
	}
	if len(u.known) == maxTables {
		b.free(u.known[0].at)
		u.known = u.known[1:]
	}
	p, err := b.alloc(len(content))
	if err != nil {
		b.fail(err)
		return 0
	}
	if err := b.ctx.Upload(p, pointerTo(content), len(content), b.stream); err != nil {
		b.fail(err)
		b.free(p)
		return 0
	}
	u.known = append(u.known, table{bytes.Clone(content), p})
	return p
}
