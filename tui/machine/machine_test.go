package machine

import (
	"math"
	"os"
	"testing"
)

func TestSamplerReadsThisProcess(t *testing.T) {
	var s Sampler
	if g := s.Read(os.Getpid()); !math.IsNaN(g.CPU) {
		t.Errorf("the first reading tells a use of %v since it", g.CPU)
	}
	busy := 0
	for i := range 50_000_000 {
		busy += i
	}
	g := s.Read(os.Getpid())
	if !g.Process || g.Memory < 1<<20 || g.MemoryTotal < g.Memory || g.Threads < 1 || g.Cores < 1 || g.CPU < 0 {
		t.Errorf("%+v (%d)", g, busy)
	}
}

func TestSamplerStandsAProcessThatIsGone(t *testing.T) {
	var s Sampler
	if g := s.Read(1 << 30); g.Process {
		t.Errorf("%+v", g)
	}
}
