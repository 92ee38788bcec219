package tui

import (
	"strings"
	"testing"

	"cifartui/tui/machine"
)

// A slice of a GPU tells nothing but its name: a 0 would look like an idle one.
func TestGPUThatTellsNothingIsNotDrawnAsIdle(t *testing.T) {
	b := newBench(t, Options{Mode: Live}, 120, 40)
	v := b.Model.system
	var text strings.Builder
	for _, line := range v.gpuLines(machine.GPU{Name: "NVIDIA H200 MIG 1g.18gb", Use: machine.Untold, Memory: machine.Untold, MemoryTotal: machine.Untold, Temperature: 41, Watts: machine.Untold}, 60) {
		for _, s := range line {
			text.WriteString(s.Text)
		}
		text.WriteString("\n")
	}
	got := text.String()
	if strings.Count(got, "not supported") != 3 || !strings.Contains(got, "41 ") || strings.Contains(got, "0%") {
		t.Errorf("drawn as\n%s", got)
	}
}
