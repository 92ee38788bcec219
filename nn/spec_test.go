package nn

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestSummaryIsKerassTable(t *testing.T) {
	var b strings.Builder
	if err := VGG(0.5).Summary(&b, 64); err != nil {
		t.Fatal(err)
	}
	table, rest, _ := strings.Cut(b.String(), "Arithmetic")
	if want := `_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
conv1 (Conv2D)               (None, 32, 32, 64)        1792
_________________________________________________________________
conv2 (Conv2D)               (None, 32, 32, 64)        36928
_________________________________________________________________
pool1 (MaxPooling2D)         (None, 16, 16, 64)        0
_________________________________________________________________
conv3 (Conv2D)               (None, 16, 16, 128)       73856
_________________________________________________________________
conv4 (Conv2D)               (None, 16, 16, 128)       147584
_________________________________________________________________
pool2 (MaxPooling2D)         (None, 8, 8, 128)         0
_________________________________________________________________
conv5 (Conv2D)               (None, 8, 8, 256)         295168
_________________________________________________________________
conv6 (Conv2D)               (None, 8, 8, 256)         590080
_________________________________________________________________
pool3 (MaxPooling2D)         (None, 4, 4, 256)         0
_________________________________________________________________
flatten (Flatten)            (None, 4096)              0
_________________________________________________________________
dropout (Dropout)            (None, 4096)              0
_________________________________________________________________
dense (Dense)                (None, 10)                40970
=================================================================
Total params: 1,186,378
Trainable params: 1,186,378
Non-trainable params: 0
_________________________________________________________________
`; table != want {
		t.Errorf("the table is\n%s\nwant\n%s", table, want)
	}
	for _, want := range []string{"305.6 MFLOP forward", "916.8 MFLOP a training step", "4.5 MiB of weights", "a batch of 64"} {
		if !strings.Contains(rest, want) {
			t.Errorf("%q is not in %q", want, rest)
		}
	}
}

// TestSummaryShowsHiddenLayers: the article's experiment, with the numbers that
// Keras shows for Flatten, Dense(128), Dropout, Dense(10).
func TestSummaryShowsHiddenLayers(t *testing.T) {
	s := VGG(0.5)
	s.Dense = []int{128}
	var b strings.Builder
	if err := s.Summary(&b, 64); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(b.String(), "pool3")
	if want := ` (MaxPooling2D)         (None, 4, 4, 256)         0
_________________________________________________________________
flatten (Flatten)            (None, 4096)              0
_________________________________________________________________
fc1 (Dense)                  (None, 128)               524416
_________________________________________________________________
dropout (Dropout)            (None, 128)               0
_________________________________________________________________
dense (Dense)                (None, 10)                1290
=================================================================
Total params: 1,671,114
`; !strings.HasPrefix(table, want) {
		t.Errorf("the table ends with\n%s\nwant\n%s", table, want)
	}
}

// TestSpecsOfOldAreRead: a network without hidden layers has the JSON that it had
// before there were any.
func TestSpecsOfOldAreRead(t *testing.T) {
	const old = `{"Size":32,"Filters":[64,128,256],"Classes":10,"Dropout":0.5,"Smoothing":0}`
	b, err := json.Marshal(VGG(0.5))
	if err != nil || string(b) != old {
		t.Errorf("%s, %v, want %s", b, err, old)
	}
	var s Spec
	if err := json.Unmarshal([]byte(old), &s); err != nil || !reflect.DeepEqual(s, VGG(0.5)) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestMemoryOfABatchStaysInItsLimits(t *testing.T) {
	for batch, limit := range map[int]int64{64: 55 << 20, 512: 420 << 20} {
		f, err := VGG(0.5).Footprint(batch)
		if err != nil {
			t.Fatal(err)
		}
		if f.Training > limit || f.Inference > limit {
			t.Errorf("batch %d: %d MiB to train, limit %d; %d MiB to infer", batch, f.Training>>20, limit>>20, f.Inference>>20)
		}
		if f.Weights != 4*1_186_378 {
			t.Errorf("%d bytes of weights", f.Weights)
		}
	}
}
