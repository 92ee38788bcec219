package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The documents back what they claim with commands. Each finds tests, by every name
// that it gives: a test that was renamed would leave one that shows nothing.
func TestDocumentsNameTestsThatAreThere(t *testing.T) {
	command := regexp.MustCompile("`[^`]*\\bgo test ([^`]+)`")
	found := 0
	for _, document := range []string{"ARCHITECTURE.md", "README.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			found++
			var tests []string
			pattern := ""
			words := strings.Fields(strings.NewReplacer("'", "", "-run ", "-run=", "-fuzz=", "-run=").Replace(m[1]))
			for _, word := range words {
				if value, run := strings.CutPrefix(word, "-run="); run {
					pattern = value
				} else if strings.HasPrefix(word, ".") {
					tests = append(tests, testsIn(t, word)...)
				}
			}
			for _, name := range strings.Split(pattern, "|") {
				if !slices.ContainsFunc(tests, regexp.MustCompile(name).MatchString) {
					t.Errorf("%s: go test %s: there is no test %s", document, m[1], name)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found", found)
	}
}

// testsIn are the names of the tests of a package, as a command names it.
func testsIn(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(strings.TrimSuffix(pkg, "..."), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	test := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range test.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}
