package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"cifartui/train/rundir"
)

// Predictions are what the network said of every validation image at the newest
// validation, in predictions.bin. The file takes the place of the one before
// after each epoch: it is for looking at the images, no resume needs it, and
// training does not wait for the disk.
//
//	8 bytes   "cifarprd"
//	4 bytes   version, little-endian, as all numbers
//	12 bytes  epoch, images, classes
//	          a byte for the class of each image
//	          the probabilities, [images][classes], 16 bits each, in 65535ths
//	4 bytes   CRC-32C of everything before
type Predictions struct {
	Epoch   int
	Classes int
	Labels  []byte   // [images]
	Prob    []uint16 // [images][Classes], in 65535ths
}

const (
	predictionsMagic   = "cifarprd"
	predictionsVersion = 1
	predictionsHead    = len(predictionsMagic) + 4*4
	// maxPredictions bounds what is read into memory: of 10,000 images and 10
	// classes it is 210 KB.
	maxPredictions = 256 << 20
)

// Of is the probability of a class for an image.
func (p *Predictions) Of(image, class int) float64 {
	return float64(p.Prob[image*p.Classes+class]) / 65535
}

// Said is the class that image was taken for, the first of the most probable.
func (p *Predictions) Said(image int) int {
	best := 0
	of := p.Prob[image*p.Classes:][:p.Classes]
	for c, v := range of {
		if v > of[best] {
			best = c
		}
	}
	return best
}

// Add takes in an image of a class, and the probability of each class.
func (p *Predictions) Add(label byte, prob []float32) {
	p.Labels = append(p.Labels, label)
	for _, v := range prob {
		p.Prob = append(p.Prob, uint16(max(0, min(1, v))*65535+0.5))
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes the file of a run folder.
func (p *Predictions) Write(d rundir.Disk, folder string) error {
	b := make([]byte, 0, predictionsHead+len(p.Labels)+2*len(p.Prob)+4)
	b = append(b, predictionsMagic...)
	for _, v := range []int{predictionsVersion, p.Epoch, len(p.Labels), p.Classes} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	b = append(b, p.Labels...)
	for _, v := range p.Prob {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	err := rundir.WriteQuick(d, filepath.Join(folder, rundir.PredictionsFile), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return fmt.Errorf("predictions: %w", err)
	}
	return nil
}

// ReadPredictions reads and checks the file of a run folder.
func ReadPredictions(folder string) (*Predictions, error) {
	path := filepath.Join(folder, rundir.PredictionsFile)
	b, err := rundir.ReadFile(path, maxPredictions)
	if err != nil {
		return nil, fmt.Errorf("predictions: %w", err)
	}
	p, err := decodePredictions(b)
	if err != nil {
		return nil, fmt.Errorf("predictions: %s: %w", path, err)
	}
	return p, nil
}

func decodePredictions(b []byte) (*Predictions, error) {
	if len(bytes.Trim(b, "\x00")) == 0 {
		return nil, errors.New("it is empty, as after a power cut: the next validation writes it anew")
	}
	if len(b) < predictionsHead+4 || !bytes.HasPrefix(b, []byte(predictionsMagic)) {
		return nil, errors.New("no predictions of this program")
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, errors.New("its sum does not match its content")
	}
	var head [4]int
	for i := range head {
		head[i] = int(binary.LittleEndian.Uint32(b[len(predictionsMagic)+4*i:]))
	}
	if head[0] != predictionsVersion {
		return nil, fmt.Errorf("it has version %d of the format, this program reads version %d", head[0], predictionsVersion)
	}
	images, classes, rest := head[2], head[3], b[predictionsHead:end]
	if classes < 1 || classes > 256 || len(rest) != images*(1+2*classes) {
		return nil, fmt.Errorf("%d bytes for %d images of %d classes", len(rest), images, classes)
	}
	p := &Predictions{Epoch: head[1], Classes: classes, Labels: rest[:images], Prob: make([]uint16, images*classes)}
	for i := range p.Prob {
		p.Prob[i] = binary.LittleEndian.Uint16(rest[images+2*i:])
	}
	for i, l := range p.Labels {
		if int(l) >= classes {
			return nil, fmt.Errorf("image %d is of class %d of %d", i, l, classes)
		}
	}
	return p, nil
}
