package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/nn/cuda"
	"cifartui/nn/cuda/driver"
	"cifartui/nn/kernel"
	"cifartui/train/config"
)

// The values of --device: where the network is computed.
const (
	deviceAuto = "auto" // a GPU if one can be used, else the processor
	deviceCPU  = "cpu"
	deviceCUDA = "cuda" // also cuda:N, the N-th GPU
)

// deviceIndex is the GPU that a value of --device names, -1 for the first that
// can be used.
func deviceIndex(device string) (int, error) {
	switch device {
	case "", deviceAuto, deviceCPU, deviceCUDA:
		return -1, nil
	}
	n, ok := strings.CutPrefix(device, deviceCUDA+":")
	i, err := strconv.Atoi(n)
	if !ok || err != nil || i < 0 {
		return 0, usage("--device: %q is none of auto, cpu, cuda and cuda:N", device)
	}
	return i, nil
}

// computeFlags is what a command that computes, other than train, is told of where.
type computeFlags struct {
	device, kernels string
	threads         int
}

// add adds the flags; device is the default of --device.
func (c *computeFlags) add(f *pflag.FlagSet, device string) {
	f.StringVar(&c.device, "device", device, "where to compute: auto (a GPU if one can be used), cpu, cuda, or cuda:`N` for the N-th GPU")
	f.IntVar(&c.threads, "threads", 0, "processor threads (0: all that this process may use)")
	f.StringVar(&c.kernels, "kernels", "", "processor kernels: avx512, avx2, neon or generic (default: the fastest here)")
}

// check refuses what cannot be, naming the flag, and chooses the kernels.
func (c *computeFlags) check() error {
	if c.threads < 0 || c.threads > config.MaxThreads {
		return usage("--threads: %d is not between 0 and %d", c.threads, config.MaxThreads)
	}
	if _, err := deviceIndex(c.device); err != nil {
		return err
	}
	return useKernels(c.kernels)
}

// open opens the device. lacks and note are as in openDevice.
func (c *computeFlags) open(lacks error, note func(format string, args ...any)) (nn.Backend, error) {
	return openDevice(c.device, c.threads, lacks, note)
}

// useKernels chooses the processor kernels by name; "" keeps the fastest.
func useKernels(name string) error {
	if name == "" {
		return nil
	}
	if err := kernel.Use(name); err != nil {
		return usage("--kernels: %w", err)
	}
	return nil
}

// openDevice opens what a value of --device asks for. lacks, if not nil, is why a
// GPU can't be used for what is to be done. note is told, in a line, why auto
// did not take a GPU, and what takes a while.
func openDevice(device string, threads int, lacks error, note func(format string, args ...any)) (nn.Backend, error) {
	index, err := deviceIndex(device)
	if err != nil {
		return nil, err
	}
	if device == deviceCPU {
		return nn.NewCPU(threads), nil
	}
	if lacks != nil { // if there is a GPU at all
		if _, _, err = findGPUs(index); err == nil {
			err = lacks
		}
	} else {
		var b *cuda.Backend
		if b, err = openGPU(index); err == nil {
			return b, nil
		}
	}
	if device == "" || device == deviceAuto {
		if errors.Is(err, driver.ErrNoDriver) {
			err = driver.ErrNoDriver // what the loader tried is for who asked for the GPU
		}
		note("on the processor: %v", err)
		return nn.NewCPU(threads), nil
	}
	return nil, fmt.Errorf("--device %s: %w", device, err)
}

// openDevices opens what a value of --device asks for where up to most runs can
// train at once: as many GPUs, or the processor, whose threads they share. lacks
// and note are as in openDevice.
func openDevices(device string, threads, most int, lacks error, note func(format string, args ...any)) ([]nn.Backend, error) {
	var gpus []driver.Device
	if most > 1 && lacks == nil && (device == deviceAuto || device == deviceCUDA || device == "") {
		_, gpus, _ = findGPUs(-1) // below it is told why there are none
	}
	var open []nn.Backend
	if len(gpus) > 1 {
		for _, g := range gpus {
			if len(open) == most {
				break
			}
			b, err := openGPU(g.Index)
			if err != nil {
				note("GPU %d is left out: %v", g.Index, err)
				continue
			}
			open = append(open, b)
		}
	}
	if len(open) > 0 {
		return open, nil
	}
	b, err := openDevice(device, threads, lacks, note)
	if err != nil {
		return nil, err
	}
	return []nn.Backend{b}, nil
}

// loadDriver gives the driver; tests put another in its place.
var loadDriver = driver.Load

// openGPU opens a GPU, the first that can be opened if index is -1, and checks
// its kernels.
func openGPU(index int) (*cuda.Backend, error) {
	b, err := openUnchecked(index)
	if err != nil {
		return nil, err
	}
	list, err := b.Check()
	if err == nil {
		err = cuda.Wrong(list)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf(`%s: %w ("cifartui gpu check" tells more)`, b.Device().Name, err)
	}
	return b, nil
}

// openUnchecked opens a GPU without the self-check.
func openUnchecked(index int) (*cuda.Backend, error) {
	d, list, err := findGPUs(index)
	if err != nil {
		return nil, err
	}
	b, err := cuda.OpenFirst(d, list)
	if err != nil {
		return nil, err
	}
	b.UseTuned(tunedFile(), programVersion(), d.Version())
	return b, nil
}

// findGPUs finds the GPU of an index, or all that look as if they could be used if it
// is -1.
func findGPUs(index int) (driver.Driver, []driver.Device, error) {
	d, err := loadDriver()
	if err != nil {
		return nil, nil, err
	}
	list, err := cuda.Find(d, index)
	return d, list, err
}

// tunedFile keeps which kernels are the fastest on a GPU, "" if the system has
// no cache folder.
func tunedFile() string {
	if dir := cifar.CacheDir(); dir != "" {
		return filepath.Join(dir, "gpu.json")
	}
	return ""
}
