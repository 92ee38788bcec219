package train

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"cifartui/train/event"
	"cifartui/train/record"
)

func TestReportOfALiveRunHasOneLineAnEpoch(t *testing.T) {
	bus := event.NewBus()
	sub := bus.SubscribeSteps(1)
	var out, errs bytes.Buffer
	done := make(chan error, 1)
	go func() {
		done <- (&record.Report{Out: &out, Err: &errs, Every: 1}).Run(context.Background(), sub)
	}()
	tr := newTrainer(t, tinyOptions(t))
	if err := tr.Run(context.Background(), bus.Publish); err != nil {
		t.Fatal(err)
	}
	bus.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), " - val_acc: "); n != 3 {
		t.Errorf("%d epoch lines, want 3:\n%s", n, &out)
	}
	if n := strings.Count(out.String(), " step "); n != 15 {
		t.Errorf("%d step lines, want 15:\n%s", n, &out)
	}
	if n := strings.Count(out.String(), "\n@ "); n != 3 {
		t.Errorf("%d last lines, want the article's three:\n%s", n, &out)
	}
	if errs.Len() > 0 {
		t.Errorf("warnings: %s", &errs)
	}
}
