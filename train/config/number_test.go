package config

import "testing"

func TestNumbersAreThoseThatPeopleWrite(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "0.1": .1, ".5": .5, "5.": 5, "1e-3": 1e-3, "+2": 2, "-1.5E2": -150} {
		if got, err := ParseNumber(text); err != nil || got != want {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1_000", "0x10", "0x1p-2", "inf", "NaN", "1e999", "1,5", " 1", "1s", "0b1", "e3", "--1"} {
		if got, err := ParseNumber(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for text, want := range map[string]bool{"0": true, "10": true, "-3": true, "010": false, "1_0": false, "0x1": false, "1.0": false, "": false, "1e3": false} {
		if IsWhole(text) != want {
			t.Errorf("%q is a whole number: want %v", text, want)
		}
	}
}

func TestLearningRatesAreAboveZeroAndWithinReason(t *testing.T) {
	if got, err := ParseLearnRate("1e6"); err != nil || got != MaxLearnRate {
		t.Errorf("the largest is read as %v, %v", got, err)
	}
	for _, text := range []string{"0", "-1", "1e7", "0x1p-2", "NaN", ""} {
		if got, err := ParseLearnRate(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
