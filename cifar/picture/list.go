package picture

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Named tells whether a file is called as a picture that a [Reader] reads, in
// small or capital letters. Hidden files are not: some systems leave one beside
// each picture.
func Named(name string) bool {
	name = filepath.Base(name)
	endings := []string{".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp"}
	return !strings.HasPrefix(name, ".") && slices.Contains(endings, strings.ToLower(filepath.Ext(name)))
}

// List returns the files in dir and the folders below it that are [Named] as
// pictures, in the order of their names, as dir joined with their path in it.
// Hidden folders are left out, links to folders not followed. The error tells of
// folders that can't be read; the files of all others come with it.
func List(ctx context.Context, dir string) ([]string, error) {
	var files []string
	var failed []error
	// With a separator at its end a link to a folder is one too.
	root := filepath.Clean(dir) + string(filepath.Separator)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed = append(failed, err)
			return nil
		case path == root:
			return nil
		case e.IsDir() && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case !e.IsDir() && Named(e.Name()):
			files = append(files, path)
		}
		return nil
	})
	return files, errors.Join(append(failed, err)...)
}
