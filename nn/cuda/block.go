package cuda

import (
	"encoding/binary"
	"math"
	"unsafe"

	"cifartui/nn/cuda/driver"
)

// block is what changes from step to step: struct Step of the kernels.
type block struct {
	rows     uint32 // valid images of the batch
	first    uint32 // the place of its first image in order
	order    driver.Pointer
	seed     uint64 // of augmentation
	epoch    uint64
	key      uint64 // of dropout
	lr       float32
	bias1    float32 // of Adam: 1 - beta1^t
	bias2    float32
	augment  uint32 // bits: shift and flip, fill by reflection, flip in every other epoch
	slot     uint32 // in the ring of results
	sequence uint64 // number of the step, which the result gets last
}

// blockBytes is the size of struct Step.
const blockBytes = 80

// write writes the block as the kernels read it.
func (v *block) write(to []byte) {
	le := binary.LittleEndian
	f := math.Float32bits
	le.PutUint32(to[0:], v.rows)
	le.PutUint32(to[4:], v.first)
	le.PutUint64(to[8:], uint64(v.order))
	le.PutUint64(to[16:], v.seed)
	le.PutUint64(to[24:], v.epoch)
	le.PutUint64(to[32:], v.key)
	le.PutUint32(to[40:], f(v.lr))
	le.PutUint32(to[44:], f(v.bias1))
	le.PutUint32(to[48:], f(v.bias2))
	le.PutUint32(to[52:], v.augment)
	le.PutUint32(to[56:], v.slot)
	le.PutUint32(to[60:], 0)
	le.PutUint64(to[64:], v.sequence)
	le.PutUint64(to[72:], 0)
}

// rows says how many images of the batch are valid.
func (b *Backend) rows(n int) { b.want.rows = uint32(n) }

// refresh brings what the kernels read up to date. In a step that is being
// noted, they will find it in the ring.
func (b *Backend) refresh() {
	if b.tape != nil || b.want == b.have {
		return
	}
	var bytes [blockBytes]byte
	b.want.write(bytes[:])
	// So few bytes are copied out of pageable memory before Upload returns.
	if err := b.ctx.Upload(b.current, unsafe.Pointer(&bytes), blockBytes, b.stream); err != nil {
		b.fail(err)
		return
	}
	b.have = b.want
}
