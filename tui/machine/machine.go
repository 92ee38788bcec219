// Package machine reads what a process and the machine's GPUs use at a moment.
package machine

import (
	"math"
	"runtime"

	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

// Reading are what a process and the machine's GPUs use at one moment.
type Reading struct {
	Process     bool    // whether the next are known
	CPU         float64 // percent of one core; NaN in the first reading
	Cores       int
	Memory      int64 // resident bytes
	MemoryTotal int64 // of the machine
	Threads     int
	GPUs        []GPU
}

// GPU is what one GPU uses. A number is Untold where the driver does not
// support it, as for the use of a part of a GPU that is shared out (MIG).
type GPU struct {
	Name                string
	Use                 int // percent
	Memory, MemoryTotal int64
	Temperature         int // degrees Celsius
	Watts               float64
}

// Untold stands for a number that a GPU's driver does not tell.
const Untold = -1

// A Sampler reads gauges. It remembers the last reading, since CPU use is what
// was used in between.
type Sampler struct {
	pid    int
	proc   *process.Process
	gpus   gpuReader
	opened bool
}

// Read reads the gauges of a process. What can't be read is left out.
func (s *Sampler) Read(pid int) Reading {
	g := Reading{Cores: runtime.NumCPU()}
	first := s.proc == nil || s.pid != pid
	if first {
		s.pid = pid
		s.proc, _ = process.NewProcess(int32(pid))
	}
	if s.proc != nil {
		if cpu, err := s.proc.Percent(0); err == nil {
			g.Process, g.CPU = true, cpu
			if first { // nothing was used since
				g.CPU = math.NaN()
			}
		}
		if m, err := s.proc.MemoryInfo(); err == nil {
			g.Memory = int64(m.RSS)
		}
		if n, err := s.proc.NumThreads(); err == nil {
			g.Threads = int(n)
		}
		if v, err := mem.VirtualMemory(); err == nil {
			g.MemoryTotal = int64(v.Total)
		}
	}
	if !s.opened {
		s.opened = true
		s.gpus.open()
	}
	g.GPUs = s.gpus.read()
	return g
}
