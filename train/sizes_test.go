package train

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cifartui/cifar"
	"cifartui/nn"
	"cifartui/train/checkpoint"
	"cifartui/train/checkpoint/checkpointtest"
	"cifartui/train/config"
	"cifartui/train/event"
)

// ownData is images that are not CIFAR's: 48 pixels, three classes with names
// that are not Latin.
func ownData() *cifar.Dataset {
	set := func(n int, seed uint64) *cifar.Set {
		r := rand.New(rand.NewPCG(seed, 1))
		s := cifar.NewSet(48, n)
		for i := range n {
			class := i % 3
			s.Labels[i] = byte(class)
			for j := range s.Image(i) {
				s.Image(i)[j] = byte(80*class + r.IntN(90))
			}
		}
		return s
	}
	return &cifar.Dataset{Name: "my-animals", Source: "test", Train: set(21, 1), Test: set(9, 2), Classes: []string{"кошка", "狗", "a rather long name of a class"}}
}

// ownOptions trains the network of the data, with few filters.
func ownOptions(t testing.TB) Options {
	o := tinyOptions(t, func(c *config.Config) {
		c.Epochs, c.Fill = 2, "reflect"
		c.Augment = config.Augment{Shift: 0.2, Flip: true, Rotate: 30, Zoom: 0.2, Cutout: 0.3, Color: 0.5}
	})
	o.Dataset = ownData()
	return o
}

// Size, number and names of the classes go from the data to the network, the
// events and the weights.
func TestDataOfAnySizeAndClassesIsTrainedOn(t *testing.T) {
	folder, rec := mustTrain(t, ownOptions(t), nil)
	started := of[*event.RunStarted](rec.events)[0]
	if !slices.Equal(started.Classes, ownData().Classes) || started.Dataset != "my-animals" {
		t.Errorf("started with %s, %q", started.Dataset, started.Classes)
	}
	for _, e := range of[*event.Evaluated](rec.events) {
		if len(e.Confusion) != 3 || len(e.Confusion[2]) != 3 {
			t.Errorf("a confusion matrix of %d rows", len(e.Confusion))
		}
		for _, s := range e.Samples {
			if len(s.Pixels) != 3*48*48 {
				t.Errorf("a sample has %d bytes", len(s.Pixels))
			}
		}
	}
	files := weightFiles(t, folder)
	if len(files) == 0 || !strings.HasPrefix(files[0], "myanimals-EP") {
		t.Fatalf("weights: %q", files)
	}
	w, err := checkpoint.ReadWeights(folder + "/checkpoints/" + files[0])
	if err != nil {
		t.Fatal(err)
	}
	var spec nn.Spec
	var names []string
	if err := json.Unmarshal([]byte(w.Meta[checkpoint.MetaNetwork]), &spec); err != nil || spec.Size != 48 || spec.Classes != 3 {
		t.Errorf("the network is %s (%v)", w.Meta[checkpoint.MetaNetwork], err)
	}
	if err := json.Unmarshal([]byte(w.Meta[checkpoint.MetaClasses]), &names); err != nil || !slices.Equal(names, ownData().Classes) {
		t.Errorf("the classes are %s (%v)", w.Meta[checkpoint.MetaClasses], err)
	}
	i := slices.IndexFunc(w.Tensors, func(x checkpoint.Tensor) bool { return x.Name == "dense.weight" })
	if i < 0 || !slices.Equal(w.Tensors[i].Shape, []int{3, 6 * 6 * 8}) {
		t.Errorf("the dense layer is %+v", w.Tensors[max(i, 0)].Shape)
	}
}

func TestOwnDataIsResumedToTheSameBits(t *testing.T) {
	straight, _ := mustTrain(t, ownOptions(t), nil)
	o := ownOptions(t)
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 2 {
			if err := tr.Send(event.Stop{After: event.AfterBatch}); err != nil {
				t.Error(err)
			}
		}
	})
	if c := checkpointtest.Last(t, folder); c.Position.Step != 2 {
		t.Fatalf("the run was stopped after step %d of epoch %d", c.Position.Step, c.Position.Epoch)
	}
	mustTrain(t, resume(o, folder), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
}

// A folder without pictures to test or validate on: a tenth is held out, which
// the settings then say, and nothing is tested at the end.
func TestDataWithoutATestSetHoldsATenthOut(t *testing.T) {
	o := ownOptions(t)
	o.Dataset.Test = cifar.NewSet(48, 0)
	folder, rec := mustTrain(t, o, nil)
	started := of[*event.RunStarted](rec.events)[0]
	if started.ValIsTest || started.ValImages != 2 || started.TrainImages != 19 || started.Config.ValSplit != 2 {
		t.Errorf("started with %d images to train on, %d to validate on (the test set: %v), val_split %d", started.TrainImages, started.ValImages, started.ValIsTest, started.Config.ValSplit)
	}
	if c, _, err := config.Read(folder); err != nil || c.ValSplit != 2 {
		t.Errorf("the settings say %d, %v", c.ValSplit, err)
	}
	if c := checkpointtest.Last(t, folder); c.Position.Test != nil {
		t.Errorf("tested on no images: %+v", c.Position.Test)
	}
	// With the settings it was begun with, and with those it has.
	for _, again := range []config.Config{{}, o.Config} {
		p := resume(o, folder)
		p.Config = again
		if again.Epochs > 0 {
			p.Config.ValSplit = 2
		}
		if _, _, err := train(t, p, nil); err != nil {
			t.Error(err)
		}
	}
	o.Dataset.Train = o.Dataset.Train.Slice(0, 12)
	if _, err := NewTrainer(o); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("twelve images: %v", err)
	}
}

// A class whose only picture is held out is named before anything is trained.
func TestAClassWithNothingLeftToTrainOnIsNamed(t *testing.T) {
	o := ownOptions(t)
	for i := range o.Dataset.Train.Labels {
		o.Dataset.Train.Labels[i] = uint8(i % 2)
	}
	o.Dataset.Train.Labels[7] = 2
	for split, want := range map[int]int{2: 0, 15: 1} {
		o.Config.ValSplit = split
		tr := newTrainer(t, o)
		named := 0
		for _, w := range tr.warnings {
			if strings.Contains(w, o.Dataset.Classes[2]) && strings.Contains(w, "none is left") {
				named++
			}
		}
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
		if named != want {
			t.Errorf("val_split %d: warnings %q, want %d of the class", split, tr.warnings, want)
		}
	}
}

// A folder with pictures to validate on and others to test on: the one for the
// best epoch, the other once at the end.
func TestDataWithAValidationSetIsTestedAtTheEnd(t *testing.T) {
	o := ownOptions(t)
	o.Dataset.Val = o.Dataset.Train.Slice(0, 6)
	folder, rec := mustTrain(t, o, nil)
	started := of[*event.RunStarted](rec.events)[0]
	if started.ValIsTest || started.ValImages != 6 || started.TrainImages != 21 {
		t.Errorf("started with %d images to train on, %d to validate on (the test set: %v)", started.TrainImages, started.ValImages, started.ValIsTest)
	}
	if c := checkpointtest.Last(t, folder); c.Position.Test == nil {
		t.Error("nothing was tested at the end")
	}
	for _, e := range of[*event.Evaluated](rec.events) {
		n := 0
		for _, row := range e.Confusion {
			for _, v := range row {
				n += v
			}
		}
		if n != 6 {
			t.Errorf("epoch %d was validated on %d images", e.Epoch, n)
		}
	}
	o.Config.ValSplit = 3
	if _, err := NewTrainer(o); err == nil || !strings.Contains(err.Error(), "in a folder of their own") {
		t.Errorf("both: %v", err)
	}
}

// smallData is images of 8 pixels, of which a whitening matrix is found at once.
func smallData() *cifar.Dataset {
	d := ownData()
	part := func(s *cifar.Set) *cifar.Set {
		few := cifar.NewSet(8, s.Len())
		copy(few.Labels, s.Labels)
		for i := range few.Len() {
			copy(few.Image(i), s.Image(i))
		}
		return few
	}
	d.Train, d.Test = part(d.Train), part(d.Test)
	return d
}

// The whitening matrix is in the checkpoint and beside the weights: a resume
// goes on to the same bits, also where the cache is gone.
func TestWhitenedRunIsResumedToTheSameBits(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	options := func() Options {
		o := ownOptions(t)
		o.Config.Preprocess, o.Dataset = cifar.ZCA, smallData()
		return o
	}
	straight, _ := mustTrain(t, options(), nil)
	o := options()
	folder, _ := mustTrain(t, o, func(tr *Trainer, e event.Event) {
		if s, ok := e.(*event.StepDone); ok && s.Total == 2 {
			if err := tr.Send(event.Stop{After: event.AfterBatch}); err != nil {
				t.Error(err)
			}
		}
	})
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, rec := mustTrain(t, resume(o, folder), nil)
	checkpointtest.Same(t, checkpointtest.Last(t, folder), checkpointtest.Last(t, straight))
	for _, w := range of[*event.Warning](rec.events) {
		if strings.Contains(w.Message, "whitening matrix") {
			t.Errorf("it was computed again: %s", w.Message)
		}
	}
	files := weightFiles(t, folder)
	if len(files) == 0 {
		t.Fatal("no weights")
	}
	w, err := checkpoint.ReadWeights(folder + "/checkpoints/" + files[0])
	if err != nil {
		t.Fatal(err)
	}
	network, matrix := checkpoint.WithoutWhitening(w.Tensors)
	if len(matrix) != 192*192 || len(network) != len(w.Tensors)-1 || !strings.Contains(w.Meta[checkpoint.MetaPreprocess], `"zca"`) {
		t.Errorf("%d numbers in the matrix, %s", len(matrix), w.Meta[checkpoint.MetaPreprocess])
	}
	// What it was begun with is no network's parameter.
	o = options()
	o.Config.Init = folder + "/checkpoints/" + files[0]
	mustTrain(t, o, nil)
}

// pickyCPU takes images of 16 pixels but no other smaller ones, as a backend may.
type pickyCPU struct{ *nn.CPU }

func (pickyCPU) CheckSize(size int) error {
	if size == 16 {
		return nil
	}
	return fmt.Errorf("images of %d pixels are not for it", size)
}

// A size that the backend does not take is told of, and its epochs are on whole
// images; one that it takes is trained on.
func TestSizeThatTheBackendDoesNotTakeIsTold(t *testing.T) {
	t.Parallel()
	first := func(small float64, size int) (loss event.Float, warnings []*event.Warning) {
		o := tinyOptions(t, func(c *config.Config) { c.Epochs, c.SmallEpochs, c.SmallSize = 2, small, size })
		o.Dataset = dataOf(cifar.Size)
		o.Backend = pickyCPU{o.Backend.(*nn.CPU)}
		_, rec := mustTrain(t, o, nil)
		return of[*event.StepDone](rec.events)[0].Loss, of[*event.Warning](rec.events)
	}
	whole, _ := first(0, 0)
	if loss, w := first(0.5, 0); loss != whole || len(w) != 1 || w[0].Message != "images of 24 pixels are not for it: the first epochs are on whole images" {
		t.Errorf("24 pixels: loss %v, on whole images %v; warnings %+v", loss, whole, w)
	}
	if loss, w := first(0.5, 16); loss == whole || len(w) != 0 {
		t.Errorf("16 pixels: loss %v, on whole images %v; warnings %+v", loss, whole, w)
	}
}
