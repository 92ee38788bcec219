// Package keymap is a screen's table of keys: what each does, where it counts, and
// how the footer and the help show it, so that these can't differ from what it
// does.
package keymap

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"cifartui/tui/canvas"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// Views is a set of a screen's views, which are numbered from 0.
type Views uint16

// In is the set of some views.
func In[V ~int](vs ...V) (set Views) {
	for _, v := range vs {
		set |= 1 << v
	}
	return set
}

// Everywhere is the set of all views.
const Everywhere Views = 1<<16 - 1

func (s Views) has(v int) bool { return s&(1<<v) != 0 }

// A Binding is one thing that keys can do. Each stands beside what it steers.
type Binding struct {
	Action string   // its name in the config file
	Keys   []string // Bubble Tea's names for keys
	Long   string   // in the help

	Short   string        // in the footer; "" keeps it out of there
	Renamed func() string // in place of Short, where that changes; nil: it does not
	Rank    int           // the higher, the earlier the footer drops it
	Pair    bool          // the footer shows the next binding's key with this one's

	When   func() bool   // nil: always
	WhyNot func() string // says why not, where When does not hold
	Do     func() tea.Cmd

	Group string // heading in the help; see Grouped
	Views Views  // where it counts
}

// A Table is all the keys of a screen.
type Table []Binding

// Grouped puts bindings under a heading and says where they count.
func Grouped(heading string, views Views, bs []Binding) []Binding {
	for i := range bs {
		bs[i].Group, bs[i].Views = heading, views
	}
	return bs
}

// keyWords are names of keys that people write, as Bubble Tea calls them.
var keyWords = map[string]string{"space": " ", "escape": "esc", "return": "enter", "pageup": "pgup", "pagedown": "pgdown", "del": "delete"}

// keyNames are Bubble Tea's names of all keys but those that type a character.
var keyNames = func() map[string]bool {
	names := make(map[string]bool)
	for k := tea.KeyF20; k <= tea.KeyBackspace; k++ { // from the least to the greatest
		if name := k.String(); name != "" && k != tea.KeyRunes {
			names[name] = true
		}
	}
	return names
}()

// keyOf is what Bubble Tea calls a key that a person has named; ok is false where
// there is none of that name, which would never be pressed.
func keyOf(named string) (key string, ok bool) {
	const alt = "alt+"
	with := ""
	if len(named) > len(alt) && strings.EqualFold(named[:len(alt)], alt) {
		with, named = alt, named[len(alt):]
	}
	if utf8.RuneCountInString(named) == 1 {
		return with + named, true
	}
	named = strings.ToLower(named)
	if word, ok := keyWords[named]; ok {
		named = word
	}
	return with + named, keyNames[named]
}

// Bind returns the table of bindings with the keys of custom in place of the default
// ones. Custom maps an action to its keys.
func Bind(bs []Binding, custom map[string][]string) (Table, error) {
	var problems []string
	for action, keys := range custom {
		i := slices.IndexFunc(bs, func(b Binding) bool { return b.Action == action })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("no action %q", action))
			continue
		}
		bs[i].Keys = nil
		for _, name := range keys {
			k, ok := keyOf(name)
			if !ok {
				problems = append(problems, fmt.Sprintf("%s: no key %q: want a character, or a name as f5, ctrl+x, pgup, space or alt+p", action, name))
			}
			bs[i].Keys = append(bs[i].Keys, k)
		}
	}
	problems = append(problems, conflicts(bs)...)
	if len(problems) > 0 {
		sort.Strings(problems)
		var names []string
		for _, b := range bs {
			names = append(names, b.Action)
		}
		return nil, fmt.Errorf("keys: %s; the actions are %s", strings.Join(problems, "; "), strings.Join(names, ", "))
	}
	return bs, nil
}

// conflicts tells of keys that would do two things in one view, and of a screen
// that could not be left.
func conflicts(bs []Binding) (problems []string) {
	owner := map[string][]Binding{}
	for _, b := range bs {
		for _, k := range b.Keys {
			for _, o := range owner[k] {
				if o.Views&b.Views != 0 {
					problems = append(problems, fmt.Sprintf("%q is both %s and %s", Label(k, &style.ASCII), o.Action, b.Action))
				}
			}
			owner[k] = append(owner[k], b)
		}
		if b.Action == "quit" && len(b.Keys) == 0 {
			problems = append(problems, "quit has no key")
		}
	}
	return problems
}

// Label is how a key is shown.
func Label(key string, g *style.Glyphs) string {
	switch key {
	case " ":
		return "space"
	case "left":
		return g.Left
	case "right":
		return g.Right
	case "up":
		return g.Up
	case "down":
		return g.Down
	}
	return key
}

// Find returns the binding that a key triggers in a view, or nil.
func (t Table) Find(view int, key string) *Binding {
	for i := range t {
		if b := &t[i]; b.Views.has(view) && slices.Contains(b.Keys, key) {
			return b
		}
	}
	return nil
}

// KeyOf returns how the first key of an action is shown, "" when it has none.
func (t Table) KeyOf(action string, g *style.Glyphs) string {
	for _, b := range t {
		if b.Action == action && len(b.Keys) > 0 {
			return Label(b.Keys[0], g)
		}
	}
	return ""
}

// DrawFooter shows the keys that count now in a view, as many as fit: those of the
// group called right on the right, all others on the left.
func (t Table) DrawFooter(a canvas.Area, view int, right string, g *style.Glyphs) {
	var left, end []canvas.Part
	for i, b := range t {
		if b.Short == "" || !b.Views.has(view) || len(b.Keys) == 0 || b.When != nil && !b.When() {
			continue
		}
		label := Label(b.Keys[0], g)
		if b.Pair && i+1 < len(t) && len(t[i+1].Keys) > 0 {
			next := Label(t[i+1].Keys[0], g)
			if len(label) > 1 && label[0] < 0x80 {
				next = "/" + next
			}
			label += next
		}
		word := b.Short
		if b.Renamed != nil {
			word = b.Renamed()
		}
		p := canvas.Ranked(b.Rank, style.Key.Text(label), style.Dim.Text(" "+word))
		if b.Group == right {
			end = append(end, p)
		} else {
			left = append(left, p)
		}
	}
	a.Line(0, 2, left, end)
}

// Singly takes apart keys that came as one message, as they do where they were
// read together: each counts, in order. A paste is no keys.
func Singly(msg tea.Msg) []tea.Msg {
	k, ok := msg.(tea.KeyMsg)
	if !ok || k.Type != tea.KeyRunes || k.Paste || len(k.Runes) < 2 {
		return []tea.Msg{msg}
	}
	var each []tea.Msg
	for _, r := range k.Runes {
		each = append(each, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}, Alt: k.Alt})
	}
	return each
}
