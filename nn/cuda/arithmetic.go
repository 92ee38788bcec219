package cuda

import (
	"crypto/sha256"
	"fmt"
)

// planNumber is raised by a change of the host's code that changes bits: of how many
// parts a sum is made, in which order they are added, which kernel a shape runs on.
// The kernels' own changes are seen by their PTX.
const planNumber = 1

// Arithmetic is what bits depend on: the kind of GPU and, as there are GPUs of one name
// that differ in it, the number of multiprocessors, which sums are cut by; and which
// kernels of which build of the program run there.
func (b *Backend) Arithmetic() string {
	return fmt.Sprintf("%s (%d multiprocessors, build %s)", b.Name(), b.Device().SMs, b.build)
}

// sum is a module's PTX in short.
type sum = [sha256.Size]byte

// buildOf names the arithmetic of a plan over modules.
func buildOf(plan int, modules []sum) string {
	h := sha256.New()
	fmt.Fprintln(h, plan) // a hash takes all
	for _, m := range modules {
		h.Write(m[:])
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:4])
}
