package kernel

import (
	"runtime"
	"testing"
)

func TestUsableCPUsIsWithinTheMachine(t *testing.T) {
	if n := UsableCPUs(); n < 1 || n > runtime.NumCPU() {
		t.Errorf("UsableCPUs() = %d on %d processors", n, runtime.NumCPU())
	}
}
