package ptx

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// program is a kernel ready to run. A warp's register file holds the kernel's
// registers, then the special registers, then a register for each constant, so
// that every operand is an index.
type program struct {
	code      []instruction
	regs      []string // names, for messages
	preds     []string
	constants map[int]uint64 // register: value in every lane
	specials  map[int]string // register: %tid.x and so on
	static    int            // bytes of shared memory that the kernel declares
	dynamic   int            // address of the dynamic shared memory
	local     int            // bytes of local memory of a thread
	together  bool           // blocks wait for each other: all must run at once
	written   []uint32       // of each register the lanes that are written before the first instruction: the constants'
	idle      sync.Pool      // blocks that have run, for what they have allocated
}

// control says what an instruction does beside changing registers and memory.
type control byte

const (
	straight control = iota
	branches
	exits
	waits  // at a barrier of the block
	yields // asks again and again for something that another warp must do
)

// instruction is one statement, compiled.
type instruction struct {
	// run does it for the lanes in active, at least one.
	run func(w *warp, active uint32)
	// wait is run for instructions that may have to wait: it says whether the warp must.
	wait  func(w *warp, active uint32) bool
	guard int // predicate register, -1 if there is none
	not   bool
	ctl   control
	kind  int // index into kinds
	// target and join are where a branch leads and where its two sides meet
	// again; join is len(code) if they meet only at the end.
	target, join int
	stmt         *statement
}

// compiler turns one entry into a program.
type compiler struct {
	prog   *program
	entry  *entry
	module *Module
	regs   map[string]int
	preds  map[string]int
	bits   map[string]int
	consts map[uint64]int
	addrs  map[string]uint64 // of variables and parameters
	labels map[string]int
	stmt   *statement // being compiled
	kind   string     // of the instruction being compiled
}

// compileError travels up the builders as a panic and ends in compileEntry.
type compileError string

func (c *compiler) fail(format string, args ...any) {
	panic(compileError(fmt.Sprintf(format, args...)))
}

// placed says whether a variable lies in a memory.
func (v variable) placed() bool { return v.space == "global" || v.space == "const" }

// compile places a module's variables and compiles its kernels.
func compile(src *source, mem *Memory) (*Module, error) {
	m := &Module{Target: src.target, kernels: map[string]*Kernel{}, symbols: map[string]uint64{}, mem: mem}
	for _, v := range src.vars {
		if !v.placed() {
			continue
		}
		mem.mu.Lock()
		a := mem.alloc(int64(max(v.size, 1)), v.name)
		mem.mu.Unlock()
		if v.align > alignment {
			return nil, fmt.Errorf("line %d: %s is aligned to %d bytes; only %d are known", v.line, v.name, v.align, alignment)
		}
		// A variable without an initializer holds zeros (section 5.4.4).
		if v.data != nil {
			copy(a.data, v.data)
		}
		a.mark(0, a.size)
		m.symbols[v.name] = a.base
	}
	for _, e := range src.kernels {
		k := &Kernel{Name: e.name, Params: e.params, MaxThreads: e.maxTid, module: m}
		prog, err := compileEntry(m, e, src.vars)
		if err != nil {
			return nil, err
		}
		k.prog, k.StaticShared = prog, prog.static
		m.kernels[e.name] = k
		m.names = append(m.names, e.name)
	}
	return m, nil
}

func compileEntry(m *Module, e *entry, vars []variable) (prog *program, err error) {
	c := &compiler{entry: e, module: m,
		prog: &program{constants: map[int]uint64{}, specials: map[int]string{}},
		regs: map[string]int{}, preds: map[string]int{}, bits: map[string]int{},
		consts: map[uint64]int{}, addrs: map[string]uint64{}, labels: map[string]int{}}
	defer func() {
		if r := recover(); r != nil {
			what, ok := r.(compileError)
			if !ok {
				panic(r)
			}
			line, text := e.line, ".entry "+e.name
			if c.stmt != nil {
				line, text = c.stmt.line, c.stmt.text()
			}
			prog, err = nil, fmt.Errorf("line %d: %q: %s", line, text, string(what))
		}
	}()
	c.declare(vars)
	for i := range e.body {
		for _, l := range e.body[i].label {
			c.labels[l] = i
		}
	}
	for i := range e.body {
		c.stmt = &e.body[i]
		c.prog.code = append(c.prog.code, c.instruction())
	}
	c.stmt = nil
	if n := len(c.prog.code); n == 0 || c.prog.code[n-1].ctl != exits && c.prog.code[n-1].ctl != branches {
		c.fail("it does not end with ret")
	}
	joins(c.prog.code)
	c.prog.written = make([]uint32, len(c.prog.regs))
	for r := range c.prog.constants {
		c.prog.written[r] = full
	}
	return c.prog, nil
}

// declare gives registers their indices and variables their addresses.
func (c *compiler) declare(vars []variable) {
	for _, r := range c.entry.regs {
		c.bits[r.name] = r.bits
		if r.bits == 1 {
			c.preds[r.name] = len(c.prog.preds)
			c.prog.preds = append(c.prog.preds, r.name)
		} else {
			c.reg(r.name)
		}
	}
	for name, a := range c.module.symbols {
		c.addrs[name] = a
	}
	for _, p := range c.entry.params {
		c.addrs[p.Name] = uint64(p.Offset)
	}
	// Shared memory: what this kernel and the module declare, then what the
	// launch asks for. An address has the alignment that was declared and no
	// more: it is an odd multiple of it.
	at, dynamic := firstShared, 16
	place := func(v variable) {
		at = oddMultiple(at, v.align)
		c.addrs[v.name] = uint64(at)
		at += v.size
	}
	for _, v := range append(append([]variable{}, c.entry.vars...), vars...) {
		switch {
		case v.space == "local":
			c.prog.local = (c.prog.local + v.align - 1) / v.align * v.align
			c.addrs[v.name] = uint64(c.prog.local)
			c.prog.local += v.size
		case v.space == "shared" && v.extern:
			dynamic = max(dynamic, v.align)
		case v.space == "shared" && c.mentions(v.name):
			place(v)
		}
	}
	c.prog.static = at - firstShared
	c.prog.dynamic = oddMultiple(at, dynamic)
	for _, v := range vars {
		if v.space == "shared" && v.extern {
			c.addrs[v.name] = uint64(c.prog.dynamic)
		}
	}
}

// firstShared is the first address of shared memory, so that 0 is nobody's.
const firstShared = 16

// oddMultiple is the first odd multiple of align that is at least n.
func oddMultiple(n, align int) int {
	return (n+align-1)/(2*align)*(2*align) + align
}

// mentions says whether the kernel uses a module-wide variable.
func (c *compiler) mentions(name string) bool {
	var in func(list []operand) bool
	in = func(list []operand) bool {
		for _, o := range list {
			if o.name == name || in(o.list) {
				return true
			}
		}
		return false
	}
	for i := range c.entry.body {
		if in(c.entry.body[i].args) {
			return true
		}
	}
	return false
}

// instruction compiles the current statement.
func (c *compiler) instruction() instruction {
	in := instruction{guard: -1, stmt: c.stmt, not: c.stmt.not}
	if c.stmt.guard != "" {
		in.guard = c.pred(operand{kind: isName, name: c.stmt.guard})
	}
	mods := strings.Split(c.stmt.op, ".")
	build := builders[mods[0]]
	if build == nil {
		c.fail("the instruction %s is not in the list", mods[0])
	}
	c.kind = ""
	build(c, &in, modifiers{c, mods[1:]})
	in.kind = slices.Index(kinds[:], c.kind)
	if in.kind < 0 {
		panic(fmt.Sprintf("ptx: %s has the kind %q", c.stmt.op, c.kind)) // its builder is wrong
	}
	return in
}

// args holds the current statement to n arguments.
func (c *compiler) args(n int) []operand {
	if len(c.stmt.args) != n {
		c.fail("%d arguments where %d were expected", len(c.stmt.args), n)
	}
	return c.stmt.args
}

// reg returns the index of a register, making it if there is none.
func (c *compiler) reg(name string) int {
	i, ok := c.regs[name]
	if !ok {
		i = len(c.prog.regs)
		c.regs[name] = i
		c.prog.regs = append(c.prog.regs, name)
	}
	return i
}

// pred returns the index of a predicate register.
func (c *compiler) pred(o operand) int {
	i, ok := c.preds[o.name]
	if o.kind != isName || !ok {
		c.fail("%s is no predicate", o)
	}
	return i
}

// constant returns a register that holds v in every lane.
func (c *compiler) constant(v uint64) int {
	i, ok := c.consts[v]
	if !ok {
		i = len(c.prog.regs)
		c.consts[v] = i
		c.prog.regs = append(c.prog.regs, fmt.Sprintf("%#x", v))
		c.prog.constants[i] = v
	}
	return i
}

// dst returns the register that an instruction writes. Its size must be bits;
// 0 allows any.
func (c *compiler) dst(o operand, bits int) int {
	have, ok := c.bits[o.name]
	if o.kind != isName || !ok || have == 1 || o.not {
		c.fail("%s is no register that can be written", o)
	}
	if bits != 0 && have != bits {
		c.fail("%s has %d bits where %d were expected", o.name, have, bits)
	}
	return c.regs[o.name]
}

// src returns the register that holds an operand of the size bits; 0 allows
// any register. Constants and addresses become registers of their own.
func (c *compiler) src(o operand, bits int) int {
	mask := ^uint64(0)
	if bits != 0 && bits < 64 {
		mask = 1<<bits - 1
	}
	switch o.kind {
	case isNumber:
		if o.float == 64 && bits == 32 || o.float == 32 && bits == 64 {
			c.fail("a float of %d bits where %d were expected", o.float, bits)
		}
		return c.constant(o.bits & mask)
	case isName:
		if o.not {
			break
		}
		if have, ok := c.bits[o.name]; ok {
			if have == 1 || bits != 0 && have != bits {
				c.fail("%s has %d bits where %d were expected", o.name, have, bits)
			}
			return c.regs[o.name]
		}
		if a, ok := c.addrs[o.name]; ok {
			return c.constant((a + uint64(o.plus)) & mask)
		}
		if o.name == "WARP_SZ" {
			return c.constant(32)
		}
		if specialKnown(o.name) {
			i := c.reg(o.name)
			c.prog.specials[i] = o.name
			return i
		}
	}
	c.fail("the operand %s is not known here", o)
	return 0
}
