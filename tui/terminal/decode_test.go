package terminal

import (
	"bytes"
	"strings"
	"testing"
)

// said is what a decoder made of some bytes: keys in quotes, answers after "osc",
// "attributes".
func said(ts []token) string {
	var out []string
	for _, t := range ts {
		switch t.kind {
		case key:
			out = append(out, strings.ReplaceAll(string(t.text), "\x1b", "ESC"))
		case osc:
			out = append(out, "osc "+string(t.text))
		case attributes:
			out = append(out, "attributes")
		}
	}
	return strings.Join(out, "|")
}

var decoded = []struct{ sent, want string }{
	{"+++", "+|+|+"},
	{"aé広\x7f\r\t", "a|é|広|\x7f|\r|\t"},
	{"\x1b[A\x1b[1;2D\x1b[5~\x1bOP\x1b[[A", "ESC[A|ESC[1;2D|ESC[5~|ESCOP|ESC[[A"},
	{"\x1b]11;rgb:dddd/dddd/dddd\x1b\\q", "osc 11;rgb:dddd/dddd/dddd|q"},
	{"x\x1b]11;rgb:dddd/dddd/dddd\as", "x|osc 11;rgb:dddd/dddd/dddd|s"},
	{"\x1b[?62;22;52cx", "attributes|x"},
	{"\x1b[24;80R", "ESC[24;80R"}, // F3 with modifiers looks the same
	{"\x1bP>|XTerm(390)\x1b\\d", "d"},
	{"\x1b_Gi=1;OK\x1b\\d", "d"},
	{"\x1b[<0;10;10M\x1b[<0;10;10mx", "x"},
	{"\x1b[Mdddx", "x"}, // the mouse's three bytes are no keys
	{"\x1b[I\x1b[Ox", "x"},
	{"\x1bOs\x1bOMx", "x"}, // the keypad of a terminal left in application mode
	{"\x1bd", "ESCd"},      // with Alt
	{"\x1b\x03", "ESC|\x03"},
	{"\x1b\x1b[A", "ESCESC[A"},
	{"\x1b\x1bq", "ESC|ESCq"},
	{"\x1b[200~quit\rx\x1b[A\x1b[201~s", "ESC[200~quit\rxESC[AESC[201~|s"},
	{"\x1b]0;d\x18s", "s"},         // called off
	{"\x1b]0;d\x1b[Bs", "ESC[B|s"}, // broken off by the next
	{"\x1b]d", "d"},                // Alt+] and d
	{"\xff\xc2\x9bd", "d"},
}

func TestWhatTerminalsSendIsPutTogether(t *testing.T) {
	for _, c := range decoded {
		var d decoder
		if got := said(d.feed([]byte(c.sent))); got != c.want {
			t.Errorf("%q: %q, want %q", c.sent, got, c.want)
		}
	}
}

// In whatever pieces the bytes come, they are the same things.
func TestPiecesDoNotMatter(t *testing.T) {
	for _, c := range decoded {
		for size := range len(c.sent) {
			var d decoder
			var ts []token
			for b := []byte(c.sent); len(b) > 0; {
				n := min(size+1, len(b))
				ts = append(ts, d.feed(b[:n])...)
				b = b[n:]
			}
			if got := said(ts); got != c.want {
				t.Errorf("%q by %d: %q, want %q", c.sent, size+1, got, c.want)
			}
		}
	}
}

func TestWhatDoesNotEndIsNoKeys(t *testing.T) {
	for _, c := range []struct{ sent, want string }{
		{"\x1b", "ESC"},
		{"\x1b\x1b", "ESC|ESC"},
		{"\x1b[", ""},
		{"\x1b[1;2", ""},
		{"\x1b]11;rgb:dd", ""},
		{"\x1b]11;rgb:dd\x1b", ""},
		{"\x1b[200~delete", ""},
		{"\xe5\xba", ""},
	} {
		var d decoder
		ts := d.feed([]byte(c.sent))
		if d.wait() == 0 {
			t.Errorf("%q: nothing more is waited for", c.sent)
		}
		if got := said(append(ts, d.expire()...)); got != c.want {
			t.Errorf("%q: %q, want %q", c.sent, got, c.want)
		}
		if got := said(d.feed([]byte("x"))); got != "x" {
			t.Errorf("after %q, x is %q", c.sent, got)
		}
	}
}

func TestEndlessSequencesStayBoundedAndNoKeys(t *testing.T) {
	for _, begin := range []string{"\x1b]11;", "\x1bP", "\x1b[", "\x1b[200~"} {
		var d decoder
		d.feed([]byte(begin))
		for range 1000 {
			if ts := d.feed(bytes.Repeat([]byte("1"), 1000)); len(ts) > 0 {
				t.Fatalf("%q: made %s of it", begin, said(ts))
			}
		}
		if len(d.buf) > mostKept+2000 {
			t.Errorf("%q: keeps %d bytes", begin, len(d.buf))
		}
	}
	var d decoder
	long := "\x1b[200~" + strings.Repeat("a", 3*mostKept)
	d.feed([]byte(long))
	d.feed([]byte("\x1b[20"))
	ts := d.feed([]byte("1~"))
	if len(ts) != 1 || len(ts[0].text) > mostKept || !bytes.HasSuffix(ts[0].text, []byte(pasteEnd)) {
		t.Errorf("a long paste is %d things", len(ts))
	}
}

func FuzzDecoder(f *testing.F) {
	for _, c := range decoded {
		f.Add([]byte(c.sent), 3)
	}
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		size = 1 + (size%7+7)%7
		var whole, pieces decoder
		want := said(append(whole.feed(sent), whole.expire()...))
		var ts []token
		for b := sent; len(b) > 0; {
			n := min(size, len(b))
			ts = append(ts, pieces.feed(b[:n])...)
			b = b[n:]
		}
		got := said(append(ts, pieces.expire()...))
		if len(sent) < mostKept && got != want {
			t.Errorf("%q by %d: %q, whole %q", sent, size, got, want)
		}
	})
}
