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
// GPU, the driver and the program with its kernels: what is built from a folder of
// sources has always the same version.
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
	b.tuned = &Tuned{path: path, key: fmt.Sprintf("%s, CUDA %d, cifartui %s", b.Arithmetic(), cuda, version)}
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
	if p == dataPass && c.beside {
		shape += ", beside the filter's"
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

// save writes the file, whole or not at all, as other processes and the GPUs of this
// one may do meanwhile. It may fail: then the next start measures again.
func (t *Tuned) save() {
	if t.path == "" {
		return
	}
	text, err := json.MarshalIndent(t.file, "", "  ")
	if err != nil || os.MkdirAll(filepath.Dir(t.path), 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(filepath.Dir(t.path), filepath.Base(t.path)+".*")
	if err != nil {
		return
	}
	_, err = tmp.Write(text)
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil || os.Rename(tmp.Name(), t.path) != nil {
		_ = os.Remove(tmp.Name())
	}
}

// timeTiles runs a pass with each kernel on memory of its own.
func (b *Backend) timeTiles(c *conv, p pass, list []tile) ([]float64, error) {
	t := tileTrial{conv: *c, on: b}
	defer t.free()
	if err := t.allocate(p); err != nil {
		return nil, err
	}
	t.SetWeights(t.w)
	b.rows(c.Images)
	times := make([]float64, len(list))
	var err error
	for i, k := range list {
		t.use(p, k)
		if times[i], err = b.time(func() { t.run(p) }); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// tileTrial is a convolution on memory of its own, to be timed.
type tileTrial struct {
	conv
	on            *Backend
	x, y, w, bias *nn.Buffer
}

// allocate takes the memory that a pass needs. Of the pool only the forward
// kernel differs.
func (t *tileTrial) allocate(p pass) (err error) {
	if t.Pool = t.Pool && p == forwardPass; t.Pool && !t.Inference {
		if t.arg, err = t.on.alloc(t.pooled() * t.Out); err != nil {
			return err
		}
	} else {
		t.arg = 0
	}
	if t.x, err = nn.NewImages(t.on, t.Images, t.H, t.W, t.In); err != nil {
		return err
	}
	if t.y, err = nn.NewImages(t.on, t.Images, t.H, t.W, t.Out); err != nil {
		return err
	}
	if t.w, err = nn.NewBuffer(t.on, 3, 3, t.In, t.Out); err != nil {
		return err
	}
	t.bias, err = nn.NewBuffer(t.on, t.Out)
	return err
}

// free gives the memory back.
func (t *tileTrial) free() {
	for _, m := range []*nn.Buffer{t.x, t.y, t.w, t.bias} {
		if m != nil {
			t.on.Free(m.Memory)
		}
	}
	t.on.free(t.arg)
}

// run launches a pass once.
func (t *tileTrial) run(p pass) {
	switch {
	case p == forwardPass:
		t.Forward(t.y, t.x, t.bias, t.Images)
	case p == dataPass:
		t.BackwardData(t.x, t.y, t.x, t.Images)
	case t.filter.hopper != nil:
		t.hopperFilter(t.w, t.bias, t.x, at(t.y))
	default:
		t.products(t.w, t.x, at(t.y))
	}
}

// time returns the microseconds that f's kernels take: the least of some
// rounds.
func (b *Backend) time(f func()) (float64, error) {
	from, err := b.ctx.NewEvent()
	if err != nil {
		return 0, b.explain(err)
	}
	defer b.freeEvent(from)
	to, err := b.ctx.NewEvent()
	if err != nil {
		return 0, b.explain(err)
	}
	defer b.freeEvent(to)
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

// freeEvent gives an event back; it fails only with the context.
func (b *Backend) freeEvent(e driver.Event) {
	if err := b.ctx.FreeEvent(e); err != nil {
		b.fail(err)
	}
}
