package bittest

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// caught is a test that is told to fail.
type caught struct {
	testing.TB
	failed bool
}

func (c *caught) Helper()               {}
func (c *caught) Fatal(...any)          { c.failed = true; runtime.Goexit() }
func (c *caught) Fatalf(string, ...any) { c.Fatal() }

// fails reports whether a comparison fails its test.
func fails(f func(t testing.TB)) bool {
	c := &caught{}
	done := make(chan struct{})
	go func() { defer close(done); f(c) }()
	<-done
	return c.failed
}

type part struct {
	Weight float32
	Took   float64
	hidden *int
}

type whole struct {
	Parts []part
	Named map[string]any
	At    time.Time
}

var (
	nan      = float32(math.NaN())
	otherNaN = math.Float32frombits(math.Float32bits(nan) ^ 1)
	minus0   = float32(math.Copysign(0, -1))
)

func TestFloatsTellsBitsApart(t *testing.T) {
	for _, c := range []struct {
		name            string
		a, b            []float32
		floats, numbers bool // whether they fail
	}{
		{"equal", []float32{0, 1, nan}, []float32{0, 1, nan}, false, false},
		{"0 and -0", []float32{0}, []float32{minus0}, true, true},
		{"two NaN", []float32{nan}, []float32{otherNaN}, true, false},
		{"NaN and number", []float32{nan}, []float32{1}, true, true},
		{"length", []float32{1}, []float32{1, 2}, true, true},
	} {
		if got := fails(func(t testing.TB) { Floats(t, "x", c.a, c.b) }); got != c.floats {
			t.Errorf("%s: Floats fails: %t, want %t", c.name, got, c.floats)
		}
		if got := fails(func(t testing.TB) { Numbers(t, "x", c.a, c.b) }); got != c.numbers {
			t.Errorf("%s: Numbers fails: %t, want %t", c.name, got, c.numbers)
		}
	}
}

func TestValuesSeesEveryDifference(t *testing.T) {
	one, two := 1, 2
	now := time.Now()
	make := func(change func(*whole)) *whole {
		w := &whole{
			Parts: []part{{Weight: 1, Took: 2, hidden: &one}, {Weight: nan}},
			Named: map[string]any{"a": 1, "b": float32(0)},
			At:    now,
		}
		if change != nil {
			change(w)
		}
		return w
	}
	Values(t, "equal", make(nil), make(func(w *whole) { w.At = now.UTC() }))
	Values(t, "left out", make(nil), make(func(w *whole) { w.Parts[0].Took = 3 }), "Took")
	for name, change := range map[string]func(*whole){
		"weight":       func(w *whole) { w.Parts[0].Weight = 2 },
		"NaN":          func(w *whole) { w.Parts[1].Weight = otherNaN },
		"-0":           func(w *whole) { w.Named["b"] = minus0 },
		"time":         func(w *whole) { w.At = now.Add(1) },
		"unexported":   func(w *whole) { w.Parts[0].hidden = &two },
		"nil":          func(w *whole) { w.Parts[0].hidden = nil },
		"shorter":      func(w *whole) { w.Parts = w.Parts[:1] },
		"key":          func(w *whole) { w.Named["c"] = w.Named["a"]; delete(w.Named, "a") },
		"type":         func(w *whole) { w.Named["a"] = int64(1) },
		"nil map":      func(w *whole) { w.Named = nil },
		"not left out": func(w *whole) { w.Parts[0].Took = 3 },
	} {
		if !fails(func(t testing.TB) { Values(t, name, make(change), make(nil)) }) {
			t.Errorf("%s: a difference is not seen", name)
		}
	}
	if !fails(func(t testing.TB) { Values(t, "x", make(nil), make(nil), "Tok") }) {
		t.Error("a field that there is not is left out")
	}
}
