package record

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cifartui/train/rundir"
)

func TestPredictionsComeBack(t *testing.T) {
	folder := t.TempDir()
	p := &Predictions{Epoch: 12, Classes: 3}
	p.Add(2, []float32{0.25, 0.5, 0.25})
	p.Add(0, []float32{1, 0, 1e-9})
	if err := p.Write(rundir.OS{}, folder); err != nil {
		t.Fatal(err)
	}
	back, err := ReadPredictions(folder)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Fatalf("%+v %v, want %+v", back, err, p)
	}
	if back.Said(0) != 1 || back.Said(1) != 0 || back.Of(1, 0) != 1 || back.Of(1, 2) != 0 {
		t.Errorf("said %d and %d, %v", back.Said(0), back.Said(1), back.Of(0, 1))
	}
	if v := back.Of(0, 1); v < 0.49999 || v > 0.50001 {
		t.Errorf("0.5 came back as %v", v)
	}
	path := filepath.Join(folder, rundir.PredictionsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 1
		if _, err := decodePredictions(damaged); err == nil {
			t.Errorf("byte %d changed: it was read", i)
		}
		if _, err := decodePredictions(b[:i]); err == nil {
			t.Errorf("the first %d bytes were read", i)
		}
	}
	// The disk was not waited for, and then the power was cut.
	for _, lost := range [][]byte{nil, make([]byte, len(b))} {
		if _, err := decodePredictions(lost); err == nil || !strings.Contains(err.Error(), "the next validation writes it anew") {
			t.Errorf("%d zeros: %v", len(lost), err)
		}
	}
}

// FuzzPredictions gives the reader any content, with a sum that is right.
func FuzzPredictions(f *testing.F) {
	f.Add([]byte("cifarprd\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x01aabb"))
	f.Add([]byte("cifarprd\x01\x00\x00\x00\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
		p, err := decodePredictions(b)
		if err != nil {
			return
		}
		for i := range p.Labels {
			if said := p.Said(i); p.Of(i, said) < p.Of(i, int(p.Labels[i])) {
				t.Errorf("image %d: said %d of %v", i, said, p.Prob)
			}
		}
	})
}
