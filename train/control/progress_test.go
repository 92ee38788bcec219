package control

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A process that gets on is waited for longer than one that does not.
func TestProgressIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ready")
	synctest.Test(t, func(t *testing.T) {
		var told []string
		b := Background{Progress: func(what []byte) { told = append(told, string(what)) }}
		r := Readiness{path}
		go func() {
			for _, what := range []string{"a", "b", "c"} {
				time.Sleep(20 * time.Second)
				if err := r.Progress([]byte(what)); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(20 * time.Second)
			answer, _ := json.Marshal(ready{Child: Child{PID: 7}})
			if err := os.WriteFile(path, answer, 0o644); err != nil {
				t.Error(err)
			}
		}()
		child, err := b.await(t.Context(), path, make(chan error, 1))
		if err != nil || child.PID != 7 || strings.Join(told, "") != "abc" {
			t.Errorf("process %d, %v, told %q", child.PID, err, told)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := Background{}.await(t.Context(), path+"-never", make(chan error, 1))
		if d := time.Since(began); err == nil || d < 30*time.Second || d > 31*time.Second {
			t.Errorf("without a word it is given up after %v: %v", d, err)
		}
	})
}
