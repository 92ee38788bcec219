package train

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

//go:embed events.schema.json
var schemaText []byte

//go:embed EVENTS.md
var eventsPage string

// A schema is a JSON Schema, as far as events.schema.json goes.
type schema struct {
	Ref        string            `json:"$ref"`
	Defs       map[string]schema `json:"$defs"`
	Type       any               `json:"type"` // a name or a list of names
	Enum       []any             `json:"enum"`
	Const      any               `json:"const"`
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	Below      *float64          `json:"exclusiveMaximum"`
	Format     string            `json:"format"`
	Encoding   string            `json:"contentEncoding"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Additional *bool             `json:"additionalProperties"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
	AnyOf      []schema          `json:"anyOf"`

	// Words for people.
	Schema      string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

func loadSchema(t *testing.T) schema {
	t.Helper()
	var s schema
	d := json.NewDecoder(bytes.NewReader(schemaText))
	d.DisallowUnknownFields() // a keyword that this test would not check
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// validate says what is wrong with a value, by the rules of JSON Schema draft
// 2020-12 for the keywords above.
func (s schema) validate(v any, defs map[string]schema, at string) error {
	if s.Ref != "" {
		def, ok := defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		if !ok {
			return fmt.Errorf("%s: no definition %s", at, s.Ref)
		}
		return def.validate(v, defs, at)
	}
	if s.Type != nil && !s.typed(v) {
		return fmt.Errorf("%s: %v is no %v", at, v, s.Type)
	}
	if s.Const != nil && v != s.Const || s.Enum != nil && !slices.Contains(s.Enum, v) {
		return fmt.Errorf("%s: %v, want %v%v", at, v, s.Const, s.Enum)
	}
	for _, group := range [][]schema{s.OneOf, s.AnyOf} {
		var errs []error
		for _, o := range group {
			if err := o.validate(v, defs, at); err != nil {
				errs = append(errs, err)
			}
		}
		good := len(group) - len(errs)
		if group != nil && (good == 0 || good > 1 && len(s.OneOf) > 0) {
			return fmt.Errorf("%s: fits %d of %d forms: %v", at, good, len(group), errs)
		}
	}
	switch v := v.(type) {
	case float64:
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum || s.Below != nil && v >= *s.Below {
			return fmt.Errorf("%s: %v is out of range", at, v)
		}
	case string:
		if s.Format == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
	case []any:
		for i, e := range v {
			if s.Items != nil {
				if err := s.Items.validate(e, defs, fmt.Sprintf("%s[%d]", at, i)); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				return fmt.Errorf("%s: no %s", at, name)
			}
		}
		for name, e := range v {
			p, ok := s.Properties[name]
			if !ok {
				if s.Additional != nil && !*s.Additional {
					return fmt.Errorf("%s: %s is not in the schema", at, name)
				}
				continue
			}
			if err := p.validate(e, defs, at+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s schema) typed(v any) bool {
	names, ok := s.Type.([]any)
	if !ok {
		names = []any{s.Type}
	}
	return slices.ContainsFunc(names, func(name any) bool {
		switch v := v.(type) {
		case nil:
			return name == "null"
		case bool:
			return name == "boolean"
		case string:
			return name == "string"
		case float64:
			return name == "number" || name == "integer" && v == math.Trunc(v)
		case []any:
			return name == "array"
		}
		return name == "object"
	})
}

func checkLine(s schema, line []byte) error {
	var v any
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	return s.validate(v, s.Defs, "event")
}

// The schema, the page and the code name the same kinds and fields.
func TestSchemaAndPageHoldEveryField(t *testing.T) {
	s := loadSchema(t)
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
	for _, e := range allEvents() {
		kind := string(eventKind(e))
		check(kind, kind, reflect.TypeOf(e).Elem(), header...)
		if !slices.ContainsFunc(s.OneOf, func(o schema) bool { return o.Ref == "#/$defs/"+kind }) {
			t.Errorf("%s is no form of a line", kind)
		}
	}
	check("config", "settings", reflect.TypeFor[Config]())
	check("phases", "phases", reflect.TypeFor[Phases]())
	check("sample", "samples", reflect.TypeFor[Sample]())
	for _, name := range header {
		if !strings.Contains(sections["In every event"], "| `"+name+"`") {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// A real run's record is valid, line by line: one that was paused, saved,
// steered, stopped and gone on with, on a disk that gave trouble.
func TestRecordOfARealRunIsValid(t *testing.T) {
	s := loadSchema(t)
	o := tinyOptions(t, func(c *Config) { c.ValSplit, c.Epochs = 20, 2 })
	folder, _ := mustTrain(t, o, func(tr *Trainer, e Event) {
		st, ok := e.(*StepDone)
		if !ok {
			return
		}
		var commands []Command
		switch st.Total {
		case 1:
			commands = []Command{Pause{To{Why: "test"}}, Save{}, SetLearnRate{Rate: 0.5}, SetLearnRate{Rate: -1}, Resume{}}
		case 3:
			commands = []Command{Stop{After: AfterBatch}}
		}
		for _, c := range commands {
			if err := tr.Send(c); err != nil {
				t.Error(err)
			}
		}
	})
	mustTrain(t, resume(o, folder), nil)
	b, err := os.ReadFile(filepath.Join(folder, EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[Kind]bool)
	for line := range bytes.Lines(b) {
		if err := checkLine(s, line); err != nil {
			t.Errorf("%v\n%s", err, line)
		}
		if e, err := Decode(line); err != nil {
			t.Error(err)
		} else {
			seen[e.Head().Event] = true
		}
	}
	for _, e := range allEvents() {
		if !seen[eventKind(e)] {
			t.Errorf("the run told no %s: the test shows nothing of it", eventKind(e))
		}
	}
}

func TestSchemaRefusesWhatIsWrong(t *testing.T) {
	s := loadSchema(t)
	good := `{"event":"warning","seq":1,"time":"2026-11-23T14:05:00Z","run":"r","message":"m"}`
	if err := checkLine(s, []byte(good)); err != nil {
		t.Error(err)
	}
	nan := Float(math.NaN())
	e := &RunEnded{Header: Header{Event: KindRunEnded, Seq: 1, Time: time.Now().UTC(), Run: "r"}, Outcome: OutcomeDiverged, BestAcc: nan}
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkLine(s, line); err != nil {
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
		if err := checkLine(s, []byte(bad)); err == nil {
			t.Errorf("%s is valid: %s", what, bad)
		}
	}
}
