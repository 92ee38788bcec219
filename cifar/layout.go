package cifar

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A layout is a data set as its authors publish it, in their binary version: an
// archive with a folder of batch files, each of so many records, a record being
// the label and the pixels of an image.
type layout struct {
	name    string // "CIFAR-10"
	word    string // what [Options.Data] calls it
	url     string // of the archive
	archive string // its name
	dir     string // the folder in it

	train        []string // names of the batch files
	test         string
	trainRecords int // in each of train
	testRecords  int

	coarse  int      // bytes before the label: CIFAR-100's superclass
	meta    string   // the file with the names of the classes, a line each
	classes []string // and the names themselves

	archiveSize int64  // bytes of the archive
	archiveSum  string // SHA-256 of the archive in hexadecimal
}

// The names in CIFAR-10's binary version.
const (
	batchesDir  = "cifar-10-batches-bin"
	archiveName = "cifar-10-binary.tar.gz"
	metaName    = "batches.meta.txt"
)

// published is CIFAR-10 as it lies on its authors' site. Its sum is the one in
// TensorFlow Datasets (url_checksums/cifar10.txt).
var published = layout{
	name: "CIFAR-10", word: CIFAR10, url: DefaultURL, archive: archiveName, dir: batchesDir,
	train:        []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	test:         "test_batch.bin",
	trainRecords: 10_000, testRecords: 10_000,
	meta: metaName, classes: ClassNames(),
	archiveSize: 170_052_171,
	archiveSum:  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
}

// hundred is CIFAR-100 as it lies there, with its fine labels. Its sum is the
// one in TensorFlow Datasets (url_checksums/cifar100.txt).
var hundred = layout{
	name: "CIFAR-100", word: CIFAR100,
	url:     "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
	archive: "cifar-100-binary.tar.gz", dir: "cifar-100-binary",
	train: []string{"train.bin"}, test: "test.bin",
	trainRecords: 50_000, testRecords: 10_000,
	coarse: 1, meta: "fine_label_names.txt",
	classes: strings.Fields(`
		apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
		bowl boy bridge bus butterfly camel can castle caterpillar cattle
		chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
		dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
		lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
		mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
		plain plate poppy porcupine possum rabbit raccoon ray road rocket
		rose sea seal shark shrew skunk skyscraper snail snake spider
		squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
		train trout tulip turtle wardrobe whale willow_tree wolf woman worm`),
	archiveSize: 168_513_733,
	archiveSum:  "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
}

// layouts are the published data sets.
func layouts() []layout { return []layout{published, hundred} }

// layoutOf returns the published data set that a word means.
func layoutOf(word string) (l layout, ok bool) {
	switch word {
	case "", Auto, CIFAR10:
		return published, true
	case CIFAR100:
		return hundred, true
	}
	return layout{}, false
}

// files returns the names of the batch files, the test batch last.
func (l layout) files() []string { return append(slices.Clone(l.train), l.test) }

// records returns how many records file i of [layout.files] has.
func (l layout) records(i int) int {
	if i == len(l.train) {
		return l.testRecords
	}
	return l.trainRecords
}

// record returns the bytes of a record.
func (l layout) record() int { return l.coarse + record }

// fileSize returns the bytes of file i.
func (l layout) fileSize(i int) int64 { return int64(l.records(i)) * int64(l.record()) }

// totalSize returns the bytes of all batch files.
func (l layout) totalSize() (n int64) {
	for i := range l.files() {
		n += l.fileSize(i)
	}
	return n
}

// newDataset returns a dataset with room for all images.
func (l layout) newDataset(source string) *Dataset {
	return &Dataset{
		Name:    l.name,
		Source:  source,
		Train:   newSet(len(l.train) * l.trainRecords),
		Test:    newSet(l.testRecords),
		Classes: slices.Clone(l.classes),
	}
}

// part returns the place in d of file i.
func (l layout) part(d *Dataset, i int) *Set {
	if i == len(l.train) {
		return d.Test
	}
	return d.Train.Slice(i*l.trainRecords, (i+1)*l.trainRecords)
}

// checkSize refuses a size of the images that is not theirs.
func (l layout) checkSize(o Options) error {
	if o.Size != 0 && o.Size != Size {
		return fmt.Errorf("cifar: %s has images of %d pixels a side, not %d: another size is for a folder of pictures", l.name, Size, o.Size)
	}
	return nil
}

// hasFile reports whether one of the batch files is among names.
func (l layout) hasFile(names []string) bool {
	return slices.ContainsFunc(l.files(), func(name string) bool { return slices.Contains(names, name) })
}

// getAgain ends the errors about a batch file with what the person can do.
func (l layout) getAgain() string {
	if l.word == CIFAR10 {
		return `get the file again, or fetch a good copy with "cifartui data fetch" and use --data auto`
	}
	return fmt.Sprintf(`get the file again, or fetch a good copy with "cifartui data fetch %s" and use --data %s`, l.word, l.word)
}

// Published returns the name of a published data set and where it lies in a
// cache folder, as files or as the archive, by the word that [Options.Data]
// means it by.
func Published(cache, word string) (name string, paths []string) {
	l, _ := layoutOf(word)
	return l.name, []string{filepath.Join(cache, l.dir), filepath.Join(cache, l.archive)}
}
