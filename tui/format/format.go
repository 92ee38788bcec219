// Package format shows numbers, times and sizes on the screen. They keep their
// width as they change, so that nothing beside them moves.
package format

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Percent shows an accuracy in [0,1] in 6 columns.
func Percent(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "   nan"
	}
	if v >= 0.99995 { // 100.00% would take a column more
		return fmt.Sprintf("%5.1f%%", 100*v)
	}
	return fmt.Sprintf("%5.2f%%", 100*v)
}

// Done shows in 4 columns what share of something is done: 100% when all of it is, and
// not before.
func Done(share float64) string {
	if !(share > 0) {
		share = 0
	}
	return fmt.Sprintf("%3d%%", int(100*min(share, 1)+1e-9)) // 0.57 is a little less
}

// Fixed4 shows a loss or an accuracy in 6 columns.
func Fixed4(v float64) string {
	switch {
	case math.IsNaN(v):
		return "   nan"
	case math.IsInf(v, 0):
		return "   inf"
	case math.Abs(v) < 9.99995: // else it is rounded to 10.0000
		return fmt.Sprintf("%6.4f", v)
	case math.Abs(v) < 999.995:
		return fmt.Sprintf("%6.2f", v)
	}
	return fmt.Sprintf("%6.0e", v)
}

// Rate shows a learning rate in four digits, or as few as it has: schedules give
// rates that have all that a number can have.
func Rate(v float64) string {
	s := strconv.FormatFloat(v, 'g', 4, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// Speed shows images a second in 5 columns.
func Speed(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
		return "    -"
	case v < 10:
		return fmt.Sprintf("%5.1f", v)
	case v < 99999.5:
		return fmt.Sprintf("%5.0f", v)
	}
	return fmt.Sprintf("%4.0fk", min(v/1000, 9999))
}

// Duration6 shows a duration in seconds in 6 columns, as [Duration] does but for 100
// days and more, which leave no room for hours.
func Duration6(seconds float64) string {
	s := Duration(seconds)
	if days, _, ok := strings.Cut(s, "d"); ok && len(s) > 6 {
		s = days + "d"
	}
	return fmt.Sprintf("%6s", s)
}

// Duration shows a duration in seconds with its two largest units, to the nearest
// second, as the log's lines and the tables of results do; - for what is none.
func Duration(seconds float64) string {
	if math.IsNaN(seconds) || seconds < 0 || seconds > 1e9 {
		return "-"
	}
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60; {
	case h >= 100:
		return fmt.Sprintf("%dd%02dh", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%dh%02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%02ds", m, s)
	default:
		return fmt.Sprintf("%ds", s)
	}
}

// Ago shows how long ago something was, with one unit, in 4 columns at most.
func Ago(d time.Duration) string {
	switch {
	case d < -time.Hour:
		return "-" // another machine's clock
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d < 1000*24*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
	return fmt.Sprintf("%dy", int(d.Hours()/24/365))
}

// Size shows a number of bytes in 8 columns.
func Size(n int64) string {
	v, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for v >= 999.95 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%5d B ", n)
	}
	return fmt.Sprintf("%5.1f %s", v, units[i])
}

// Count shows a whole number with commas between thousands.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Of shows "n/total" with n padded to total's width.
func Of(n, total int) string {
	t := strconv.Itoa(total)
	return fmt.Sprintf("%*d/%s", len(t), n, t)
}

// Plural is "1 epoch" or "3 epochs".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Sentence makes of an error's text a sentence that stands alone.
func Sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return UpperFirst(s)
	}
	return UpperFirst(s) + "."
}

// UpperFirst makes the first letter a capital.
func UpperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}
