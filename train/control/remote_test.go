package control

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"cifartui/train/rundir"
)

func TestRemoteCommandLine(t *testing.T) {
	for in, want := range map[string][]string{
		"ssh://box":                        {"ssh", "-t", "--", "box", "cifartui attach"},
		"ssh://box/":                       {"ssh", "-t", "--", "box", "cifartui attach"},
		"ssh://ann@box/model_20261123":     {"ssh", "-t", "--", "ann@box", "cifartui attach model_20261123"},
		"ssh://ann@box:2222//srv/runs/m 1": {"ssh", "-t", "-p", "2222", "--", "ann@box", "cifartui attach '/srv/runs/m 1'"},
		"ssh://[fe80::1%25eth0]/m":         {"ssh", "-t", "--", "fe80::1%eth0", "cifartui attach m"},
		"ssh://box/a;reboot":               {"ssh", "-t", "--", "box", "cifartui attach 'a;reboot'"},
		"ssh://box/$(reboot)":              {"ssh", "-t", "--", "box", "cifartui attach '$(reboot)'"},
		"ssh://box/a'b":                    {"ssh", "-t", "--", "box", `cifartui attach 'a'\''b'`},
	} {
		r, err := ParseRemote(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := r.Command(true, "attach"); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", in, got, want)
		}
	}
}

func TestRemoteRefusesWhatAShellOrSSHWouldRead(t *testing.T) {
	for _, in := range []string{
		"ssh://-oProxyCommand=reboot/m", "ssh://-l@box/m", "ssh://box/-m", "ssh://box/--help",
		"ssh://box;reboot/m", "ssh://$(reboot)/m", "ssh://`reboot`@box/m", "ssh://a%20b/m", "ssh://a%3Bb@box/m",
		"ssh://ann:secret@box/m", "ssh://box:0/m", "ssh://box:99999/m", "ssh://box:x/m", "ssh:///m", "ssh://@box/m",
		"http://box/m", "ssh://box/m?x", "ssh://box/m#x", "ssh://box/a%0Areboot", "ssh://box/ssh://other/m", "box",
	} {
		if r, err := ParseRemote(in); err == nil {
			t.Errorf("%s: taken as %+v", in, r)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "a b", "it's", `'\!'`, `\`, "$x", "a\tb", "é", "!!", "''"} {
		f.Add(s)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no sh here")
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
		out, err := exec.Command(shell, "-c", "printf '%s' "+rundir.Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Fatalf("%q quoted as %s is read as %q, %v", s, rundir.Quote(s), out, err)
		}
	})
}
