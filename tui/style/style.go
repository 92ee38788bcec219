// Package style says how the screen looks: the roles that text plays, the
// colours of each on dark and on light backgrounds (style.go), and the
// characters that frames, bars and marks are drawn with (glyphs.go).
package style

import (
	"fmt"
	"strings"

	"github.com/muesli/termenv"
)

// A Style is a role that text plays; a palette says how it looks.
type Style uint8

const (
	Plain         Style = iota // what has no role of its own
	Dim                        // labels and units
	Frame                      // borders and axes
	Heading                    // names that stand out
	TabOn                      // the view on screen
	TabOff                     // the other views
	Training                   // training curves and numbers
	TrainingRaw                // the same, unsmoothed
	Validation                 // validation curves and numbers
	ValidationRaw              // the same, unsmoothed
	Running                    // a run at work
	Caution                    // paused, and what a person should know
	Demo                       // the demo set's label
	Trouble                    // errors and non-finite values; nothing else is red
	Key                        // a key in the footer and help
	Chosen                     // the selected row or option
	CursorLine                 // the line of a chart's cursor
	Mark                       // what is marked on a chart
	BarFill                    // the done part of a bar
	BarRest                    // the rest of it
	Diagonal                   // right answers in the confusion matrix
	Wrong1                     // wrong ones, from few to many
	Wrong2                     // more
	Wrong3                     // many
	run1                       // curves of several runs
	run2
	run3
	run4
	run5
	run6
	run1Raw
	run2Raw
	run3Raw
	run4Raw
	run5Raw
	run6Raw
	styles // how many there are
)

// runStyles is how many runs have a colour and a line of their own.
const runStyles = 6

// Run is the style of run i of a comparison.
func Run(i int) Style { return run1 + Style(i%runStyles) }

// RunStroke is the stroke of its curve: another one for runs of the same colour.
func RunStroke(i int) int { return i + i/runStyles }

// RunRaw is the same, unsmoothed.
func RunRaw(i int) Style { return run1Raw + Style(i%runStyles) }

// look is how a style looks: colours on dark and on light backgrounds as hex
// for terminals of 256 and more colours, the nearest of the 16 basic ones, and
// attributes, which alone must do where there is no colour.
type look struct {
	dark, light     string
	basic           string // 0 to 15
	bgDark, bgLight string
	bgBasic         string
	attr            string // SGR attributes: 1 bold, 2 faint, 4 underlined, 7 reverse
	plainAttr       string // in their place where there is no colour
}

// The colours of curves are told apart by people with any of the usual colour
// blindnesses (blue and lime; for runs those of Okabe and Ito, "Color Universal
// Design"), and never carry a meaning alone: lines differ in their strokes too.
var looks = [styles]look{
	Plain:         {},
	Dim:           {dark: "#949494", light: "#6c6c6c", basic: "8", plainAttr: "2"},
	Frame:         {dark: "#4e4e4e", light: "#b2b2b2", basic: "8", plainAttr: "2"},
	Heading:       {dark: "#eef1f5", light: "#15181d", attr: "1"},
	TabOn:         {dark: "#eef1f5", light: "#15181d", attr: "1;4"},
	TabOff:        {dark: "#949494", light: "#6c6c6c", basic: "8", plainAttr: "2"},
	Training:      {dark: "#5cb0ff", light: "#0a5fb4", basic: "12"},
	TrainingRaw:   {dark: "#2b5a86", light: "#a3c6e8", basic: "4", plainAttr: "2"},
	Validation:    {dark: "#b8db5e", light: "#557a0c", basic: "10"},
	ValidationRaw: {dark: "#59702b", light: "#c8dba2", basic: "2", plainAttr: "2"},
	Running:       {dark: "#5fd7a7", light: "#08795a", basic: "10"},
	Caution:       {dark: "#ffb627", light: "#9a6200", basic: "11", plainAttr: "1"},
	Demo:          {dark: "#1c1400", light: "#1c1400", basic: "0", bgDark: "#ffb627", bgLight: "#ffc14d", bgBasic: "11", attr: "1", plainAttr: "1;7"},
	Trouble:       {dark: "#ff6b5e", light: "#c0261c", basic: "9", attr: "1"},
	Key:           {dark: "#d5dae1", light: "#2b3038", attr: "1"},
	Chosen:        {dark: "#ffffff", light: "#0d1117", basic: "15", bgDark: "#2a4a6b", bgLight: "#cfe3f7", bgBasic: "4", attr: "1", plainAttr: "7"},
	CursorLine:    {dark: "#c9ced6", light: "#4a5058", basic: "7"},
	Mark:          {dark: "#eef1f5", light: "#15181d", basic: "15", attr: "1"},
	BarFill:       {dark: "#5cb0ff", light: "#0a5fb4", basic: "12"},
	BarRest:       {dark: "#4e4e4e", light: "#b2b2b2", basic: "8", plainAttr: "2"},
	Diagonal:      {dark: "#b8db5e", light: "#446308", basic: "10", attr: "1"},
	Wrong1:        {dark: "#b0895f", light: "#8a6a3c", basic: "7"},
	Wrong2:        {dark: "#e0a050", light: "#a2640c", basic: "3"},
	Wrong3:        {dark: "#ffb627", light: "#9a4a00", basic: "11", attr: "1"},
	run1:          {dark: "#56b4e9", light: "#0072b2", basic: "12"},
	run2:          {dark: "#e69f00", light: "#a36a00", basic: "3"},
	run3:          {dark: "#2fc79a", light: "#00795a", basic: "10"},
	run4:          {dark: "#e08abf", light: "#a8447f", basic: "13"},
	run5:          {dark: "#f0e442", light: "#7d7400", basic: "11"},
	run6:          {dark: "#e8743b", light: "#b34700", basic: "1"},
	run1Raw:       {dark: "#2c5a74", light: "#a9cde2", basic: "8", plainAttr: "2"},
	run2Raw:       {dark: "#6e4f0a", light: "#e2caa0", basic: "8", plainAttr: "2"},
	run3Raw:       {dark: "#1d604c", light: "#a3d3c5", basic: "8", plainAttr: "2"},
	run4Raw:       {dark: "#6b455c", light: "#e0bdd2", basic: "8", plainAttr: "2"},
	run5Raw:       {dark: "#6f6a24", light: "#d6d3a0", basic: "8", plainAttr: "2"},
	run6Raw:       {dark: "#6d3b22", light: "#e5bfa8", basic: "8", plainAttr: "2"},
}

// darker are the basic colours to be read on a light background, in place of white
// and of the bright ones, which are made for a dark one.
var darker = map[string]string{"7": "8", "9": "1", "10": "2", "11": "3", "12": "4", "13": "5", "15": "0"}

// A Palette turns styles into terminal codes for one terminal and background.
type Palette struct {
	Profile termenv.Profile
	Dark    bool
	codes   [styles]string
	filled  [styles]bool // whether a blank of the style is seen
}

// NewPalette returns the palette of a terminal with the colours of profile.
func NewPalette(profile termenv.Profile, dark bool) *Palette {
	p := &Palette{Profile: profile, Dark: dark}
	for s, l := range looks {
		var codes []string
		fg, bg := l.light, l.bgLight
		if dark {
			fg, bg = l.dark, l.bgDark
		}
		if profile == termenv.ANSI {
			fg, bg = l.basic, l.bgBasic
			if shade := darker[fg]; !dark && bg == "" && shade != "" {
				fg = shade
			}
		}
		attr := l.attr
		if profile == termenv.Ascii && l.plainAttr != "" {
			attr = l.plainAttr
		}
		if attr != "" {
			codes = append(codes, attr)
		}
		if profile != termenv.Ascii {
			for i, c := range []string{fg, bg} {
				if c != "" {
					codes = append(codes, profile.Color(c).Sequence(i == 1))
				}
			}
		}
		p.codes[s] = strings.Join(codes, ";")
		p.filled[s] = strings.Contains(attr, "7") || strings.Contains(attr, "4") || profile != termenv.Ascii && bg != ""
	}
	return p
}

// PaintsBlank reports whether a blank of style s can be seen.
func (p *Palette) PaintsBlank(s Style) bool { return p.filled[s] }

// Pictures reports whether the terminal has the colours for images.
func (p *Palette) Pictures() bool {
	return p.Profile == termenv.TrueColor || p.Profile == termenv.ANSI256
}

// Code returns the parameters of the code that makes the terminal draw in style s.
func (p *Palette) Code(s Style) string { return p.codes[s] }

// Switch writes the code that makes the terminal draw in style s, and in the
// colours fg and bg where they are set.
func (p *Palette) Switch(b *strings.Builder, s Style, fg, bg Colour) {
	b.WriteString("\x1b[")
	sep := ""
	if code := p.codes[s]; code != "" {
		b.WriteString("0;" + code)
		sep = ";"
	} else if fg == NoColour || bg == NoColour {
		b.WriteString("0")
		sep = ";"
	}
	p.imageColour(b, &sep, 38, fg)
	p.imageColour(b, &sep, 48, bg)
	b.WriteByte('m')
}

func (p *Palette) imageColour(b *strings.Builder, sep *string, code int, c Colour) {
	if c == NoColour || !p.Pictures() {
		return
	}
	b.WriteString(*sep)
	*sep = ";"
	if p.Profile == termenv.ANSI256 {
		b.WriteString(p.Profile.Color(fmt.Sprintf("#%06x", uint32(c)&0xffffff)).Sequence(code == 48))
		return
	}
	fmt.Fprintf(b, "%d;2;%d;%d;%d", code, c>>16&0xff, c>>8&0xff, c&0xff)
}

// A Colour is a 24-bit colour of an image cell.
type Colour uint32

// NoColour leaves the colour to the style.
const NoColour Colour = 0

// RGB returns the colour of red, green and blue.
func RGB(r, g, b uint8) Colour {
	return 1<<24 | Colour(r)<<16 | Colour(g)<<8 | Colour(b)
}

// A Span is a piece of text of one style.
type Span struct {
	Style Style
	Text  string
}

// Text makes a span of style s.
func (s Style) Text(t string) Span { return Span{s, t} }
