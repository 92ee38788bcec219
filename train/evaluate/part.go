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
	for _, m := range models {
		said := ""
		if folder := m.RunFolder(); folder != "" {
			c, _, err := config.ReadQuick(folder)
			if err != nil {
				return "", err
			}
			said = c.Data
		} else if strings.EqualFold(m.Dataset, cifar.DemoName) {
			said = cifar.DemoName
		}
		if said == "" || data == said {
			continue
		}
		if data != "" {
			return "", fmt.Errorf("%s was trained on the data %s and %s on %s: say with --data which to evaluate on", of, data, m.Name, said)
		}
		data, of = said, m.Name
	}
	return data, nil
}

// Part is a part of a data set. For Val the models must be of runs that held the
// same images out: what one held out another has learned.
func Part(d *cifar.Dataset, part string, models []*model.Model) (*cifar.Set, error) {
	switch part {
	case Test:
		return d.Test, nil
	case Train:
		return d.Train, nil
	case Val:
	default:
		return nil, fmt.Errorf("no part of the data is called %q: want %s", part, strings.Join(Parts(), ", "))
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
	_, held, err := d.Train.Split(first.ValSplit, first.Seed)
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
