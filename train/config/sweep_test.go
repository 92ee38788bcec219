package config

import (
	"slices"
	"testing"
)

func TestParseSweep(t *testing.T) {
	s, err := ParseSweep("lr = 0.1, 1")
	if err != nil || s.Key != "lr" || !slices.Equal(s.Values, []string{"0.1", "1"}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "lr", "lr=", "lr=1,,2", "epochs=1,2", "=1"} {
		if _, err := ParseSweep(bad); err == nil {
			t.Errorf("%q gave no error", bad)
		}
	}
}

func TestExpandIsTheProduct(t *testing.T) {
	runs, err := Expand(Default(), []Sweep{{"batch", []string{"64", "128"}}, {"augment", []string{"true", "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range runs {
		names = append(names, r.Name)
	}
	want := []string{"batch=64+augment=true", "batch=64+augment=false", "batch=128+augment=true", "batch=128+augment=false"}
	if !slices.Equal(names, want) {
		t.Errorf("runs %v, want %v", names, want)
	}
	if runs[3].Batch != 128 || runs[3].Augment != (Augment{}) || runs[2].Augment != Default().Augment {
		t.Errorf("settings %+v", runs[3])
	}
	many := make([]string, 100)
	for name, sweeps := range map[string][]Sweep{
		"number": {{"batch", []string{"many"}}},
		"range":  {{"dropout", []string{"0.5", "1.5"}}},
		"same":   {{"lr", []string{"0.1", "0.10"}}},
		"twice":  {{"lr", []string{"1"}}, {"lr", []string{"2"}}},
		"many":   {{"seed", many}},
		"none":   {},
		"empty":  {{"seed", nil}},
	} {
		if _, err := Expand(Default(), sweeps); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
