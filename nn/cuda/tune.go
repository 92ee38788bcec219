package cuda

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cifartui/nn"
	"cifartui/nn/cuda/driver"
)

// Tuned is which kernels were the fastest on a GPU. It is measured when a
// convolution is made for the first time, and kept in a file for the kind of
// GPU, the driver and the program.
type Tuned struct {
	path string
	key  string
	file tuneFile
}

// tuneFile is the file: by GPU, driver and program.
type tuneFile map[string]map[string]Choice

// Choice is the kernel chosen for a pass of a convolution, and what each
// candidate took.
type Choice struct {
	Kernel       string             `json:"kernel"`
	Microseconds map[string]float64 `json:"us"`
}

// UseTuned reads and keeps the choices in a file. version is the program's. A
// file that can't be read counts as empty: it is only saved time.
func (b *Backend) UseTuned(path, version string, cuda int) {
	b.tuned = &Tuned{path: path, key: fmt.Sprintf("%s, CUDA %d, cifartui %s", b.Device().Name, cuda, version)}
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &b.tuned.file) != nil {
		b.tuned.file = nil
	}
}

// Choices returns what was chosen on this GPU, by pass and shape.
func (b *Backend) Choices() map[string]Choice {
	if b.tuned == nil {
		return nil
	}
	return b.tuned.file[b.tuned.key]
}

// choose returns the fastest of several kernels.
func (t *Tuned) choose(b *Backend, c *conv, p pass, list []tile) tile {
	if t == nil {
		return list[0]
	}
	shape := fmt.Sprintf("%s%dx%d %d to %d, batch %d", p, c.H, c.W, c.In, c.Out, c.Images)
	if c.Pool {
		shape += ", pool"
	}
	if known, ok := t.file[t.key][shape]; ok {
		if i := slices.IndexFunc(list, func(x tile) bool { return x.name == known.Kernel }); i >= 0 {
			return list[i]
		}
	}
	times, err := b.timeTiles(c, p, list)
	if err != nil {
		return list[0] // no memory for a trial: the step itself will say so
	}
	best := 0
	choice := Choice{Microseconds: map[string]float64{}}
	for i, us := range times {
		choice.Microseconds[list[i].name] = us
		if us < times[best] {
			best = i
		}
	}
	choice.Kernel = list[best].name
	if t.file == nil {
		t.file = tuneFile{}
	}
	if t.file[t.key] == nil {
		t.file[t.key] = map[string]Choice{}
	}
	t.file[t.key][shape] = choice
	t.save()
	return list[best]
}

// save writes the file, whole or not at all. It may fail: then the next start
// measures again.
func (t *Tuned) save() {
	if t.path == "" {
		return
	}
	text, err := json.MarshalIndent(t.file, "", "  ")
	if err != nil || os.MkdirAll(filepath.Dir(t.path), 0o755) != nil {
		return
	}
	tmp := fmt.Sprintf("%s.%d", t.path, os.Getpid())
	if os.WriteFile(tmp, text, 0o644) == nil && os.Rename(tmp, t.path) != nil {
		_ = os.Remove(tmp)
	}
}

// timeTiles runs a pass with each kernel on memory of its own.
func (b *Backend) timeTiles(c *conv, p pass, list []tile) ([]float64, error) {
	trial := *c
	trial.Pool = false
	var buffers []*nn.Buffer
	defer func() {
		for _, m := range buffers {
			b.Free(m.Memory)
		}
	}()
	take := func(m *nn.Buffer, err error) (*nn.Buffer, error) {
		if err == nil {
			buffers = append(buffers, m)
		}
		return m, err
	}
	x, err := take(nn.NewImages(b, c.Images, c.H, c.W, c.In))
	if err != nil {
		return nil, err
	}
	y, err := take(nn.NewImages(b, c.Images, c.H, c.W, c.Out))
	if err != nil {
		return nil, err
	}
	w, err := take(nn.NewBuffer(b, 3, 3, c.In, c.Out))
	if err != nil {
		return nil, err
	}
	bias, err := take(nn.NewBuffer(b, c.Out))
	if err != nil {
		return nil, err
	}
	// Of the pool only the forward kernel differs.
	if c.Pool && p == forwardPass {
		trial.Pool = true
		if !c.Inference {
			if trial.arg, err = b.alloc(c.pooled() * c.Out); err != nil {
				return nil, err
			}
			defer b.free(trial.arg)
		}
	}
	trial.SetWeights(w)
	b.rows(c.Images)
	times := make([]float64, len(list))
	for i, t := range list {
		for _, x := range trial.passes() {
			if x.pass == p {
				*x.tile = t
			}
		}
		times[i], err = b.time(func() {
			switch p {
			case forwardPass:
				trial.Forward(y, x, bias, c.Images)
			case dataPass:
				trial.BackwardData(x, y, x, c.Images)
			case filterPass:
				if trial.filter.hopper != nil {
					trial.hopperFilter(w, bias, x, at(y))
				} else {
					trial.products(w, x, at(y))
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return times, nil
}

// time returns the microseconds that f's kernels take: the least of some
// rounds.
func (b *Backend) time(f func()) (float64, error) {
	from, err := b.ctx.NewEvent()
	if err != nil {
		return 0, b.explain(err)
	}
	to, err := b.ctx.NewEvent()
	if err != nil {
		return 0, b.explain(err)
	}
	defer b.freeEvents(from, to)
	const rounds, each = 4, 3 // the first round warms up
	best := 0.0
	for round := range rounds {
		err := b.ctx.Record(from, b.stream)
		for range each {
			f()
		}
		b.update()
		if err == nil {
			err = b.ctx.Record(to, b.stream)
		}
		if err = b.failed(err); err != nil {
			return 0, err
		}
		if err := b.ctx.Await(to); err != nil {
			return 0, b.explain(err)
		}
		ms, err := b.ctx.Between(from, to)
		if err != nil {
			return 0, b.explain(err)
		}
		if us := float64(ms) * 1e3 / each; round > 0 && (round == 1 || us < best) {
			best = us
		}
	}
	return best, nil
}

// freeEvents gives events back; it fails only with the context.
func (b *Backend) freeEvents(events ...driver.Event) {
	for _, e := range events {
		if err := b.ctx.FreeEvent(e); err != nil {
			b.fail(err)
		}
	}
}
