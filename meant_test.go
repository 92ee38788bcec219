package main

import "testing"

// The nearest of some words is asked for, and none that has little to do with what
// was typed.
func TestTheNearestWordIsMeant(t *testing.T) {
	words := []string{"train", "runs", "eval", "open", "epochs", "small-epochs", "small-size"}
	for typed, want := range map[string]string{
		"trian": "train", "tarin": "train", "trai": "train", "run": "runs", "evla": "eval", "epoch": "epochs", "epochss": "epochs",
		"small": "small-size", "small-e": "small-epochs",
		"": "", "r": "", "ab": "", "foo": "", "pen": "open", "modelling": "",
	} {
		if want != "" {
			want = ": did you mean -" + want + "?"
		}
		if got := meant("-", typed, words); got != want {
			t.Errorf("by %q is meant %q, want %q", typed, got, want)
		}
	}
}
