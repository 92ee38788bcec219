package metrics

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cifartui/train/event"
)

// ask scrapes a page.
func ask(p *Page) string {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// A page that is scraped now and then stays for the last figures, and no longer.
func TestLingerWaitsForOneMoreScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		linger := func(p *Page, ctx context.Context) time.Duration {
			began := time.Now()
			p.Linger(ctx, time.Minute)
			return time.Since(began)
		}
		p, end := new(Page), &event.RunEnded{Header: event.Header{Run: "r"}}
		feed(t, p, end)
		if d := linger(p, t.Context()); d != 0 {
			t.Errorf("nobody has asked, and it waits for %v", d)
		}
		ask(p)
		if d := linger(p, t.Context()); d != 0 || p.Awaited() {
			t.Errorf("who asks knows of the end, and it waits for %v", d)
		}
		feed(t, p, end)
		if d := linger(p, t.Context()); d != time.Minute || !p.Awaited() {
			t.Errorf("nobody asks again, and it waits for %v", d)
		}
		go func() {
			time.Sleep(5 * time.Second)
			p.scrapes.count(1) // of before the end
			time.Sleep(10 * time.Second)
			ask(p)
		}()
		if d := linger(p, t.Context()); d != 15*time.Second {
			t.Errorf("asked after 15 s, it waits for %v", d)
		}
		feed(t, p, end)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if d := linger(p, ctx); d != time.Second {
			t.Errorf("called off after 1 s, it waits for %v", d)
		}
	})
}

// Failed, stopped and finished are three states, and a comparison's name is on
// all series of its runs.
func TestEndsAreToldApart(t *testing.T) {
	for outcome, want := range map[event.Outcome]event.State{
		event.OutcomeFinished: event.StateFinished, event.OutcomeEarlyStopped: event.StateFinished,
		event.OutcomeStopped: "stopped", event.OutcomeDetached: "stopped",
		event.OutcomeFailed: event.StateFailed, event.OutcomeDiverged: event.StateFailed,
	} {
		p := new(Page)
		p.SetComparison("sizes")
		state := event.StateFinished
		if want == event.StateFailed {
			state = event.StateFailed
		}
		feed(t, p,
			&event.RunStarted{Header: event.Header{Run: "batch=64"}},
			&event.StateChanged{Header: event.Header{Run: "batch=64"}, State: state},
			&event.RunEnded{Header: event.Header{Run: "batch=64"}, Outcome: outcome})
		page := ask(p)
		line := `cifartui_run_state{run="batch=64",comparison="sizes",state="` + string(want) + `"} 1`
		if !strings.Contains(page, line+"\n") || strings.Count(page, `"} 1`+"\n") < 1 {
			t.Errorf("%s: no line %s in\n%s", outcome, line, page)
		}
		for line := range strings.Lines(page) {
			if !strings.HasPrefix(line, "#") && !strings.Contains(line, `comparison="sizes"`) {
				t.Errorf("the comparison is not named in %s", line)
			}
		}
	}
}
