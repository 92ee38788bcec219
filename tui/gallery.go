package tui

import (
	"context"

	"cifartui/train/record"
)

// Images gives access to the images that a run validates on. Its methods may take
// their time; they are never called from the drawing goroutine.
type Images interface {
	// Open returns the images of a run with what the network said of each at the
	// newest validation, given the run's folder as the run tells it.
	Open(ctx context.Context, folder string) (*Gallery, error)
}

// A Gallery is the images that a run validates on. It does not change.
type Gallery struct {
	*record.Predictions
	// Image returns image i, three planes of bytes: red, green, blue.
	Image func(i int) []byte
	// Augment returns some examples of what training makes of image i; nil where
	// a run augments nothing.
	Augment func(i int) [][]byte
}

// An imageFilter says which images are walked through.
type imageFilter struct {
	kind  imageKind
	class int // -1: of any class
	said  int // -1: taken for any
}

// imageKind tells images by whether they were taken for what they are.
type imageKind int

const (
	allImages imageKind = iota
	mistakenImages
	rightImages
	imageKinds
)

var everyImage = imageFilter{class: -1, said: -1}

// matches reports whether image i of a gallery is meant.
func (f imageFilter) matches(g *Gallery, i int) bool {
	label, said := int(g.Labels[i]), g.Said(i)
	switch {
	case f.class >= 0 && label != f.class, f.said >= 0 && said != f.said:
		return false
	case f.kind == mistakenImages:
		return said != label
	case f.kind == rightImages:
		return said == label
	}
	return true
}

// words says which images are meant.
func (f imageFilter) words(names []string) string {
	what := [imageKinds]string{"all images", "mistakes", "right answers"}[f.kind]
	switch {
	case f.class >= 0 && f.class == f.said:
		return class(names, f.class) + ", taken for that"
	case f.class >= 0 && f.said >= 0:
		return class(names, f.class) + " taken for " + class(names, f.said)
	case f.class >= 0:
		return what + " of " + class(names, f.class)
	case f.said >= 0:
		return what + " taken for " + class(names, f.said)
	}
	return what
}
