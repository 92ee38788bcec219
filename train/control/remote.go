package control

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"cifartui/train/rundir"
)

// Remote is a run on another machine that ssh reaches:
// ssh://user@box:22/RUN, where all but the machine may be left out. What follows
// the first slash is the run as one would name it there, so that an absolute
// path has two.
type Remote struct {
	User string
	Host string
	Port int // 0: ssh's own choice
	Run  string
	// Program is the program over there; "" means cifartui in the PATH. A leading
	// ~ is the home folder there.
	Program string
}

// IsRemote reports whether a run is named as one on another machine.
func IsRemote(run string) bool { return strings.HasPrefix(run, "ssh://") }

// What may stand in a user's and a machine's name. Both reach ssh's own
// configuration, whose commands may pass them to a shell.
var (
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	hostIPv6 = regexp.MustCompile(`^[0-9A-Fa-f:]+(%[A-Za-z0-9]+)?$`)
)

// ParseRemote reads such a name.
func ParseRemote(s string) (Remote, error) {
	wrong := func(what string) (Remote, error) {
		return Remote{}, fmt.Errorf("%q: %s: want ssh://user@host:port/RUN", s, what)
	}
	u, err := url.Parse(s)
	if err != nil {
		var detail *url.Error
		if errors.As(err, &detail) {
			err = detail.Err
		}
		return wrong(err.Error())
	}
	r := Remote{User: u.User.Username(), Host: u.Hostname(), Run: strings.TrimPrefix(u.Path, "/")}
	if u.Scheme != "ssh" {
		return wrong("not an address for ssh")
	}
	if _, ok := u.User.Password(); ok {
		return wrong("a password does not belong here, ssh asks for it")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return wrong("? and # mean nothing here")
	}
	if u.User != nil && !userName.MatchString(r.User) {
		return wrong("not a user's name")
	}
	if !hostName.MatchString(r.Host) && !hostIPv6.MatchString(r.Host) {
		return wrong("not a machine's name")
	}
	if p := u.Port(); p != "" {
		if r.Port, err = strconv.Atoi(p); err != nil || r.Port < 1 || r.Port > 65535 {
			return wrong("not a port")
		}
	}
	if err := checkRun(r.Run); err != nil {
		return wrong(err.Error())
	}
	return r, nil
}

func checkRun(run string) error {
	switch {
	case strings.HasPrefix(run, "-"):
		return errors.New("a run's name does not begin with -")
	case strings.ContainsFunc(run, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return errors.New("a run's name holds no control characters")
	case IsRemote(run):
		return errors.New("one machine after another is too many: use ssh's ProxyJump")
	}
	return nil
}

// Command is the command line, beginning with "ssh", that runs cifartui with
// args on the remote machine, on a terminal of its own if tty is set. The run is
// added to the arguments, if one is named. Nothing in it is read by a local
// shell, and all of it is quoted for the one over there.
func (r Remote) Command(tty bool, args ...string) []string {
	argv := []string{"ssh"}
	if tty {
		argv = append(argv, "-t")
	}
	if r.Port != 0 {
		argv = append(argv, "-p", strconv.Itoa(r.Port))
	}
	host := r.Host
	if r.User != "" {
		host = r.User + "@" + host
	}
	words := append([]string{cmp.Or(r.Program, "cifartui")}, args...)
	if r.Run != "" {
		words = append(words, r.Run)
	}
	for i, w := range words {
		words[i] = rundir.Quote(w)
		if rest, ok := strings.CutPrefix(w, "~/"); ok && i == 0 {
			words[i] = "~/" + rundir.Quote(rest) // between quotes it is no home folder
		}
	}
	return append(argv, "--", host, strings.Join(words, " "))
}
