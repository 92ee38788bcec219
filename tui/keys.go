package tui

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// viewSet is a set of views.
type viewSet uint8

func in(vs ...viewID) (set viewSet) {
	for _, v := range vs {
		set |= 1 << v
	}
	return set
}

const everywhere viewSet = 1<<views - 1

func (s viewSet) has(v viewID) bool { return s&(1<<v) != 0 }

// A binding is one thing that keys can do. Each stands beside what it steers;
// all of them together dispatch keys and are what the footer and the help show,
// so that these can't differ.
type binding struct {
	action string   // its name in the config file
	keys   []string // Bubble Tea's names for keys
	long   string   // in the help

	short   string        // in the footer; "" keeps it out of there
	renamed func() string // in place of short, where that changes; nil: it does not
	rank    int           // the higher, the earlier the footer drops it
	pair    bool          // the footer shows the next binding's key with this one's

	when   func() bool   // nil: always
	whyNot func() string // says why not, where when does not hold
	do     func() tea.Cmd

	group string  // heading in the help; see grouped
	views viewSet // where it counts
}

// grouped puts bindings under a heading and says where they count.
func grouped(heading string, views viewSet, bs []binding) []binding {
	for i := range bs {
		bs[i].group, bs[i].views = heading, views
	}
	return bs
}

// keyWords are names of keys that people write, as Bubble Tea calls them.
var keyWords = map[string]string{"space": " ", "escape": "esc", "return": "enter", "pageup": "pgup", "pagedown": "pgdown", "del": "delete"}

// bind returns the bindings with the keys of custom in place of the default
// ones. Custom maps an action to its keys.
func bind(bs []binding, custom map[string][]string) ([]binding, error) {
	var problems []string
	for action, keys := range custom {
		i := slices.IndexFunc(bs, func(b binding) bool { return b.action == action })
		if i < 0 {
			problems = append(problems, fmt.Sprintf("no action %q", action))
			continue
		}
		bs[i].keys = nil
		for _, k := range keys {
			if word, ok := keyWords[strings.ToLower(k)]; ok {
				k = word
			}
			bs[i].keys = append(bs[i].keys, k)
		}
	}
	problems = append(problems, conflicts(bs)...)
	if len(problems) > 0 {
		sort.Strings(problems)
		var names []string
		for _, b := range bs {
			names = append(names, b.action)
		}
		return nil, fmt.Errorf("keys: %s; the actions are %s", strings.Join(problems, "; "), strings.Join(names, ", "))
	}
	return bs, nil
}

// conflicts tells of keys that would do two things in one view, and of a screen
// that could not be left.
func conflicts(bs []binding) (problems []string) {
	owner := map[string][]binding{}
	for _, b := range bs {
		for _, k := range b.keys {
			for _, o := range owner[k] {
				if o.views&b.views != 0 {
					problems = append(problems, fmt.Sprintf("%q is both %s and %s", keyLabel(k, &style.ASCII), o.action, b.action))
				}
			}
			owner[k] = append(owner[k], b)
		}
		if b.action == "quit" && len(b.keys) == 0 {
			problems = append(problems, "quit has no key")
		}
	}
	return problems
}

// CheckKeys reports what is wrong with the keys of a config file: unknown
// actions, and keys that would do two things in one view.
func CheckKeys(custom map[string][]string) error {
	_, err := bind(newModel(&common{}).bindings(), custom)
	return err
}

// keyLabel is how a key is shown.
func keyLabel(key string, g *style.Glyphs) string {
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

// find returns the binding that key triggers now, or nil.
func (c *common) find(key string) *binding {
	for i := range c.table {
		if b := &c.table[i]; b.views.has(c.shown) && slices.Contains(b.keys, key) {
			return b
		}
	}
	return nil
}
