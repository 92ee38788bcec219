package cifar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cifartui/cifar/picture"
)

// onePNG is a picture of one colour.
func onePNG(t testing.TB, c color.RGBA) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40, 36))
	for i := range m.Pix {
		m.Pix[i] = []byte{c.R, c.G, c.B, 255}[i%4]
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// putPictures writes n pictures of a class whose red tells which it is.
func putPictures(t testing.TB, dir string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b := onePNG(t, color.RGBA{R: byte(len(filepath.Base(dir))), G: byte(i), A: 255})
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.png", i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// gallery0 is a folder of three classes, one with a folder in it, with what is
// no picture beside them.
func gallery0(t testing.TB) (dir string, o Options) {
	dir = filepath.Join(t.TempDir(), "my animals")
	putPictures(t, filepath.Join(dir, "кошка"), 5)
	putPictures(t, filepath.Join(dir, "dog"), 3)
	putPictures(t, filepath.Join(dir, "dog", "more"), 2)
	putPictures(t, filepath.Join(dir, "Ant"), 4)
	putPictures(t, filepath.Join(dir, ".hidden"), 1)
	writeFiles(t, filepath.Join(dir, "dog"), map[string][]byte{"notes.txt": []byte("x"), "._000.png": []byte("x")})
	writeFiles(t, dir, map[string][]byte{"readme.md": nil})
	return dir, Options{Data: dir, CacheDir: t.TempDir()}
}

func TestFolderOfPicturesIsReadAsImageFolderDoes(t *testing.T) {
	dir, o := gallery0(t)
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// As Python sorts: capital letters first, by code points.
	if want := []string{"Ant", "dog", "кошка"}; !slices.Equal(d.Classes, want) || d.Name != "my animals" || d.Source != dir || d.Demo {
		t.Errorf("%q from %q with classes %q, want %q", d.Name, d.Source, d.Classes, want)
	}
	if got := d.Train.Counts(3); !slices.Equal(got, []int{4, 5, 5}) || d.Test.Len() != 0 || d.Val != nil || len(d.Notes) != 0 {
		t.Errorf("%v images, %d to test on, notes %q", got, d.Test.Len(), d.Notes)
	}
	for i := range d.Train.Len() {
		name := []string{"Ant", "dog", "кошка"}[d.Train.Labels[i]]
		red := d.Train.Image(i)[0]
		if red != byte(len(name)) && !(name == "dog" && red == byte(len("more"))) {
			t.Errorf("image %d of class %q is one of another", i, name)
		}
	}
}

func TestPartsOfAFolder(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"train", "validation", "test"} {
		putPictures(t, filepath.Join(dir, part, "a"), 3)
		putPictures(t, filepath.Join(dir, part, "bb"), 2)
	}
	putPictures(t, filepath.Join(dir, "train", "ccc"), 1)
	o := Options{Data: dir, CacheDir: t.TempDir(), Size: 48}
	for range 2 { // the second time from the cache
		d, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for name, x := range map[string]struct {
			set  *Set
			want []int
		}{"train": {d.Train, []int{3, 2, 1}}, "val": {d.Val, []int{3, 2, 0}}, "test": {d.Test, []int{3, 2, 0}}} {
			if x.set == nil || x.set.Size != 48 || !slices.Equal(x.set.Counts(3), x.want) {
				t.Errorf("%s: %v", name, x.set)
			}
		}
	}
	// A class may be called as a part.
	dir = t.TempDir()
	putPictures(t, filepath.Join(dir, "train"), 2)
	putPictures(t, filepath.Join(dir, "bus"), 2)
	d, err := Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir()})
	if err != nil || !slices.Equal(d.Classes, []string{"bus", "train"}) {
		t.Errorf("vehicles: %v, %v", d, err)
	}
}

func TestPicturesAreReadOnceAndAnewWhenOneChanges(t *testing.T) {
	dir, o := gallery0(t)
	var stages []Stage
	o.Progress = func(p Progress) {
		if !slices.Contains(stages, p.Stage) {
			stages = append(stages, p.Stage)
		}
	}
	var first *Dataset
	open := func(what string, want Stage) *Dataset {
		t.Helper()
		stages = nil
		d, err := Open(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !slices.Contains(stages, want) || want == StageRead && len(stages) != 1 {
			t.Errorf("%s: stages %q, want %q", what, stages, want)
		}
		if first == nil {
			first = d
		}
		return d
	}
	open("first", StagePictures)
	again := open("again", StageRead)
	if !bytes.Equal(again.Train.Pixels, first.Train.Pixels) || !bytes.Equal(again.Train.Labels, first.Train.Labels) {
		t.Error("the cache gives other images")
	}
	one := filepath.Join(dir, "dog", "001.png")
	if err := os.Chtimes(one, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	open("another time", StagePictures)
	if err := os.Rename(one, filepath.Join(dir, "dog", "zzz.png")); err != nil {
		t.Fatal(err)
	}
	open("another name", StagePictures)
	if err := os.WriteFile(filepath.Join(dir, "dog", "000.png"), onePNG(t, color.RGBA{R: 200}), 0o644); err != nil {
		t.Fatal(err)
	}
	if d := open("another picture", StagePictures); bytes.Equal(d.Train.Pixels, first.Train.Pixels) {
		t.Error("the picture is still the old one")
	}
	open("and again", StageRead)
	putPictures(t, filepath.Join(dir, "bird"), 1)
	open("another class", StagePictures)
	o.Size = 64
	open("another size", StagePictures)

	// A cache is a file that can be damaged.
	files, err := filepath.Glob(filepath.Join(o.CacheDir, picturesDir, "*.bin"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string][]byte{"bit": slices.Concat(good[:len(good)-100], []byte{^good[len(good)-100]}, good[len(good)-99:]), "cut": good[:len(good)/2], "long": append(slices.Clone(good), 0), "empty": nil} {
			if err := os.WriteFile(file, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			o.Size = 32
			if strings.HasSuffix(file, "-64.bin") {
				o.Size = 64
			}
			open("damaged: "+name, StagePictures)
		}
	}
	if names := left(t, filepath.Join(o.CacheDir, picturesDir)); len(names) != 2 {
		t.Errorf("the cache folder holds %q", names)
	}
}

func TestBrokenPicturesAreLeftOutAndTold(t *testing.T) {
	dir, o := gallery0(t)
	putPictures(t, filepath.Join(dir, "dog"), 30)
	writeFiles(t, filepath.Join(dir, "dog"), map[string][]byte{"bad.jpg": []byte("no picture"), "cut.png": onePNG(t, color.RGBA{})[:60]})
	for range 2 { // the cache tells, too
		d, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(d.Notes, "\n")
		if len(d.Notes) != 3 || !strings.Contains(notes, "2 of 43 pictures") || !strings.Contains(notes, "bad.jpg") || !strings.Contains(notes, "cut.png") {
			t.Errorf("notes %q", d.Notes)
		}
		if n := d.Train.Counts(3)[1]; n != 32 {
			t.Errorf("%d dogs, want 32", n)
		}
	}
	for i := range 30 {
		writeFiles(t, filepath.Join(dir, "кошка"), map[string][]byte{fmt.Sprintf("bad%d.png", i): nil})
	}
	_, err := Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "32 of 73 pictures can't be read, more than a tenth") || !strings.Contains(err.Error(), "... and 22 more") || strings.Count(err.Error(), "\n") != 11 {
		t.Errorf("too many are broken: %v", err)
	}
	dir = t.TempDir()
	putPictures(t, filepath.Join(dir, "a"), 60)
	writeFiles(t, filepath.Join(dir, "b"), map[string][]byte{"x.png": nil})
	if _, err = Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), `no picture of the class "b" can be read`) || !strings.Contains(err.Error(), "x.png") {
		t.Errorf("all of a class are broken: %v", err)
	}
}

func TestFoldersThatAreNoDataSay(t *testing.T) {
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"one class": {func(t *testing.T, dir string) { putPictures(t, filepath.Join(dir, "cat"), 2) }, `only one class, "cat"`},
		"empty class": {func(t *testing.T, dir string) {
			putPictures(t, filepath.Join(dir, "cat"), 2)
			writeFiles(t, filepath.Join(dir, "dog"), nil)
		}, "of the class dog: put some"},
		"no pictures":   {func(t *testing.T, dir string) { writeFiles(t, dir+"/a", nil); writeFiles(t, dir+"/b", nil) }, "no pictures (PNG"},
		"no subfolders": {func(t *testing.T, dir string) { putPictures(t, dir, 2) }, "a subfolder for each class"},
		"many classes": {func(t *testing.T, dir string) {
			for i := range 257 {
				writeFiles(t, filepath.Join(dir, fmt.Sprint(i)), nil)
			}
		}, "257 subfolders, want one for each class, at most 256"},
		"test class": {func(t *testing.T, dir string) {
			for _, d := range []string{"train/a", "train/b", "test/a", "test/x"} {
				putPictures(t, filepath.Join(dir, d), 1)
			}
		}, `the class "x" is not among`},
		"empty test": {func(t *testing.T, dir string) {
			for _, d := range []string{"train/a", "train/b"} {
				putPictures(t, filepath.Join(dir, d), 1)
			}
			writeFiles(t, filepath.Join(dir, "test"), nil)
		}, "or remove the folder"},
		"escape codes": {func(t *testing.T, dir string) {
			putPictures(t, filepath.Join(dir, "a"), 1)
			putPictures(t, filepath.Join(dir, "b\x1b[2J"), 1)
		}, "rename it"},
		"nothing": {func(t *testing.T, dir string) {}, "the folder is empty: name a folder of pictures, with a subfolder for each class, or"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			_, err := Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v\ndoes not say %q", err, c.want)
			}
		})
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if _, err := Open(t.Context(), Options{Data: gone}); err == nil || !strings.Contains(err.Error(), gone+": no such file or folder: name a folder of pictures, with a subfolder for each class, or") {
		t.Errorf("no folder: %v", err)
	}
	dir, o := gallery0(t)
	o.Free = 2*14*3073 - 1
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "14 pictures take 0 MiB") {
		t.Errorf("too large for the memory: %v", err)
	}
	for _, data := range []string{"auto", "cifar100", "demo"} {
		if _, err := Open(t.Context(), Options{Data: data, Size: 64}); err == nil || !strings.Contains(err.Error(), "for a folder of pictures") {
			t.Errorf("%s at 64 pixels: %v", data, err)
		}
	}
	if _, err := Open(t.Context(), Options{Data: dir, Size: 50}); err == nil || !strings.Contains(err.Error(), "[32 48 64 96]") {
		t.Errorf("50 pixels: %v", err)
	}
	o.Free = 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

// The memory that pictures take is that of both parts besides, where some of them are
// held out; a folder of their own to test on changes nothing in that.
func TestPicturesHeldOutTakeMemory(t *testing.T) {
	dir := t.TempDir()
	for _, class := range []string{"a", "b"} {
		putPictures(t, filepath.Join(dir, "train", class), 4)
		putPictures(t, filepath.Join(dir, "test", class), 1)
	}
	const image = 3073
	for _, c := range []struct {
		split bool
		free  int64
		fits  bool
	}{{false, 10 * image, true}, {false, 10*image - 1, false}, {true, 18*image - 1, false}, {true, 18 * image, true}} {
		_, err := Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir(), Free: c.free, Split: c.split})
		if (err == nil) != c.fits || err != nil && strings.Contains(err.Error(), "a copy of those") != c.split {
			t.Errorf("held out: %v, %d bytes are free: %v", c.split, c.free, err)
		}
	}
}

// A folder whose cache can't be written is read all the same.
func TestPicturesWithoutACache(t *testing.T) {
	_, o := gallery0(t)
	writeFiles(t, o.CacheDir, map[string][]byte{picturesDir: nil})
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d.Train.Len() != 14 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "kept for the next time") {
		t.Errorf("%d images, notes %q", d.Train.Len(), d.Notes)
	}
}

// What nobody may read now somebody may read later, with nothing of the file
// changed: no cache must hold the images without it.
func TestPicturesThatCannotBeHadAreTriedAgain(t *testing.T) {
	dir, o := gallery0(t)
	putPictures(t, filepath.Join(dir, "dog"), 30)
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dog", "x.png")); err != nil {
		t.Skipf("no links can be made here: %v", err)
	}
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Notes) != 2 || !strings.Contains(d.Notes[1], "x.png") {
		t.Errorf("notes %q", d.Notes)
	}
	if files, err := filepath.Glob(filepath.Join(o.CacheDir, picturesDir, "*")); err != nil || len(files) != 0 {
		t.Errorf("the cache holds %q, %v", files, err)
	}
}

// A note is shown on a terminal and is a line, whatever a file is called.
func TestNotesOfBrokenPicturesCanBeShown(t *testing.T) {
	d := new(Dataset)
	broken := make([]error, 20)
	broken[3] = errors.New("a\x1b[2J\nb.png: no picture")
	if err := d.noteBroken("x", broken); err != nil {
		t.Fatal(err)
	}
	if want := "a\ufffd[2J\ufffdb.png: no picture"; len(d.Notes) != 2 || d.Notes[1] != want {
		t.Errorf("notes %q, want %q", d.Notes, want)
	}
}

// A part of which nothing can be read is not left out: with a tenth of few
// pictures in it, training would go on without what it is to be judged on.
func TestPartOfBrokenPicturesIsRefused(t *testing.T) {
	for _, part := range []string{"val", "test"} {
		dir := t.TempDir()
		putPictures(t, filepath.Join(dir, "train", "a"), 20)
		putPictures(t, filepath.Join(dir, "train", "b"), 20)
		writeFiles(t, filepath.Join(dir, part, "a"), map[string][]byte{"x.png": []byte("no picture")})
		_, err := Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "none of its 1 pictures for "+part) || !strings.Contains(err.Error(), "x.png") {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestReadingPicturesEndsWithItsContext(t *testing.T) {
	dir, o := gallery0(t)
	g, err := findGallery(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openGallery(ctx, g, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What a killed process has left half written is removed once it is old, and
// what another one may be writing is not.
func TestHalfWrittenCachesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{halfPrefix + "old": nil, halfPrefix + "fresh": nil, "other": nil})
	long := time.Now().Add(-2 * halfStale)
	for _, name := range []string{halfPrefix + "old", "other"} {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	bad := errors.New("no room")
	if err := WriteCache(filepath.Join(dir, "bad"), func(io.Writer) error { return bad }); !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
	if err := WriteCache(filepath.Join(dir, "good"), func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
		t.Fatal(err)
	}
	if names := left(t, dir); !slices.Equal(names, []string{halfPrefix + "fresh", "good", "other"}) {
		t.Errorf("the folder holds %q", names)
	}
}

// FuzzPictureCache: whatever lies in the cache gives the images that were
// written, or an error.
func FuzzPictureCache(f *testing.F) {
	g := &gallery{root: "x", classes: []string{"a", "b"}}
	g.parts[trainPart] = []pictureFile{{path: "a/1.png"}, {path: "b/1.png", label: 1}}
	c := pictureCache{is: g.fingerprint(32), size: 32}
	d := g.newDataset()
	*d.Train = *newSet(2)
	d.Train.Labels[1], d.Train.Pixels[5] = 1, 9
	*d.Test = *newSet(0)
	var good bytes.Buffer
	if err := c.encode(&good, d); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:100])
	f.Add([]byte(cacheMagic + "\xff\xff\xff\x7f{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := g.newDataset()
		err := c.decode(bytes.NewReader(data), int64(len(data)), got)
		if err == nil && (!bytes.Equal(got.Train.Pixels, d.Train.Pixels) || !bytes.Equal(got.Train.Labels, d.Train.Labels)) && bytes.Equal(data, good.Bytes()) {
			t.Fatal("other images came back")
		}
		if bytes.Equal(data, good.Bytes()) && err != nil {
			t.Fatal(err)
		}
		for _, label := range got.Train.Labels {
			if err == nil && int(label) > 1 {
				t.Fatalf("a label of %d", label)
			}
		}
	})
}

// FuzzGallery: any names and bytes in a folder give images or an error that
// names the folder.
func FuzzGallery(f *testing.F) {
	f.Add("a/1.png\nb/2.jpg\ntrain/a/3.gif", []byte("x"))
	f.Add("train/a/1.png\ntrain/b/1.png\ntest/b/1.png\nval/a/x.webp", onePNG(f, color.RGBA{R: 1}))
	f.Add("a/../../b.png\n.x/1.png\n\x1b/1.png", []byte{})
	f.Fuzz(func(t *testing.T, names string, data []byte) {
		dir := t.TempDir()
		for i, name := range strings.Split(names, "\n") {
			path := filepath.FromSlash(name)
			if i > 20 || !filepath.IsLocal(path) || strings.ContainsRune(name, 0) || len(name) > 200 {
				continue
			}
			if os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755) == nil {
				_ = os.WriteFile(filepath.Join(dir, path), data, 0o644) // some names are none
			}
		}
		d, err := Open(t.Context(), Options{Data: dir, CacheDir: t.TempDir()})
		if err != nil {
			if !strings.Contains(err.Error(), dir) {
				t.Fatalf("%v does not name the folder", err)
			}
			return
		}
		count := 0
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && picture.Named(path) {
				count++
			}
			return nil
		})
		if n := d.Train.Len() + d.Test.Len(); n == 0 || n > count || len(d.Classes) < 2 || len(d.Train.Pixels) != d.Train.Len()*Pixels {
			t.Fatalf("%d images of %d pictures, classes %q", n, count, d.Classes)
		}
	})
}
