// Package tensorboard writes TensorBoard event files from a run's events.
//
// A run folder gets the layout of Keras' TensorBoard callback, so that training
// and validation lie over each other on one chart:
//
//	tensorboard/                hyperparameters, for the HParams tab
//	tensorboard/train/          epoch_loss, epoch_accuracy, epoch_learning_rate
//	tensorboard/validation/     epoch_loss, epoch_accuracy
//	tensorboard/batches/        batch_loss, batch_accuracy, lr, images_per_second
//
// The step axis of the first two is the epoch, from 1; that of the last counts
// batches over all resumes. A file is a sequence of records, each with a length
// and two checksums, and every record is written with one call: after a SIGKILL
// at most the last record is torn, and readers stop before it. Every run opens
// new files that begin with a SessionLog START, on which TensorBoard drops what
// it knows of the folder from that step on.
//
// The format is TensorFlow's. Records: tensorflow/core/lib/io/record_writer.cc
// and tensorflow/core/lib/hash/crc32c.h. Messages: tensorflow/core/util/event.proto
// and tensorflow/core/framework/summary.proto. Hyperparameters:
// tensorboard/plugins/hparams/plugin_data.proto and api.proto.
package tensorboard

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A record is
//
//	uint64 length     little endian
//	uint32 checksum   of the length's 8 bytes
//	byte   data[length]
//	uint32 checksum   of the data
const (
	headerSize  = 12
	trailerSize = 4
	// maxRecord bounds what a damaged length can make us read. Our own records
	// are under 10 kB.
	maxRecord = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of b, rotated and shifted as crc32c.h's Mask does, so
// that the checksum of data that holds checksums is no special case.
func checksum(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// appendRecord appends data to b as one record.
func appendRecord(b, data []byte) []byte {
	head := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, checksum(b[head:head+8]))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, checksum(data))
}

var errTorn = errors.New("torn or damaged record")

// readRecord reads the next record into buf, which it grows when need be. It
// returns io.EOF at a clean end and errTorn where no whole record stands.
func readRecord(r io.Reader, buf []byte) ([]byte, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return nil, io.EOF
		}
		return nil, errTorn
	}
	n := binary.LittleEndian.Uint64(head[:8])
	if binary.LittleEndian.Uint32(head[8:]) != checksum(head[:8]) || n > maxRecord {
		return nil, errTorn
	}
	if want := int(n) + trailerSize; cap(buf) < want {
		buf = make([]byte, want)
	} else {
		buf = buf[:want]
	}
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, errTorn
	}
	data := buf[:n]
	if binary.LittleEndian.Uint32(buf[n:]) != checksum(data) {
		return nil, errTorn
	}
	return data, nil
}
