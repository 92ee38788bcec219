package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// token is a word, a number or a sign, and the line that it stands on. The
// last token of a text is empty.
type token struct {
	text string
	line int
}

// isWord says whether a name, an opcode or a directive may begin with c.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '%' || c == '.'
}

// isInner says whether c may stand within a word: opcodes have dots.
func isInner(c byte) bool { return isWord(c) || c >= '0' && c <= '9' }

// scan cuts a text into tokens. An opcode with all its modifiers is one token.
func scan(text string) ([]token, error) {
	var toks []token
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(text[i:], "//"):
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i:], "*/")
			if end < 0 {
				return nil, syntaxError{line, "a comment without an end"}
			}
			line += strings.Count(text[i:i+end], "\n")
			i += end + 2
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, syntaxError{line, "a string without an end"}
			}
			toks = append(toks, token{text[i : i+end+2], line})
			i += end + 2
		case isInner(c):
			start := i
			for i < len(text) && (isInner(text[i]) || strings.HasPrefix(text[i:], "::")) {
				if text[i] == ':' {
					i++
				}
				i++
			}
			toks = append(toks, token{text[start:i], line})
		case strings.IndexByte("{}()[]<>,;:@!|+-=", c) >= 0:
			toks = append(toks, token{text[i : i+1], line})
			i++
		default:
			return nil, syntaxError{line, fmt.Sprintf("character %q", c)}
		}
	}
	return append(toks, token{"", line}), nil
}

// number reads 12, 0x1f, 0f3F800000 and 0d3FF0000000000000. float is 32 or 64
// for the last two.
func number(s string) (bits uint64, float int, err error) {
	s = strings.TrimSuffix(s, "U")
	switch {
	case strings.HasPrefix(s, "0f") && len(s) == 10:
		bits, err = strconv.ParseUint(s[2:], 16, 32)
		return bits, 32, err
	case strings.HasPrefix(s, "0d") && len(s) == 18:
		bits, err = strconv.ParseUint(s[2:], 16, 64)
		return bits, 64, err
	}
	bits, err = strconv.ParseUint(s, 0, 64)
	return bits, 0, err
}
