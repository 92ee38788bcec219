package kernel

import (
	"os"
	"syscall"
	"unsafe"
)

// hugePage is the size that Linux has on every processor this program is built
// for, and with the usual pages of 4 KB.
const hugePage = 2 << 20

// adviseHugePages asks for huge pages for the part of a buffer that fills them.
// It is only advice: without them everything works as well, and slower.
func adviseHugePages(buf []float32) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&buf[0])), 4*len(buf))
	skip := int(-uintptr(unsafe.Pointer(&bytes[0])) % hugePage)
	if os.Getpagesize() != 4096 || len(bytes) < skip+hugePage {
		return
	}
	_ = syscall.Madvise(bytes[skip:skip+(len(bytes)-skip)/hugePage*hugePage], syscall.MADV_HUGEPAGE)
}
