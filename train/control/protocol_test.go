package control

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cifartui/train/event"
)

func TestRequestsAreCheckedAtTheDoor(t *testing.T) {
	for _, bad := range []string{
		`{"id":1}`,
		`{"cmd":"status"}`,
		`{"id":0,"cmd":"status"}`,
		`{"id":-1,"cmd":"status"}`,
		`{"id":1.5,"cmd":"status"}`,
		`{"id":"1","cmd":"status"}`,
		`{"id":9007199254740993,"cmd":"status"}`,
		`{"id":1,"cmd":"reboot"}`,
		`{"id":1,"cmd":7}`,
		`{"id":1,"cmd":"status","shell":"sh"}`,
		`{"id":1,"cmd":"status","wait":true}`,
		`{"id":1,"cmd":"status","why":"x"}`,
		`{"id":1,"cmd":"pause","wait":"yes"}`,
		`{"id":1,"cmd":"pause","rate":1}`,
		`{"id":1,"cmd":"pause","after":"batch"}`,
		`{"id":1,"cmd":"pause","since":{}}`,
		`{"id":1,"cmd":"pause","run":"a\u0000b"}`,
		`{"id":1,"cmd":"pause","why":"\u001b[2J"}`,
		`{"id":1,"cmd":"pause","why":"` + strings.Repeat("x", maxWhy+1) + `"}`,
		`{"id":1,"cmd":"pause","run":"` + strings.Repeat("x", maxRunName+1) + `"}`,
		`{"id":1,"cmd":"stop","after":"lunch"}`,
		`{"id":1,"cmd":"lr"}`,
		`{"id":1,"cmd":"lr","rate":0}`,
		`{"id":1,"cmd":"lr","rate":-1}`,
		`{"id":1,"cmd":"lr","rate":"NaN"}`,
		`{"id":1,"cmd":"lr","rate":1e999}`,
		`{"id":1,"cmd":"events","run":"r"}`,
		`{"id":1,"cmd":"events","since":[1]}`,
		`{"id":1,"cmd":"events","since":{"r":-1}}`,
		`{"id":1,"cmd":"detach","run":"r"}`,
	} {
		r, err := ParseRequest([]byte(bad))
		if err == nil {
			t.Errorf("%s: taken as %+v", bad, r)
		} else if errors.Is(err, errGarbage) {
			t.Errorf("%s: cut off for a mistake: %v", bad, err)
		}
	}
	for _, garbage := range []string{"", " ", "{", "}", `{"id":1,"cmd":"status"`, "[]", "null", "7", "\"x\"", "{}{}", "{} x", "{\"id\":1,\"why\":\"\xff\"}"} {
		if _, err := ParseRequest([]byte(garbage)); !errors.Is(err, errGarbage) {
			t.Errorf("%q: %v", garbage, err)
		}
	}
}

// A mistake must be answered under the request's own number, or a client waits
// for ever.
func TestMistakesKeepTheirNumber(t *testing.T) {
	for _, line := range []string{`{"id":42,"cmd":"fly"}`, `{"id":42,"cmd":7}`, `{"id":42,"what":1}`, `{"what":{},"id":42}`} {
		if r, err := ParseRequest([]byte(line)); err == nil || r.ID != 42 {
			t.Errorf("%s: number %d, %v", line, r.ID, err)
		}
	}
}

func TestEveryCommandHasARequest(t *testing.T) {
	to := event.To{Run: "r", Why: "w"}
	for _, c := range []event.Command{
		event.Pause{To: to}, event.Resume{To: to}, event.Save{To: to}, event.SetLearnRate{To: to, Rate: 0.5},
		event.Stop{To: to, After: event.AfterEpoch}, event.Stop{To: to, After: event.AfterBatch},
	} {
		r, err := RequestFor(c)
		if err != nil {
			t.Errorf("%T: %v", c, err)
			continue
		}
		line, err := encodeLine(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseRequest(line[:len(line)-1])
		if err != nil || !reflect.DeepEqual(back.Command(), c) {
			t.Errorf("%+v came back as %+v, %v", c, back.Command(), err)
		}
	}
	if r, err := RequestFor(event.Detach{To: to}); err != nil || r.Cmd != VerbDetach {
		t.Errorf("detach: %+v, %v", r, err)
	}
}

// PROTOCOL.md shows every verb, every field and every kind of error, and its
// examples of requests are good ones.
func TestTheProtocolIsDocumented(t *testing.T) {
	page, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, v := range []any{Hello{}, Request{}, Reply{}, message{}, Status{}} {
		for f := range fields(v) {
			want = append(want, "`"+f+"`")
		}
	}
	for _, v := range []Verb{VerbStatus, VerbEvents, VerbPause, VerbResume, VerbSave, VerbStop, VerbLR, VerbDetach} {
		want = append(want, "`"+string(v)+"`")
	}
	for _, c := range []Code{CodeBad, CodeRefused, CodeEnded, CodeFull} {
		want = append(want, "`"+string(c)+"`")
	}
	for _, w := range want {
		if !strings.Contains(string(page), w) {
			t.Errorf("PROTOCOL.md does not tell of %s", w)
		}
	}
	examples := regexp.MustCompile(`(?m)^> (.*)$`).FindAllSubmatch(page, -1)
	if len(examples) < 5 {
		t.Errorf("PROTOCOL.md has %d examples of requests", len(examples))
	}
	for _, e := range examples {
		if _, err := ParseRequest(e[1]); err != nil {
			t.Errorf("PROTOCOL.md's example %s: %v", e[1], err)
		}
	}
}

// fields yields the JSON names of a struct's fields.
func fields(v any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !yield(name) {
				return
			}
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"cmd":"status"}`, `{"id":1,"cmd":"events","since":{"r":7}}`, `{"id":2,"cmd":"stop","after":"epoch","wait":true}`,
		`{"id":3,"cmd":"lr","rate":0.5,"run":"r","why":"x"}`, `{"ID":1,"CMD":"pause"}`, `{"id":1,"id":2,"cmd":"save"}`, "{", "", `{"id":1e3}`,
	} {
		f.Add([]byte(s))
	}
	verbs := []Verb{VerbStatus, VerbEvents, VerbPause, VerbResume, VerbSave, VerbStop, VerbLR, VerbDetach}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseRequest(line)
		if err != nil {
			return
		}
		if r.ID == 0 || !slices.Contains(verbs, r.Cmd) {
			t.Fatalf("%q was taken as %+v", line, r)
		}
		// What is taken can be written again and means the same.
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseRequest(again)
		if len(r.Since) == 0 {
			r.Since = nil // as it is when left out
		}
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%q became %q: %+v, %v", line, again, back, err)
		}
		switch c := r.Command().(type) {
		case event.SetLearnRate:
			if !(c.Rate > 0) {
				t.Fatalf("%q sets the learning rate to %v", line, c.Rate)
			}
		case event.Stop:
			if c.After != event.AfterBatch && c.After != event.AfterEpoch {
				t.Fatalf("%q stops after %q", line, c.After)
			}
		}
	})
}

// FuzzParseHead: the quick way to read a line's number never differs from JSON.
func FuzzParseHead(f *testing.F) {
	for _, s := range []string{`{"event":"step","seq":12,"run":"r"}`, `{"event":"st\"ep","seq":12,"run":"r"}`, `{"event":"a","seq":01,"x":1}`, `{"event":"a","seq":1.5,"x":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		quick, ok := parseHead(line)
		if full, good := fullHead(line); good && (!ok || quick.Seq != full.Seq) {
			if strings.Count(strings.ToLower(string(line)), `seq"`) > 1 {
				t.Skip("a field that may stand twice")
			}
			t.Fatalf("%q: read quickly %+v %v, in full %+v", line, quick, ok, full)
		}
	})
}
