package proof

import (
	"fmt"
	"strings"
	"testing"

	interpreter "cifartui/nn/cuda/internal/ptx"
)

// article are the convolutions of the article's network but the first.
var article = []shape{
	{lh: 5, lw: 5, in: 64, out: 64, pool: true},
	{lh: 4, lw: 4, in: 64, out: 128},
	{lh: 4, lw: 4, in: 128, out: 128, pool: true},
	{lh: 3, lw: 3, in: 128, out: 256},
	{lh: 3, lw: 3, in: 256, out: 256, pool: true},
}

// An H100 multiplies 16x8x16 once a cycle and multiprocessor at its peak, of which
// mma.sync reaches 63%, and issues four instructions a cycle. So long as a kernel
// issues fewer than 4/0.63 for each product, instructions are not what limits it:
// speed is argued for without a clock. PTX is counted, of which the driver's
// compiler leaves less. Counts are of a step at batch 64, from one of fewer
// images: blocks do the same work, whichever images they have.
func TestInstructionsOfAStepAtBatch64(t *testing.T) {
	const batch, flops = 64, 2 * 16 * 8 * 16 // of a product
	const most = 4 / 0.63                    // instructions a product
	var report strings.Builder
	var needed, products, all int64
	for _, s := range article {
		tile := "128x64x64s3"
		filter := "64x64s2"
		if s.out%128 == 0 {
			filter = "64x128s2"
		}
		for _, name := range []string{"conv_fwd_" + tile, "conv_bwd_" + tile, "conv_wgrad_" + filter} {
			k, err := described(name)
			if err != nil {
				t.Fatal(err)
			}
			// Images that fill blocks, and of the filter's gradient, whose blocks go
			// through all pixels, so many that their beginnings and ends count little.
			counted := max(1, 128>>(s.lh+s.lw))
			if strings.HasPrefix(name, "conv_wgrad_") {
				counted = max(2, 512>>(s.lh+s.lw))
			}
			s.images, s.rows = counted, counted
			d := newDevice(nil)
			switch {
			case strings.HasPrefix(name, "conv_fwd_"):
				err = checkForward(d, k, s)
			case strings.HasPrefix(name, "conv_bwd_"):
				err = checkBackward(d, k, s)
			default:
				err = checkFilter(d, k, s, 1)
			}
			if err != nil {
				t.Fatal(err)
			}
			n := d.stats[name]
			want := int64(s.pixels()) * 9 * int64(s.in) * int64(s.out) * 2 / flops
			row := scaled(n, batch/counted)
			fmt.Fprintf(&report, "%-26s %2dx%-2d %3d>%-3d  %8d products, %.2f instructions each, %.2f of them ldmatrix, %.2f cp.async, %d bank conflicts\n",
				name, s.width(), s.height(), s.in, s.out, row.Instructions["mma"], each(n), ratio(n, "ldmatrix"), ratio(n, "cp.async"), row.BankConflicts)
			needed += want * batch / int64(counted)
			products += row.Instructions["mma"]
			all += row.Total()
			if n.Instructions["mma"] != want {
				t.Errorf("%s on %+v: %d products, %d are needed", name, s, n.Instructions["mma"], want)
			}
			if each(n) > most {
				t.Errorf("%s on %+v: %.2f instructions a product, more than %.2f", name, s, each(n), most)
			}
		}
	}
	t.Logf("\n%s%d products of %d needed, %.2f instructions each", report.String(), products, needed, float64(all)/float64(products))
}

func scaled(s *interpreter.Stats, by int) *interpreter.Stats {
	out := &interpreter.Stats{}
	for range by {
		out.Add(s)
	}
	return out
}

func ratio(s *interpreter.Stats, kind string) float64 {
	return float64(s.Instructions[kind]) / float64(s.Instructions["mma"])
}

func each(s *interpreter.Stats) float64 {
	return float64(s.Total()) / float64(s.Instructions["mma"])
}
