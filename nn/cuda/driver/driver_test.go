package driver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Offsets are those that the C compiler gives the parameters of a kernel.
func TestArgsLieAsInC(t *testing.T) {
	var a Args
	for range 2 { // filled anew, it has the same bytes
		a.Reset().U32(1).Pointer(0x0102030405060708).F32(1).Struct([]byte{9, 8, 7}, 64).U32(5)
		if got, want := fmt.Sprint(a.Offsets()), "[0 8 16 64 68]"; got != want {
			t.Errorf("offsets %s, want %s", got, want)
		}
		want := make([]byte, 72)
		copy(want, []byte{1, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0x80, 0x3f})
		copy(want[64:], []byte{9, 8, 7, 0, 5})
		if !bytes.Equal(a.Bytes(), want) {
			t.Errorf("bytes\n% x, want\n% x", a.Bytes(), want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	err := fmt.Errorf("open: %w", &Error{Call: "cuModuleLoadDataEx", Code: NewerPTX, Name: "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"})
	for _, want := range []string{"driver is too old", "install a newer one", "cuModuleLoadDataEx", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "222"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if !Is(err, OutOfMemory, NewerPTX) || Is(err, OutOfMemory) || Is(errors.New("x"), NewerPTX) {
		t.Error("Is does not find the code")
	}
	for code, want := range map[Code]bool{OutOfMemory: false, NewerPTX: false, ECC: true, IllegalAddress: true, LaunchTimeout: true, TooManyResources: false, ContextDestroyed: true, Misaligned: true, MPSNotReady: false, MPSTerminated: true, Unknown: true} {
		if got := Lost(fmt.Errorf("step: %w", &Error{Code: code})); got != want {
			t.Errorf("Lost(%d) = %v, want %v", code, got, want)
		}
	}
}

// Whoever set CUDA_VISIBLE_DEVICES, or has it set by a scheduler, is told of it where a
// GPU is not found.
func TestErrorsTellOfHiddenGPUs(t *testing.T) {
	const none, invalid = "the driver finds no NVIDIA GPU", "the driver knows no such GPU"
	t.Setenv("CUDA_VISIBLE_DEVICES", "") // so that it is put back
	for _, value := range []string{"", "-1", "7", "GPU-8d5c", "MIG-2f1a"} {
		if err := os.Setenv("CUDA_VISIBLE_DEVICES", value); err != nil {
			t.Fatal(err)
		}
		for code, says := range map[Code]string{NoDevice: none, InvalidDevice: invalid} {
			err := &Error{Call: "cuInit", Code: code, Name: "CUDA_ERROR_X"}
			if want := fmt.Sprintf("%s: CUDA_VISIBLE_DEVICES is %q (cuInit: CUDA_ERROR_X (%d))", says, value, code); err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		}
	}
	if err := os.Unsetenv("CUDA_VISIBLE_DEVICES"); err != nil {
		t.Fatal(err)
	}
	if got := NoDevice.explain(); got != none {
		t.Errorf("%q, want %q", got, none)
	}
}

// Where there is no GPU, the driver's library or its absence is what says so.
func TestLoadSaysWhyThereIsNoGPU(t *testing.T) {
	d, err := Load()
	if err == nil {
		devices, err := d.Devices()
		if err != nil || len(devices) == 0 {
			t.Fatalf("a driver without a GPU: %v, %v", devices, err)
		}
		t.Skipf("there is a GPU here: %+v", devices)
	}
	known := []string{"no NVIDIA driver", "finds no NVIDIA GPU", "no GPU support", "too old", "kernel module", "toolkit's"}
	for _, k := range known {
		if strings.Contains(err.Error(), k) {
			return
		}
	}
	t.Errorf("%q says none of %q", err, known)
}
