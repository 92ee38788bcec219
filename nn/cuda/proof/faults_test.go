package proof

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	interpreter "cifartui/nn/cuda/internal/ptx"
)

// operator changes one instruction in a way that a slip of the hand would.
type operator struct {
	name string
	line *regexp.Regexp
	// change returns the line changed, "" to take it out.
	change func(m []string) string
}

// fits returns the groups of a line that the operator may change, else nil.
func (op operator) fits(line string) []string {
	if harmless.MatchString(line) {
		return nil
	}
	return op.line.FindStringSubmatch(line)
}

// plus adds to the number in group i.
func plus(i, by int) func(m []string) string {
	return func(m []string) string {
		n, err := strconv.Atoi(m[i])
		if err != nil {
			panic(err) // the pattern has digits there
		}
		out := append([]string{}, m[1:]...)
		out[i-1] = strconv.Itoa(n + by)
		return strings.Join(out, "")
	}
}

// instead puts new in the place of group i.
func instead(i int, with map[string]string) func(m []string) string {
	return func(m []string) string {
		out := append([]string{}, m[1:]...)
		out[i-1] = with[m[i]]
		return strings.Join(out, "")
	}
}

// exchange swaps groups i and j.
func exchange(i, j int) func(m []string) string {
	return func(m []string) string {
		out := append([]string{}, m[1:]...)
		out[i-1], out[j-1] = out[j-1], out[i-1]
		return strings.Join(out, "")
	}
}

func gone([]string) string { return "" }

// The patterns' groups cover their line, so that it can be put together again.
var operators = []operator{
	{"missing barrier", regexp.MustCompile(`^(\tbar\.sync .*)$`), gone},
	{"missing fence", regexp.MustCompile(`^(\tmembar\.gl;)$`), gone},
	{"missing commit", regexp.MustCompile(`^(\tcp\.async\.commit_group;)$`), gone},
	{"product not waited for", regexp.MustCompile(`^(\twgmma\.wait_group\.sync\.aligned \d+;)$`), gone},
	{"product without a fence", regexp.MustCompile(`^(\twgmma\.fence\.sync\.aligned;)$`), gone},
	{"missing fence of proxies", regexp.MustCompile(`^(\tfence\.proxy\.async.*;)$`), gone},
	{"missing arrival", regexp.MustCompile(`^(\t(?:@%p\d+ )?mbarrier\.arrive\.shared.*;)$`), gone},
	{"store of a box not waited for", regexp.MustCompile(`^(\tcp\.async\.bulk\.wait_group.*;)$`), gone},
	{"wait too short", regexp.MustCompile(`^(\tcp\.async\.wait_group )(\d+)(;)$`), plus(2, 1)},
	{"missing wait", regexp.MustCompile(`^(\tcp\.async\.wait_group.*)$`), gone},
	{"comparison off by one", regexp.MustCompile(`^(\tsetp\.)(lt|le|gt|ge)(\.[us]\d+ .*)$`), instead(2, map[string]string{"lt": "le", "le": "lt", "gt": "ge", "ge": "gt"})},
	{"comparison of floats off by equality", regexp.MustCompile(`^(\tsetp\.)(lt|le|gt|ge)(\.f\d+ .*)$`), instead(2, map[string]string{"lt": "le", "le": "lt", "gt": "ge", "ge": "gt"})},
	{"comparison turned round", regexp.MustCompile(`^(\tsetp\.)(eq|ne)(\..*)$`), instead(2, map[string]string{"eq": "ne", "ne": "eq"})},
	{"xor of a swizzle", regexp.MustCompile(`^(\t)(xor)(\.b32 .*)$`), instead(2, map[string]string{"xor": "or"})},
	{"constant off by one", regexp.MustCompile(`^(\tadd\.s(?:32|64) .*, )(-?\d+)(;)$`), plus(2, 1)},
	{"shift off by one", regexp.MustCompile(`^(\tsh[lr]\.\w+ .*, )(\d+)(;)$`), plus(2, 1)},
	{"mask off by one bit", regexp.MustCompile(`^(\tand\.b32 .*, )(\d+)(;)$`), plus(2, -1)},
	{"choice turned round", regexp.MustCompile(`^(\tselp\.\w+ .*?, )([^,]+)(, )([^,]+)(, %p\d+;)$`), exchange(2, 4)},
	{"copy without its mask", regexp.MustCompile(`^(\tcp\.async\.cg.*, 16, )(%r\d+)(;)$`), func(m []string) string { return m[1] + "16" + m[3] }},
	{"sum left out", regexp.MustCompile(`^(\tadd\.(?:rn\.)?f32\s+%f\d+, )(%f\d+)(, )(%f\d+)(;)$`), func(m []string) string { return m[1] + m[2] + ", 0f00000000;" }},
	{"missing guard", regexp.MustCompile(`^(\t@!?%p\d+ )((?:ld|st|cp).*)$`), func(m []string) string { return "\t" + m[2] }},
	{"swapped fragment of A", regexp.MustCompile(`^(\t?mma\.sync.*?\}, \{%r\d+, )(%r\d+)(, )(%r\d+)(, .*)$`), exchange(2, 4)},
	{"swapped fragment of B", regexp.MustCompile(`^(\t?mma\.sync.*?\}, \{.*?\}, \{)(%r\d+)(, )(%r\d+)(\}.*)$`), exchange(2, 4)},
	{"swapped sums", regexp.MustCompile(`^(\t?mma\.sync\S*\s*\{%f\d+, )(%f\d+)(, )(%f\d+)(, .*)$`), exchange(2, 4)},
	{"matrix not transposed", regexp.MustCompile(`^(\t?ldmatrix.*?)(\.trans)(.*)$`), func(m []string) string { return m[1] + m[3] }},
	{"matrix transposed", regexp.MustCompile(`^(\tldmatrix.*?\.x4)(\.shared.*)$`), func(m []string) string { return m[1] + ".trans" + m[2] }},
	{"missing ReLU", regexp.MustCompile(`^(\tcvt\.rn)(\.relu)(.*)$`), func(m []string) string { return m[1] + m[3] }},
	{"swapped halves", regexp.MustCompile(`^(\tcvt\.rn\S*bf16x2\.f32\s+%r\d+, )(%f\d+)(, )(%f\d+)(;)$`), exchange(2, 4)},
	{"load from the next", regexp.MustCompile(`^(\t.*ld\.\w+\.(?:nc\.)?(?:v\d\.)?\w+\s+.*\[%r\w*\d+\+)(\d+)(\];)$`), plus(2, 4)},
	{"store to the next", regexp.MustCompile(`^(\t.*st\.\w+\.(?:v\d\.)?\w+\s+\[%r\w*\d+\+)(\d+)(\], .*)$`), plus(2, 4)},
	{"missing store", regexp.MustCompile(`^(\t(?:@%p\d+ )?st\..*)$`), gone},
	{"other lane", regexp.MustCompile(`^(\tshfl\.sync\.bfly\.b32\s+[^,]+, [^,]+, )(\d+)(, .*)$`), instead(2, map[string]string{"16": "8", "8": "4", "4": "2", "2": "1", "1": "2"})},
	{"other coordinate", regexp.MustCompile(`^(\tmov\.u32\s+%r\d+, %\w+\.)([xy])(;)$`), instead(2, map[string]string{"x": "y", "y": "x"})},
	{"product instead of fused sum", regexp.MustCompile(`^(\tfma\.rn\.f32\s+[^,]+, [^,]+, [^,]+, )(%f\d+)(;)$`), func(m []string) string { return m[1] + "0f00000000" + m[3] }},
	{"division by another number", regexp.MustCompile(`^(\tmul\.hi\.u32 .*, )(-?\d+)(;)$`), func(m []string) string { return m[1] + strconv.Itoa(1<<30) + m[3] }},
	{"difference instead of sum", regexp.MustCompile(`^(\t)(add)(\.(?:rn\.)?f(?:32|64) .*)$`), instead(2, map[string]string{"add": "sub"})},
}

// mutantKernels are those whose texts are changed: each file of kernels has some.
var mutantKernels = []string{
	"conv_fwd_64x64x64s3", "conv_bwd_64x32x32s3", "conv_wgrad_32x32s3", "conv1_fwd", "conv1_wgrad",
	"conv_fwd_by3_64x32x32s3", "conv_bwd_by3_64x32x32s3", "conv_wgrad_by3_32x32s3", "spread_by3",
	"spread", "colsum", "reduce", "dense_fwd_r4", "dense_bwd_data", "dense_bwd_filter", "dropout_fwd", "dropout_bwd",
	"loss_forward", "loss_backward", "head_r2", "batch", "step_begin", "resample", "resample_bwd", "adadelta", "sgd", "adam", "muon_gram", "muon_poly", "muon_apply",
	"wgmma_fwd_w8_64x128s4t9", "wgmma_wgrad_w8_r8s10",
}

func byKernel() map[string][]check {
	m := map[string][]check{}
	for _, c := range checks() {
		m[c.kernel] = append(m[c.kernel], c)
	}
	return m
}

// statements are a text's lines, those of one long instruction put together.
func statements(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\n\t\t", " "), "\n")
}

// plant changes the n-th line of a kernel's text that the operator fits.
func plant(text string, op operator, n int) (string, error) {
	lines := statements(text)
	for i, l := range lines {
		m := op.fits(l)
		if m == nil {
			continue
		}
		if n--; n < 0 {
			lines[i] = op.change(m)
			return strings.Join(lines, "\n"), nil
		}
	}
	return "", fmt.Errorf("there are too few places for it")
}

// found runs a kernel's checks on a changed text and returns the first error.
func found(list []check, kernel, changed string) error {
	code, err := interpreter.Compile(changed)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := c.run(newDevice(map[string]*interpreter.Code{kernel: code})); err != nil {
			return err
		}
	}
	return nil
}

func operatorNamed(t *testing.T, name string) operator {
	t.Helper()
	i := slices.IndexFunc(operators, func(op operator) bool { return op.name == name })
	if i < 0 {
		t.Fatalf("there is no operator %q", name)
	}
	return operators[i]
}

// faults are planted one at a time: in the n-th place that fits.
var faults = []struct {
	kernel, operator string
	n                int
}{
	{"conv_fwd_64x64x64s3", "missing barrier", 1},
	{"conv_fwd_64x64x64s3", "missing barrier", 2},
	{"conv_fwd_64x64x64s3", "wait too short", 1},
	{"conv_fwd_64x64x64s3", "missing wait", 1},
	{"conv_fwd_64x64x64s3", "missing commit", 1},
	{"conv_fwd_64x64x64s3", "copy without its mask", 0},
	{"conv_fwd_64x64x64s3", "swapped fragment of A", 0},
	{"conv_fwd_64x64x64s3", "swapped fragment of B", 5},
	{"conv_fwd_64x64x64s3", "swapped sums", 7},
	{"conv_fwd_64x64x64s3", "matrix not transposed", 0},
	{"conv_fwd_64x64x64s3", "missing ReLU", 0},
	{"conv_fwd_64x64x64s3", "swapped halves", 0},
	{"conv_fwd_64x64x64s3", "sum left out", 0},
	{"conv_fwd_64x64x64s3", "xor of a swizzle", 0},
	{"conv_fwd_64x64x64s3", "xor of a swizzle", 1},
	{"conv_fwd_64x64x64s3", "comparison off by one", 3},
	{"conv_fwd_64x64x64s3", "comparison off by one", 20},
	{"conv_fwd_128x128x32s3", "missing barrier", 0},
	{"conv_bwd_64x32x32s3", "missing barrier", 1},
	{"conv_bwd_64x32x32s3", "wait too short", 1},
	{"conv_bwd_64x32x32s3", "matrix transposed", 1},
	{"conv_bwd_64x32x32s3", "choice turned round", 0},
	{"conv_bwd_64x32x32s3", "copy without its mask", 1},
	{"conv_bwd_64x32x32s3", "constant off by one", 0},
	{"conv_wgrad_32x32s3", "missing barrier", 0},
	{"conv_wgrad_32x32s3", "missing wait", 0},
	{"conv_wgrad_32x32s3", "missing store", 0},
	{"conv_wgrad_32x32s3", "swapped fragment of A", 3},
	{"conv_wgrad_32x32s3", "copy without its mask", 0},
	{"conv1_fwd", "load from the next", 0},
	{"conv1_fwd", "missing commit", 2},
	{"conv1_wgrad", "missing barrier", 0},
	{"conv1_wgrad", "missing barrier", 1},
	{"conv1_wgrad", "missing barrier", 3},
	{"conv1_wgrad", "missing wait", 0},
	{"conv_fwd_by3_64x32x32s3", "missing barrier", 1},
	{"conv_fwd_by3_64x32x32s3", "wait too short", 1},
	{"conv_fwd_by3_64x32x32s3", "copy without its mask", 0},
	{"conv_fwd_by3_64x32x32s3", "division by another number", 0},
	{"conv_fwd_by3_64x32x32s3", "division by another number", 5},
	{"conv_fwd_by3_128x128x64s3", "division by another number", 2},
	{"conv_bwd_by3_64x32x32s3", "missing barrier", 1},
	{"conv_bwd_by3_64x32x32s3", "division by another number", 1},
	{"conv_bwd_by3_64x32x32s3", "copy without its mask", 1},
	{"conv_wgrad_by3_32x32s3", "missing barrier", 0},
	{"conv_wgrad_by3_32x32s3", "missing wait", 0},
	{"conv_wgrad_by3_32x32s3", "division by another number", 0},
	{"conv_wgrad_by3_32x32s3", "division by another number", 3},
	{"conv_wgrad_by3_32x32s3", "copy without its mask", 0},
	{"conv1_fwd_by3", "division by another number", 1},
	{"conv1_fwd_by3", "missing commit", 2},
	{"conv1_wgrad_by3", "division by another number", 0},
	{"conv1_wgrad_by3", "missing barrier", 3},
	{"spread_by3", "division by another number", 0},
	{"spread_by3", "store to the next", 0},
	{"spread_by3", "comparison turned round", 0},
	{"spread", "missing barrier", 0},
	{"spread", "store to the next", 0},
	{"spread", "comparison turned round", 0},
	{"colsum", "missing barrier", 0},
	{"reduce", "missing barrier", 0},
	{"reduce", "comparison off by one", 3},
	{"dense_fwd_r4", "missing barrier", 0},
	{"dense_fwd_r4", "missing barrier", 1},
	{"dense_fwd_r4", "other lane", 1},
	{"dense_bwd_data", "comparison off by one", 0},
	{"dense_bwd_filter", "missing barrier", 0},
	{"dense_bwd_filter", "constant off by one", 0},
	{"dropout_fwd", "constant off by one", 0},
	{"dropout_fwd", "comparison off by one", 9},
	{"loss_forward", "other lane", 1},
	{"loss_forward", "other lane", 6},
	{"loss_forward", "missing barrier", 0},
	{"batch", "missing barrier", 0},
	{"batch", "shift off by one", 0},
	{"batch", "choice turned round", 0},
	{"batch", "difference instead of sum", 0},
	{"batch", "constant off by one", 3},
	{"resample", "sum left out", 0},
	{"resample", "comparison off by one", 1},
	{"resample_bwd", "choice turned round", 0},
	{"resample_bwd", "missing store", 0},
	{"resample_bwd", "difference instead of sum", 0},
	{"adadelta", "missing store", 0},
	{"sgd", "difference instead of sum", 0},
	{"adam", "sum left out", 0},
	{"adam", "comparison turned round", 0},
	{"muon_gram", "missing barrier", 0},
	{"muon_poly", "missing barrier", 1},
	{"muon_apply", "choice turned round", 0},
	{"loss_backward", "difference instead of sum", 0},
	{"head_r2", "missing fence", 0},
	{"head_r2", "missing fence", 1},
	{"head_r2", "missing barrier", 1},
	{"head_r4", "missing barrier", 2},
	{"wgmma_fwd_w8_64x128s4t9", "product not waited for", 0},
	{"wgmma_fwd_w8_64x128s4t9", "product without a fence", 0},
	{"wgmma_fwd_w8_64x128s4t9", "missing fence of proxies", 0},
	{"wgmma_fwd_w8_64x128s4t9", "missing arrival", 0},
	{"wgmma_fwd_w8_64x128s4t9", "missing barrier", 0},
	{"wgmma_fwd_w8_64x128s4t9", "store of a box not waited for", 0},
	{"wgmma_bwd_w8_64x128s4t9", "missing arrival", 1},
	{"wgmma_bwd_w8_64x128s4t9", "missing fence of proxies", 0},
	{"wgmma_pool_w8_64x128s4t9", "missing fence of proxies", 0},
	{"wgmma_spread_w8_64x256s3t5", "missing barrier", 6},
	{"wgmma_spread_w8_64x256s3t5", "missing fence of proxies", 4},
	{"wgmma_spread_w8_64x256s3t5", "store of a box not waited for", 0},
	{"wgmma_spread_w8_64x256s3t5", "xor of a swizzle", 4},
	{"wgmma_wgrad_w8_r8s10", "product not waited for", 0},
	{"wgmma_wgrad_w8_r8s10", "missing arrival", 0},
	{"wgmma_wgrad_w8_r8s10", "missing barrier", 2},
	{"wgmma_wgrad_w8_r8s10", "sum left out", 13},
}

func TestPlantedFaultsAreFound(t *testing.T) {
	all := byKernel()
	for _, f := range faults {
		t.Run(fmt.Sprintf("%s/%s/%d", f.kernel, f.operator, f.n), func(t *testing.T) {
			t.Parallel()
			k, err := described(f.kernel)
			if err != nil {
				t.Fatal(err)
			}
			text, err := entry(k.Module, f.kernel)
			if err != nil {
				t.Fatal(err)
			}
			changed, err := plant(text, operatorNamed(t, f.operator), f.n)
			if err != nil {
				t.Fatal(err)
			}
			if err := found(all[f.kernel], f.kernel, changed); err == nil {
				t.Error("all checks pass")
			} else {
				t.Log(err)
			}
		})
	}
}

// harmless are lines that an operator leaves alone, as no change of theirs changes a
// result: the choice between two ways to divide, which both are right, and limits
// that are the same on both sides of a choice, or that one number alone meets.
var harmless = regexp.MustCompile(`^\tsetp\.ne\.s64 .*, 0;$|^\tsetp\.lt\.f32 .*, 0fC2D00000;$|^\tsetp\.le\.f64 .*, 0d47EFF933C78CDFAD;$`)

// What is left of the share that TestMutants finds is mostly no fault;
// ARCHITECTURE.md says what it is.
func TestMutants(t *testing.T) {
	if os.Getenv("CIFARTUI_LONG") == "" {
		t.Skip("CIFARTUI_LONG=1 changes a thousand instructions, one at a time")
	}
	const least = 0.93 // of the changes are to be found
	all := byKernel()
	var planted, caught atomic.Int64
	t.Run("of", func(t *testing.T) { // ends when all are done
		for _, name := range mutantKernels {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				k, err := described(name)
				if err != nil {
					t.Fatal(err)
				}
				text, err := entry(k.Module, name)
				if err != nil {
					t.Fatal(err)
				}
				for _, op := range operators {
					places := placesOf(text, op)
					for _, n := range drawn(name, op, places) {
						changed, err := plant(text, op, n)
						if err != nil {
							t.Fatal(err)
						}
						planted.Add(1)
						if found(all[name], name, changed) != nil {
							caught.Add(1)
						} else {
							t.Logf("not found: %s, %s, place %d of %d", name, op.name, n, places)
						}
					}
				}
			})
		}
	})
	t.Logf("%d of %d found", caught.Load(), planted.Load())
	if float64(caught.Load()) < least*float64(planted.Load()) {
		t.Errorf("%d of %d found, want %v of them", caught.Load(), planted.Load(), least)
	}
}

// placesOf counts the lines of a kernel's text that an operator fits.
func placesOf(text string, op operator) (n int) {
	for _, l := range statements(text) {
		if op.fits(l) != nil {
			n++
		}
	}
	return n
}

// drawn are a few of an operator's places in a kernel. Another kernel or operator
// that is changed or added does not change them.
func drawn(kernel string, op operator, places int) []int {
	const most = 4
	h := fnv.New64a()
	h.Write([]byte(kernel + " " + op.name))
	return rand.New(rand.NewPCG(7, h.Sum64())).Perm(places)[:min(most, places)]
}
