package format

import (
	"math"
	"testing"
	"time"
)

// Numbers that stand in columns keep their width, whatever they are.
func TestNumbersKeepTheirWidth(t *testing.T) {
	for _, v := range []float64{0, 0.05, 0.5, 0.99994, 0.99995, 0.999999, 1} {
		if got := Percent(v); len(got) != 6 {
			t.Errorf("%g is %q, %d wide", v, got, len(got))
		}
	}
	for _, v := range []float64{0, 0.00004, 9.99994, 9.99996, 123.4, 999.994, 999.996, 12345, 1e30} {
		if got := Fixed4(v); len(got) != 6 {
			t.Errorf("%g is %q, %d wide", v, got, len(got))
		}
	}
	for _, v := range []float64{0, 9.94, 9.96, 412, 99999.4, 99999.6, 1e6, 1e9} {
		if got := Speed(v); len(got) != 5 {
			t.Errorf("%g is %q, %d wide", v, got, len(got))
		}
	}
	for _, v := range []float64{-1, 0, 59.9, 61, 3599, 3600, 359999, 360000, 8639999, 8640000, 1e9, math.NaN(), math.Inf(1)} {
		if got := Duration6(v); len(got) != 6 {
			t.Errorf("%g is %q, %d wide", v, got, len(got))
		}
	}
}

// A column of ages is as wide as the widest.
func TestAgesTakeFourColumnsAtMost(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-2 * time.Hour: "-", 0: "now", 59 * time.Minute: "59m", 99 * time.Hour: "99h", 100 * time.Hour: "4d", 999 * 24 * time.Hour: "999d", 1000 * 24 * time.Hour: "2y",
	} {
		if got := Ago(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// The screen and the log's lines, which are rounded, show the same time.
func TestDurationsAreRounded(t *testing.T) {
	for v, want := range map[float64]string{65.4: "1m05s", 65.998: "1m06s", 59.7: "1m00s", 3599.6: "1h00m", 0.4: "0s", 359999.7: "4d04h"} {
		if got := Duration(v); got != want {
			t.Errorf("%v s are %s, want %s", v, got, want)
		}
	}
}

func TestNamesAreOrderedAsPeopleDo(t *testing.T) {
	for _, c := range []struct{ a, b string }{{"a", "b"}, {"a", "ab"}, {"", "a"}, {"a9", "a10"}, {"a2b", "a10a"}, {"a1", "a1b"}} {
		if CompareNames(c.a, c.b) >= 0 || CompareNames(c.b, c.a) <= 0 || CompareNames(c.a, c.a) != 0 {
			t.Errorf("%q and %q", c.a, c.b)
		}
	}
}

func TestRatesHaveFewDigits(t *testing.T) {
	for v, want := range map[float64]string{
		1: "1.0", 0.1: "0.1", 0.001: "0.001", 0.0012345: "0.001234", 1e-5: "1e-05", 1e6: "1e+06",
		0.001 * 6.123233995736766e-02: "6.123e-05", 6.123233995736766e-05 / 7: "8.747e-06", 123456.789: "1.235e+05",
	} {
		if got := Rate(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestAHundredPercentIsAll(t *testing.T) {
	for share, want := range map[float64]string{
		0: "  0%", 0.004: "  0%", 0.29: " 29%", 0.57: " 57%", 0.995: " 99%", 1 - 1.0/156_400: " 99%", 1: "100%", 1.5: "100%", -1: "  0%",
	} {
		if got := Done(share); got != want {
			t.Errorf("%v is %q, want %q", share, got, want)
		}
	}
}
