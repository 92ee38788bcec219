package event_test

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/train/config"
	"cifartui/train/event"
	"cifartui/train/event/eventtest"

	_ "embed"
)

//go:embed EVENTS.md
var eventsPage string

// The schema, the page and the code name the same kinds and fields.
func TestSchemaAndPageHoldEveryField(t *testing.T) {
	s := eventtest.Load(t, "events.schema.json")
	sections := make(map[string]string)
	for part := range strings.SplitSeq(eventsPage, "\n## ") {
		name, text, _ := strings.Cut(part, "\n")
		sections[name] = text
	}
	check := func(def, section string, typ reflect.Type, common ...string) {
		t.Helper()
		d, ok := s.Defs[def]
		if !ok || sections[section] == "" {
			t.Errorf("%s is not in the schema or %s not on the page", def, section)
			return
		}
		seen := make(map[string]bool)
		for _, f := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				continue
			}
			seen[name] = true
			if _, ok := d.Properties[name]; !ok {
				t.Errorf("%s: field %s is not in the schema", def, name)
			}
			if required := slices.Contains(d.Required, name); required == strings.Contains(options, "omitempty") {
				t.Errorf("%s: field %s is required in the schema: %v, in the code it is the other way", def, name, required)
			}
			if !slices.Contains(common, name) && !strings.Contains(sections[section], "| `"+name+"`") {
				t.Errorf("%s: field %s is not on the page", section, name)
			}
		}
		for name := range d.Properties {
			if !seen[name] {
				t.Errorf("%s: the schema has a field %s that the code has not", def, name)
			}
		}
		rows := strings.Count(sections[section], "\n| `")
		if want := len(d.Properties) - len(common); rows != want {
			t.Errorf("%s: the page has %d fields, want %d", section, rows, want)
		}
	}
	header := []string{"event", "seq", "time", "run"}
	for _, e := range eventtest.All() {
		kind := string(event.KindOf(e))
		check(kind, kind, reflect.TypeOf(e).Elem(), header...)
		if !slices.ContainsFunc(s.OneOf, func(o eventtest.Schema) bool { return o.Ref == "#/$defs/"+kind }) {
			t.Errorf("%s is no form of a line", kind)
		}
	}
	check("config", "settings", reflect.TypeFor[config.Config]())
	check("phases", "phases", reflect.TypeFor[event.Phases]())
	check("sample", "samples", reflect.TypeFor[event.Sample]())
	for _, name := range header {
		if !strings.Contains(sections["In every event"], "| `"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
}

func TestSchemaRefusesWhatIsWrong(t *testing.T) {
	s := eventtest.Load(t, "events.schema.json")
	good := `{"event":"warning","seq":1,"time":"2026-11-23T14:05:00Z","run":"r","message":"m"}`
	if err := s.Check([]byte(good)); err != nil {
		t.Error(err)
	}
	nan := event.Float(math.NaN())
	e := &event.RunEnded{Header: event.Header{Event: event.KindRunEnded, Seq: 1, Time: time.Now().UTC(), Run: "r"}, Outcome: event.OutcomeDiverged, BestAcc: nan}
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(line); err != nil {
		t.Errorf("a number that is not finite: %v", err)
	}
	for what, change := range map[string][2]string{
		"an unknown kind":     {`"warning"`, `"weather"`},
		"a field too many":    {`"message"`, `"more":1,"message"`},
		"a field missing":     {`,"message":"m"`, ``},
		"a number for a text": {`"m"`, `5`},
		"a number from 0":     {`"seq":1`, `"seq":0`},
		"half a number":       {`"seq":1`, `"seq":1.5`},
		"no time":             {`2026-11-23`, `23.11.2026`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if err := s.Check([]byte(bad)); err == nil {
			t.Errorf("%s is valid: %s", what, bad)
		}
	}
}
