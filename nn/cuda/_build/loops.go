package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// What a warp does and moves by one instruction of SASS.
const (
	flopPerProduct = 2 * 16 * 8 * 16 // HMMA.16816
	bytesPerRead   = 4 * 8 * 8 * 2   // LDSM.16.M88.4: four 8x8 matrices of 16 bits
	bytesPerCopy   = 32 * 16         // LDGSTS.E.BYPASS.128: 16 bytes a thread
)

// loop is what the inner loop of a kernel is made of.
type loop struct{ instructions, products, reads, copies int }

var (
	sassKernel      = regexp.MustCompile(`^\.text\.(\w+):`)
	sassLabel       = regexp.MustCompile(`^(\.L_x_\d+):`)
	sassInstruction = regexp.MustCompile(`^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)`)
	sassBranch      = regexp.MustCompile("BRA[\\w.]*\\s.*`\\((\\.L_x_\\d+)\\)")
)

// hasLoop tells of the kernels whose inner loops are listed: the convolutions by
// mma.sync, but for the first one's, which are bound by memory.
func hasLoop(kernel string) bool { return strings.HasPrefix(kernel, "conv_") }

// disassembled returns the inner loops of a cubin, a line each.
func disassembled(nvdisasm, cubin, gpu string) ([]string, error) {
	text, err := exec.Command(nvdisasm, "-c", cubin).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return nil, fmt.Errorf("nvdisasm for %s: %w", gpu, err)
	}
	return loopLines(text, gpu)
}

// loopLines reads them off nvdisasm's text.
func loopLines(text []byte, gpu string) (lines []string, err error) {
	var name string
	var body []string
	end := func() {
		if !hasLoop(name) || err != nil {
			return
		}
		l := innerLoop(body)
		if l.products == 0 || l.reads == 0 || l.copies == 0 {
			err = fmt.Errorf("nvdisasm: %s on %s: no inner loop found that copies, reads and multiplies", name, gpu)
			return
		}
		flop := l.products * flopPerProduct
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%d\t%.1f\t%.1f", name, gpu, l.instructions, l.products, l.reads, l.copies,
			float64(flop)/float64(l.copies*bytesPerCopy), float64(flop)/float64(l.reads*bytesPerRead)))
	}
	for l := range bytes.Lines(text) {
		line := strings.TrimRight(string(l), "\n")
		if m := sassKernel.FindStringSubmatch(line); m != nil {
			end()
			name, body = m[1], body[:0]
			continue
		}
		body = append(body, line)
	}
	end()
	return lines, err
}

// innerLoop is the loop with the most products of those that no branch back but
// their own lies in.
func innerLoop(body []string) (best loop) {
	label := map[string]int{}
	least := 0 // where the branch back before this one lies
	for i, line := range body {
		if m := sassLabel.FindStringSubmatch(line); m != nil {
			label[m[1]] = i
			continue
		}
		m := sassBranch.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		from, known := label[m[1]]
		if !known { // forward
			continue
		}
		if from >= least {
			if l := count(body[from : i+1]); l.products > best.products {
				best = l
			}
		}
		least = i
	}
	return best
}

// count counts the instructions of a loop.
func count(body []string) (l loop) {
	for _, line := range body {
		m := sassInstruction.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		l.instructions++
		switch op := m[1]; {
		case strings.HasPrefix(op, "HMMA."):
			l.products++
		case strings.HasPrefix(op, "LDSM."):
			l.reads++
		case strings.HasPrefix(op, "LDGSTS."):
			l.copies++
		}
	}
	return l
}

// loopsTable is loops.tsv.
func loopsTable(version string, lines []string) []byte {
	slices.Sort(lines)
	return fmt.Appendf(nil, "# the inner loops of the convolutions by mma.sync, by ptxas and nvdisasm %s; a warp's\nkernel\tgpu\tinstructions\tHMMA\tLDSM\tLDGSTS\tFLOP a byte copied\tFLOP a byte read of shared memory\n%s\n", version, strings.Join(lines, "\n"))
}
