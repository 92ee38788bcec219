package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// source is a module's text, taken apart but not yet understood.
type source struct {
	target  string
	vars    []variable // .global, .const and module-wide .shared
	kernels []*entry
}

// variable is a declaration like ".shared .align 16 .b8 tile[4096];".
type variable struct {
	line   int
	space  string // global, const, shared, local
	name   string
	align  int
	size   int    // bytes; 0 for an array without a length
	data   []byte // the initializer's bytes, nil if there is none
	extern bool
}

// entry is one kernel's text.
type entry struct {
	line   int
	name   string
	params []Param
	maxTid int
	vars   []variable
	regs   []register
	body   []statement
}

// register is one name of a .reg declaration. Names that a nested block
// declares are told apart from others by a suffix.
type register struct {
	name string
	bits int // 1 for a predicate
}

// statement is one instruction.
type statement struct {
	line  int
	label []string // labels in front of it
	guard string   // the predicate's name, "" if there is none
	not   bool     // @!p
	op    string
	args  []operand
}

// text gives the instruction back much as it was written, for messages.
func (s *statement) text() string {
	var b strings.Builder
	if s.guard != "" {
		b.WriteString("@")
		if s.not {
			b.WriteString("!")
		}
		b.WriteString(s.guard + " ")
	}
	b.WriteString(s.op)
	for i, a := range s.args {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(" " + a.String())
	}
	return b.String()
}

type operandKind byte

const (
	isName   operandKind = iota // a register, a variable, a label
	isNumber                    // bits
	isVector                    // {a, b}
	isMemory                    // [base+offset] or [base, {a, b}]
	isSink                      // _
)

// operand is one argument of an instruction.
type operand struct {
	kind  operandKind
	name  string
	not   bool   // !name
	bits  uint64 // a number, sign-extended; 0f.. and 0d.. as the format's bits
	float int    // 32 or 64 if the number was written 0f.. or 0d..
	list  []operand
	plus  int64    // the offset in [base+offset] and in name+offset
	pair  *operand // second part of a|b
}

func (o operand) String() string {
	s := ""
	switch o.kind {
	case isName:
		s = o.name
		if o.not {
			s = "!" + s
		}
		if o.plus != 0 {
			s += fmt.Sprintf("%+d", o.plus)
		}
	case isNumber:
		s = strconv.FormatInt(int64(o.bits), 10)
		if o.float != 0 {
			s = fmt.Sprintf("0x%x", o.bits)
		}
	case isSink:
		s = "_"
	case isVector, isMemory:
		parts := make([]string, len(o.list))
		for i, x := range o.list {
			parts[i] = x.String()
		}
		s = "{" + strings.Join(parts, ",") + "}"
		if o.kind == isMemory {
			s = "[" + strings.Join(parts, ",") + "]"
			if o.plus != 0 {
				s = fmt.Sprintf("%s%+d]", s[:len(s)-1], o.plus)
			}
		}
	}
	if o.pair != nil {
		s += "|" + o.pair.String()
	}
	return s
}
