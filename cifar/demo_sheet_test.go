package cifar

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"testing"
)

// TestDemoSheet writes some of the demo set to the file that CIFARTUI_SHEET
// names, a class a row, for a person to look at.
func TestDemoSheet(t *testing.T) {
	name := os.Getenv("CIFARTUI_SHEET")
	if name == "" {
		t.Skip("CIFARTUI_SHEET names no file")
	}
	const columns, zoom, gap = 16, 3, 2
	const cell = Size*zoom + gap
	set := demo1().Train
	if dir := os.Getenv("CIFARTUI_DATA"); dir != "" {
		ds, err := Open(t.Context(), Options{Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		set = ds.Train
	}
	sheet := image.NewRGBA(image.Rect(0, 0, columns*cell, Classes*cell))
	var seen [Classes]int
	for i, label := range set.Labels {
		column := seen[label]
		seen[label]++
		if column >= columns {
			continue
		}
		for y := range Size * zoom {
			for x := range Size * zoom {
				p := set.Image(i)[y/zoom*Size+x/zoom:]
				sheet.Set(column*cell+x, int(label)*cell+y, color.RGBA{p[0], p[plane], p[2*plane], 255})
			}
		}
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, sheet); err != nil {
		t.Fatal(err)
	}
}
