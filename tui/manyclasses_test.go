package tui

import (
	"fmt"
	"strings"
	"testing"

	"cifartui/train/event"
)

// manyClasses is a run on a hundred classes with names that are long or of wide
// characters.
func manyClasses() []event.Event {
	const n = 100
	events := newScript("own", 64, 1).run(1).events
	for i, e := range events {
		switch e := e.(type) {
		case *event.RunStarted:
			started := *e
			started.Dataset, started.Classes = "мои картинки", nil
			for class := range n {
				name := fmt.Sprintf("class number %d with a name that is too long", class)
				switch class % 3 {
				case 1:
					name = fmt.Sprintf("кошка %d", class)
				case 2:
					name = fmt.Sprintf("飛行機と自動車 %d", class)
				}
				started.Classes = append(started.Classes, name)
			}
			events[i] = &started
		case *event.Evaluated:
			evaluated := *e
			evaluated.Confusion = nil
			for is := range n {
				row := make([]int, n)
				row[is], row[(is+1)%n], row[(is*7+3)%n] = 80-is/2, 12, 8
				evaluated.Confusion = append(evaluated.Confusion, row)
			}
			events[i] = &evaluated
		}
	}
	return events
}

// Of many classes the ones that fit can be read, whatever their names, and the
// others are reached.
func TestManyClassesAreShown(t *testing.T) {
	var all strings.Builder
	for _, size := range sizes {
		b := scene(t, viewSamples, manyClasses(), size[0], size[1], Options{Theme: "none"})
		all.WriteString(framed(fmt.Sprintf("%dx%d", size[0], size[1]), colourCode.ReplaceAllString(b.View(), "")))
		b.press("m", "m")
		all.WriteString(framed("the matrix", colourCode.ReplaceAllString(b.View(), "")))
		b.press("right", "right", "down", "down")
		all.WriteString(framed("on", colourCode.ReplaceAllString(b.View(), "")))
	}
	golden(t, "samples-many-classes.txt", all.String())
}
