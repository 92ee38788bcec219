package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cifartui/cifar"
	"cifartui/cifar/cifartest"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/record"
	"cifartui/train/rundir"
)

// tinySize is the images' height and width: a quarter of CIFAR's pixels.
const tinySize = 16

func tinyData() *cifar.Dataset { return dataOf(tinySize) }

// dataOf is a few images of a size.
func dataOf(size int) *cifar.Dataset {
	return &cifar.Dataset{Name: "CIFAR-10", Source: "test", Train: cifartest.ColoursOf(size, 38, 1), Test: cifartest.ColoursOf(size, 20, 2), Classes: cifar.ClassNames()}
}

// tinyOptions trains a network of a few filters on a few images: 5 batches an
// epoch.
func tinyOptions(t testing.TB, change ...func(*config.Config)) Options {
	c := config.Default()
	c.Runs = filepath.Join(t.TempDir(), "runs")
	c.Batch, c.Epochs, c.Patience, c.SaveSeconds, c.Filters = 8, 3, 0, 0, "4,8,8"
	for _, f := range change {
		f(&c)
	}
	b := nn.NewCPU(1)
	t.Cleanup(b.Close)
	return Options{Config: c, Dataset: tinyData(), Backend: b, Version: "test"}
}

// recorder collects a run's events, and does something at some of them.
type recorder struct {
	mu     sync.Mutex
	events []event.Event
	at     func(event.Event) // may be nil
}

func (r *recorder) emit(e event.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.at != nil {
		r.at(e)
	}
}

func of[E event.Event](events []event.Event) []E {
	var list []E
	for _, e := range events {
		if e, ok := e.(E); ok {
			list = append(list, e)
		}
	}
	return list
}

func newTrainer(t testing.TB, o Options) *Trainer {
	t.Helper()
	tr, err := NewTrainer(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// train runs o to its end.
func train(t testing.TB, o Options, at func(*Trainer, event.Event)) (string, *recorder, error) {
	t.Helper()
	tr := newTrainer(t, o)
	rec := &recorder{}
	if at != nil {
		rec.at = func(e event.Event) { at(tr, e) }
	}
	err := tr.Run(context.Background(), rec.emit)
	return tr.Folder(), rec, err
}

func mustTrain(t testing.TB, o Options, at func(*Trainer, event.Event)) (string, *recorder) {
	t.Helper()
	folder, rec, err := train(t, o, at)
	if err != nil {
		t.Fatal(err)
	}
	return folder, rec
}

func resume(o Options, folder string) Options {
	o.Resume = folder
	return o
}

// killed copies a folder to where as a SIGKILL would leave it now. A checkpoint may be
// written meanwhile: a copy that is not of one instant is made again.
func killed(t testing.TB, where, folder string) {
	t.Helper()
	for range 100 {
		before, err := files(folder)
		if err == nil {
			err = os.CopyFS(where, os.DirFS(folder))
		}
		after, changed := files(folder)
		if err == nil && changed == nil && maps.EqualFunc(before, after, sameFile) {
			return
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err) // not Fatal: a comparison's runs have goroutines of their own
			return
		}
		if err := os.RemoveAll(where); err != nil {
			t.Error(err)
			return
		}
	}
	t.Errorf("%s changes all the time", folder)
}

// files are those below a folder.
func files(folder string) (map[string]fs.FileInfo, error) {
	all := make(map[string]fs.FileInfo)
	return all, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = d.Info()
		return err
	})
}

// sameFile reports whether a file was neither replaced nor written in between.
func sameFile(before, after fs.FileInfo) bool {
	return os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime())
}

// weightFiles lists the weights in a run's checkpoints folder.
func weightFiles(t testing.TB, folder string) []string {
	t.Helper()
	list, err := checkpoint.List(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range list {
		if c.Problem != "" {
			t.Errorf("%s: %s", c.File, c.Problem)
		}
		if err := checkpoint.Verify(c.Path); err != nil {
			t.Error(err)
		}
		if !c.Resumable {
			names = append(names, c.File)
		}
	}
	return names
}

func TestRunLeavesAWholeFolder(t *testing.T) {
	folder, rec := mustTrain(t, tinyOptions(t), nil)
	if n := len(of[*event.StepDone](rec.events)); n != 15 {
		t.Errorf("%d step events, want 15", n)
	}
	epochs := of[*event.EpochDone](rec.events)
	if len(epochs) != 3 || len(of[*event.Evaluated](rec.events)) != 3 {
		t.Fatalf("%d epochs, want 3", len(epochs))
	}
	for i, e := range rec.events {
		if h := e.Head(); h.Seq != uint64(i+1) || h.Run != filepath.Base(folder) || h.Event != event.KindOf(e) || h.Time.IsZero() {
			t.Errorf("event %d has header %+v", i, h)
		}
	}
	v := of[*event.Evaluated](rec.events)[2]
	seen, right := 0, 0
	for label, row := range v.Confusion {
		for predicted, n := range row {
			seen += n
			if label == predicted {
				right += n
			}
		}
	}
	if seen != 20 || event.Float(float64(right)/20) != epochs[2].ValAcc {
		t.Errorf("the confusion matrix has %d images, %d right; val_acc is %v", seen, right, epochs[2].ValAcc)
	}
	for i, s := range v.Samples {
		if s.Label == s.Predicted || len(s.Pixels) != 3*tinySize*tinySize || i > 0 && s.Confidence > v.Samples[i-1].Confidence {
			t.Errorf("sample %d: %d predicted as %d with %v", i, s.Label, s.Predicted, s.Confidence)
		}
	}
	end, ok := rec.events[len(rec.events)-1].(*event.RunEnded)
	if !ok || end.Outcome != event.OutcomeFinished || end.Epoch != 3 {
		t.Errorf("the last event is %+v", rec.events[len(rec.events)-1])
	}
	if files := weightFiles(t, folder); len(files) != 1 || !strings.HasPrefix(files[0], "CIFAR10-EP") {
		t.Errorf("weights %v, want the best only", files)
	}
	c, about, err := config.Read(folder)
	if err != nil || c.Batch != 8 || about.Version != "test" || !strings.Contains(about.Validation, "test set") {
		t.Errorf("config %+v, about %+v, %v", c, about, err)
	}
	if c := checkpointtest.Last(t, folder); c.Epoch != 4 || c.Step != 0 || c.Total != 15 {
		t.Errorf("last.ckpt is at epoch %d step %d total %d", c.Epoch, c.Step, c.Total)
	}
	if _, live := rundir.Live(folder); live {
		t.Error("the folder is still locked after the run")
	}
}

func TestResumeAtAnyInstantEndsWithTheSameBits(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Config){
		"article": func(*config.Config) {},
		"muon, averaged, smoothed, triangle": func(c *config.Config) {
			c.Optimizer, c.Momentum, c.WeightDecay, c.DenseLR, c.BiasLR = "muon", 0.9, 0.05, 0.1, 0.2
			c.Schedule, c.Warmup, c.Average, c.Smoothing = "triangle", 0.3, 0.75, 0.1
		},
		"the fast recipe, small epochs first": func(c *config.Config) {
			fast, err := config.OfRecipe("fast")
			if err != nil {
				t.Fatal(err)
			}
			fast.Runs, fast.Batch, fast.Epochs, fast.SaveSeconds, fast.Filters = c.Runs, c.Batch, c.Epochs, c.SaveSeconds, c.Filters
			fast.SmallSize = tinySize / 2
			*c = fast
		},
		"a hidden layer, some frozen, some slow": func(c *config.Config) {
			c.Filters, c.Dense, c.Freeze, c.LRScale, c.Initializer = "5,3", "7", "conv1-conv2", "conv=0.5,fc1=2", "orthogonal"
			c.Optimizer, c.Momentum, c.WeightDecay, c.Average = "sgdw", 0.9, 0.05, 0.75
		},
		"held out, averaged, early": func(c *config.Config) {
			c.ValSplit, c.Optimizer, c.Momentum, c.Average = 10, "sgdw", 0.9, 0.5
		},
		"held out, every epoch kept, adamw, cosine": func(c *config.Config) {
			c.ValSplit, c.CheckpointEvery, c.Optimizer, c.Schedule, c.Monitor = 10, 2, "adamw", "cosine", "val_loss"
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := tinyOptions(t, change)
			copies := t.TempDir()
			var folders []string
			dice, pauses := rand.New(rand.NewPCG(7, 8)), rand.New(rand.NewPCG(9, 10))
			o.Config.SaveSeconds = 1e-9 // save after each batch that ends while none is saved
			folder, rec := mustTrain(t, o, func(tr *Trainer, e event.Event) {
				if _, ok := e.(*event.StepDone); !ok || pauses.IntN(2) == 0 {
					waitForSaves(tr, e)
				}
				if dice.IntN(3) == 0 {
					c := filepath.Join(copies, fmt.Sprint(len(folders)), filepath.Base(tr.Folder()))
					killed(t, c, tr.Folder())
					folders = append(folders, c)
				}
			})
			o.Config.SaveSeconds = 0
			want := checkpointtest.Last(t, folder)
			if len(folders) < 8 {
				t.Fatalf("only %d instants", len(folders))
			}
			for _, f := range folders {
				_, again := mustTrain(t, resume(o, f), nil)
				checkpointtest.Same(t, checkpointtest.Last(t, f), want)
				if got, want := weightFiles(t, f), weightFiles(t, folder); !slices.Equal(got, want) {
					t.Errorf("weights %v, want %v", got, want)
				}
				end, first := again.events[len(again.events)-1].(*event.RunEnded), rec.events[len(rec.events)-1].(*event.RunEnded)
				if end.BestValAcc != first.BestValAcc || end.BestValAccEpoch != first.BestValAccEpoch || end.BestAcc != first.BestAcc {
					t.Errorf("ended %+v, want %+v", end, first)
				}
				if (end.TestAcc == nil) != (first.TestAcc == nil) || end.TestAcc != nil && *end.TestAcc != *first.TestAcc {
					t.Errorf("test accuracy %v, want %v", end.TestAcc, first.TestAcc)
				}
				checkRecord(t, f, 3)
			}
		})
	}
}

// waitForSaves has a run pause for a moment after a batch and after an epoch, which
// waits until what is being saved is.
func waitForSaves(tr *Trainer, e event.Event) {
	switch e := e.(type) {
	case *event.StepDone, *event.EpochDone:
		tr.Send(event.Pause{})
	case *event.StateChanged:
		if e.State == event.StatePaused {
			tr.Send(event.Resume{})
		}
	}
}

// folded is what events add up to, by run in the order in which they appeared.
func folded(events []event.Event) []*record.Run {
	var list []*record.Run
	for _, e := range events {
		r := runOf(list, e.Head().Run)
		if r == nil {
			r = new(record.Run)
			list = append(list, r)
		}
		r.Apply(e)
	}
	return list
}

// runOf is the run of a name, nil if there is none.
func runOf(list []*record.Run, name string) *record.Run {
	for _, r := range list {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// checkRecord reads a folder's events.jsonl: numbers that rise, and epochs 1 to
// n after dropping what a resume did anew.
func checkRecord(t *testing.T, folder string, n int) {
	t.Helper()
	r, err := record.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []event.Event
	seq := uint64(0)
	for {
		events, err := r.Next(context.Background(), 10)
		if err != nil {
			break
		}
		for _, e := range events {
			if e.Head().Seq <= seq {
				t.Errorf("%s: event %d after %d", folder, e.Head().Seq, seq)
			}
			seq = e.Head().Seq
			all = append(all, e)
		}
	}
	if r.Skipped() > 0 {
		t.Errorf("%s: %d damaged lines", folder, r.Skipped())
	}
	list := folded(all)
	if len(list) != 1 || len(list[0].Epochs) != n {
		t.Fatalf("%s: runs %+v", folder, list)
	}
	for i, e := range list[0].Epochs {
		if e.Epoch != i+1 {
			t.Errorf("%s: epoch %d in place %d", folder, e.Epoch, i+1)
		}
	}
}

func TestStopAndResumeEndWithTheSameBits(t *testing.T) {
	o := tinyOptions(t)
	straight, _ := mustTrain(t, o, nil)
	want := checkpointtest.Last(t, straight)
	o.Config.Runs = filepath.Join(t.TempDir(), "runs")
	dice := rand.New(rand.NewPCG(3, 3))
	folder := ""
	for try := 0; ; try++ {
		if try > 40 {
			t.Fatal("the run does not get to its end")
		}
		p := o
		p.Resume = folder
		left := 1 + dice.IntN(4)
		f, rec := mustTrain(t, p, func(tr *Trainer, e event.Event) {
			if _, ok := e.(*event.StepDone); ok {
				if left--; left == 0 {
					if err := tr.Send([]event.Command{event.Stop{After: event.AfterBatch}, event.Detach{}}[dice.IntN(2)]); err != nil {
						t.Error(err)
					}
				}
			}
		})
		folder = f
		end := rec.events[len(rec.events)-1].(*event.RunEnded)
		if end.Outcome == event.OutcomeFinished {
			break
		}
	}
	checkpointtest.Same(t, checkpointtest.Last(t, folder), want)
	checkRecord(t, folder, 3)
}

func TestSameSeedSameBitsWhateverTheThreads(t *testing.T) {
	o := tinyOptions(t)
	one, _ := mustTrain(t, o, nil)
	b := nn.NewCPU(2)
	defer b.Close()
	o.Backend = b
	two, _ := mustTrain(t, o, nil)
	if one == two {
		t.Fatalf("both runs are in %s", one)
	}
	checkpointtest.Same(t, checkpointtest.Last(t, two), checkpointtest.Last(t, one))
}

// TestTheAverageIsWhatCounts: with a decay the validated and kept weights are the
// moving average, and last.ckpt has both.
func TestTheAverageIsWhatCounts(t *testing.T) {
	o := tinyOptions(t, func(c *config.Config) { c.Average, c.Epochs = 0.5, 1 })
	averaged, _ := mustTrain(t, o, nil)
	o.Config.Average = 0
	plain, _ := mustTrain(t, o, nil)
	a, p := checkpointtest.Last(t, averaged), checkpointtest.Last(t, plain)
	for i, w := range p.Weights {
		if !slices.Equal(w.Data, a.Weights[i].Data) {
			t.Errorf("%s: averaging has changed the training", w.Name)
		}
		if len(a.Average) == 0 || slices.Equal(w.Data, a.Average[i].Data) {
			t.Fatalf("%s: the average is not one", w.Name)
		}
	}
	kept, err := checkpoint.ReadWeights(filepath.Join(averaged, rundir.CheckpointsDir, a.BestFile))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range a.Average {
		if kept.Tensors[i].Name == w.Name && !slices.Equal(kept.Tensors[i].Data, w.Data) {
			t.Errorf("%s: kept weights are not the average", w.Name)
		}
	}
	if a.History[0].ValLoss == p.History[0].ValLoss {
		t.Error("the average was not what was validated")
	}
}
