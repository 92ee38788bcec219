package proof

import (
	"testing"

	interpreter "cifartui/nn/cuda/internal/ptx"
	"cifartui/nn/cuda/ptx"
	"cifartui/nn/cuda/ptx/early"
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
			text = early.Text(text)
		}
		code, err := interpreter.Load(string(text), interpreter.NewMemory(1<<30))
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
