package evaluate

import (
	"cmp"
	"fmt"
	"strings"

	"cifartui/cifar"
	"cifartui/train/config"
	"cifartui/train/model"
)

// The parts of a data set that can be evaluated on.
const (
	Test  = "test"
	Train = "train"
	Val   = "val" // what the runs held out of the training images
)

// Parts returns the names of the parts.
func Parts() []string { return []string{Test, Train, Val} }

// Data is the --data that models were trained on, as their runs say or, for
// files that lie in no run folder, their metadata: "" where that says nothing.
func Data(models []*model.Model) (string, error) {
	var data, of string
	var elsewhere *model.Model // trained on data that no word names
	for _, m := range models {
		said, known := wordOf(m.Dataset)
		if folder := m.RunFolder(); folder != "" {
			c, _, err := config.ReadQuick(folder)
			if err != nil {
				return "", err
			}
			if said, known = c.Data, true; said == cifar.CIFAR10 {
				said = cifar.Auto // which is the same
			}
		}
		switch {
		case !known:
			elsewhere = m
		case said == "" || said == data:
		case data == "":
			data, of = said, m.Name
		default:
			return "", fmt.Errorf("%s was trained on the data %s and %s on %s: say with --data which to evaluate on", of, data, m.Name, said)
		}
	}
	if data == "" && elsewhere != nil {
		return "", fmt.Errorf("%s was trained on %q, and the file does not say where that is: say it with --data", elsewhere.Name, elsewhere.Dataset)
	}
	return data, nil
}

// wordOf is the --data that the name of a data set means; "" for CIFAR-10, which
// is what there is without one.
func wordOf(dataset string) (word string, known bool) {
	switch word = strings.ToLower(strings.ReplaceAll(dataset, "-", "")); word {
	case "", cifar.CIFAR10:
		return "", true
	case cifar.CIFAR100, cifar.DemoName:
		return word, true
	}
	return "", false
}

// Part is a part of a data set; "" means its test images or, of one that has
// none, what was validated on. For Val the models must be of runs that held the
// same images out, as what one held out another has learned, unless the data has
// images for it. It returns also the part's name.
func Part(d *cifar.Dataset, part string, models []*model.Model) (*cifar.Set, string, error) {
	if part == "" {
		part = Test
		if d.Test.Len() == 0 {
			part = Val
		}
	}
	switch part {
	case Test:
		if d.Test.Len() == 0 {
			return nil, part, fmt.Errorf("%s has no test images: take the part %s or %s", d.Name, Val, Train)
		}
		return d.Test, part, nil
	case Train:
		return d.Train, part, nil
	case Val:
		s, err := heldOut(d, models)
		return s, part, err
	}
	return nil, part, fmt.Errorf("no part of the data is called %q: want %s", part, strings.Join(Parts(), ", "))
}

// heldOut is the part of a data set that the models did not learn from.
func heldOut(d *cifar.Dataset, models []*model.Model) (*cifar.Set, error) {
	if d.Val != nil {
		return d.Val, nil
	}
	var first config.Config
	for i, m := range models {
		folder := m.RunFolder()
		if folder == "" {
			return nil, fmt.Errorf("the part %s is what a run held out of its training images, and %s is not in a run's folder: name the run instead of a file, or take the part %s", Val, cmp.Or(m.Path, m.Name), Test)
		}
		c, _, err := config.ReadQuick(folder)
		if err != nil {
			return nil, err
		}
		if c.ValSplit == 0 {
			return nil, fmt.Errorf("%s held no images out (--val-split): it validated on the test images: take the part %s", m.Name, Test)
		}
		if i == 0 {
			first = c
		} else if c.ValSplit != first.ValSplit || c.Seed != first.Seed {
			return nil, fmt.Errorf("%s held out %d images drawn by seed %d and %s held out %d by seed %d: each has learned some that the other held out: evaluate them one at a time, or on the part %s",
				models[0].Name, first.ValSplit, first.Seed, m.Name, c.ValSplit, c.Seed, Test)
		}
	}
	_, held, err := first.Parts(d)
	return held, err
}

// Unfit says in words why a model cannot judge images of such classes, "" if it
// can.
func Unfit(m *model.Model, s *cifar.Set, classes []string) string {
	if why := model.DifferInClasses(m.Classes, classes); why != "" {
		return "it does not know these classes: " + why
	}
	if m.Spec.Size != s.Size {
		return fmt.Sprintf("its network takes images of %dx%d, and these are of %dx%d", m.Spec.Size, m.Spec.Size, s.Size, s.Size)
	}
	return ""
}
