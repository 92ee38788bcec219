package ptx

import (
	"strings"
	"testing"
)

// The tiles of a launch must cover the batch, its boxes what TMA takes.
func TestWgmmaTilesCoverTheirImages(t *testing.T) {
	seen := map[WgmmaPass]bool{}
	for _, k := range Kernels {
		w, ok := k.Wgmma()
		if ok != strings.HasPrefix(k.Name, "wgmma_") {
			t.Errorf("%s: Wgmma says %t", k.Name, ok)
		}
		if !ok {
			continue
		}
		seen[w.Pass] = true
		for _, box := range [][]uint32{w.Input(), w.Output(), WeightsBox} {
			for i, n := range box {
				if n < 1 || n > 256 || i == 0 && n != 64 {
					t.Errorf("%s: a box of %v", k.Name, box)
				}
			}
		}
		if box := w.Places(); w.Pass == WgmmaSpread && int(box[1]*box[2]*box[3]) != w.group() {
			t.Errorf("%s: a box of %v places, want those of %d pixels", k.Name, box, w.group())
		}
		if w.Pass == WgmmaFilter {
			if w.Width%w.rows != 0 || w.rows*w.Width%16 != 0 {
				t.Errorf("%s: %d rows do not divide an image", k.Name, w.rows)
			}
			continue
		}
		if w.images()*w.tileRows()*w.Width != w.Pixels || w.Width%w.tileRows() != 0 {
			t.Errorf("%s: %d images of %d rows of %d pixels", k.Name, w.images(), w.tileRows(), w.Width)
		}
		if w.group()%w.stored() != 0 || w.stored()%(w.images()*w.Width) != 0 {
			t.Errorf("%s: stores %d of %d pixels at a time", k.Name, w.stored(), w.group())
		}
		if w.Pass == WgmmaForwardPool && w.group()/(w.images()*w.Width)%2 != 0 {
			t.Errorf("%s: a warpgroup has half a window", k.Name)
		}
	}
	for _, p := range []WgmmaPass{WgmmaForward, WgmmaForwardPool, WgmmaBackwardData, WgmmaSpread, WgmmaFilter} {
		if !seen[p] {
			t.Errorf("no kernel computes %s", p)
		}
	}
}

// A block more than multiprocessors would wait for those that wait for it.
func TestWgmmaBlocksAllRunAtOnce(t *testing.T) {
	for _, k := range Kernels {
		w, ok := k.Wgmma()
		if !ok {
			continue
		}
		for _, shape := range [][2]int{{64, 64}, {64, 128}, {128, 128}, {128, 256}, {256, 256}} {
			in, out := shape[0], shape[1]
			if !w.Fits(w.Width, w.Width, in, out) {
				continue
			}
			for _, batch := range []int{1, 5, 64, 512} {
				n := w.Grid(batch, in, out, 132)
				if n < 1 || n > 132 {
					t.Errorf("%s: %d to %d channels, batch %d: %d blocks", k.Name, in, out, batch, n)
				}
			}
		}
	}
}

func TestWgmmaKernelsTakeOnlyShapesOfTheirs(t *testing.T) {
	for _, c := range []struct {
		kernel                 string
		height, width, in, out int
		want                   bool
	}{
		{"wgmma_fwd_w16_128x128s4t7", 16, 16, 64, 128, true},
		{"wgmma_fwd_w16_128x128s4t7", 16, 16, 64, 64, false},
		{"wgmma_fwd_w16_128x128s4t7", 16, 16, 96, 128, false},
		{"wgmma_fwd_w16_128x128s4t7", 8, 16, 64, 128, false},
		{"wgmma_pool_w32_64x256s3", 32, 32, 64, 192, true},
		{"wgmma_pool_w32_64x256s3", 32, 32, 128, 64, false},
		{"wgmma_bwd_w32_64x128s5", 32, 32, 128, 64, true},
		{"wgmma_bwd_w32_64x128s5", 32, 32, 64, 128, false},
		{"wgmma_wgrad_w8_r8s10", 8, 8, 128, 64, true},
		{"wgmma_wgrad_w8_r8s10", 8, 8, 3, 64, false},
	} {
		w, ok := Kernel{Name: c.kernel}.Wgmma()
		if !ok {
			t.Fatalf("%s is no wgmma kernel", c.kernel)
		}
		if got := w.Fits(c.height, c.width, c.in, c.out); got != c.want {
			t.Errorf("%s on %dx%d, %d to %d channels: %t", c.kernel, c.height, c.width, c.in, c.out, got)
		}
	}
}
