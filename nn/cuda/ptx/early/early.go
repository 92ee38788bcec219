// Package early changes kernels so that they may be launched before the kernel
// before them has ended, which GPUs can from Hopper on (programmatic dependent
// launch): the way into a kernel then takes no time of its own.
package early

import "strings"

// Text returns the PTX of a module for Hopper and later GPUs. As the first thing it
// does, each kernel lets the next one come, and waits for the one before it. text is
// for an older GPU.
func Text(text []byte) []byte {
	const wait = "\tgriddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;\n"
	var out strings.Builder
	body := false // of a kernel, before its first instruction
	for line := range strings.Lines(string(text)) {
		word := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, ".version"):
			line = ".version 7.8\n"
		case strings.HasPrefix(line, ".target"):
			line = ".target sm_90\n"
		case strings.HasPrefix(line, "{"):
			body = true
		case body && word != "" && !strings.HasPrefix(word, ".") && !strings.HasPrefix(word, "//"):
			out.WriteString(wait)
			body = false
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
