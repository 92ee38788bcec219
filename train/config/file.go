package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"cifartui/train/rundir"
)

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

// Keys are the keys of a config file, in Config's order.
func Keys() []string {
	t := reflect.TypeFor[Config]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = keyOf(t.Field(i))
	}
	return keys
}

// aboutKey holds in config.json what is not a setting: the program's version,
// the machine. Parse skips it.
const aboutKey = "about"

// file is config.json.
type file struct {
	Config `yaml:",inline"`
	About  About `json:"about" yaml:"about"`
}

// About is what config.json says beside the settings.
type About struct {
	Version    string `json:"version"`    // the program's
	Go         string `json:"go"`         // that built it
	Platform   string `json:"platform"`   // linux/amd64
	CPUs       int    `json:"cpus"`       // that the process may use
	Host       string `json:"host"`       // name of the machine
	Kernels    string `json:"kernels"`    // avx512, ...
	Dataset    string `json:"dataset"`    // CIFAR-10 or demo
	Source     string `json:"source"`     // where the data came from
	Validation string `json:"validation"` // on which images, in words
	Created    string `json:"created"`    // RFC 3339
}

// Parse reads settings from JSON or YAML over base: what the file leaves
// out stays as in base. A key that is not a setting is an error that names it.
// It does not [Config.Validate].
func Parse(data []byte, base Config) (Config, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(trimmed, base)
	}
	return parseYAML(data, base)
}

// MaxFile is the most bytes that a settings file may have.
const MaxFile = 1 << 20

// load reads a settings file, JSON or YAML, over base.
func load(path string, base Config) (Config, error) {
	data, err := rundir.ReadFile(path, MaxFile)
	if err != nil {
		return base, fmt.Errorf("settings: %w", err)
	}
	c, err := Parse(data, base)
	if err != nil {
		return base, fmt.Errorf("settings: %s: %w", path, err)
	}
	return c, nil
}

func parseJSON(data []byte, base Config) (Config, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return base, fmt.Errorf("JSON: %w", err)
	}
	names := make([]string, 0, len(keys))
	for k := range keys {
		if k != aboutKey {
			names = append(names, k)
		}
	}
	if err := CheckKeys(names, Keys()); err != nil {
		return base, err
	}
	c := base
	if err := json.Unmarshal(data, &c); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return base, fmt.Errorf("%s: a %s is not allowed: want %s", wrong.Field, wrong.Value, typeName(wrong.Type))
		}
		return base, fmt.Errorf("JSON: %w", err)
	}
	return c, nil
}

func parseYAML(data []byte, base Config) (Config, error) {
	var doc, more yaml.Node
	file := yaml.NewDecoder(bytes.NewReader(data))
	if err := file.Decode(&doc); errors.Is(err, io.EOF) { // an empty file sets nothing
		return base, nil
	} else if err != nil {
		return base, fmt.Errorf("YAML: %w", err)
	}
	if err := file.Decode(&more); !errors.Is(err, io.EOF) {
		return base, fmt.Errorf("YAML: line %d: want one list of settings, not a second document", max(more.Line, 1))
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return base, fmt.Errorf("YAML: line %d: want a list of \"setting: value\"", root.Line)
	}
	var names []string
	for i := 0; i < len(root.Content); i += 2 {
		if key := root.Content[i].Value; key != aboutKey {
			names = append(names, key)
		}
	}
	if err := CheckKeys(names, Keys()); err != nil {
		return base, err
	}
	c := base
	if err := root.Decode(&c); err != nil {
		return base, fmt.Errorf("YAML: %w", err)
	}
	return c, nil
}

// CheckKeys refuses keys that are not among the known ones, and says which one may
// have been meant.
func CheckKeys(names, known []string) error {
	var wrong []error
	slices.Sort(names)
	for _, n := range names {
		if slices.Contains(known, n) {
			continue
		}
		plain := strings.ReplaceAll(strings.ToLower(n), "-", "_")
		if slices.Contains(known, plain) {
			wrong = append(wrong, fmt.Errorf("unknown setting %q: did you mean %q?", n, plain))
			continue
		}
		wrong = append(wrong, fmt.Errorf("unknown setting %q: the settings are %s", n, strings.Join(known, ", ")))
	}
	return errors.Join(wrong...)
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Uint64:
		return "a whole number from 0"
	default:
		return "a whole number"
	}
}
