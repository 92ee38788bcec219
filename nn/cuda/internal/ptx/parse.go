package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// parser reads tokens one after another.
type parser struct {
	toks   []token
	pos    int
	labels []string
	scopes []map[string]string // of registers, innermost last: name as written to name
	nested int                 // nested blocks so far, to tell their registers apart
}

// parse reads a module.
func parse(text string) (src *source, err error) {
	toks, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			src, err = nil, error(e)
		}
	}()
	return p.module(), nil
}

// syntaxError travels up the recursive descent as a panic and ends in parse.
type syntaxError struct {
	line int
	what string
}

func (e syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

func (p *parser) fail(format string, args ...any) {
	panic(syntaxError{p.peek().line, fmt.Sprintf(format, args...)})
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) next() token {
	t := p.toks[p.pos]
	if t.text != "" {
		p.pos++
	}
	return t
}

// take consumes the next token if it is s.
func (p *parser) take(s string) bool {
	if p.peek().text == s {
		p.pos++
		return true
	}
	return false
}

func (p *parser) want(s string) {
	if !p.take(s) {
		p.fail("%q where %q was expected", p.peek().text, s)
	}
}

func (p *parser) word() string {
	t := p.next()
	if t.text == "" || !isWord(t.text[0]) {
		p.fail("%q where a name was expected", t.text)
	}
	return t.text
}

func (p *parser) integer() int {
	neg := p.take("-")
	t := p.next()
	v, _, err := number(t.text)
	if err != nil || int64(v) < 0 {
		p.fail("%q where a number was expected", t.text)
	}
	if neg {
		return -int(v)
	}
	return int(v)
}

func (p *parser) module() *source {
	src := &source{}
	for p.peek().text != "" {
		switch t := p.peek().text; t {
		case ".version", ".address_size":
			p.next()
			if v := p.next().text; t == ".address_size" && v != "64" {
				p.fail("address size %s, only 64 is known", v)
			}
		case ".target":
			p.next()
			src.target = p.word()
			for p.take(",") {
				p.word()
			}
		case ".visible", ".extern", ".weak", ".entry", ".global", ".const", ".shared":
			p.declaration(src)
		case ".file", ".section":
			p.fail("%s: debug information is not known; build without -g", t)
		default:
			p.fail("directive %q is not known", t)
		}
	}
	return src
}

// declaration reads an entry or a module-wide variable.
func (p *parser) declaration(src *source) {
	extern := false
	for {
		switch {
		case p.take(".visible"), p.take(".weak"):
		case p.take(".extern"):
			extern = true
		case p.take(".entry"):
			src.kernels = append(src.kernels, p.entry())
			return
		default:
			src.vars = append(src.vars, p.variable(extern))
			return
		}
	}
}

// typeBytes is the size of a fundamental type, 0 if there is none of that name.
func typeBytes(t string) int {
	switch strings.TrimPrefix(t, ".") {
	case "b8", "u8", "s8":
		return 1
	case "b16", "u16", "s16", "f16", "bf16":
		return 2
	case "b32", "u32", "s32", "f32", "f16x2", "bf16x2":
		return 4
	case "b64", "u64", "s64", "f64":
		return 8
	}
	return 0
}

// variable reads ".shared .align 16 .b8 name[64] = {..};".
func (p *parser) variable(extern bool) variable {
	v := variable{line: p.peek().line, extern: extern, align: 1}
	elem := 0
	for elem == 0 {
		t := p.next()
		switch t.text {
		case ".global", ".const", ".shared", ".local":
			v.space = t.text[1:]
		case ".align":
			v.align = p.integer()
		default:
			if elem = typeBytes(t.text); elem == 0 {
				p.fail("%q in a variable's declaration is not known", t.text)
			}
		}
	}
	v.align = max(v.align, elem)
	v.name = p.word()
	count := 1
	for p.take("[") {
		if p.take("]") {
			count = 0
			continue
		}
		count *= p.integer()
		p.want("]")
	}
	v.size = count * elem
	if p.take("=") {
		v.data = p.initializer(elem)
		if len(v.data) > v.size {
			p.fail("%s has %d bytes and an initializer of %d", v.name, v.size, len(v.data))
		}
		v.data = append(v.data, make([]byte, v.size-len(v.data))...)
	}
	p.want(";")
	return v
}

func (p *parser) initializer(elem int) []byte {
	var out []byte
	if p.take("{") {
		for !p.take("}") {
			out = append(out, p.initializer(elem)...)
			p.take(",")
		}
		return out
	}
	neg := p.take("-")
	v, _, err := number(p.next().text)
	if err != nil {
		p.fail("an initializer may hold numbers only: %v", err)
	}
	if neg {
		v = -v
	}
	for i := range elem {
		out = append(out, byte(v>>(8*i)))
	}
	return out
}

// entry reads a kernel from its name on.
func (p *parser) entry() *entry {
	e := &entry{line: p.peek().line, name: p.word()}
	if p.take("(") {
		for !p.take(")") {
			p.param(e)
			p.take(",")
		}
	}
	for !p.take("{") {
		switch t := p.next().text; t {
		case ".maxntid":
			e.maxTid = p.dims()
		case ".reqntid":
			e.maxTid = p.dims()
		case ".minnctapersm", ".maxnreg", ".explicitcluster", ".reqnctapercluster", ".maxclusterrank", ".noreturn":
			for p.peek().text[0] >= '0' && p.peek().text[0] <= '9' {
				p.integer()
				p.take(",")
			}
		default:
			p.fail("directive %q of an entry is not known", t)
		}
	}
	p.scopes = []map[string]string{{}}
	p.labels = nil
	p.block(e)
	if len(p.labels) > 0 {
		p.fail("label %s is at the end of %s with no instruction behind it", p.labels[0], e.name)
	}
	return e
}

func (p *parser) dims() int {
	n := p.integer()
	for p.take(",") {
		n *= p.integer()
	}
	return n
}

// param reads ".param .u64 .ptr .align 1 name" or ".param .align 4 .b8 name[16]".
func (p *parser) param(e *entry) {
	p.want(".param")
	q := Param{Align: 1}
	elem := 0
	for strings.HasPrefix(p.peek().text, ".") {
		switch t := p.next().text; t {
		case ".align":
			if a := p.integer(); elem == 0 {
				q.Align = a // behind .ptr it is the alignment of what is pointed to
			}
		case ".ptr", ".global", ".shared", ".const", ".local":
		default:
			if elem = typeBytes(t); elem == 0 {
				p.fail("parameter of type %q is not known", t)
			}
			q.Align = max(q.Align, elem)
		}
	}
	q.Name = p.word()
	q.Size = elem
	if p.take("[") {
		q.Size *= p.integer()
		p.want("]")
	}
	if n := len(e.params); n > 0 {
		last := e.params[n-1]
		q.Offset = (last.Offset + last.Size + q.Align - 1) / q.Align * q.Align
	}
	e.params = append(e.params, q)
}

// block reads what is between two braces. Labels before the closing brace
// belong to the next instruction, wherever it is.
func (p *parser) block(e *entry) {
	for !p.take("}") {
		t := p.peek()
		switch {
		case t.text == "":
			p.fail("the text ends within %s", e.name)
		case t.text == "{":
			p.next()
			p.nested++
			p.scopes = append(p.scopes, map[string]string{})
			p.block(e)
			p.scopes = p.scopes[:len(p.scopes)-1]
		case t.text == ".reg":
			p.next()
			p.registers(e)
		case t.text == ".shared" || t.text == ".local":
			e.vars = append(e.vars, p.variable(false))
		case t.text == ".pragma":
			for !p.take(";") {
				p.next()
			}
		case t.text == ";":
			p.next()
		case t.text[0] == '.':
			p.fail("directive %q within a kernel is not known", t.text)
		case p.toks[p.pos+1].text == ":":
			p.labels = append(p.labels, p.next().text)
			p.next()
		default:
			e.body = append(e.body, p.statement())
		}
	}
}

// registers reads ".reg .b32 %r<12>;" or ".reg .pred p, q;".
func (p *parser) registers(e *entry) {
	bits := 1
	if t := p.next().text; t != ".pred" {
		if bits = 8 * typeBytes(t); bits == 0 {
			p.fail("registers of type %q are not known", t)
		}
	}
	scope := p.scopes[len(p.scopes)-1]
	add := func(name string) {
		unique := name
		if len(p.scopes) > 1 {
			unique = fmt.Sprintf("%s'%d", name, p.nested)
		}
		scope[name] = unique
		e.regs = append(e.regs, register{unique, bits})
	}
	for {
		name := p.word()
		if p.take("<") {
			for i := range p.integer() {
				add(name + strconv.Itoa(i))
			}
			p.want(">")
		} else {
			add(name)
		}
		if !p.take(",") {
			break
		}
	}
	p.want(";")
}

// resolve gives the unique name of a register, or the name itself.
func (p *parser) resolve(name string) string {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		if u, ok := p.scopes[i][name]; ok {
			return u
		}
	}
	return name
}

// statement reads one instruction up to its semicolon.
func (p *parser) statement() statement {
	s := statement{line: p.peek().line, label: p.labels}
	p.labels = nil
	if p.take("@") {
		s.not = p.take("!")
		s.guard = p.resolve(p.word())
	}
	s.op = p.word()
	for !p.take(";") {
		s.args = append(s.args, p.operand())
		if !p.take(",") {
			p.want(";")
			break
		}
	}
	return s
}

func (p *parser) operand() operand {
	o := p.simple()
	if p.take("|") {
		second := p.simple()
		o.pair = &second
	}
	return o
}

func (p *parser) simple() operand {
	switch t := p.peek(); {
	case t.text == "{":
		p.next()
		return operand{kind: isVector, list: p.list("}")}
	case t.text == "[":
		p.next()
		o := operand{kind: isMemory, list: p.list("]")}
		if len(o.list) > 0 {
			o.plus, o.list[0].plus = o.list[0].plus, 0
		}
		return o
	case t.text == "_":
		p.next()
		return operand{kind: isSink}
	case t.text == "!":
		p.next()
		return operand{kind: isName, name: p.resolve(p.word()), not: true}
	case t.text == "-" || t.text != "" && t.text[0] >= '0' && t.text[0] <= '9':
		neg := p.take("-")
		v, float, err := number(p.next().text)
		if err != nil {
			p.fail("%v", err)
		}
		if neg {
			v = -v
		}
		return operand{kind: isNumber, bits: v, float: float}
	}
	o := operand{kind: isName, name: p.resolve(p.word())}
	for p.peek().text == "+" || p.peek().text == "-" {
		p.take("+")
		o.plus += int64(p.integer())
	}
	return o
}

func (p *parser) list(end string) []operand {
	var list []operand
	for !p.take(end) {
		list = append(list, p.operand())
		if !p.take(",") {
			p.want(end)
			break
		}
	}
	return list
}
