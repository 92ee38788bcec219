package tensorboard

import (
	"bytes"
	"testing"
)

// Files in the folder may be anyone's: reading them never fails badly.
func FuzzReadRecord(f *testing.F) {
	f.Add(appendRecord(nil, startEvent(start, 7)))
	f.Add(appendRecord(appendRecord(nil, nil), scalarEvent(start, 1, scalar{"a", 1}))[:40])
	f.Fuzz(func(t *testing.T, file []byte) {
		r := bytes.NewReader(file)
		var data []byte
		for {
			var err error
			if data, err = readRecord(r, data[:0]); err != nil {
				return
			}
			if step, _ := stepOf(data); step < 0 {
				t.Errorf("step %d", step)
			}
		}
	})
}

func FuzzStepOf(f *testing.F) {
	f.Add(startEvent(start, 7))
	f.Add(scalarEvent(start, 1<<40, scalar{"a", 1}))
	f.Fuzz(func(t *testing.T, event []byte) {
		if step, _ := stepOf(event); step < 0 {
			t.Errorf("step %d", step)
		}
	})
}
