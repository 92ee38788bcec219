package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestWidthsAreReadAsPeopleWriteThem(t *testing.T) {
	for _, text := range []string{
		`{"filters": [32, 64]}`, `{"filters": "32, 64"}`, "filters: [32, 64]", "filters: 32,64", `filters: "32, 64"`, "filters:\n  - 32\n  - 64\n",
	} {
		c, err := Parse([]byte(text), Default())
		if err != nil || c.Filters != "32,64" || !slices.Equal(c.Filters.List(), []int{32, 64}) {
			t.Errorf("%s: %q, %v", text, c.Filters, err)
		}
	}
	for text, want := range map[string]Widths{"128": "128", " 256, 128 ": "256,128", "0": "0"} {
		var w Widths
		if err := w.Set(text); err != nil || w != want {
			t.Errorf("%q is %q, %v", text, w, err)
		}
	}
	for _, bad := range []string{"", "a", "1,,2", "-1", "1.5", "20000", "0x10", "1,2,3,4,5,6,7,8,9"} {
		var w Widths
		if err := w.Set(bad); err == nil {
			t.Errorf("%q is %q", bad, w)
		}
	}
	for _, bad := range []string{`{"filters": [1.5]}`, `{"filters": ["a"]}`, `{"filters": {}}`, `{"dense": true}`, "dense: {a: 1}"} {
		if c, err := Parse([]byte(bad), Default()); err == nil {
			t.Errorf("%s is %q, %q", bad, c.Filters, c.Dense)
		}
	}
	c := Default()
	c.Dense = "128,64"
	b, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(b), `"filters":[64,128,256],"dense":[128,64]`) {
		t.Errorf("%s, %v", b, err)
	}
	y, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{b, y} {
		if again, err := Parse(text, Config{}); err != nil || again != c {
			t.Errorf("%s read back: %+v, %v", text, again, err)
		}
	}
}

func TestSettingsOfLayersAreChecked(t *testing.T) {
	for says, change := range map[string]func(*Config){
		"filters: 0:":        func(c *Config) { c.Filters = "0" },
		"filters: 64,0:":     func(c *Config) { c.Filters = "64,0" },
		"dense: 5,0:":        func(c *Config) { c.Dense = "5,0" },
		"dense: \"many\":":   func(c *Config) { c.Dense = "many" },
		"initializer:":       func(c *Config) { c.Initializer = "ones" },
		"conv: a factor of":  func(c *Config) { c.LRScale = "conv=0" },
		"lr_scale: \"conv\"": func(c *Config) { c.LRScale = "conv" },
		"lr_scale: \"=1\"":   func(c *Config) { c.LRScale = "=1" },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	c := Default()
	c.Dense = "0"
	c.LRScale = "conv1-conv2=1e-1, dense = 3"
	if err := c.Validate(); err != nil || c.Dense.List() != nil {
		t.Errorf("%v, %v", err, c.Dense.List())
	}
	rates, err := ParseLayerRates(c.LRScale)
	if want := []LayerRate{{"conv1-conv2", 0.1}, {"dense", 3}}; err != nil || !slices.Equal(rates, want) {
		t.Errorf("%v, %v", rates, err)
	}
}

// TestResumeKeepsTheNetwork: what decides the bits is fixed, and a run of before
// these settings goes on with their defaults given.
func TestResumeKeepsTheNetwork(t *testing.T) {
	old := Default()
	old.Filters, old.Initializer, old.Fill, old.Flips, old.Recipe = "", "", "", "", ""
	now := Default()
	now.Dense, now.Size, now.SmallSize = "0", 32, 24
	if err := now.CheckResume(old); err != nil {
		t.Error(err)
	}
	now.Filters, now.Dense, now.Initializer, now.Freeze, now.LRScale = "64", "128", "zeros", "conv1", "conv=0.1"
	err := now.CheckResume(old)
	for _, key := range []string{"filters", "dense", "initializer", "freeze", "lr_scale"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+": the run was trained with") {
			t.Errorf("%s may change: %v", key, err)
		}
	}
}

func TestNetworksAreCompared(t *testing.T) {
	runs, err := Expand(Default(), []Sweep{{"dense", []string{"0", "128"}}, {"initializer", []string{"he_normal", "orthogonal"}}})
	if err != nil {
		t.Fatal(err)
	}
	if r := runs[3]; r.Name != "dense=128+initializer=orthogonal" || r.Dense != "128" || r.Initializer != "orthogonal" || runs[0].Dense.List() != nil {
		t.Errorf("%+v", runs)
	}
	if _, err := Expand(Default(), []Sweep{{"dense", []string{"wide"}}}); err == nil {
		t.Error("a hidden layer of no number of units")
	}
}
