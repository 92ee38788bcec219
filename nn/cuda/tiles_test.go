package cuda

import (
	"strings"
	"testing"

	"cifartui/nn"
	"cifartui/nn/cuda/internal/standin"
)

func TestNetworksThatTheKernelsAreNotMadeFor(t *testing.T) {
	for _, c := range []struct {
		spec nn.Spec
		says string
	}{
		{nn.VGG(0.5), ""},
		{nn.Spec{Size: 32, Filters: []int{64, 64, 64, 64, 64}}, ""},
		{nn.Spec{Size: 32, Filters: []int{64, 64, 64, 64, 96}}, "64 features, not of 96"},
		{nn.Spec{Size: 32, Filters: []int{32, 96}}, ""},
		{nn.Spec{Size: 32, Filters: []int{48}}, "32 filters, not for 48"},
		{nn.Spec{Size: 32, Filters: []int{2048}}, ""},
		{nn.Spec{Size: 32, Filters: []int{2080}}, "2048 filters, not for 2080"},
		{nn.Spec{Size: 48, Filters: []int{64}}, "32 pixels, not of 48"},
		{nn.Spec{Size: 32, Filters: []int{64}, Dense: []int{64}}, "no hidden dense layers"},
	} {
		err := Lacks(c.spec)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.says)
		}
	}
}

// Which family of kernels a convolution runs on is decided by its shape: what
// was the fastest some time must not change the bits.
func TestTimesDoNotChooseTheFamily(t *testing.T) {
	b := open(t, hopper(map[string]bool{}))
	s := nn.ConvSpec{Images: 2, H: 8, W: 8, In: 64, Out: 64, Inference: true}
	const other = "conv_fwd_64x64x64s3"
	if b.kernels[other] == nil {
		t.Fatalf("there is no kernel %s", other)
	}
	b.tuned = &Tuned{file: tuneFile{"": {"conv_fwd_8x8 64 to 64, batch 2": {Kernel: other}}}}
	c, err := b.NewConv(s)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if k := c.(*conv).forward; k.hopper == nil {
		t.Errorf("%s was chosen, which sums in another order than Hopper's kernels", k.name)
	}
}

// conv.h counts the elements of a batch in 32 bits, signed.
func TestBatchTooLargeForTheKernelsIsRefused(t *testing.T) {
	b := open(t, standin.New(8, 0))
	s := nn.ConvSpec{Images: 1<<15 - 1, H: 32, W: 32, In: 64, Out: 64}
	if len(b.candidates(forwardPass, s)) == 0 {
		t.Errorf("no kernel for %d images", s.Images)
	}
	s.Images++
	if _, err := b.NewConv(s); err == nil || !strings.Contains(err.Error(), "take a smaller --batch") {
		t.Errorf("%d images: %v", s.Images, err)
	}
	// Hopper's kernels count by boxes, but the others of a step have rows of blocks.
	b = open(t, hopper(map[string]bool{}))
	for _, in := range []int{3, 64} {
		for images, want := range map[int]bool{1<<16 - 1: true, 1 << 16: false} {
			c, err := b.NewConv(nn.ConvSpec{Images: images, H: 32, W: 32, In: in, Out: 64})
			if err == nil {
				c.Close()
			}
			if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "take a smaller --batch") {
				t.Errorf("%d images of %d channels: %v", images, in, err)
			}
		}
	}
}

// Muon's kernels need more of a multiprocessor's memory than some have.
func TestMuonThatDoesNotFitSaysSo(t *testing.T) {
	b := open(t, standin.New(8, 6))
	var x [3]*nn.Buffer
	for i := range x {
		var err error
		if x[i], err = nn.NewBuffer(b, 3, 3, 32, 448); err != nil {
			t.Fatal(err)
		}
	}
	b.Muon(x[0], x[1], x[2], 0.02, 1, 0.9, 0)
	if err := b.Sync(); err == nil || !strings.Contains(err.Error(), "Muon of 448 filters needs 112 KiB") || !strings.Contains(err.Error(), "--optimizer") {
		t.Errorf("%v", err)
	}
}
