package ptx

import "strings"

// Early returns a module for Hopper and later GPUs whose kernels may be launched
// before the kernel before them has ended: each waits for that as the first thing
// it does, and lets the next one come as early. The text is one for sm_80.
func Early(text []byte) []byte {
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
