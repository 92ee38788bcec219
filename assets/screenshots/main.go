// Command screenshots makes the README's pictures: it runs cifartui in a
// terminal of its own, presses keys, and writes what stands on the screen as
// SVG files.
//
//	go build -o cifartui .
//	go run ./assets/screenshots -until 'epoch   8/' -- ./cifartui --data DIR
//	go run ./assets/screenshots -only compare -keys 2 -until batch=512 -- ./cifartui open COMPARISON
//
// The screen is drawn from the bytes that the program sends, by a terminal
// emulator: what the pictures show is what a person saw.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"html"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// A shot is one picture.
type shot struct {
	name string        // of the file, without .svg
	keys string        // pressed before it
	wait time.Duration // between the keys and the picture
}

// shots are the README's pictures of one run, in the order they are taken.
var shots = []shot{
	{"charts", "]]", time.Second},
	{"samples", "4", time.Second},
	{"system", "5", 3 * time.Second},
}

const (
	columns, rows = 120, 36
	cellW, cellH  = 9, 19 // of a character in an SVG's own units
	fontSize      = 15
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("screenshots: ")
	out := flag.String("out", "assets", "folder for the pictures")
	until := flag.String("until", "", "wait until the screen shows this text")
	only := flag.String("only", "", "take only this one picture, in the view that opens, and name it so")
	keys := flag.String("keys", "", "keys to press before the picture of -only")
	limit := flag.Duration("limit", 10*time.Minute, "how long to wait for it")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("name the command to run after --")
	}
	list := shots
	if *only != "" {
		list = []shot{{*only, *keys, 5 * time.Second}}
	}
	if err := take(list, *out, *until, *limit, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// take runs a command and takes the pictures.
func take(list []shot, out, until string, limit time.Duration, command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "LC_ALL=C.UTF-8", "NO_COLOR=")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	defer tty.Close()
	term := vt10x.New(vt10x.WithSize(columns, rows), vt10x.WithWriter(io.Discard))
	ended := make(chan error, 1)
	go func() {
		// Parse, unlike Write, keeps a character whole that two reads split.
		for in := bufio.NewReaderSize(tty, 1<<16); ; {
			if err := term.Parse(in); err != nil {
				ended <- err
				return
			}
		}
	}()
	press := func(keys string) error {
		_, err := io.WriteString(tty, keys)
		return err
	}
	for end := time.Now().Add(limit); until != "" && !strings.Contains(term.String(), until); time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			return fmt.Errorf("the command ended before it showed %q:\n%s", until, term.String())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("within %v the screen did not show %q:\n%s", limit, until, term.String())
		}
	}
	for _, s := range list {
		if err := press(s.keys); err != nil {
			return err
		}
		time.Sleep(s.wait)
		path := filepath.Join(out, s.name+".svg")
		if err := os.WriteFile(path, draw(term), 0o644); err != nil {
			return err
		}
		fmt.Println(path)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		return cmd.Process.Kill()
	}
	return nil
}

// The colours that a terminal gives the first 16 numbers, and where nothing is
// said.
var ansi = [16]string{
	"#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5",
	"#666666", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
}

const ink, paper = "#d4d4d4", "#121212"

// Bits of a vt10x glyph's mode, which that package does not export.
const (
	modeUnderline = 1 << 1
	modeBold      = 1 << 2
)

func colour(c vt10x.Color) string {
	switch {
	case c == vt10x.DefaultFG:
		return ink
	case c == vt10x.DefaultBG:
		return paper
	case c < 16:
		return ansi[c]
	}
	// The screen asks for true colours only: what is above 16 is red, green, blue.
	return fmt.Sprintf("#%06x", uint32(c)&0xffffff)
}

// draw gives the terminal's screen as SVG. Runs of cells that look the same are
// one element; half blocks and bars are rectangles, so that they join without
// gaps in any font.
func draw(term vt10x.Terminal) []byte {
	term.Lock()
	defer term.Unlock()
	var b strings.Builder
	w, h := columns*cellW+24, rows*cellH+24
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="%d">`+"\n", w, h, w, h, fontSize)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="%s"/>`+"\n", w, h, paper)
	for y := range rows {
		for x := 0; x < columns; {
			first := term.Cell(x, y)
			var text []rune
			from := x
			for ; x < columns; x++ {
				g := term.Cell(x, y)
				if g.FG != first.FG || g.BG != first.BG || g.Mode != first.Mode || blockOf(g.Char) != blockOf(first.Char) {
					break
				}
				text = append(text, max(g.Char, ' '))
			}
			span(&b, first, from, y, string(text))
		}
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// block is the part of a cell that a character fills, in eighths.
type block struct{ x, y, w, h int }

// blockOf returns what a block character fills; the zero block for others.
func blockOf(r rune) block {
	switch {
	case r == '▀':
		return block{0, 0, 8, 4}
	case r == '▄':
		return block{0, 4, 8, 4}
	case r == '█':
		return block{0, 0, 8, 8}
	case r >= '▉' && r <= '▏': // seven eighths to one
		return block{0, 0, 8 - int(r-'█'), 8}
	}
	return block{}
}

// span draws cells that look the same.
func span(b *strings.Builder, g vt10x.Glyph, x, y int, text string) {
	n := len([]rune(text))
	left, top := 12+x*cellW, 12+y*cellH
	if bg := colour(g.BG); bg != paper {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s" shape-rendering="crispEdges"/>`+"\n", left, top, n*cellW, cellH, bg)
	}
	fg := colour(g.FG)
	if k := blockOf([]rune(text)[0]); k != (block{}) {
		for i := range n {
			fmt.Fprintf(b, `<rect x="%g" y="%g" width="%g" height="%g" fill="%s" shape-rendering="crispEdges"/>`+"\n",
				float64(left+i*cellW)+float64(k.x*cellW)/8, float64(top)+float64(k.y*cellH)/8, float64(k.w*cellW)/8, float64(k.h*cellH)/8, fg)
		}
		return
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	style := ""
	if g.Mode&modeBold != 0 {
		style += ` font-weight="bold"`
	}
	if g.Mode&modeUnderline != 0 {
		style += ` text-decoration="underline"`
	}
	// textLength holds the columns in place whatever the font's width.
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s"%s textLength="%d" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
		left, top+fontSize-1, fg, style, n*cellW, html.EscapeString(text))
}
