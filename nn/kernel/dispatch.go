package kernel

import "fmt"

// impl is one implementation of every primitive: a set of function variables.
// A new set starts as a copy of generic, and replaces what it does better.
// Primitives work on one thread and on memory that their callers have checked.
type impl struct {
	name string
	vectorKernels
	convKernels
}

// generic runs on every machine and is what the other sets are tested against.
var generic = impl{
	name:          "generic",
	vectorKernels: genericVector,
	convKernels:   genericConv,
}

// candidate is a set of kernels that the program was built with.
type candidate struct {
	*impl
	lacks string // what the processor lacks to run it; nothing if it can
}

// candidates are all sets of the program, best first; generic is the last.
var candidates = append(assemblySets(), candidate{impl: &generic})

// implementations are the candidates that this machine can run, best first.
var implementations = func() (list []*impl) {
	for _, c := range candidates {
		if c.lacks == "" {
			list = append(list, c.impl)
		}
	}
	return list
}()

// active is the set in use. It is written at start and by [Use] only.
var active = implementations[0]

// Name returns the name of the kernels in use: "avx512", "avx2", "neon" or
// "generic".
func Name() string { return active.name }

// Names lists the kernels that this machine can run, best first.
func Names() []string {
	names := make([]string, len(implementations))
	for i, m := range implementations {
		names[i] = m.name
	}
	return names
}

// Use chooses the kernels by name, in place of the best. It is for the start of
// a program and for tests: it must not be called while a kernel runs, and what
// was built for other kernels (a [Conv]) must be built anew.
func Use(name string) error {
	for _, m := range implementations {
		if m.name == name {
			active = m
			return nil
		}
	}
	return fmt.Errorf("kernel: no kernels %q on this machine: it has %v", name, Names())
}
