package tensorboard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"cifartui/train/event"
)

// TensorBoard's own server must show a run that was killed and resumed as one
// curve, without a step twice. CIFARTUI_TENSORBOARD names its program.
func TestTensorBoardsServerReadsARun(t *testing.T) {
	program := os.Getenv("CIFARTUI_TENSORBOARD")
	if program == "" {
		t.Skip("CIFARTUI_TENSORBOARD does not name TensorBoard's program")
	}
	logdir := t.TempDir()
	dir := filepath.Join(logdir, "tensorboard-run")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, dir, started(0), true, events(0, 12)...)
	resumed := started(7)
	writeRecord(t, dir, resumed, append([]event.Event{started(0)}, events(0, 12)...)...)
	write(t, dir, resumed, false, events(7, 15)...)

	base := serve(t, program, logdir)
	for _, c := range []struct {
		folder, tag string
		steps       []int
	}{
		{"train", tagEpochLoss, []int{1, 2, 3}},
		{"validation", tagEpochAccuracy, []int{1, 2, 3}},
		{"batches", tagBatchLoss, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	} {
		run := "tensorboard-run/tensorboard/" + c.folder
		query := "/data/plugin/scalars/scalars?" + url.Values{"run": {run}, "tag": {c.tag}}.Encode()
		var points [][3]float64
		deadline := time.Now().Add(4 * time.Minute)
		for {
			code, body := get(t, base+query)
			if code == http.StatusOK {
				if err := json.Unmarshal(body, &points); err != nil {
					t.Fatalf("%s: %v in %s", query, err, body)
				}
				if len(points) >= len(c.steps) {
					break
				}
			} else if code >= 500 {
				t.Fatalf("%s: status %d: %s", query, code, body)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: status %d, %d points: %s", query, code, len(points), body)
			}
			time.Sleep(200 * time.Millisecond)
		}
		var steps []int
		for _, p := range points {
			steps = append(steps, int(p[1]))
		}
		if fmt.Sprint(steps) != fmt.Sprint(c.steps) {
			t.Errorf("%s %s: steps %v, want %v", run, c.tag, steps, c.steps)
		}
	}
	code, body := get(t, base+"/data/plugin/hparams/experiment?"+url.Values{"request": {"{}"}}.Encode())
	if code != http.StatusOK || !bytes.Contains(body, []byte(`"optimizer"`)) || !bytes.Contains(body, []byte(`"val_acc"`)) {
		t.Errorf("HParams: status %d: %s", code, body)
	}
}

// serve starts TensorBoard on a port of its choice and returns its address.
func serve(t *testing.T, program, logdir string) string {
	t.Helper()
	cmd := exec.Command(program, "--logdir", logdir, "--port", "0", "--host", "127.0.0.1", "--reload_interval", "1", "--load_fast=false")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := regexp.MustCompile(`http://[0-9.]+:[0-9]+`)
	lines := bufio.NewScanner(io.TeeReader(out, testLog{t}))
	for lines.Scan() {
		if a := address.FindString(lines.Text()); a != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return a
		}
	}
	t.Fatal("TensorBoard ended without an address")
	return ""
}

func get(t *testing.T, address string) (code int, body []byte) {
	t.Helper()
	r, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, body
}

// testLog is a test's log as a writer.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}
