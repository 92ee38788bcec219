// Package driver calls NVIDIA's driver, libcuda, without cgo and without the
// CUDA toolkit: what it needs is on every machine whose GPU works.
//
// [Load] gives the real driver. [Driver] and [Context] are interfaces so that
// tests can put another one in its place. The functions are those of NVIDIA's
// CUDA Driver API, cut down to what the program uses; a method names the
// function that it calls where the name alone does not tell.
//
//	driver.go      the interfaces and their types
//	args.go        the arguments of a kernel
//	errors.go      what the driver's error codes mean for a user
//	cuda_linux.go  the binding
//	cuda_other.go  systems and builds without it
package driver

import "unsafe"

// Driver finds GPUs.
type Driver interface {
	// Version is the newest CUDA that the driver knows, 12020 for 12.2.
	Version() int
	// Devices lists the GPUs.
	Devices() ([]Device, error)
	// Open makes a GPU ready for use: its primary context.
	Open(device int) (Context, error)
}

// Device describes a GPU.
type Device struct {
	Index        int
	Name         string
	Major, Minor int    // compute capability
	Memory       uint64 // bytes
	SMs          int    // streaming multiprocessors
	SharedMemory int    // bytes that a block may have
	L2           int    // bytes; this and the next three are 0 where they are not told
	ClockKHz     int    // of the multiprocessors, at most
	MemoryKHz    int    // clock of the memory
	BusBits      int    // width of the memory's bus
	ComputeMode  ComputeMode
	MPS          bool   // other processes' kernels may run beside: Multi-Process Service
	BusID        string // 0000:3b:00.0, as NVML knows it
}

// ComputeMode says who may use a GPU: see nvidia-smi -c.
type ComputeMode int

// The compute modes.
const (
	Shared     ComputeMode = 0
	Prohibited ComputeMode = 2
	Exclusive  ComputeMode = 3 // one process at a time
)

// Pointer is an address in a GPU's memory.
type Pointer uint64

// Handles of what the driver keeps.
type (
	Module   uintptr
	Function uintptr
	Stream   uintptr
	Event    uintptr
	Graph    uintptr // ready to launch
)

// HostMemory is memory of the host that a GPU reads and writes directly.
type HostMemory struct {
	Bytes  []byte
	Device Pointer // its address on the GPU
}

// Attribute is a property of a compiled kernel.
type Attribute int32

// The attributes: CU_FUNC_ATTRIBUTE_...
const (
	StaticShared  Attribute = 1 // bytes
	LocalBytes    Attribute = 3 // a thread: registers that had to be spilled
	Registers     Attribute = 4 // a thread
	DynamicShared Attribute = 8 // bytes allowed at launch; can be set
)

// Launch is a kernel with its sizes and arguments.
type Launch struct {
	Function    Function
	Grid, Block [3]uint32 // zeros count as 1
	Shared      uint32    // bytes of dynamic shared memory
	Args        *Args
	// Overlap lets the kernel start before the one before it in the stream has
	// ended, where the driver can: it must wait for that by itself
	// (griddepcontrol.wait) before it touches what others touch.
	Overlap bool
}

// Context is an open GPU. What takes a Stream returns at once and happens in
// the stream's order; everything else waits. Goroutines may share it.
//
// An error of something that ran behind its call is returned by a later one.
type Context interface {
	Device() Device
	// Memory returns what is free and what there is, in bytes.
	Memory() (free, total uint64, err error)
	Close() error

	Alloc(bytes int) (Pointer, error)
	Free(Pointer) error
	// AllocHost takes pinned memory of the host, mapped into the GPU's.
	AllocHost(bytes int) (HostMemory, error)
	FreeHost(HostMemory) error

	NewStream() (Stream, error)
	FreeStream(Stream) error
	// Sync waits until all of the stream is done.
	Sync(Stream) error
	// Idle tells whether it is.
	Idle(Stream) (bool, error)
	// Upload and Download copy bytes. The memory of the host must stay as it
	// is until the copy is done, unless it is not pinned: then the driver has
	// taken a copy of what is uploaded when Upload returns, and Download waits.
	Upload(dst Pointer, src unsafe.Pointer, bytes int, on Stream) error
	Download(dst unsafe.Pointer, src Pointer, bytes int, on Stream) error
	// Zero clears bytes, a multiple of 4.
	Zero(dst Pointer, bytes int, on Stream) error

	// LoadModule compiles PTX, or takes a cubin.
	LoadModule(image []byte) (Module, error)
	UnloadModule(Module) error
	Function(Module, string) (Function, error)
	Attribute(Function, Attribute) (int, error)
	SetAttribute(Function, Attribute, int) error
	Launch(Launch, Stream) error
	// Overlaps tells whether the driver knows Launch.Overlap.
	Overlaps() bool

	// Capture begins to note what is put into the stream instead of doing it;
	// EndCapture makes a graph of that.
	Capture(Stream) error
	EndCapture(Stream) (Graph, error)
	LaunchGraph(Graph, Stream) error
	FreeGraph(Graph) error

	NewEvent() (Event, error)
	FreeEvent(Event) error
	// Record puts the event into the stream.
	Record(Event, Stream) error
	// Reached tells whether the stream has come to the event.
	Reached(Event) (bool, error)
	// Await waits for the event.
	Await(Event) error
	// Between returns the milliseconds between two events that were reached.
	Between(from, to Event) (float32, error)
	// Follow lets what comes next on a stream wait for an event of another. While
	// that one is captured, what comes next is noted in the same graph; it must be
	// followed back before EndCapture.
	Follow(Stream, Event) error

	// TensorMap encodes how a tensor of 16-bit floats lies in memory, for the
	// copies of whole tiles that GPUs of capability 9.0 and later have.
	TensorMap(TensorMap) ([128]byte, error)
}

// TensorMap describes a tensor to the GPU's tensor memory accelerator
// (cuTensorMapEncodeTiled): bf16 elements, the innermost dimension first, what
// lies outside reads as zero.
type TensorMap struct {
	Address Pointer
	Size    []uint64 // elements of each dimension
	Stride  []uint64 // bytes from one to the next, of each dimension but the first
	Box     []uint32 // elements of a tile
	Step    []uint32 // elements from one of the box to the next; nil means 1
	Swizzle int      // 0, 32, 64 or 128 bytes
}
