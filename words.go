package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// oneOf refuses a flag's value that is not among the allowed ones.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return usage("--%s: %q is none of %s", flag, value, strings.Join(allowed, ", "))
}

// plural gives "1 image" and "2 images".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// writeJSON writes an answer that programs read, so that people can, too.
func writeJSON(w io.Writer, answer any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}
