package evaluate

import (
	"cmp"
	"fmt"
	"strings"

	"cifartui/cifar"
	"cifartui/train/checkpoint"
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
	var data string
	var of *model.Model
	var elsewhere *model.Model // trained on data that no word names
	for _, m := range models {
		said, known, err := trainedOn(m)
		switch {
		case err != nil:
			return "", err
		case !known:
			elsewhere = m
		case said == "" || said == data:
		case data == "":
			data, of = said, m
		// A run's path may hold what a file calls by a word: its classes tell.
		case m.RunFolder() == "" && !cifar.IsWord(data):
		case of.RunFolder() == "" && !cifar.IsWord(said):
			data, of = said, m
		default:
			return "", fmt.Errorf("%s was trained on the data %s and %s on %s: say with --data which to evaluate on", of.Name, data, m.Name, said)
		}
	}
	if data == "" && elsewhere != nil {
		return "", fmt.Errorf("%s was trained on %q, and the file does not say where that is: say it with --data", elsewhere.Name, elsewhere.Dataset)
	}
	return data, nil
}

// trainedOn is the --data that a model was trained on: "" where its file does not
// say, not known where that names data which is no word's.
func trainedOn(m *model.Model) (data string, known bool, err error) {
	if folder := m.RunFolder(); folder != "" {
		c, _, err := config.ReadQuick(folder)
		if err != nil {
			return "", false, err
		}
		if c.Data == cifar.CIFAR10 { // which is the same
			return cifar.Auto, true, nil
		}
		return c.Data, true, nil
	}
	switch word := strings.ToLower(strings.ReplaceAll(m.Dataset, "-", "")); {
	case word == "":
		return "", true, nil
	case word == cifar.CIFAR10:
		return cifar.Auto, true, nil
	case word == cifar.CIFAR100, cifar.IsDemo(word):
		return word, true, nil
	}
	return "", false, nil
}

// Learnt says in words which models have trained on test images of the data that
// they are to be evaluated on, as those of a larger demo set have; "" if none has.
func Learnt(models []*model.Model, data string) string {
	var names []string
	for _, m := range models {
		if on, _, err := trainedOn(m); err == nil && cifar.DemoTrainsOnTests(on, data) {
			names = append(names, fmt.Sprintf("%s (trained on %s)", m.Name, on))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("test images of %s are among the training images of %s: what comes of them is no measure", data, strings.Join(names, ", "))
}

// Part is a part of a data set; "" means its test images or, of one that has
// none, what was validated on. For Val the models must be of runs that held the
// same images out, and of this very data, as what one held out another has learned,
// unless the data has images for it. It returns also the part's name.
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
	sum := checkpoint.SumOf(d)
	for i, m := range models {
		folder := m.RunFolder()
		if folder == "" {
			return nil, fmt.Errorf("the part %s is what a run held out of its training images, and %s is not in a run's folder: name the run instead of a file, or take the part %s", Val, cmp.Or(m.Path, m.Name), Test)
		}
		c, about, err := config.ReadQuick(folder)
		if err != nil {
			return nil, err
		}
		if c.ValSplit == 0 {
			return nil, fmt.Errorf("%s held no images out (--val-split): it validated on the test images: take the part %s", m.Name, Test)
		}
		if err := otherData(m, about, d, sum); err != nil {
			return nil, err
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

// otherData is the error of a run that held its images out of other data: drawn from
// this they are others, of which it may have learned any. Its checkpoint knows the
// data, and where there is none its settings say what it was called.
func otherData(m *model.Model, about config.About, d *cifar.Dataset, sum checkpoint.DataSum) error {
	instead := Test
	if d.Test.Len() == 0 {
		instead = Train
	}
	const why = "the part %s would be other images than it held out: take the part %s, or the data that it was trained on"
	if was, known := checkpoint.DataOf(m.RunFolder()); known {
		if was != sum {
			return fmt.Errorf("%s was trained on other data (%s) than this (%s): "+why, m.Name, was, sum, Val, instead)
		}
		return nil
	}
	if about.Dataset != d.Name || about.Source != d.Source {
		return fmt.Errorf("%s has no checkpoint to know its data by, and was trained on %s (%s), which this (%s, %s) may not be: "+why,
			m.Name, about.Dataset, about.Source, d.Name, d.Source, Val, instead)
	}
	return nil
}

// unfit says in words why a model cannot judge images of such classes, "" if it
// can.
func unfit(m *model.Model, s *cifar.Set, classes []string) string {
	if why := model.DifferInClasses(m.Classes, classes); why != "" {
		return "it does not know these classes: " + why
	}
	if m.Spec.Size != s.Size {
		return fmt.Sprintf("its network takes images of %dx%d, and these are of %dx%d", m.Spec.Size, m.Spec.Size, s.Size, s.Size)
	}
	return ""
}
