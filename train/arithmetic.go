package train

import (
	"fmt"
	"strings"
)

// otherArithmetic warns that a run that was trained with one arithmetic goes on with
// another: soundly, but no longer with the bits that it would have had. It returns ""
// where they are the same, or where the first is not known.
func otherArithmetic(was, now string) string {
	if was == "" || was == now {
		return ""
	}
	round := "round differently"
	if device(was) == device(now) { // much of what tells the two apart may not matter to a network
		round = "may round differently"
	}
	return fmt.Sprintf("the run was trained with %s kernels and goes on with %s, which %s: %s would keep it exact", was, now, round, exactly(was, now))
}

// device is the part of an arithmetic that names the kernels: avx512, or a kind of GPU.
func device(arithmetic string) string {
	name, _, _ := strings.Cut(arithmetic, " (")
	return name
}

// exactly says how to train with the arithmetic was rather than with now.
func exactly(was, now string) string {
	gpu := func(name string) bool { return strings.HasPrefix(name, "cuda ") }
	switch {
	case gpu(was) && gpu(now):
		return "the same build of the program on the same kind of GPU, with as many multiprocessors,"
	case gpu(was):
		return "--device cuda on the same kind of GPU"
	case gpu(now):
		return "--device cpu --kernels " + was
	}
	return "--kernels " + was
}
