package eventtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A Schema is a JSON Schema, as far as events.schema.json goes.
type Schema struct {
	Ref        string            `json:"$ref"`
	Defs       map[string]Schema `json:"$defs"`
	Type       any               `json:"type"` // a name or a list of names
	Enum       []any             `json:"enum"`
	Const      any               `json:"const"`
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	Below      *float64          `json:"exclusiveMaximum"`
	Format     string            `json:"format"`
	Encoding   string            `json:"contentEncoding"`
	Required   []string          `json:"required"`
	Properties map[string]Schema `json:"properties"`
	Additional *bool             `json:"additionalProperties"`
	Items      *Schema           `json:"items"`
	OneOf      []Schema          `json:"oneOf"`
	AnyOf      []Schema          `json:"anyOf"`

	// Words for people.
	Schema      string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

// Load reads events.schema.json.
func Load(t testing.TB, path string) Schema {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s Schema
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a keyword that this test would not check
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// validate says what is wrong with a value, by the rules of JSON Schema draft
// 2020-12 for the keywords above.
func (s Schema) validate(v any, defs map[string]Schema, at string) error {
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
	for _, group := range [][]Schema{s.OneOf, s.AnyOf} {
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
		return s.validateItems(v, defs, at)
	case map[string]any:
		return s.validateProperties(v, defs, at)
	}
	return nil
}

// validateItems says what is wrong with the first element of a list that is.
func (s Schema) validateItems(list []any, defs map[string]Schema, at string) error {
	if s.Items == nil {
		return nil
	}
	for i, e := range list {
		if err := s.Items.validate(e, defs, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return err
		}
	}
	return nil
}

// validateProperties says what an object lacks, what it should not have, or
// what is wrong with one of its values.
func (s Schema) validateProperties(object map[string]any, defs map[string]Schema, at string) error {
	for _, name := range s.Required {
		if _, ok := object[name]; !ok {
			return fmt.Errorf("%s: no %s", at, name)
		}
	}
	for name, e := range object {
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
	return nil
}

func (s Schema) typed(v any) bool {
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

// Check says what is wrong with a line of events.jsonl.
func (s Schema) Check(line []byte) error {
	var v any
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	return s.validate(v, s.Defs, "event")
}
