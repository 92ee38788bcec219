package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// pythonFor returns a Python that has what p needs: o.python if one was named,
// else that of a virtual environment, which is made when it is not there yet.
func pythonFor(p peer, o options, progress io.Writer) (string, error) {
	if o.python != "" {
		return o.python, nil
	}
	dir := filepath.Join(o.venvs, strings.NewReplacer("==", "-", ",", "_").Replace(strings.Join(p.packages, ",")))
	python := filepath.Join(dir, "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(dir, "Scripts", "python.exe")
	}
	// The stamp is written last: an environment that was cut short is made anew.
	stamp := filepath.Join(dir, "complete")
	if _, err := os.Stat(stamp); err == nil {
		return python, nil
	}
	fmt.Fprintf(progress, "%s: making a virtual environment in %s with %s\n", p.name, dir, strings.Join(p.packages, ", "))
	for _, c := range [][]string{
		{"python3", "-m", "venv", "--clear", dir},
		slices.Concat([]string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, p.packages),
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return python, os.WriteFile(stamp, nil, 0o600)
}
