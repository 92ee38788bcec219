package driver

import (
	"errors"
	"fmt"
	"os"
)

// Code is a CUresult.
type Code int

// Those of the driver's error codes that the program knows what to say about.
const (
	OutOfMemory       Code = 2
	StubLibrary       Code = 34
	DeviceUnavailable Code = 46
	NoDevice          Code = 100
	InvalidDevice     Code = 101
	NoBinary          Code = 209
	ECC               Code = 214
	BadPTX            Code = 218
	NVLink            Code = 220
	NewerPTX          Code = 222
	ContainedECC      Code = 226
	NotFound          Code = 500
	notReady          Code = 600
	IllegalAddress    Code = 700
	TooManyResources  Code = 701
	LaunchTimeout     Code = 702
	ContextDestroyed  Code = 709
	IllegalCode       Code = 715
	Misaligned        Code = 716
	LaunchFailed      Code = 719
	NotPermitted      Code = 800
	NotSupported      Code = 801
	SystemNotReady    Code = 802
	Mismatch          Code = 803
	NoCompatibility   Code = 804
	NoMPS             Code = 805
	MPSFailed         Code = 806
	MPSNotReady       Code = 807
	MPSClients        Code = 808
	MPSConnections    Code = 809
	MPSTerminated     Code = 810
	Unknown           Code = 999
)

// ErrNoDriver is what [Load] wraps where the machine has no driver.
var ErrNoDriver = errors.New("there is no NVIDIA driver here")

// Error is a call of the driver that failed.
type Error struct {
	Call string // the function's name in NVIDIA's documentation
	Code Code
	Name string // the driver's own name for the code, as CUDA_ERROR_NO_DEVICE
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Call, e.Name, int(e.Code))
	if why := e.Code.explain(); why != "" {
		return why + " (" + s + ")"
	}
	return s
}

// explain says what happened and what can be done.
func (c Code) explain() string {
	switch c {
	case OutOfMemory:
		return "the GPU has not enough free memory"
	case StubLibrary:
		return "libcuda.so.1 is the toolkit's empty one: put the driver's before it in the library path"
	case DeviceUnavailable:
		return `the GPU is in use by another process that has it for itself, or closed to computing: see "nvidia-smi -q -d COMPUTE"`
	case NoDevice:
		return "the driver finds no NVIDIA GPU" + Hidden()
	case InvalidDevice:
		return "the driver knows no such GPU" + Hidden()
	case NoBinary, NewerPTX:
		return "the driver is too old for this program's kernels: install a newer one"
	case BadPTX:
		return "the driver does not accept this program's kernels"
	case ECC, ContainedECC:
		return `the GPU's memory has an error that could not be corrected: see "nvidia-smi -q -d ECC"`
	case NVLink:
		return "the connection between GPUs failed"
	case IllegalAddress, IllegalCode, Misaligned, LaunchFailed:
		return `a kernel failed on the GPU: "dmesg" may have a line of the driver with "Xid"`
	case LaunchTimeout:
		return "a kernel took longer than the system allows, as it does where the GPU also draws the screen"
	case NotPermitted:
		return "this process may not use the GPU"
	case SystemNotReady:
		return "the GPU system is still starting, or its fabric manager is not running"
	case Mismatch:
		return "the driver's library and kernel module are of different versions: restart the machine"
	case NoCompatibility:
		return "libcuda.so.1 is newer than the driver, which this GPU does not allow: put the driver's own before it in the library path"
	case NoMPS, MPSFailed, MPSNotReady, MPSClients, MPSConnections, MPSTerminated:
		return "NVIDIA's Multi-Process Service, which shares this GPU out, does not serve this process"
	}
	return ""
}

// Hidden says which GPUs CUDA_VISIBLE_DEVICES leaves, for the end of an error about
// one that is not there: the driver knows no others, and counts from 0 among them. It
// is empty where the variable is not set.
func Hidden() string {
	list, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	if !ok {
		return ""
	}
	return fmt.Sprintf(": CUDA_VISIBLE_DEVICES is %q", list)
}

// Is reports whether err is a failed call with one of the codes.
func Is(err error, codes ...Code) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// Lost reports whether err means that the context is gone, with all that was
// in the GPU's memory.
func Lost(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case ECC, ContainedECC, NVLink, LaunchTimeout, ContextDestroyed, MPSFailed, MPSTerminated, Unknown:
		return true
	}
	return IllegalAddress == e.Code || e.Code >= 710 && e.Code <= 719
}
