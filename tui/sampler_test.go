package tui

import (
	"os"
	"testing"
)

func TestSamplerReadsThisProcess(t *testing.T) {
	var s sampler
	s.read(os.Getpid())
	busy := 0
	for i := range 50_000_000 {
		busy += i
	}
	g := s.read(os.Getpid())
	if !g.process || g.memory < 1<<20 || g.memoryTotal < g.memory || g.threads < 1 || g.cores < 1 || g.cpu < 0 {
		t.Errorf("%+v (%d)", g, busy)
	}
}

func TestSamplerStandsAProcessThatIsGone(t *testing.T) {
	var s sampler
	if g := s.read(1 << 30); g.process {
		t.Errorf("%+v", g)
	}
}
