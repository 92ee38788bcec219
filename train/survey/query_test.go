package survey

import (
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/runs"
)

func TestQueriesMeanWhatPeopleType(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	c := config.Default()
	c.Batch, c.LR, c.Optimizer = 64, 0.3, "sgd"
	r := &Run{Config: c, About: config.About{Host: "gpu07.cluster"}, ImagesPerSecond: 412,
		Info:   runs.Info{Name: "sweep/vgg-Big", Live: true, State: "running", Epoch: 12, BestValAcc: 0.8412, BestEpoch: 11, Created: now.Add(-5 * time.Hour)},
		Points: []Point{{Epoch: 12, ValAcc: 0.83, ValLoss: 0.5}}}
	a := Asked{Run: r, Now: now, Marked: true, Job: runs.Job{ID: "1234_2", State: "running", Node: "gpu07"}}
	for query, want := range map[string]bool{
		"": true, "vgg": true, "VGG-big": true, "resnet": false, "!resnet": true,
		"batch=64": true, "batch=64,128": true, "batch=128": false, "batch!=64": false, "batch>=64": true, "batch<64": false,
		"lr>0.1": true, "lr>0.1 batch=64": true, "lr>0.1 batch=65": false, "lr=0.3": true, "lr=3e-1": true,
		"optimizer=sgd": true, "optimizer=SGD": true, "optimizer=sg": false, "optimizer!=adam": true, "weight-decay=0": true,
		"running": true, "paused": false, "live": true, "ended": false, "marked": true, "!marked": false, "!running": false,
		"best>84%": true, "best>84": true, "best>0.85": false, "val_acc>=83%": true, "val_loss<1": true,
		"age<2d": true, "age<4h": false, "age>4h": true, "speed>400": true, "epoch>=12": true,
		"machine=gpu07": true, "node=gpu": true, "job=1234": true, "job=999": false,
		"augment=true": true, "augment=false": false, "batch=": true, "batch=x": false, "name=sweep": true, "state=running": true,
		"nonsense=3": true, // left out, and said so
	} {
		if got := Parse(query).Holds(a); got != want {
			t.Errorf("%q holds: %v, want %v", query, got, want)
		}
	}
	if p := Parse("nonsense=3").Problem; !strings.Contains(p, "nonsense") {
		t.Errorf("problem %q", p)
	}
	empty := Asked{Run: &Run{Info: runs.Info{State: NotBegun}}, Now: now}
	for _, query := range []string{"best>0", "best<1", "lr>0", "age<2d", "val_acc>0", "ended"} {
		if Parse(query).Holds(empty) {
			t.Errorf("%q holds for a run that has not begun", query)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"batch=64 lr>0.1", "!failed", "best>90%", "age<2d", "=", "a!", "batch>", "lr=,", "batch=%", "!", "machine=d"} {
		f.Add(s)
	}
	r := &Run{Config: config.Default()}
	f.Fuzz(func(t *testing.T, s string) { Parse(s).Holds(Asked{Run: r}) })
}
