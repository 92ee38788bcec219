//go:build linux && (amd64 || arm64) && !static

package machine

import (
	"bytes"

	"github.com/ebitengine/purego"
)

// A gpuReader reads NVIDIA GPUs through the driver's own library, NVML, where
// there is one. It is opened at run time, without cgo. The functions and their
// structures are those of NVIDIA's nvml.h. Opening libraries links the program
// to the system's C library; the build tag static leaves both out.
type gpuReader struct {
	devices []uintptr

	name        func(dev uintptr, buf *byte, n uint32) int32
	use         func(dev uintptr, u *nvmlUtilization) int32
	memory      func(dev uintptr, m *nvmlMemory) int32
	temperature func(dev uintptr, sensor uint32, celsius *uint32) int32
	power       func(dev uintptr, milliwatts *uint32) int32
}

type nvmlUtilization struct{ GPU, Memory uint32 }

type nvmlMemory struct{ Total, Free, Used uint64 }

// maxGPUs is how many GPUs are shown at most.
const maxGPUs = 8

var nvmlNames = []string{"libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"}

// open finds the GPUs; without a driver there are none.
func (r *gpuReader) open() {
	var lib uintptr
	for _, name := range nvmlNames {
		var err error
		if lib, err = purego.Dlopen(name, purego.RTLD_LAZY|purego.RTLD_LOCAL); err == nil {
			break
		}
	}
	if lib == 0 {
		return
	}
	var start func() int32
	var countDevices func(n *uint32) int32
	var device func(i uint32, dev *uintptr) int32
	for _, f := range []struct {
		fn   any
		name string
	}{
		{&start, "nvmlInit_v2"},
		{&countDevices, "nvmlDeviceGetCount_v2"},
		{&device, "nvmlDeviceGetHandleByIndex_v2"},
		{&r.name, "nvmlDeviceGetName"},
		{&r.use, "nvmlDeviceGetUtilizationRates"},
		{&r.memory, "nvmlDeviceGetMemoryInfo"},
		{&r.temperature, "nvmlDeviceGetTemperature"},
		{&r.power, "nvmlDeviceGetPowerUsage"},
	} {
		symbol, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return
		}
		purego.RegisterFunc(f.fn, symbol)
	}
	var n uint32
	if start() != 0 || countDevices(&n) != 0 {
		return
	}
	for i := range min(n, maxGPUs) {
		var dev uintptr
		if device(i, &dev) == 0 {
			r.devices = append(r.devices, dev)
		}
	}
}

// read reads every GPU.
func (r *gpuReader) read() []GPU {
	var gs []GPU
	for _, dev := range r.devices {
		g := GPU{Name: "GPU", Use: Untold, Memory: Untold, MemoryTotal: Untold, Temperature: Untold, Watts: Untold}
		name := make([]byte, 96)
		if r.name(dev, &name[0], uint32(len(name))) == 0 {
			g.Name = string(name[:max(bytes.IndexByte(name, 0), 0)])
		}
		var u nvmlUtilization
		if r.use(dev, &u) == 0 {
			g.Use = int(u.GPU)
		}
		var m nvmlMemory
		if r.memory(dev, &m) == 0 {
			g.Memory, g.MemoryTotal = int64(m.Used), int64(m.Total)
		}
		var celsius, milliwatts uint32
		if r.temperature(dev, 0, &celsius) == 0 {
			g.Temperature = int(celsius)
		}
		if r.power(dev, &milliwatts) == 0 {
			g.Watts = float64(milliwatts) / 1000
		}
		gs = append(gs, g)
	}
	return gs
}
