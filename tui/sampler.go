package tui

import (
	"runtime"

	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

// gauges are what a process and the machine's GPUs use at one moment.
type gauges struct {
	process     bool    // whether the next are known
	cpu         float64 // percent of one core
	cores       int
	memory      int64 // resident bytes
	memoryTotal int64 // of the machine
	threads     int
	gpus        []gpuGauges
}

// gpuGauges are those of one GPU.
type gpuGauges struct {
	name                string
	use                 int // percent
	memory, memoryTotal int64
	temperature         int // degrees Celsius
	watts               float64
}

// A sampler reads gauges. It remembers the last reading, since CPU use is what
// was used in between.
type sampler struct {
	pid    int
	proc   *process.Process
	gpus   gpuReader
	opened bool
}

// read reads the gauges of a process. What can't be read is left out.
func (s *sampler) read(pid int) gauges {
	g := gauges{cores: runtime.NumCPU()}
	if s.proc == nil || s.pid != pid {
		s.pid = pid
		s.proc, _ = process.NewProcess(int32(pid))
	}
	if s.proc != nil {
		if cpu, err := s.proc.Percent(0); err == nil {
			g.process, g.cpu = true, cpu
		}
		if m, err := s.proc.MemoryInfo(); err == nil {
			g.memory = int64(m.RSS)
		}
		if n, err := s.proc.NumThreads(); err == nil {
			g.threads = int(n)
		}
		if v, err := mem.VirtualMemory(); err == nil {
			g.memoryTotal = int64(v.Total)
		}
	}
	if !s.opened {
		s.opened = true
		s.gpus.open()
	}
	g.gpus = s.gpus.read()
	return g
}
