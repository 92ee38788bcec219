package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/feed"
	"cifartui/train/whiten"
)

// learner is what learns: the network, its optimiser and schedule, and the
// images that they are fed.
type learner struct {
	config  config.Config
	spec    nn.Spec
	backend nn.Backend
	now     func() time.Time

	net      *nn.Network
	average  *nn.Network // moving average of net's weights; nil: there is none
	solver   nn.Solver
	schedule nn.Schedule

	prep      *cifar.Preprocess
	whitening []float32  // the matrix of --preprocess zca; nil: none
	images    *feed.Feed // of the training set
	val       *cifar.Set // what is validated on
	valImages *feed.Feed // of what was last evaluated on; nil before that
	steps     int        // batches in a whole epoch
	rows      int        // images in a whole batch

	// The memory of a batch, see allocate.
	step *nn.Step
	eval *nn.Eval
	size int // of the images that step trains on, see resize

	ahead []submitted // batches of step that are under way, the oldest first
}

// submitted is a batch that is under way.
type submitted struct {
	at     time.Time     // when it was submitted
	waited time.Duration // for its images
	rate   float64       // learning rate
}

// trained is what came of a batch.
type trained struct {
	nn.Result
	submitted
	phases event.Phases
}

// newLearner makes a network as the settings say, with weights drawn from the
// seed. from is what a run goes on from, or nil.
func newLearner(ctx context.Context, o Options, c config.Config, spec nn.Spec, from *checkpoint.Checkpoint) (_ *learner, err error) {
	l := &learner{config: c, spec: spec, backend: o.Backend, now: o.Now, size: spec.Size}
	if from != nil {
		_, l.whitening = checkpoint.WithoutWhitening(from.Whitening)
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if err := l.readImages(ctx, o); err != nil {
		return nil, err
	}
	if l.net, err = nn.New(l.backend, spec, c.Seed); err != nil {
		return nil, err
	}
	if c.Average > 0 {
		if l.average, err = nn.New(l.backend, spec, c.Seed); err != nil {
			return nil, err
		}
	}
	rates, err := layerRates(c, spec)
	if err != nil {
		return nil, err
	}
	l.solver, err = nn.NewSolver(l.backend, c.Optimizer, nn.SolverOptions{
		LR: c.LR, Momentum: c.Momentum, WeightDecay: c.WeightDecay, LayerRates: rates,
		BiasLR: c.BiasLR, DenseLR: c.DenseLR, DenseMomentum: c.DenseMomentum, DenseDecay: c.DenseDecay,
	})
	if err != nil {
		return nil, err
	}
	if l.schedule, err = nn.NewSchedule(c.Schedule, c.Warmup); err != nil {
		return nil, err
	}
	return l, nil
}

// whitening finds the matrix of --preprocess zca for images.
type whitening func(ctx context.Context, set *cifar.Set) ([]float32, error)

// readImages splits the data and prepares to feed it.
func (l *learner) readImages(ctx context.Context, o Options) (err error) {
	find, parts := o.whiten, o.parts
	if find == nil {
		find = func(ctx context.Context, set *cifar.Set) ([]float32, error) {
			return whiten.Cached(ctx, set, cifar.CacheDir(), nil)
		}
	}
	if parts == nil {
		parts = func(c config.Config) (train, val *cifar.Set, err error) { return c.Parts(o.Dataset) }
	}
	var set *cifar.Set
	if set, l.val, err = parts(l.config); err != nil {
		return err
	}
	if l.prep, err = cifar.NewPreprocess(l.config.Preprocess, set); err != nil {
		return err
	}
	if l.prep.Whitens() {
		if l.whitening == nil {
			if l.whitening, err = find(ctx, set); err != nil {
				return err
			}
		}
		if err := whiten.Attach(l.prep, set.Size, l.whitening); err != nil {
			return err
		}
	}
	c := LoaderConfig(l.config)
	c.Preprocess = l.prep
	loader := cifar.NewLoader(set, c)
	l.steps, l.rows = loader.Steps(), min(l.config.Batch, set.Len())
	l.images, err = feed.New(l.backend, loader)
	return err
}

// whitened is the matrix of --preprocess zca as a tensor, none if there is none.
func (l *learner) whitened() []checkpoint.Tensor {
	if l.whitening == nil {
		return nil
	}
	n := cifar.Channels * l.spec.Size * l.spec.Size
	return []checkpoint.Tensor{{Name: checkpoint.WhiteningName, Shape: []int{n, n}, Data: l.whitening}}
}

// LoaderConfig is how a run's training images are served, but for their size and
// preprocessing.
func LoaderConfig(c config.Config) cifar.LoaderConfig {
	return cifar.LoaderConfig{
		Batch: c.Batch, Shuffle: c.Shuffle, Augment: c.Augment,
		Reflect: c.Fill == "reflect", Alternate: c.Flips == "alternate", Seed: c.Seed,
	}
}

// sizes are those of the images that the epochs train on, the first epoch's
// first.
func (l *learner) sizes() []int {
	if l.small() == l.spec.Size {
		return []int{l.spec.Size}
	}
	return []int{l.small(), l.spec.Size}
}

// small is the size of the images that the first epochs train on.
func (l *learner) small() int {
	if l.config.SmallEpochs > 0 && checkSize(l.backend, l.config.Small()) == nil {
		return l.config.Small()
	}
	return l.spec.Size
}

// sizeAt is the size of the images that an epoch trains on, where so many of them
// are to train on smaller ones.
func (l *learner) sizeAt(epoch, small int) int {
	if epoch <= small {
		return l.small()
	}
	return l.spec.Size
}

// checkSize reports why a backend does not train on images of another size than the
// network's, nil if it does.
func checkSize(b nn.Backend, size int) error {
	r, ok := b.(nn.Resampler)
	if !ok {
		return fmt.Errorf("the %s kernels train on images of one size", b.Name())
	}
	return r.CheckSize(size)
}

// begin sets the weights that a new run starts with.
func (l *learner) begin(w []checkpoint.Tensor) error {
	if err := l.net.SetWeights(ofNetwork(w)); err != nil {
		return err
	}
	if l.average != nil {
		return l.average.SetWeights(ofNetwork(w))
	}
	return nil
}

// resume sets the weights and the optimiser's state of a checkpoint, whose
// memory it gives up.
func (l *learner) resume(c *checkpoint.Checkpoint) error {
	if err := l.net.SetWeights(ofNetwork(c.Weights)); err != nil {
		return err
	}
	if err := l.solver.SetState(ofNetwork(c.Solver)); err != nil {
		return err
	}
	if l.average != nil {
		if err := l.average.SetWeights(ofNetwork(c.Average)); err != nil {
			return fmt.Errorf("moving average: %w", err)
		}
	}
	c.Weights, c.Solver, c.Average = nil, nil, nil
	return nil
}

// allocate takes the memory to train and evaluate batches, unless it has it.
func (l *learner) allocate() error { return l.fitting(l.take(l.rows)) }

// take is allocate for batches of rows images.
func (l *learner) take(rows int) (err error) {
	if l.step == nil {
		if l.step, err = l.net.NewStepAt(l.size, rows, l.solver); err != nil {
			return err
		}
		if l.average != nil {
			l.step.Average(l.average, 1-l.config.Average)
		}
	}
	if l.eval == nil {
		l.eval, err = l.evaluated().NewEval(evalBatchOf(l.backend))
	}
	return err
}

// fitting adds to an error of a device whose memory is full the batch that would
// fit: half the images, or a quarter, and so on, whichever first finds room. The
// learner gives back what it took.
func (l *learner) fitting(err error) error {
	var full *nn.MemoryError
	if !errors.As(err, &full) {
		return err
	}
	l.forget()
	for rows := l.rows / 2; rows > 0; rows /= 2 {
		l.free()
		if l.take(rows) == nil {
			l.free()
			return fmt.Errorf("batch %d: %w: --batch %d would fit", l.rows, err, rows)
		}
	}
	l.free()
	return fmt.Errorf("batch %d: %w: no smaller batch would fit either, beside the %d images that are evaluated at a time", l.rows, err, evalBatchOf(l.backend))
}

// resize makes ready to train on images of a size.
func (l *learner) resize(size int) error {
	if l.size != size && l.step != nil {
		l.step.Close()
		l.step = nil
	}
	l.size = size
	return l.allocate()
}

// allocated reports whether batches can be trained.
func (l *learner) allocated() bool { return l.step != nil }

// free gives back what allocate took. The weights and the optimiser stay.
func (l *learner) free() {
	if l.step != nil {
		l.step.Close()
	}
	if l.eval != nil {
		l.eval.Close()
	}
	l.step, l.eval = nil, nil
}

// close gives back what the learner has taken on the backend beside its weights.
// A nil learner has nothing.
func (l *learner) close() {
	if l == nil {
		return
	}
	l.free()
	if l.images != nil {
		l.images.Close()
	}
	if l.valImages != nil {
		l.valImages.Close()
	}
	l.images, l.valImages = nil, nil
}

// evaluated is the network that is validated, and whose weights are kept.
func (l *learner) evaluated() *nn.Network {
	if l.average != nil {
		return l.average
	}
	return l.net
}

// factor is the schedule's at the batch to be submitted next.
func (l *learner) factor(at *standing) float64 {
	step, steps := l.progress(at)
	return l.schedule.Rate(step, steps)
}

// progress is where the batch to be submitted next stands in the schedule, and
// how many steps that has.
func (l *learner) progress(at *standing) (step float64, steps int64) {
	return l.progressBy(l.config, at)
}

// progressBy is progress with the length of other settings.
func (l *learner) progressBy(c config.Config, at *standing) (step float64, steps int64) {
	steps = at.totalSteps(c, l.steps)
	if m := c.MaxSteps; m > 0 {
		steps = min(steps, m)
	}
	next := at.Total + int64(len(l.ahead))
	if p := at.Plan; p != nil {
		return p.At(next, steps), steps
	}
	return float64(next), steps
}

// submit puts as many batches under way as the backend wants, of those that are
// left where the run stands. When ctx has ended it may be none.
func (l *learner) submit(ctx context.Context, images *feed.Epoch, at *standing) error {
	for len(l.ahead) < l.step.Ahead() && at.Step+len(l.ahead) < at.steps(l.steps) {
		total := at.Total + int64(len(l.ahead))
		if m := l.config.MaxSteps; m > 0 && total >= m {
			return nil
		}
		b := submitted{at: l.now(), rate: at.Rate * l.factor(at)}
		l.solver.SetLearnRate(b.rate)
		var err error
		b.waited, err = images.Submit(l.step, dropoutKey(l.config.Seed, total))
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return l.fitting(err)
		}
		l.ahead = append(l.ahead, b)
	}
	return nil
}

// underWay counts the batches whose results were not read yet.
func (l *learner) underWay() int { return len(l.ahead) }

// forget drops the batches under way.
func (l *learner) forget() { l.ahead = l.ahead[:0] }

// result reads the result of the oldest batch under way. After a loss that is
// not finite there are no others.
func (l *learner) result() (trained, error) {
	res, err := l.step.Result()
	if err != nil {
		return trained{}, l.fitting(err)
	}
	b := l.ahead[0]
	l.ahead = append(l.ahead[:0], l.ahead[1:]...)
	if !event.Float(res.Loss).Finite() {
		l.forget() // the step has, too
	}
	forward, backward, optimizer := l.step.Phases()
	return trained{res, b, event.Phases{
		Data: b.waited.Seconds(), Forward: forward.Seconds(), Backward: backward.Seconds(), Optimizer: optimizer.Seconds(),
	}}, nil
}

// dropoutKey is drawn from the seed and the number of the batch in the run, by
// the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func dropoutKey(seed uint64, batch int64) uint64 {
	mix := func(z uint64) uint64 {
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	return mix(mix(seed+0x9e3779b97f4a7c15) + uint64(batch)*0x9e3779b97f4a7c15)
}
