package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// Stats counts what a launch did.
type Stats struct {
	// Instructions is the number of instructions that warps issued, by kind:
	// "mma", "ldmatrix", "cp.async", "ld.global", "int", "float" and so on.
	Instructions map[string]int64
	// BankConflicts is how many more cycles the accesses to shared memory take
	// than they would if no two lanes met at one bank.
	BankConflicts int64
	// Blocks and Warps are how many ran.
	Blocks, Warps int64
}

// Total is the number of all instructions.
func (s *Stats) Total() int64 {
	n := int64(0)
	for _, v := range s.Instructions {
		n += v
	}
	return n
}

// Add adds another launch's counts.
func (s *Stats) Add(t *Stats) {
	if s.Instructions == nil {
		s.Instructions = map[string]int64{}
	}
	for k, v := range t.Instructions {
		s.Instructions[k] += v
	}
	s.BankConflicts += t.BankConflicts
	s.Blocks += t.Blocks
	s.Warps += t.Warps
}

func (s *Stats) String() string {
	names := make([]string, 0, len(s.Instructions))
	for k := range s.Instructions {
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, k := range names {
		fmt.Fprintf(&b, "%s %d, ", k, s.Instructions[k])
	}
	fmt.Fprintf(&b, "bank conflicts %d", s.BankConflicts)
	return b.String()
}

// kinds are the names of all kinds of instructions. A warp has a counter for each.
var kinds = [...]string{"int", "float", "double", "special", "convert", "move", "pred", "branch", "barrier", "fence", "sleep",
	"ld.global", "ld.shared", "ld.local", "ld.param", "ld.const", "ld.generic",
	"st.global", "st.shared", "st.local", "st.generic", "atom", "prefetch",
	"shfl", "vote", "cp.async", "cp.async.bulk", "mbarrier", "ldmatrix", "mma", "wgmma"}
