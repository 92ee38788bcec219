package ptx

// hopperOps are the instructions of sm_90a.
var hopperOps = map[string]builder{}

// wgmmaQueue holds a warp's wgmma.mma_async in flight.
type wgmmaQueue struct {
	done uint32 // what was begun up to this time of the warp has ended
}

func (q *wgmmaQueue) reset() { q.done = 0 }

func (q *wgmmaQueue) owns(r int) bool { return false }

func (q *wgmmaQueue) move(w *warp, active uint32, d, s int) bool { return false }

func copyBulk(c *compiler, in *instruction, m modifiers) {
	m.done()
	c.fail("cp.async.bulk is not in the list")
}

// settled checks what must not be left when a block ends.
func (s *shared) settled(b *block) error { return nil }
