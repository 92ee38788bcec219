package cifar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cifartui/cifar/picture"
	"cifartui/cifar/plain"
)

// A gallery is a folder of pictures, a subfolder for each class, as torchvision's
// ImageFolder and Keras's image_dataset_from_directory read it: the classes are
// the subfolders' names, sorted. The pictures may be parted into train/, val/
// and test/, each with the classes' subfolders. What is found is:
//
//	folder.go        names: classes and files
//	pictures.go      the files, read side by side on all processors
//	picturecache.go  what was read, kept as one file for the next time
type gallery struct {
	root    string
	classes []string
	parts   [partKinds][]pictureFile
}

// The parts of a gallery.
const (
	trainPart = iota
	valPart
	testPart
	partKinds
)

// partNames are the folders that the parts may lie in.
var partNames = [partKinds][]string{{"train"}, {"val", "valid", "validation"}, {"test"}}

// A pictureFile is a picture and what tells that it was changed.
type pictureFile struct {
	path  string // in the gallery's root, with slashes
	label byte
	size  int64 // bytes
	mtime int64 // nanoseconds since 1970
}

// len returns the number of pictures.
func (g *gallery) len() (n int) {
	for _, files := range g.parts {
		n += len(files)
	}
	return n
}

// errNoGallery is for a folder that is none.
var errNoGallery = errors.New("no subfolders with pictures in it")

// findGallery looks through a folder. A folder without any subfolder to look
// into gives errNoGallery.
func findGallery(ctx context.Context, root string) (*gallery, error) {
	g := &gallery{root: root}
	folders, err := subfolders(root)
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, errNoGallery
	}
	var in [partKinds]string // the folder of each part
	if slices.Contains(folders, "train") {
		inner, err := subfolders(filepath.Join(root, "train"))
		if err != nil {
			return nil, err
		}
		if len(inner) > 0 { // else it is a class, of locomotives say
			for part, names := range partNames {
				for _, name := range names {
					if slices.Contains(folders, name) && in[part] == "" {
						in[part] = name
					}
				}
			}
			folders = inner
		}
	}
	if g.classes = folders; in[trainPart] == "" {
		in[trainPart] = "."
	}
	if err := g.checkClasses(in[trainPart]); err != nil {
		return nil, err
	}
	for part, folder := range in {
		if folder == "" {
			continue
		}
		if err := g.list(ctx, part, folder); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// subfolders returns the names of the folders in dir, sorted as Python sorts
// them. Links to folders are some, hidden folders are none.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cifar: look for pictures: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "__MACOSX" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && info.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// checkClasses refuses what can't be the classes of a data set.
func (g *gallery) checkClasses(folder string) error {
	where := filepath.Join(g.root, folder)
	switch n := len(g.classes); {
	case n == 1:
		return fmt.Errorf("cifar: %s: only one class, %q: a network needs two or more to tell apart, a subfolder with pictures for each", where, g.classes[0])
	case n > MaxClasses:
		return fmt.Errorf("cifar: %s: %d subfolders, want one for each class, at most %d", where, n, MaxClasses)
	}
	for _, name := range g.classes {
		if !plain.Is(name) {
			return fmt.Errorf("cifar: %s: the subfolder %q can't be the name of a class, as it can't be shown: rename it", where, name)
		}
	}
	return nil
}

// mostClasses is how many classes an error names, of many.
const mostClasses = 8

// list finds the pictures of a part, which lie in a folder of the root.
func (g *gallery) list(ctx context.Context, part int, folder string) error {
	where := filepath.Join(g.root, folder)
	if part != trainPart {
		folders, err := subfolders(where)
		if err != nil {
			return err
		}
		for _, name := range folders {
			if !slices.Contains(g.classes, name) {
				return fmt.Errorf("cifar: %s: the class %q is not among those of the training pictures (%s): move it, or put pictures of it there too", where, name, plain.Few(g.classes, mostClasses))
			}
		}
	}
	var empty []string
	for label, class := range g.classes {
		files, err := picture.List(ctx, filepath.Join(where, class))
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("cifar: look for pictures: %w", ctx.Err())
		case errors.Is(err, os.ErrNotExist) && part != trainPart: // none of that class to test on
			continue
		case err != nil:
			return fmt.Errorf("cifar: look for pictures: %w", err)
		case len(files) == 0:
			empty = append(empty, class)
		}
		for _, path := range files {
			f := pictureFile{label: byte(label)}
			if info, err := os.Stat(path); err == nil { // else reading it tells
				f.size, f.mtime = info.Size(), info.ModTime().UnixNano()
			}
			name, err := filepath.Rel(g.root, path)
			if err != nil {
				return fmt.Errorf("cifar: look for pictures: %w", err)
			}
			f.path = filepath.ToSlash(name)
			g.parts[part] = append(g.parts[part], f)
		}
	}
	const kinds = "PNG, JPEG, GIF, BMP or WebP"
	switch {
	case len(g.parts[part]) == 0 && part == trainPart:
		return fmt.Errorf("cifar: %s: no pictures (%s) in its subfolders %s", where, kinds, plain.Few(g.classes, mostClasses))
	case len(g.parts[part]) == 0:
		return fmt.Errorf("cifar: %s: no pictures (%s): put some there, a subfolder for each class, or remove the folder", where, kinds)
	case len(empty) > 0 && part == trainPart:
		return fmt.Errorf("cifar: %s: no pictures (%s) of the class %s: put some into its subfolder, or remove it", where, kinds, plain.Few(empty, mostClasses))
	}
	return nil
}
