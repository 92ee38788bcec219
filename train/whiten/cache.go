package whiten

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"cifartui/cifar"
	"cifartui/nn/kernel"
)

// Cached is Matrix for images whose matrix may have been found before, by the
// same kernels: then it lies in dir, a file of the numbers and their SHA-256.
// Without a dir, or where it can't be written, the matrix is found anew.
func Cached(ctx context.Context, set *cifar.Set, dir string, progress func(part float64)) ([]float32, error) {
	if dir == "" {
		return Matrix(ctx, set, progress)
	}
	n := set.ImageBytes()
	sum := sha256.Sum256(slices.Concat(fmt.Appendf(nil, "1 %s %d ", kernel.Name(), set.Size), hash(set.Pixels)))
	file := filepath.Join(dir, "zca-"+hex.EncodeToString(sum[:8])+".bin")
	if b, err := os.ReadFile(file); err == nil {
		if m, err := decode(b, n); err == nil {
			return m, nil
		}
	}
	m, err := Matrix(ctx, set, progress)
	if err != nil {
		return nil, err
	}
	_ = cifar.WriteCache(file, func(w io.Writer) error { // else the next run takes as long
		_, err := w.Write(encode(m))
		return err
	})
	return m, nil
}

func hash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// encode returns a file's bytes.
func encode(m []float32) []byte {
	b := make([]byte, 0, 4*len(m)+sha256.Size)
	for _, v := range m {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return append(b, hash(b)...)
}

// decode reads what encode wrote of a matrix [n][n].
func decode(b []byte, n int) ([]float32, error) {
	if len(b) != 4*n*n+sha256.Size || !bytes.Equal(hash(b[:4*n*n]), b[4*n*n:]) {
		return nil, errors.New("damaged")
	}
	m := make([]float32, n*n)
	for i := range m {
		m[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return m, nil
}
