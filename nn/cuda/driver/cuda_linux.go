//go:build linux && (amd64 || arm64) && !static

package driver

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libraries are where the driver's library may be: found by the system's
// loader, or where Windows puts it for Linux.
var libraries = []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}

// cuda is the real driver.
type cuda struct {
	functions map[string]uintptr
	version   int
}

// Load opens the driver's library and starts it. It does so once a process;
// the second call returns what the first did.
var Load = sync.OnceValues(load)

func load() (Driver, error) {
	lib, err := openLibrary(libraries)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	d := &cuda{functions: map[string]uintptr{}}
	for _, name := range symbols {
		f, err := purego.Dlsym(lib, name)
		if err != nil {
			return nil, fmt.Errorf("the NVIDIA driver is too old: %w: install one of version 470 or newer", err)
		}
		d.functions[name] = f
	}
	for _, name := range []string{tensorMapEncode, launchKernelEx} { // since CUDA 12 and 11.8
		if f, err := purego.Dlsym(lib, name); err == nil {
			d.functions[name] = f
		}
	}
	if err := d.call("cuInit", 0); err != nil {
		return nil, err
	}
	var v int32
	if err := d.call("cuDriverGetVersion", uintptr(unsafe.Pointer(&v))); err != nil {
		return nil, err
	}
	d.version = int(v)
	return d, nil
}

// openLibrary opens the first library of a list that can be opened. The error is that
// of the first one.
func openLibrary(names []string) (lib uintptr, first error) {
	// The thread that tried to open a library is the one that knows why it cannot.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, name := range names {
		lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err == nil {
			return lib, nil
		}
		if first == nil {
			first = err
		}
	}
	return 0, first
}

// symbols are the functions called, in the version that is meant.
var symbols = []string{
	"cuInit", "cuDriverGetVersion", "cuGetErrorName",
	"cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDeviceTotalMem_v2", "cuDeviceGetPCIBusId",
	"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuMemGetInfo_v2",
	"cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost", "cuMemHostGetDevicePointer_v2",
	"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemsetD32Async",
	"cuStreamCreate", "cuStreamDestroy_v2", "cuStreamSynchronize", "cuStreamQuery", "cuStreamWaitEvent",
	"cuModuleLoadDataEx", "cuModuleUnload", "cuModuleGetFunction", "cuFuncGetAttribute", "cuFuncSetAttribute", "cuLaunchKernel",
	"cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphDestroy", "cuGraphLaunch", "cuGraphExecDestroy",
	"cuEventCreate", "cuEventDestroy_v2", "cuEventRecord", "cuEventQuery", "cuEventSynchronize", "cuEventElapsedTime",
}

const (
	tensorMapEncode = "cuTensorMapEncodeTiled"
	launchKernelEx  = "cuLaunchKernelEx"
)

// call calls a function of the driver. What its arguments point to is put on
// the heap and kept there by the compiler.
//
//go:uintptrescapes
func (d *cuda) call(name string, args ...uintptr) error {
	r, _, _ := purego.SyscallN(d.functions[name], args...)
	if code := Code(int32(r)); code != 0 {
		return &Error{Call: name, Code: code, Name: d.errorName(code)}
	}
	return nil
}

func (d *cuda) errorName(c Code) string {
	var p *byte
	if r, _, _ := purego.SyscallN(d.functions["cuGetErrorName"], uintptr(c), uintptr(unsafe.Pointer(&p))); r != 0 || p == nil {
		return "unknown error"
	}
	return goString(p)
}

// goString copies a string of C.
func goString(p *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}

// Version is the newest CUDA that the driver knows.
func (d *cuda) Version() int { return d.version }

// The attributes of a device that are read: CU_DEVICE_ATTRIBUTE_...
const (
	attrClock       = 13
	attrSMs         = 16
	attrComputeMode = 20
	attrMemoryClock = 36
	attrBusWidth    = 37
	attrL2          = 38
	attrMajor       = 75
	attrMinor       = 76
	attrShared      = 97
	attrMPS         = 133 // of newer drivers
)

// Devices lists the GPUs.
func (d *cuda) Devices() ([]Device, error) {
	var n int32
	if err := d.call("cuDeviceGetCount", uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	var list []Device
	for i := range int(n) {
		dev, err := d.device(i)
		if err != nil {
			return nil, fmt.Errorf("GPU %d: %w", i, err)
		}
		list = append(list, dev)
	}
	return list, nil
}

// device describes one.
func (d *cuda) device(i int) (Device, error) {
	v := Device{Index: i}
	var h int32
	if err := d.call("cuDeviceGet", uintptr(unsafe.Pointer(&h)), uintptr(i)); err != nil {
		return v, err
	}
	var name [128]byte
	if err := d.call("cuDeviceGetName", uintptr(unsafe.Pointer(&name)), uintptr(len(name)), uintptr(h)); err != nil {
		return v, err
	}
	v.Name = goString(&name[0])
	if err := d.call("cuDeviceTotalMem_v2", uintptr(unsafe.Pointer(&v.Memory)), uintptr(h)); err != nil {
		return v, err
	}
	var bus [32]byte
	if err := d.call("cuDeviceGetPCIBusId", uintptr(unsafe.Pointer(&bus)), uintptr(len(bus)), uintptr(h)); err == nil {
		v.BusID = goString(&bus[0])
	}
	var mode, mps int
	for _, a := range []struct {
		id   int
		to   *int
		need bool // the others are only shown
	}{
		{attrMajor, &v.Major, true}, {attrMinor, &v.Minor, true}, {attrSMs, &v.SMs, true}, {attrShared, &v.SharedMemory, true},
		{attrComputeMode, &mode, true},
		{attrL2, &v.L2, false}, {attrClock, &v.ClockKHz, false}, {attrMemoryClock, &v.MemoryKHz, false}, {attrBusWidth, &v.BusBits, false},
		{attrMPS, &mps, false},
	} {
		var x int32
		err := d.call("cuDeviceGetAttribute", uintptr(unsafe.Pointer(&x)), uintptr(a.id), uintptr(h))
		switch {
		case err == nil:
			*a.to = int(x)
		case a.need:
			return v, err
		}
	}
	v.ComputeMode, v.MPS = ComputeMode(mode), mps != 0
	return v, nil
}

// cudaContext is an open GPU.
type cudaContext struct {
	*cuda
	device Device
	handle uintptr
	dev    int32
}

// Open retains the GPU's primary context.
func (d *cuda) Open(i int) (Context, error) {
	v, err := d.device(i)
	if err != nil {
		return nil, err
	}
	c := &cudaContext{cuda: d, device: v}
	if err := d.call("cuDeviceGet", uintptr(unsafe.Pointer(&c.dev)), uintptr(i)); err != nil {
		return nil, err
	}
	if err := d.call("cuDevicePrimaryCtxRetain", uintptr(unsafe.Pointer(&c.handle)), uintptr(c.dev)); err != nil {
		return nil, err
	}
	return c, nil
}

// call calls a function with the context, which belongs to a thread while it
// is current there.
//
//go:uintptrescapes
func (c *cudaContext) call(name string, args ...uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := c.cuda.call("cuCtxSetCurrent", c.handle); err != nil {
		return err
	}
	return c.cuda.call(name, args...)
}

func (c *cudaContext) Device() Device { return c.device }

func (c *cudaContext) Memory() (free, total uint64, err error) {
	v := new([2]uint64)
	err = c.call("cuMemGetInfo_v2", uintptr(unsafe.Pointer(&v[0])), uintptr(unsafe.Pointer(&v[1])))
	return v[0], v[1], err
}

func (c *cudaContext) Close() error {
	return c.cuda.call("cuDevicePrimaryCtxRelease_v2", uintptr(c.dev))
}

func (c *cudaContext) Alloc(bytes int) (Pointer, error) {
	p := new(Pointer)
	err := c.call("cuMemAlloc_v2", uintptr(unsafe.Pointer(p)), uintptr(bytes))
	return *p, err
}

func (c *cudaContext) Free(p Pointer) error { return c.call("cuMemFree_v2", uintptr(p)) }

func (c *cudaContext) AllocHost(bytes int) (HostMemory, error) {
	const portableMapped = 1 | 2
	p, dev := new(unsafe.Pointer), new(Pointer)
	if err := c.call("cuMemHostAlloc", uintptr(unsafe.Pointer(p)), uintptr(bytes), portableMapped); err != nil {
		return HostMemory{}, err
	}
	m := HostMemory{Bytes: unsafe.Slice((*byte)(*p), bytes)}
	if err := c.call("cuMemHostGetDevicePointer_v2", uintptr(unsafe.Pointer(dev)), uintptr(*p), 0); err != nil {
		_ = c.FreeHost(m)
		return HostMemory{}, err
	}
	m.Device = *dev
	clear(m.Bytes)
	return m, nil
}

func (c *cudaContext) FreeHost(m HostMemory) error {
	return c.call("cuMemFreeHost", uintptr(unsafe.Pointer(unsafe.SliceData(m.Bytes))))
}

func (c *cudaContext) NewStream() (Stream, error) {
	const nonBlocking = 1
	s := new(Stream)
	err := c.call("cuStreamCreate", uintptr(unsafe.Pointer(s)), nonBlocking)
	return *s, err
}

func (c *cudaContext) FreeStream(s Stream) error { return c.call("cuStreamDestroy_v2", uintptr(s)) }

func (c *cudaContext) Sync(s Stream) error { return c.call("cuStreamSynchronize", uintptr(s)) }

func (c *cudaContext) Idle(s Stream) (bool, error) {
	return ready(c.call("cuStreamQuery", uintptr(s)))
}

// ready tells whether a query found nothing left to wait for.
func ready(err error) (bool, error) {
	if Is(err, notReady) {
		return false, nil
	}
	return err == nil, err
}

func (c *cudaContext) Follow(s Stream, e Event) error {
	return c.call("cuStreamWaitEvent", uintptr(s), uintptr(e), 0)
}

func (c *cudaContext) Upload(dst Pointer, src unsafe.Pointer, bytes int, on Stream) error {
	err := c.call("cuMemcpyHtoDAsync_v2", uintptr(dst), uintptr(src), uintptr(bytes), uintptr(on))
	runtime.KeepAlive(src)
	return err
}

func (c *cudaContext) Download(dst unsafe.Pointer, src Pointer, bytes int, on Stream) error {
	err := c.call("cuMemcpyDtoHAsync_v2", uintptr(dst), uintptr(src), uintptr(bytes), uintptr(on))
	runtime.KeepAlive(dst)
	return err
}

func (c *cudaContext) Zero(dst Pointer, bytes int, on Stream) error {
	return c.call("cuMemsetD32Async", uintptr(dst), 0, uintptr(bytes/4), uintptr(on))
}

func (c *cudaContext) LoadModule(image []byte) (Module, error) {
	// PTX ends with a zero. The log says what the compiler minds.
	const errorLog, errorLogSize = 5, 6
	text := append(append(make([]byte, 0, len(image)+1), image...), 0)
	log := make([]byte, 8192)
	options := [2]int32{errorLog, errorLogSize}
	// A pointer, not its number: the driver writes there, so that log must not lie
	// on a stack, which may move.
	values := struct {
		log  *byte
		size uintptr
	}{&log[0], uintptr(len(log))}
	m := new(Module)
	err := c.call("cuModuleLoadDataEx", uintptr(unsafe.Pointer(m)), uintptr(unsafe.Pointer(&text[0])), 2, uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values)))
	runtime.KeepAlive(text)
	if said := strings.Fields(goString(&log[0])); err != nil && len(said) > 0 { // lines, which an error has one of
		err = fmt.Errorf("%w: %s", err, strings.Join(said, " "))
	}
	return *m, err
}

func (c *cudaContext) UnloadModule(m Module) error { return c.call("cuModuleUnload", uintptr(m)) }

func (c *cudaContext) Function(m Module, name string) (Function, error) {
	f, text := new(Function), append([]byte(name), 0)
	err := c.call("cuModuleGetFunction", uintptr(unsafe.Pointer(f)), uintptr(m), uintptr(unsafe.Pointer(&text[0])))
	runtime.KeepAlive(text)
	if err != nil {
		err = fmt.Errorf("kernel %s: %w", name, err)
	}
	return *f, err
}

func (c *cudaContext) Attribute(f Function, a Attribute) (int, error) {
	v := new(int32)
	err := c.call("cuFuncGetAttribute", uintptr(unsafe.Pointer(v)), uintptr(a), uintptr(f))
	return int(*v), err
}

func (c *cudaContext) SetAttribute(f Function, a Attribute, v int) error {
	return c.call("cuFuncSetAttribute", uintptr(f), uintptr(a), uintptr(v))
}

func (c *cudaContext) Launch(l Launch, s Stream) error {
	p := new([maxArgs]uintptr)
	for i, at := range l.Args.Offsets() {
		p[i] = uintptr(unsafe.Pointer(&l.Args.bytes[at]))
	}
	g, b := ones(l.Grid), ones(l.Block)
	if l.Overlap && c.Overlaps() {
		return c.launchOverlapping(l, s, g, b, p)
	}
	err := c.call("cuLaunchKernel", uintptr(l.Function), g[0], g[1], g[2], b[0], b[1], b[2], uintptr(l.Shared), uintptr(s), uintptr(unsafe.Pointer(p)), 0)
	runtime.KeepAlive(l.Args)
	return err
}

// Overlaps asks for edges of a graph that do not wait for the end of a kernel: since
// CUDA 12.3.
func (c *cudaContext) Overlaps() bool {
	return c.version >= 12030 && c.functions[launchKernelEx] != 0
}

// launchAttribute is CUlaunchAttribute, launchConfig CUlaunchConfig.
type launchAttribute struct {
	id    int32
	_     int32
	value [64]byte
}

type launchConfig struct {
	grid, block [3]uint32
	shared      uint32
	_           uint32
	stream      Stream
	attributes  *launchAttribute
	count       uint32
	_           uint32
}

// launchOverlapping launches a kernel that waits for the one before it by itself.
func (c *cudaContext) launchOverlapping(l Launch, s Stream, g, b [3]uintptr, p *[maxArgs]uintptr) error {
	const programmaticStreamSerialization = 6
	a := &launchAttribute{id: programmaticStreamSerialization}
	a.value[0] = 1
	v := &launchConfig{shared: l.Shared, stream: s, attributes: a, count: 1}
	for i := range g {
		v.grid[i], v.block[i] = uint32(g[i]), uint32(b[i])
	}
	err := c.call(launchKernelEx, uintptr(unsafe.Pointer(v)), uintptr(l.Function), uintptr(unsafe.Pointer(p)), 0)
	runtime.KeepAlive(l.Args)
	runtime.KeepAlive(v)
	return err
}

// ones are sizes, zeros counting as 1.
func ones(v [3]uint32) (n [3]uintptr) {
	for i, x := range v {
		n[i] = uintptr(max(x, 1))
	}
	return n
}

func (c *cudaContext) Capture(s Stream) error {
	const relaxed = 2 // other threads may call what they like
	return c.call("cuStreamBeginCapture_v2", uintptr(s), relaxed)
}

func (c *cudaContext) EndCapture(s Stream) (Graph, error) {
	noted, g := new(uintptr), new(Graph)
	if err := c.call("cuStreamEndCapture", uintptr(s), uintptr(unsafe.Pointer(noted))); err != nil {
		return 0, err
	}
	err := c.call("cuGraphInstantiateWithFlags", uintptr(unsafe.Pointer(g)), *noted, 0)
	if e := c.call("cuGraphDestroy", *noted); err == nil && e != nil {
		_ = c.FreeGraph(*g) // who gets an error gets no graph
		err = e
	}
	return *g, err
}

func (c *cudaContext) LaunchGraph(g Graph, s Stream) error {
	return c.call("cuGraphLaunch", uintptr(g), uintptr(s))
}

func (c *cudaContext) FreeGraph(g Graph) error { return c.call("cuGraphExecDestroy", uintptr(g)) }

func (c *cudaContext) NewEvent() (Event, error) {
	const blockingSync = 1 // a wait sleeps
	e := new(Event)
	err := c.call("cuEventCreate", uintptr(unsafe.Pointer(e)), blockingSync)
	return *e, err
}

func (c *cudaContext) FreeEvent(e Event) error { return c.call("cuEventDestroy_v2", uintptr(e)) }

func (c *cudaContext) Record(e Event, s Stream) error {
	return c.call("cuEventRecord", uintptr(e), uintptr(s))
}

func (c *cudaContext) Reached(e Event) (bool, error) {
	return ready(c.call("cuEventQuery", uintptr(e)))
}

func (c *cudaContext) Await(e Event) error { return c.call("cuEventSynchronize", uintptr(e)) }

func (c *cudaContext) Between(from, to Event) (float32, error) {
	ms := new(float32)
	err := c.call("cuEventElapsedTime", uintptr(unsafe.Pointer(ms)), uintptr(from), uintptr(to))
	return *ms, err
}

func (c *cudaContext) TensorMap(t TensorMap) ([128]byte, error) {
	if c.functions[tensorMapEncode] == 0 {
		return [128]byte{}, fmt.Errorf("the NVIDIA driver is too old for tiled copies: it needs CUDA 12")
	}
	const bf16, promoteL2 = 9, 3 // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, _L2_PROMOTION_L2_256B
	// The driver wants the map at a multiple of 64 bytes.
	space := make([]byte, 256)
	at := -uintptr(unsafe.Pointer(&space[0])) & 63
	step := t.Step
	if step == nil {
		step = make([]uint32, len(t.Size))
		for i := range step {
			step[i] = 1
		}
	}
	swizzle := map[int]uintptr{0: 0, 32: 1, 64: 2, 128: 3}[t.Swizzle]
	err := c.call(tensorMapEncode, uintptr(unsafe.Pointer(&space[at])), bf16, uintptr(len(t.Size)), uintptr(t.Address),
		uintptr(unsafe.Pointer(&t.Size[0])), uintptr(unsafe.Pointer(&t.Stride[0])), uintptr(unsafe.Pointer(&t.Box[0])), uintptr(unsafe.Pointer(&step[0])), 0, swizzle, promoteL2, 0)
	runtime.KeepAlive(space)
	runtime.KeepAlive(t)
	return [128]byte(space[at:]), err
}
