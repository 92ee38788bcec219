package config

import (
	"encoding/json"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

// Seconds is a length of time. People write it as 1875, 30m or 1h30m; JSON has
// the number.
type Seconds float64

// parseSeconds reads what a person writes.
func parseSeconds(text string) (Seconds, error) {
	if v, err := ParseNumber(text); err == nil {
		return Seconds(v), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no length of time: want one like 30m, 1h30m or 1875s", text)
	}
	return Seconds(d.Seconds()), nil
}

// Set reads a flag's value.
func (s *Seconds) Set(text string) error {
	v, err := parseSeconds(text)
	if err == nil {
		*s = v
	}
	return err
}

// String is what Set reads.
func (s *Seconds) String() string {
	if *s == 0 {
		return "0"
	}
	return time.Duration(float64(*s) * float64(time.Second)).String()
}

// Type names the value in a flag's help.
func (*Seconds) Type() string { return "duration" }

// UnmarshalJSON takes a number, or text as people write it.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		return s.Set(text)
	}
	return json.Unmarshal(b, (*float64)(s))
}

// UnmarshalYAML takes the same.
func (s *Seconds) UnmarshalYAML(node *yaml.Node) error { return s.Set(node.Value) }
