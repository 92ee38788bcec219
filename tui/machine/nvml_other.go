//go:build !linux || !(amd64 || arm64) || static

package machine

// A gpuReader reads no GPUs on systems whose NVIDIA driver has no NVML that is
// opened here.
type gpuReader struct{}

func (*gpuReader) open() {}

func (*gpuReader) read() []GPU { return nil }
