// Package bittest compares, for the tests of all other packages, what has to be
// the same bit for bit: 0 and -0 differ, and so do a NaN and a number.
package bittest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Floats fails the test unless got and want are equal, bit for bit.
func Floats(t testing.TB, what string, got, want []float32) {
	t.Helper()
	floats(t, what, got, want, false)
}

// Numbers is Floats, but takes every NaN for the same: which of them an
// operation gives is the processor's choice.
func Numbers(t testing.TB, what string, got, want []float32) {
	t.Helper()
	floats(t, what, got, want, true)
}

func floats(t testing.TB, what string, got, want []float32, oneNaN bool) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, v := range got {
		w := want[i]
		if math.Float32bits(v) != math.Float32bits(w) && !(oneNaN && v != v && w != w) {
			t.Fatalf("%s[%d] of %d is %g (%#08x), want %g (%#08x)", what, i, len(got),
				v, math.Float32bits(v), w, math.Float32bits(w))
		}
	}
}

// Values fails the test unless got and want, of one type and of any, are equal
// in all that they hold and point to: numbers by their bits, times by their
// instant. Fields of the names in except are left out, wherever they are; a
// name that no type has fails the test, so that none is left out by mistake.
func Values(t testing.TB, what string, got, want any, except ...string) {
	t.Helper()
	for _, name := range except {
		if !hasField(reflect.TypeOf(want), name, map[reflect.Type]bool{}) {
			t.Fatalf("%s: no field %s, which was to be left out", what, name)
		}
	}
	if d := (comparison{except}).differ(what, reflect.ValueOf(got), reflect.ValueOf(want)); d != "" {
		t.Fatal(d)
	}
}

// hasField reports whether a type, or one that it leads to, has a field of a name.
func hasField(t reflect.Type, name string, seen map[reflect.Type]bool) bool {
	if t == nil || seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hasField(t.Elem(), name, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Name == name || hasField(f.Type, name, seen) {
				return true
			}
		}
	}
	return false
}

type comparison struct{ except []string }

// differ describes the first difference; "" says that there is none.
func (c comparison) differ(path string, a, b reflect.Value) string {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return fmt.Sprintf("%s: %s, want %s", path, typeOf(a), typeOf(b))
	}
	if !a.IsValid() {
		return ""
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		if x, y := math.Float64bits(a.Float()), math.Float64bits(b.Float()); x != y { // wider, and still one for one
			return fmt.Sprintf("%s is %g (%#x), want %g (%#x)", path, a.Float(), x, b.Float(), y)
		}
		return ""
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() != b.IsNil() {
				return fmt.Sprintf("%s: nil is %t, want %t", path, a.IsNil(), b.IsNil())
			}
			return ""
		}
		return c.differ(path, a.Elem(), b.Elem())
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d elements, want %d", path, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := c.differ("", a.Index(i), b.Index(i)); d != "" { // the path only where it is needed
				return c.differ(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
			}
		}
		return ""
	case reflect.Map:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d keys, want %d", path, a.Len(), b.Len())
		}
		for _, key := range a.MapKeys() {
			if d := c.differ(fmt.Sprintf("%s[%v]", path, key), a.MapIndex(key), b.MapIndex(key)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Struct:
		return c.fields(path, a, b)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return path + " is nothing that can be compared"
	}
	if !a.Equal(b) {
		return fmt.Sprintf("%s is %v, want %v", path, a, b)
	}
	return ""
}

func (c comparison) fields(path string, a, b reflect.Value) string {
	if a.CanInterface() && a.Type() == reflect.TypeFor[time.Time]() {
		if x, y := a.Interface().(time.Time), b.Interface().(time.Time); !x.Equal(y) {
			return fmt.Sprintf("%s is %v, want %v", path, x, y)
		}
		return ""
	}
	for i := range a.NumField() {
		name := a.Type().Field(i).Name
		if slices.Contains(c.except, name) {
			continue
		}
		if d := c.differ(path+"."+name, a.Field(i), b.Field(i)); d != "" {
			return d
		}
	}
	return ""
}

func typeOf(v reflect.Value) string {
	if !v.IsValid() {
		return "nothing"
	}
	return v.Type().String()
}
