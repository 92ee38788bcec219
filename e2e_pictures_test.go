//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cifartui/train/model"
)

// The way of somebody who comes with pictures of their own, as the README has
// it: each of its lines does what it says.
func TestOwnPicturesAsTheReadmeSays(t *testing.T) {
	if !long() {
		t.Skip("set CIFARTUI_LONG: it trains for 20 epochs")
	}
	t.Parallel()
	binary := program(t)
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(1, 1))
	for _, class := range []string{"leaf", "lemon", "night sky"} {
		for i := range 20 {
			photo(t, filepath.Join(dir, "pictures", class, fmt.Sprintf("%02d.jpg", i)), class, r)
		}
	}
	photo(t, filepath.Join(dir, "new.jpg"), "lemon", r)
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	line := func(command string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	for _, command := range readmeLines(t, "### With your own pictures") {
		if strings.HasPrefix(command, "cifartui open") {
			s := &screen{Cmd: line("exec " + command)}
			s.open(t, env...)
			s.shows(t, "Charts")
			s.keys("q")
			s.mustEnd(t, 0)
			continue
		}
		p := &process{Cmd: line(command), waited: make(chan struct{})}
		p.begin(t)
		p.mustEnd(t, 0)
		if strings.HasPrefix(command, "cifartui predict") && !strings.HasPrefix(p.out.String(), "new.jpg: lemon ") {
			t.Errorf("%s says %s", command, p.out.String())
		}
	}
	for _, file := range []string{"mistakes.png", "model.onnx"} {
		if st, err := os.Stat(filepath.Join(dir, file)); err != nil || st.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	m, err := model.Open(filepath.Join(dir, "runs"), "last")
	if err != nil {
		t.Fatal(err)
	}
	if names, _ := json.Marshal(m.Classes); string(names) != `["leaf","lemon","night sky"]` {
		t.Errorf("the weights know %s", names)
	}
}

// readmeLines are the commands of the first block under a heading, without what
// is said of them.
func readmeLines(t *testing.T, heading string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), heading+"\n")
	parts := strings.SplitN(text, "```", 3)
	if !ok || len(parts) < 3 {
		t.Fatalf("the README has no block under %s", heading)
	}
	for _, l := range strings.Split(strings.TrimSpace(parts[1]), "\n") {
		command, _, _ := strings.Cut(l, "#")
		lines = append(lines, strings.TrimSpace(command))
	}
	if len(lines) != 5 {
		t.Errorf("%d lines, want five", len(lines))
	}
	return lines
}

// photo writes a picture of a class that its colours tell.
func photo(t *testing.T, path, class string, r *rand.Rand) {
	t.Helper()
	base := map[string]color.RGBA{"leaf": {40, 140, 50, 255}, "lemon": {230, 210, 40, 255}, "night sky": {10, 15, 60, 255}}[class]
	m := image.NewRGBA(image.Rect(0, 0, 80+r.IntN(40), 60+r.IntN(40)))
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			light := r.IntN(25)
			m.SetRGBA(x, y, color.RGBA{base.R + uint8(light), base.G + uint8(light), base.B + uint8(light), 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := jpeg.Encode(f, m, nil); err != nil {
		t.Fatal(err)
	}
}
