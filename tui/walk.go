package tui

import (
	"slices"
	"time"

	"cifartui/train/event"
	"cifartui/tui/format"
	"cifartui/tui/keymap"
	"cifartui/tui/style"

	tea "github.com/charmbracelet/bubbletea"
)

// A walk goes through the images that a run validates on, one at a time. It lies
// over the rest of the Samples view.
type walk struct {
	*common
	on       bool
	of       *run
	gallery  *Gallery
	problem  string           // why there is no gallery
	reading  bool             // a gallery is being opened
	seen     *event.Evaluated // the evaluation that the gallery was opened for
	asked    time.Time        // when it was last opened
	filter   imageFilter
	list     []int // the images that the filter means
	at       int   // place in the list
	augments bool  // examples of augmentation are shown
	examples [][]byte
	exampled int // the image that the examples are of; -1: none
}

// galleryMsg brings the images of a run, or why there are none.
type galleryMsg struct {
	run     string
	gallery *Gallery
	err     error
}

// examplesMsg brings examples of what augmentation makes of an image.
type examplesMsg struct {
	gallery  *Gallery
	image    int
	examples [][]byte
}

func (w *walk) bindings() []keymap.Binding {
	on := func() bool { return w.on && len(w.list) > 0 }
	in := func(b keymap.Binding) keymap.Binding {
		b.When, b.WhyNot = on, w.whyNone
		return b
	}
	// Where there are no images of a kind, another kind is the way to some.
	wider := func(b keymap.Binding) keymap.Binding {
		b.When, b.WhyNot = func() bool { return w.on && w.gallery != nil }, w.whyNone
		return b
	}
	return []keymap.Binding{
		wider(keymap.Binding{Action: "image_kind", Keys: []string{"f"}, Short: "filter", Rank: 5, Long: "all images, mistakes or right answers", Do: w.nextKind}),
		in(keymap.Binding{Action: "image_class", Keys: []string{"c"}, Short: "class", Rank: 6, Long: "only this image's class, or all", Do: w.toggleClass}),
		in(keymap.Binding{Action: "image_pair", Keys: []string{"t"}, Short: "pair", Rank: 7, Long: "only its class taken for this one, or any", Do: w.togglePair}),
		in(keymap.Binding{Action: "augmented", Keys: []string{"a"}, Short: "augment", Rank: 4, Long: "what augmentation makes of the image", Do: w.toggleExamples}),
	}
}

// whyNone says why there is no image for a key.
func (w *walk) whyNone() string {
	if w.on {
		return "There is no image here."
	}
	return "Open the images first."
}

// begin opens the walk with a filter.
func (w *walk) begin(f imageFilter) tea.Cmd {
	if w.o.Images == nil {
		w.say(style.Caution, "The images are not within reach here.")
		return nil
	}
	w.on, w.filter, w.at = true, f, 0
	w.refilter(-1)
	return nil // settle opens the gallery
}

// receive takes what was asked for.
func (w *walk) receive(msg tea.Msg) {
	switch msg := msg.(type) {
	case galleryMsg:
		w.reading = false
		r := w.current()
		if r == nil || msg.run != r.Name {
			return
		}
		image := w.image()
		w.gallery, w.problem = msg.gallery, ""
		if msg.err != nil {
			w.problem = format.Sentence(msg.err.Error())
		}
		w.exampled = -1
		w.refilter(image)
	case examplesMsg:
		if msg.gallery == w.gallery && msg.image == w.image() {
			w.examples, w.exampled = msg.examples, msg.image
		}
	}
}

// settle opens the gallery when there is a newer one, and makes the examples.
func (w *walk) settle() tea.Cmd {
	r := w.current()
	if r != w.of {
		w.of, w.gallery, w.problem, w.seen, w.list, w.reading = r, nil, "", nil, nil, false
	}
	if !w.on || r == nil || w.o.Images == nil || w.shown != viewSamples {
		return nil
	}
	due := w.seen != r.Evaluated && (!r.atWork() || w.now.Sub(w.asked) >= samplesPause)
	if !w.reading && (w.gallery == nil && w.problem == "" || due) {
		w.reading, w.seen, w.asked = true, r.Evaluated, w.now
		name, folder := r.Name, r.Started.Folder
		return w.do(func() tea.Msg {
			g, err := w.o.Images.Open(w.ctx, folder)
			return galleryMsg{name, g, err}
		})
	}
	if i := w.image(); w.augments && i >= 0 && i != w.exampled && w.gallery.Augment != nil {
		w.examples, w.exampled = nil, i
		g := w.gallery
		return w.do(func() tea.Msg { return examplesMsg{g, i, g.Augment(i)} })
	}
	return nil
}

// image is the one that is looked at, -1 if there is none.
func (w *walk) image() int {
	if w.gallery == nil || w.at >= len(w.list) {
		return -1
	}
	return w.list[w.at]
}

// refilter lists the images that the filter means, and stays at one of them, or
// at the first.
func (w *walk) refilter(image int) {
	w.list, w.at = nil, 0
	if w.gallery == nil {
		return
	}
	for i := range w.gallery.Labels {
		if w.filter.matches(w.gallery, i) {
			w.list = append(w.list, i)
		}
	}
	if i, found := slices.BinarySearch(w.list, image); found {
		w.at = i
	}
}

// move goes on by so many images.
func (w *walk) move(d int) {
	w.at = max(0, min(w.at+min(d, 1<<20), len(w.list)-1))
}

func (w *walk) nextKind() tea.Cmd {
	image := w.image()
	w.filter.kind = (w.filter.kind + 1) % imageKinds
	if w.filter.said >= 0 { // a pair is right or wrong by itself
		w.filter.kind, w.filter.said = mistakenImages, -1
	}
	w.refilter(image)
	w.sayNone()
	return nil
}

func (w *walk) toggleClass() tea.Cmd {
	image := w.image()
	if w.filter.class >= 0 {
		w.filter.class, w.filter.said = -1, -1
	} else {
		w.filter.class = int(w.gallery.Labels[image])
	}
	w.refilter(image)
	return nil
}

func (w *walk) togglePair() tea.Cmd {
	image := w.image()
	if w.filter.said >= 0 {
		w.filter = everyImage
	} else {
		w.filter = imageFilter{class: int(w.gallery.Labels[image]), said: w.gallery.Said(image)}
	}
	w.refilter(image)
	return nil
}

// sayNone takes the next kind where there are no images of one: else there would
// be none to go on from.
func (w *walk) sayNone() {
	for tries := 0; len(w.list) == 0 && tries < int(imageKinds); tries++ {
		w.filter.kind = (w.filter.kind + 1) % imageKinds
		w.refilter(-1)
	}
}

func (w *walk) toggleExamples() tea.Cmd {
	w.augments = !w.augments
	if w.augments && w.gallery.Augment == nil {
		w.augments = false
		w.say(style.Plain, "This run augments nothing: --augment=false.")
	}
	return nil
}
