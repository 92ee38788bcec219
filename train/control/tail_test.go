package control

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func line(seq int, pad int) string {
	return fmt.Sprintf(`{"event":"step","seq":%d,"time":"2026-01-02T15:04:05Z","run":"r","pad":"%0*d"}`, seq, pad, 0) + "\n"
}

func seqs(t *testing.T, tl *tail) []uint64 {
	t.Helper()
	var got []uint64
	for {
		l, err := tl.next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := parseHead(l); ok {
			got = append(got, h.Seq)
		}
	}
}

// A writer may be killed in the middle of a line, and the next one cut that
// half off and write another line in its place.
func TestTailForgetsHalfALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	tl := newTail(path)
	defer tl.close()
	if got := seqs(t, tl); got != nil {
		t.Fatalf("a file that is not there gave %v", got)
	}
	whole := line(1, 1)
	if err := os.WriteFile(path, []byte(whole+line(2, 100)[:60]), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := seqs(t, tl); len(got) != 1 || got[0] != 1 {
		t.Fatalf("got %v, want 1", got)
	}
	if err := os.WriteFile(path, []byte(whole+line(3, 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := seqs(t, tl); len(got) != 1 || got[0] != 3 {
		t.Fatalf("got %v, want 3", got)
	}
}

func TestTailSeekMissesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	rng := rand.New(rand.NewPCG(1, 2))
	var data []byte
	var all []int
	for seq := 1; len(all) < 4000; seq += 1 + rng.IntN(3) {
		switch rng.IntN(40) {
		case 0:
			data = append(data, "damaged\n"...)
		case 1:
			data = append(data, line(seq, 1+rng.IntN(30_000))...)
			all = append(all, seq)
		default:
			data = append(data, line(seq, 1+rng.IntN(300))...)
			all = append(all, seq)
		}
	}
	data = append(data, `{"event":"step","seq":99999,"half`...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	tl := newTail(path)
	defer tl.close()
	for range 50 {
		i := rng.IntN(len(all))
		since := all[i] + rng.IntN(2) // also numbers that no line has
		if err := tl.seek(uint64(since)); err != nil {
			t.Fatal(err)
		}
		offset := tl.offset
		got := seqs(t, tl)
		for len(got) > 0 && got[0] <= uint64(since) {
			got = got[1:]
		}
		for i < len(all) && all[i] <= since {
			i++
		}
		if len(got) != len(all)-i || (len(got) > 0 && got[0] != uint64(all[i])) {
			t.Fatalf("after %d: %d lines from byte %d, want %d", since, len(got), offset, len(all)-i)
		}
	}
	// A search that always began at the start would pass the test above.
	if err := tl.seek(uint64(all[len(all)-1])); err != nil {
		t.Fatal(err)
	}
	if tl.offset < int64(len(data))/2 {
		t.Errorf("the last line was looked for from byte %d of %d", tl.offset, len(data))
	}
}

// fullHead is parseHead by JSON alone.
func fullHead(line []byte) (h head, ok bool) {
	if len(line) < 2 || line[len(line)-1] != '}' || json.Unmarshal(line, &h) != nil || h.Seq == 0 {
		return head{}, false
	}
	return h, true
}

func TestParseHead(t *testing.T) {
	for in, want := range map[string]uint64{
		`{"event":"step","seq":12,"run":"r"}`:                   12,
		`{"event":"step","seq":12345678901234567890,"run":"r"}`: 12345678901234567890,
		`{"run":"r","seq":7,"event":"step"}`:                    7,
		`{"event":"a\",\"seq\":9,","seq":3,"run":"r"}`:          3,
		`{"event":"step","seq":12`:                              0,
		`{"event":"step","seq":"x"}`:                            0,
		`{"event":"step"}`:                                      0,
		`}`:                                                     0,
		``:                                                      0,
	} {
		h, ok := parseHead([]byte(in))
		if h.Seq != want || ok != (want > 0) {
			t.Errorf("%s: %d, %v; want %d", in, h.Seq, ok, want)
		}
		if h, _ := fullHead([]byte(in)); h.Seq != want {
			t.Errorf("%s: read in full %d, want %d", in, h.Seq, want)
		}
	}
}
