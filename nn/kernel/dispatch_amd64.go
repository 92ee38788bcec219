//go:build !purego

package kernel

// machineImplementations lists the assembly sets that the processor can run,
// best first.
func machineImplementations() []*impl {
	return nil
}
