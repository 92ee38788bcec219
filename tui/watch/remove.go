package watch

import (
	"fmt"
	"path/filepath"
	"strings"

	"cifartui/train/runs"
	"cifartui/train/survey"
	"cifartui/tui/dialog"
	"cifartui/tui/format"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// A removal deletes runs, or checkpoints of runs, by the rules of "cifartui runs rm"
// and "cifartui runs prune": first it is counted, then asked for, then done.
type removal struct {
	prune   bool
	folders []string // of runs, or of comparisons all of whose runs are meant
	runs    int
	left    int // folders that have not answered
	bytes   int64
	files   int
	failed  []string
}

// askDelete counts what deleting the runs would free, and then asks.
func (m *Model) askDelete() tea.Cmd {
	rows := m.list.meant()
	for _, r := range rows {
		if r.Live {
			m.say(style.Dim, r.Name+" is live: it is stopped before it is deleted.")
			return nil
		}
	}
	d := &removal{folders: m.whole(rows), runs: len(rows)}
	return m.count(d, func(folder string) (int, int64, error) {
		n, err := runs.Size(folder)
		return 0, n, err
	})
}

// whole are the folders of runs, with that of a comparison in place of those of its
// runs where all of them are meant. Which all are is known once the folders are read.
func (m *Model) whole(rows []*row) (folders []string) {
	members, meant := map[string]int{}, map[string]int{}
	for _, r := range m.list.rows {
		members[r.Comparison]++
	}
	for _, r := range rows {
		meant[r.Comparison]++
	}
	done := map[string]bool{}
	for _, r := range rows {
		switch c := r.Comparison; {
		case c == "" || meant[c] < members[c] || !m.list.listed:
			if r.State != survey.NotBegun {
				folders = append(folders, r.Folder)
			}
		case !done[c]:
			done[c] = true
			folders = append(folders, c)
		}
	}
	return folders
}

// askPrune counts what pruning the runs would free, and then asks.
func (m *Model) askPrune() tea.Cmd {
	d := &removal{prune: true}
	for _, r := range m.list.meant() {
		if !r.Live && r.Problem == "" && r.State != survey.NotBegun {
			d.folders = append(d.folders, r.Folder)
		}
	}
	d.runs = len(d.folders)
	if d.runs == 0 {
		m.say(style.Dim, "Live runs and damaged ones are not pruned.")
		return nil
	}
	return m.count(d, func(folder string) (int, int64, error) { return pruned(folder, true) })
}

// pruned prunes one run, or with dry only counts.
func pruned(folder string, dry bool) (files int, bytes int64, err error) {
	list, err := runs.Prune(folder, dry)
	for _, p := range list {
		files += len(p.Files)
		bytes += p.Bytes
	}
	return files, bytes, err
}

// count has each folder counted.
func (m *Model) count(d *removal, of func(folder string) (files int, bytes int64, err error)) tea.Cmd {
	if len(d.folders) == 0 {
		m.say(style.Dim, "There is nothing to delete.")
		return nil
	}
	d.left, m.counting = len(d.folders), d
	m.say(style.Dim, "Counting what is there"+m.glyphs.Dots)
	folders := d.folders
	return m.do(func() tea.Msg { // one after the other: a disk is no faster otherwise
		var sum sizedMsg
		sum.removal = d
		for _, folder := range folders {
			files, bytes, err := of(folder)
			sum.files, sum.bytes = sum.files+files, sum.bytes+bytes
			if err != nil {
				sum.err = fmt.Errorf("%s: %w", filepath.Base(folder), err)
			}
		}
		return sum
	})
}

// sized asks, with what would be freed.
func (m *Model) sized(msg sizedMsg) {
	d := msg.removal
	if d != m.counting || m.dialog != nil { // something else was asked meanwhile
		return
	}
	m.counting, m.notice = nil, style.Span{}
	size := strings.TrimSpace(format.Size(msg.bytes))
	cancel := dialog.Option{Key: "c", Label: "cancel"}
	switch {
	case msg.err != nil:
		m.say(style.Trouble, format.Sentence(msg.err.Error()))
	case d.prune && msg.files == 0:
		m.say(style.Dim, "There is nothing to prune: each run has only its best checkpoint, or what it is resumed from.")
	case d.prune:
		m.dialog = &dialog.Dialog{Title: "Prune " + format.Plural(d.runs, "run"),
			Text:    fmt.Sprintf("Delete %s (%s)? Each run keeps the weights of its best epoch, and one that has not come to its end what it is resumed from. This can't be undone.", format.Plural(msg.files, "checkpoint"), size),
			Options: []dialog.Option{cancel, {Key: "d", Label: "delete them", Do: func() tea.Cmd { return m.remove(d) }}}}
	default:
		m.dialog = &dialog.Dialog{Title: "Delete " + format.Plural(d.runs, "run"),
			Text:    fmt.Sprintf("Delete %s with all that %s (%s)? This can't be undone.", m.namesOf(d), holds(d.runs), size),
			Options: []dialog.Option{cancel, {Key: "d", Label: "delete " + format.Plural(d.runs, "run"), Do: func() tea.Cmd { return m.remove(d) }}}}
	}
}

func holds(n int) string {
	if n == 1 {
		return "it holds"
	}
	return "they hold"
}

// namesOf are the names of what is deleted, as many as can be read.
func (m *Model) namesOf(d *removal) string {
	const most = 5
	var names []string
	for _, f := range d.folders[:min(len(d.folders), most)] {
		names = append(names, m.nameOf(f))
	}
	s := strings.Join(names, ", ")
	if n := len(d.folders) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// remove does it, one folder after the other.
func (m *Model) remove(d *removal) tea.Cmd {
	d.left = len(d.folders)
	m.say(style.Caution, "Deleting"+m.glyphs.Dots)
	return m.removeNext(d, 0)
}

func (m *Model) removeNext(d *removal, i int) tea.Cmd {
	folder := d.folders[i]
	return m.do(func() tea.Msg {
		msg := removedMsg{removal: d, folder: folder}
		if d.prune {
			msg.files, msg.bytes, msg.err = pruned(folder, false)
		} else {
			msg.bytes, msg.err = runs.Remove(folder)
		}
		return msg
	})
}

// removed counts what is done, and goes on or says what it came to.
func (m *Model) removed(msg removedMsg) tea.Cmd {
	d := msg.removal
	d.left--
	d.bytes, d.files = d.bytes+msg.bytes, d.files+msg.files
	if msg.err != nil {
		d.failed = append(d.failed, fmt.Sprintf("%s: %v", m.nameOf(msg.folder), msg.err))
	}
	m.watcher.Look(m.list.runIn(msg.folder))
	if d.left > 0 {
		m.say(style.Caution, fmt.Sprintf("Deleting%s %d of %d", m.glyphs.Dots, len(d.folders)-d.left, len(d.folders)))
		return m.removeNext(d, len(d.folders)-d.left)
	}
	freed := strings.TrimSpace(format.Size(d.bytes))
	what := "Deleted " + format.Plural(len(d.folders)-len(d.failed), "folder")
	if d.prune {
		what = "Deleted " + format.Plural(d.files, "checkpoint")
	}
	if len(d.failed) == 0 {
		m.say(style.Plain, fmt.Sprintf("%s, %s freed.", what, freed))
		return nil
	}
	m.tell("Not deleted", fmt.Sprintf("%s, %s freed. These were left:", what, freed), d.failed)
	return nil
}
