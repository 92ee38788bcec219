package record

import "testing"

func FuzzEndOfARecord(f *testing.F) {
	f.Add([]byte("{\"event\":\"epoch\",\"seq\":1}\n{\"event\":\"run_ended\"}\n"))
	f.Add([]byte("\n\n{\"event\":\"\n"))
	f.Add([]byte(`{"event":"state_changed","state":"paused"}` + "\n" + `{"event":"run_`))
	f.Fuzz(func(t *testing.T, lines []byte) {
		events, newest := lastEvents(lines)
		if newest.Event == "" && len(events) > 0 {
			t.Errorf("something was read of nothing: %+v", events)
		}
		run := new(Run)
		for _, e := range events {
			run.Apply(e)
		}
	})
}
