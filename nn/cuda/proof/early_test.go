package proof

import (
	"testing"

	emulator "cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/ptx"
)

// What may start before the kernel before it has ended must wait for that before it
// touches memory: Hopper's own kernels, and on Hopper all others.
func TestKernelsThatStartEarlyWait(t *testing.T) {
	for _, m := range ptx.Modules {
		text, err := ptx.Text(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Exact {
			text = ptx.Early(text)
		}
		code, err := emulator.Load(string(text), emulator.NewMemory(1<<30))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range code.Kernels() {
			k, err := code.Kernel(name)
			if err != nil {
				t.Fatal(err)
			}
			if !k.Waits() {
				t.Errorf("%s of module %s does not wait for the kernel before it", name, m.Name)
			}
		}
	}
}
