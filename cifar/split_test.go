package cifar

import (
	"bytes"
	"slices"
	"testing"
)

func TestSplitIsStratifiedAndWhole(t *testing.T) {
	set := testSet(997)
	counts := set.Counts(Classes)
	for _, n := range []int{1, 9, 10, 100, 500, 996} {
		train, held, err := set.Split(n, 3)
		if err != nil {
			t.Fatal(err)
		}
		if held.Len() != n || train.Len() != 997-n {
			t.Fatalf("%d and %d images, want %d and %d", train.Len(), held.Len(), 997-n, n)
		}
		for class, got := range held.Counts(Classes) {
			low := n * counts[class] / 997
			if got != low && got != low+1 {
				t.Errorf("%d of class %d held, want %d or %d", got, class, low, low+1)
			}
		}
		// Both keep the order of the set: merging them gives it back.
		var a, b int
		for i := range set.Len() {
			switch {
			case a < train.Len() && train.Labels[a] == set.Labels[i] && bytes.Equal(train.Image(a), set.Image(i)):
				a++
			case b < held.Len() && held.Labels[b] == set.Labels[i] && bytes.Equal(held.Image(b), set.Image(i)):
				b++
			default:
				t.Fatalf("image %d is in neither part", i)
			}
		}
	}
}

// A class of which nothing is left to train on is named, and no other.
func TestSplitNamesTheClassesThatItEmpties(t *testing.T) {
	set := NewSet(8, 40)
	for i := range 38 {
		set.Labels[i] = uint8(1 + i%2)
	}
	set.Labels[38], set.Labels[39] = 0, 3
	for n, want := range map[int][]int{4: nil, 20: {0}, 39: {0, 1, 3}} {
		train, _, err := set.Split(n, 1)
		if err != nil {
			t.Fatal(err)
		}
		var empty []int
		for class, left := range train.Counts(4) {
			if left == 0 {
				empty = append(empty, class)
			}
		}
		if got := set.SplitEmpties(n); !slices.Equal(got, empty) {
			t.Errorf("%d of 40: %v are named, %v have none", n, got, empty)
		}
		if !slices.Equal(empty, want) {
			t.Errorf("%d of 40: %v have none, want %v", n, empty, want)
		}
	}
}

func TestSplitDependsOnItsSeed(t *testing.T) {
	set := testSet(200)
	_, a, _ := set.Split(50, 1)
	_, b, _ := set.Split(50, 1)
	_, c, _ := set.Split(50, 2)
	if !bytes.Equal(a.Pixels, b.Pixels) {
		t.Error("one seed gives two splits")
	}
	if bytes.Equal(a.Pixels, c.Pixels) {
		t.Error("two seeds give one split")
	}
}

func TestSplitOfNothingOrAll(t *testing.T) {
	for _, n := range []int{-1, 0, 20, 21} {
		if _, _, err := testSet(20).Split(n, 1); err == nil {
			t.Errorf("holding %d of 20 is no error", n)
		}
	}
}
