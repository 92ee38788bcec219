// Package standin is a driver for tests: it plays the calls of package driver
// on the PTX interpreter, so that all of the GPU backend runs where there is no
// GPU. The program does not carry it.
//
// What is put into a stream is done late, when somebody asks whether it is
// done, as a GPU may: whoever changes the host's memory too early, or reads it,
// is found out.
package standin

import (
	"fmt"
	"sync"
	"unsafe"

	"cifartui/nn/cuda/driver"
	"cifartui/nn/cuda/internal/ptx"
)

// Driver has one GPU.
type Driver struct {
	// GPU describes it. Its Memory is the limit.
	GPU driver.Device
	// CUDA is the version that the driver claims.
	CUDA int
	// Fail is asked before each call, by the name of the Context's method; an
	// error ends the call.
	Fail func(call string) error
	// Dry has kernels launched and not run, whose results are then what lay there.
	Dry bool
	// Launched is told of each kernel that ran.
	Launched func(kernel string, stats *ptx.Stats)
	// Overlapping are the kernels that may start before the one before them has
	// ended, in the order of their launches.
	Overlapping []string
	// Open contexts, and what was made in them and not given back.
	Contexts, Graphs, Streams, Events, Modules int
}

// New returns a driver with a small GPU of a compute capability.
func New(major, minor int) *Driver {
	return &Driver{
		CUDA: 13000,
		GPU: driver.Device{
			Name: "Stand-in", Major: major, Minor: minor, Memory: 4 << 30, SMs: 4, SharedMemory: 99 << 10,
			L2: 4 << 20, ClockKHz: 1000000, MemoryKHz: 1000000, BusBits: 128, BusID: "0000:01:00.0",
		},
	}
}

// Version is that of CUDA.
func (d *Driver) Version() int { return d.CUDA }

// Devices lists the one GPU.
func (d *Driver) Devices() ([]driver.Device, error) { return []driver.Device{d.GPU}, d.ask("Devices") }

// ask calls Fail.
func (d *Driver) ask(call string) error {
	if d.Fail == nil {
		return nil
	}
	return d.Fail(call)
}

// Open makes a context with a memory of its own.
func (d *Driver) Open(int) (driver.Context, error) {
	if err := d.ask("Open"); err != nil {
		return nil, err
	}
	d.Contexts++
	return &context{
		driver: d, memory: ptx.NewMemory(int64(d.GPU.Memory)),
		functions: map[driver.Function]*ptx.Kernel{}, graphs: map[driver.Graph]*graph{},
		modules: map[driver.Module]*ptx.Module{}, shared: map[driver.Function]int{},
		streams: map[driver.Stream]bool{}, events: map[driver.Event]int{},
	}, nil
}

// context is an open stand-in. It is for one goroutine, but modules are loaded by
// several.
type context struct {
	loading   sync.Mutex
	driver    *Driver
	memory    *ptx.Memory
	hosts     []driver.HostMemory
	modules   map[driver.Module]*ptx.Module
	functions map[driver.Function]*ptx.Kernel
	shared    map[driver.Function]int
	graphs    map[driver.Graph]*graph
	streams   map[driver.Stream]bool
	events    map[driver.Event]int // how much of the queue had been put when it was recorded

	queue     []func() error // not yet done
	put       int            // things ever put into the queue
	done      int
	capturing *capture // nil: nothing is
	handles   uintptr
	failed    error // for ever, as a context is lost
}

// launch is a kernel that was noted.
type launch struct {
	driver.Launch
	params []byte
}

// overlap holds a launch to what a kernel must do to start before the one before it
// in its stream has ended.
func (c *context) overlap(l driver.Launch) error {
	if !l.Overlap {
		return nil
	}
	k := c.functions[l.Function]
	if !k.Waits() {
		return fmt.Errorf("standin: %s may start early and does not wait before it touches memory", k.Name)
	}
	c.driver.Overlapping = append(c.driver.Overlapping, k.Name)
	return nil
}

func (c *context) handle() uintptr {
	c.handles++
	return c.handles
}

func (c *context) ask(call string) error {
	if c.failed != nil {
		return c.failed
	}
	return c.driver.ask(call)
}

func (c *context) Device() driver.Device { return c.driver.GPU }

func (c *context) Memory() (free, total uint64, err error) {
	total = c.driver.GPU.Memory
	return total - uint64(c.memory.Used()), total, nil
}

func (c *context) Close() error {
	c.driver.Contexts--
	return nil
}

// errorOf makes an error of the driver.
func errorOf(call string, code driver.Code, name string) error {
	return &driver.Error{Call: call, Code: code, Name: name}
}

func (c *context) Alloc(bytes int) (driver.Pointer, error) {
	if err := c.ask("Alloc"); err != nil {
		return 0, err
	}
	p, err := c.memory.Alloc(int64(bytes))
	if err != nil {
		return 0, errorOf("cuMemAlloc_v2", driver.OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY")
	}
	return driver.Pointer(p), nil
}

func (c *context) Free(p driver.Pointer) error {
	if err := c.Sync(0); err != nil {
		return err
	}
	return c.memory.Free(uint64(p))
}

func (c *context) AllocHost(bytes int) (driver.HostMemory, error) {
	if err := c.ask("AllocHost"); err != nil {
		return driver.HostMemory{}, err
	}
	p, err := c.memory.Alloc(int64(bytes))
	if err != nil {
		return driver.HostMemory{}, err
	}
	m := driver.HostMemory{Bytes: aligned(bytes), Device: driver.Pointer(p)}
	c.hosts = append(c.hosts, m)
	return m, nil
}

// aligned takes bytes at a multiple of 8.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

func (c *context) FreeHost(m driver.HostMemory) error {
	for i, h := range c.hosts {
		if h.Device == m.Device {
			c.hosts = append(c.hosts[:i], c.hosts[i+1:]...)
			return c.Free(m.Device)
		}
	}
	return fmt.Errorf("standin: host memory %#x was not allocated", m.Device)
}

// later puts something into the stream.
func (c *context) later(call string, f func() error) error {
	if err := c.ask(call); err != nil {
		return err
	}
	if c.capturing != nil {
		return fmt.Errorf("standin: %s while a graph is captured", call)
	}
	c.queue = append(c.queue, f)
	c.put++
	return nil
}

// advance does the next n things of the stream.
func (c *context) advance(n int) error {
	for ; n > 0 && len(c.queue) > 0 && c.failed == nil; n-- {
		f := c.queue[0]
		c.queue = c.queue[1:]
		c.done++
		c.failed = f()
	}
	return c.failed
}

func (c *context) NewStream() (driver.Stream, error) {
	if err := c.ask("NewStream"); err != nil {
		return 0, err
	}
	s := driver.Stream(c.handle())
	c.streams[s] = true
	c.driver.Streams++
	return s, nil
}

func (c *context) FreeStream(s driver.Stream) error {
	return giveBack(c, "FreeStream", c.streams, s, &c.driver.Streams)
}

// giveBack forgets something that was made: an error if it was not.
func giveBack[H comparable, V any](c *context, call string, made map[H]V, h H, count *int) error {
	if err := c.ask(call); err != nil {
		return err
	}
	if _, ok := made[h]; !ok {
		return fmt.Errorf("standin: %s of %v, which there is not", call, h)
	}
	delete(made, h)
	*count--
	return nil
}

func (c *context) Sync(driver.Stream) error {
	if err := c.ask("Sync"); err != nil {
		return err
	}
	return c.advance(len(c.queue))
}

// Idle does something each time it is asked.
func (c *context) Idle(driver.Stream) (bool, error) {
	if err := c.ask("Idle"); err != nil {
		return false, err
	}
	err := c.advance(1)
	return len(c.queue) == 0, err
}

// Upload copies the host's memory at once, as the driver does with what is not
// pinned, and the GPU's later.
func (c *context) Upload(dst driver.Pointer, src unsafe.Pointer, bytes int, _ driver.Stream) error {
	data := append([]byte(nil), unsafe.Slice((*byte)(src), bytes)...)
	return c.later("Upload", func() error { return c.memory.Write(uint64(dst), data) })
}

// Download waits.
func (c *context) Download(dst unsafe.Pointer, src driver.Pointer, bytes int, _ driver.Stream) error {
	if err := c.ask("Download"); err != nil {
		return err
	}
	if err := c.advance(len(c.queue)); err != nil {
		return err
	}
	return c.memory.Read(uint64(src), unsafe.Slice((*byte)(dst), bytes))
}

func (c *context) Zero(dst driver.Pointer, bytes int, _ driver.Stream) error {
	return c.later("Zero", func() error { return c.memory.Fill(uint64(dst), 0, 4, int64(bytes/4)) })
}

func (c *context) LoadModule(image []byte) (driver.Module, error) {
	c.loading.Lock()
	defer c.loading.Unlock()
	if err := c.ask("LoadModule"); err != nil {
		return 0, err
	}
	m, err := load(string(image), c.memory)
	if err != nil {
		return 0, err
	}
	h := driver.Module(c.handle())
	c.modules[h] = m
	c.driver.Modules++
	return h, nil
}

// compiled are the modules that were loaded so far, by their text: the same few
// again and again.
var compiled sync.Map

func load(text string, mem *ptx.Memory) (*ptx.Module, error) {
	if c, ok := compiled.Load(text); ok {
		return c.(*ptx.Code).Load(mem)
	}
	c, err := ptx.Compile(text)
	if err != nil {
		return nil, err
	}
	compiled.Store(text, c)
	return c.Load(mem)
}

func (c *context) UnloadModule(m driver.Module) error {
	return giveBack(c, "UnloadModule", c.modules, m, &c.driver.Modules)
}

func (c *context) Function(m driver.Module, name string) (driver.Function, error) {
	if err := c.ask("Function"); err != nil {
		return 0, err
	}
	k, err := c.modules[m].Kernel(name)
	if err != nil {
		return 0, errorOf("cuModuleGetFunction", driver.NotFound, "CUDA_ERROR_NOT_FOUND")
	}
	f := driver.Function(c.handle())
	c.functions[f] = k
	return f, nil
}

func (c *context) Attribute(driver.Function, driver.Attribute) (int, error) { return 0, nil }

func (c *context) SetAttribute(f driver.Function, a driver.Attribute, v int) error {
	if err := c.ask("SetAttribute"); err != nil {
		return err
	}
	if a == driver.DynamicShared {
		if v > c.driver.GPU.SharedMemory {
			return errorOf("cuFuncSetAttribute", 1, "CUDA_ERROR_INVALID_VALUE")
		}
		c.shared[f] = v
	}
	return nil
}

func (c *context) Launch(l driver.Launch, on driver.Stream) error {
	n := launch{Launch: l, params: append([]byte(nil), l.Args.Bytes()...)}
	k := c.functions[l.Function]
	if err := check(k, l); err != nil {
		return err
	}
	if err := c.overlap(l); err != nil {
		return err
	}
	const most = 65535 // blocks along y, of any GPU
	if l.Grid[1] > most || int(l.Shared) > max(48<<10, c.shared[l.Function]) {
		return errorOf("cuLaunchKernel", 1, "CUDA_ERROR_INVALID_VALUE")
	}
	if c.capturing != nil {
		if err := c.ask("Launch"); err != nil {
			return err
		}
		return c.capturing.add(n, on)
	}
	return c.later("Launch", func() error { return c.run(n) })
}

func (c *context) Overlaps() bool { return c.driver.CUDA >= 12030 }

// check holds the arguments to the kernel's parameters.
func check(k *ptx.Kernel, l driver.Launch) error {
	offsets := l.Args.Offsets()
	if len(offsets) != len(k.Params) || len(l.Args.Bytes()) != k.ParamBytes() {
		return fmt.Errorf("standin: %s takes %d arguments of %d bytes, got %d of %d", k.Name, len(k.Params), k.ParamBytes(), len(offsets), len(l.Args.Bytes()))
	}
	for i, p := range k.Params {
		if int(offsets[i]) != p.Offset {
			return fmt.Errorf("standin: %s: argument %d lies at %d, want %d", k.Name, i, offsets[i], p.Offset)
		}
	}
	return nil
}

// run runs a kernel, with the host's mapped memory as it is now.
func (c *context) run(l launch) error {
	for _, h := range c.hosts {
		if err := c.memory.Write(uint64(h.Device), h.Bytes); err != nil {
			return err
		}
	}
	k := c.functions[l.Function]
	if c.driver.Dry {
		return nil
	}
	stats, err := k.Run(ptx.Launch{
		Grid: dim(l.Grid), Block: dim(l.Block), Shared: int(l.Shared), Params: l.params,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errorOf("cuLaunchKernel", driver.IllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS"), err)
	}
	if c.driver.Launched != nil {
		c.driver.Launched(k.Name, stats)
	}
	for _, h := range c.hosts {
		if err := c.memory.Peek(uint64(h.Device), h.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func dim(v [3]uint32) ptx.Dim { return ptx.Dim{X: int(v[0]), Y: int(v[1]), Z: int(v[2])} }

func (c *context) FreeGraph(g driver.Graph) error {
	return giveBack(c, "FreeGraph", c.graphs, g, &c.driver.Graphs)
}

func (c *context) NewEvent() (driver.Event, error) {
	if err := c.ask("NewEvent"); err != nil {
		return 0, err
	}
	e := driver.Event(c.handle())
	c.events[e] = 0
	c.driver.Events++
	return e, nil
}

func (c *context) FreeEvent(e driver.Event) error {
	return giveBack(c, "FreeEvent", c.events, e, &c.driver.Events)
}

func (c *context) Record(e driver.Event, on driver.Stream) error {
	if err := c.ask("Record"); err != nil {
		return err
	}
	if c.capturing != nil {
		return c.capturing.record(e, on)
	}
	c.events[e] = c.put
	return nil
}

func (c *context) Reached(e driver.Event) (bool, error) {
	err := c.advance(1)
	return c.done >= c.events[e], err
}

func (c *context) Await(e driver.Event) error {
	if err := c.ask("Await"); err != nil {
		return err
	}
	return c.advance(c.events[e] - c.done)
}

// Between counts a millisecond for everything that was put in between.
func (c *context) Between(from, to driver.Event) (float32, error) {
	return float32(c.events[to] - c.events[from]), c.ask("Between")
}

func (c *context) Follow(on driver.Stream, e driver.Event) error {
	if err := c.ask("Follow"); err != nil {
		return err
	}
	if c.capturing != nil {
		return c.capturing.follow(on, e)
	}
	return nil
}

func (c *context) TensorMap(t driver.TensorMap) ([128]byte, error) {
	if err := c.ask("TensorMap"); err != nil {
		return [128]byte{}, err
	}
	return ptx.TensorMap{
		Address: uint64(t.Address), ElemSize: 2, Dims: t.Size, Strides: t.Stride, Box: t.Box, Swizzle: t.Swizzle,
	}.Encode()
}
