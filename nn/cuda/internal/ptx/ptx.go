// Package ptx runs CUDA kernels without a GPU: it reads the PTX that clang
// writes and interprets it, warp by warp, for the tests of package cuda. The
// program does not carry it.
//
// It is strict where a GPU is not. What is undefined or forbidden in the PTX
// manual ends the launch with a [Fault] that names the line, where a GPU would
// mostly go on with a wrong or a lucky value:
//
//   - a register or a byte of memory that is read before it is written;
//   - shared memory read before the asynchronous copy that fills it was
//     waited for, and a copy into memory that somebody may still be reading;
//   - two warps of a block that use the same byte of shared memory, one of
//     them writing, with no barrier between; two blocks of a launch that do so
//     in global memory;
//   - a barrier, a matrix product or a shuffle that some threads of a warp
//     do not reach;
//   - an address that is not aligned, or outside of what was allocated;
//   - an instruction, or a form of one, that is not in the closed list
//     (see ops.go and the files beside it).
//
// The order of things:
//
//	text --parse.go--> module --compile.go--> program --block.go--> memory
//
// A kernel is compiled once to a list of closures, each of which does one
// instruction for the 32 lanes of a warp; a Code keeps them for other memories.
// Blocks are independent of each other and run on all processors; the warps of a
// block take turns on one goroutine. Divergent lanes wait for each other at the immediate postdominator of the
// branch, as the compiler for the hardware arranges it.
//
// Names of PTX and its semantics are from NVIDIA's "PTX ISA" manual, version
// 8.5; sections are cited where they matter.
package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// Module is one PTX file, loaded into a memory. It may be used by several
// goroutines at once.
type Module struct {
	// Target is the .target directive's architecture, like "sm_80".
	Target  string
	kernels map[string]*Kernel
	names   []string
	symbols map[string]uint64 // addresses of .global and .const variables
	mem     *Memory
}

// Kernel is one .entry of a module.
type Kernel struct {
	Name   string
	Params []Param
	// StaticShared is the shared memory, in bytes, that the kernel declares
	// itself; what a launch asks for comes behind it.
	StaticShared int
	// MaxThreads is .maxntid's product, 0 if the kernel does not say.
	MaxThreads int

	module *Module
	prog   *program
}

// Param is one parameter of a kernel. Offset is its place in Launch.Params,
// and Size its length there, both in bytes.
type Param struct {
	Name                string
	Offset, Size, Align int
}

// Dim is the size of a grid, in blocks, or of a block, in threads. A 0 means 1.
type Dim struct{ X, Y, Z int }

func (d Dim) or1() Dim {
	return Dim{max(d.X, 1), max(d.Y, 1), max(d.Z, 1)}
}

func (d Dim) count() int { return d.X * d.Y * d.Z }

// Launch is what a kernel is started with.
type Launch struct {
	Grid, Block Dim
	// Shared is the dynamic shared memory in bytes.
	Shared int
	// Params are the parameters' bytes, little-endian, each at its Param.Offset.
	Params []byte
	// Workers is how many blocks run at once; 0 means one for each processor.
	// What a launch computes does not depend on it.
	Workers int
	// MaxInstructions ends a warp that has run so many; 0 means 1<<28.
	MaxInstructions int64
}

// Code is a module's text, read and compiled. It may be loaded into many memories,
// by several goroutines at once.
type Code struct {
	src *source
	// module is in no memory. It is nil if the module has variables, whose
	// addresses are compiled into its kernels.
	module *Module
}

// Compile reads a module. The error names the line of what is not in the
// interpreter's list.
func Compile(text string) (*Code, error) {
	src, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("ptx: %w", err)
	}
	c := &Code{src: src}
	if !slices.ContainsFunc(src.vars, variable.placed) {
		if c.module, err = compile(src, nil); err != nil {
			return nil, fmt.Errorf("ptx: %w", err)
		}
	}
	return c, nil
}

// Load places a module's variables in mem.
func (c *Code) Load(mem *Memory) (*Module, error) {
	if c.module == nil {
		m, err := compile(c.src, mem)
		if err != nil {
			return nil, fmt.Errorf("ptx: %w", err)
		}
		return m, nil
	}
	m := *c.module
	m.mem, m.kernels = mem, map[string]*Kernel{}
	for name, k := range c.module.kernels {
		own := *k
		own.module = &m
		m.kernels[name] = &own
	}
	return &m, nil
}

// Load is Compile and Code.Load.
func Load(text string, mem *Memory) (*Module, error) {
	c, err := Compile(text)
	if err != nil {
		return nil, err
	}
	return c.Load(mem)
}

// Kernel returns the entry of that name.
func (m *Module) Kernel(name string) (*Kernel, error) {
	k := m.kernels[name]
	if k == nil {
		return nil, fmt.Errorf("ptx: no entry %q; the module has %s", name, strings.Join(m.names, ", "))
	}
	return k, nil
}

// Kernels returns the names of the module's entries in the order of its text.
func (m *Module) Kernels() []string { return m.names }

// Symbol returns the address of a variable that the module declares.
func (m *Module) Symbol(name string) (uint64, bool) {
	a, ok := m.symbols[name]
	return a, ok
}

// ParamBytes is the length that Launch.Params must have.
func (k *Kernel) ParamBytes() int {
	if len(k.Params) == 0 {
		return 0
	}
	p := k.Params[len(k.Params)-1]
	return p.Offset + p.Size
}

// FaultKind says which rule a kernel broke.
type FaultKind string

// The rules.
const (
	Uninitialized FaultKind = "uninitialized" // a register or byte read before it was written
	InFlight      FaultKind = "in flight"     // memory used while an asynchronous operation owns it
	Race          FaultKind = "race"          // two warps or blocks at one byte with nothing between
	Divergent     FaultKind = "divergent"     // an instruction for the whole warp reached by a part
	Misaligned    FaultKind = "misaligned"
	Foreign       FaultKind = "foreign" // an address outside of every allocation
	Deadlock      FaultKind = "deadlock"
	Endless       FaultKind = "endless" // more instructions than Launch.MaxInstructions
	Forbidden     FaultKind = "forbidden"
)

// Fault is the error of a launch whose kernel broke a rule. Of several faults
// in one launch, that of the lowest block is reported.
type Fault struct {
	Kind   FaultKind
	Kernel string
	Line   int    // of the module's text, from 1
	Text   string // the instruction
	Block  Dim
	Warp   int
	Lane   int // the lowest lane that was at fault, -1 if it was the warp
	What   string
}

func (f *Fault) Error() string {
	where := fmt.Sprintf("block %d,%d,%d warp %d", f.Block.X, f.Block.Y, f.Block.Z, f.Warp)
	if f.Lane >= 0 {
		where += fmt.Sprintf(" lane %d", f.Lane)
	}
	return fmt.Sprintf("ptx: %s, line %d, %q, %s: %s: %s", f.Kernel, f.Line, f.Text, where, f.Kind, f.What)
}

// Waits reports whether all threads of the kernel wait for the one before it in its
// stream (griddepcontrol.wait), and read or write global memory in no instruction
// before that.
func (k *Kernel) Waits() bool {
	code := k.prog.code
	wait := slices.IndexFunc(code, func(in instruction) bool { return in.stmt.op == "griddepcontrol.wait" })
	if wait < 0 || code[wait].guard >= 0 {
		return false
	}
	return !slices.ContainsFunc(code[:wait], func(in instruction) bool {
		around := in.ctl == exits || in.ctl == branches && in.target > wait
		return around || touchesGlobal(in.stmt.op)
	})
}

// touchesGlobal reports whether an instruction may read or write global memory.
func touchesGlobal(op string) bool {
	switch name, _, _ := strings.Cut(op, "."); name {
	case "ld", "st", "atom", "red":
		return !strings.HasPrefix(op, "ld.param") && !strings.Contains(op, ".shared")
	case "cp": // between shared memory and global; what commits and waits names neither
		return strings.Contains(op, ".global")
	}
	return false
}
