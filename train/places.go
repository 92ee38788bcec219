package train

import (
	"sync"

	"cifartui/nn"
	"cifartui/train/config"
)

// places are where the runs of a comparison train: which backend computes for
// which run, and which runs take turns. Runs on a GPU take turns with those that
// were dealt to the same one. On the processor all take turns, and as many train
// at once as were asked for: each has a backend of its own with its share of the
// threads, which sleep while it waits. What a run computes depends on neither.
type places struct {
	// backends and seats are of each run; nil where it is over.
	backends []nn.Backend
	shared   []sync.Locker // see Options; nil also where the backend is the run's own
	seats    []*seat
	atOnce   int          // runs that train at the same time, at most
	own      []nn.Backend // to be closed
}

func newPlaces(backends []nn.Backend, parallel int, order config.Order, entries []entry) places {
	left := 0
	for _, e := range entries {
		if !e.over {
			left++
		}
	}
	p := places{atOnce: max(1, min(len(backends), left))}
	groups := make([]*turns, p.atOnce)
	users := make([]sync.Locker, len(groups)) // of their backends
	for g := range groups {
		groups[g], users[g] = newTurns(order, 1), new(sync.Mutex)
	}
	threads := 0 // of a run that has a backend of its own
	if cpu, ok := backends[0].(*nn.CPU); ok && len(backends) == 1 && min(parallel, left) > 1 {
		p.atOnce = min(parallel, left)
		groups[0].most = p.atOnce
		threads = max(1, cpu.Threads()/p.atOnce)
	}
	dealt := 0
	for _, e := range entries {
		if e.over {
			p.backends, p.shared, p.seats = append(p.backends, nil), append(p.shared, nil), append(p.seats, nil)
			continue
		}
		g := dealt % len(groups)
		b, shared := backends[g], users[g]
		if threads > 0 {
			b, shared = nn.NewCPU(threads), nil
			p.own = append(p.own, b)
		}
		p.backends, p.shared, p.seats = append(p.backends, b), append(p.shared, shared), append(p.seats, groups[g].newSeat())
		dealt++
	}
	return p
}

// sharing is how many runs share the processor at the same time; 0 if none do.
func (p *places) sharing() int {
	if len(p.own) == 0 {
		return 0
	}
	return p.atOnce
}

// close ends the backends that were made for the runs.
func (p *places) close() {
	for _, b := range p.own {
		b.Close()
	}
}
