package ptx

import (
	"slices"
	"strings"
)

// builder compiles one instruction: it sets in.run or in.wait, and c.kind.
type builder func(c *compiler, in *instruction, m modifiers)

// builders is the closed list of instructions, by the opcode's first word.
// What forms of each there are, its builder says; the rest is refused.
var builders map[string]builder

func init() {
	builders = map[string]builder{}
	for _, group := range []map[string]builder{
		integerOps, floatOps, compareOps, convertOps, moveOps, memoryOps, controlOps, laneOps, copyOps, tensorOps, hopperOps,
	} {
		for name, b := range group {
			builders[name] = b
		}
	}
}

// modifiers are the words of an opcode behind its first.
type modifiers struct {
	c    *compiler
	left []string
}

// take removes a word and says whether it was there.
func (m *modifiers) take(word string) bool {
	i := slices.Index(m.left, word)
	if i >= 0 {
		m.left = slices.Delete(slices.Clone(m.left), i, i+1)
	}
	return i >= 0
}

// first removes the first word, which must be one of those given.
func (m *modifiers) first(of ...string) string {
	if len(m.left) == 0 || !slices.Contains(of, m.left[0]) {
		m.c.fail("the form .%s of it is not in the list", strings.Join(m.left, "."))
	}
	w := m.left[0]
	m.left = m.left[1:]
	return w
}

// maybe is first for a word that need not be there; it returns "" then.
func (m *modifiers) maybe(of ...string) string {
	if len(m.left) == 0 || !slices.Contains(of, m.left[0]) {
		return ""
	}
	return m.first(of...)
}

// done fails if words are left over.
func (m *modifiers) done() {
	if len(m.left) > 0 {
		m.c.fail("the form .%s of it is not in the list", strings.Join(m.left, "."))
	}
}

// typ is a fundamental type: f16 is {'f', 16}.
type typ struct {
	class byte // u, s, b, f, or h for bf16
	bits  int
}

// typeOf reads a type's name.
func typeOf(s string) (typ, bool) {
	switch s {
	case "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "b8", "b16", "b32", "b64", "f16", "f32", "f64":
		return typ{s[0], 8 * typeBytes(s)}, true
	case "bf16":
		return typ{'h', 16}, true
	}
	return typ{}, false
}

// typed removes a type of one of the classes from the front.
func (m *modifiers) typed(classes string) typ {
	if len(m.left) > 0 {
		if t, ok := typeOf(m.left[0]); ok && strings.IndexByte(classes, t.class) >= 0 {
			m.left = m.left[1:]
			return t
		}
	}
	m.c.fail("the form .%s of it is not in the list", strings.Join(m.left, "."))
	return typ{}
}

func (t typ) float() bool { return t.class == 'f' || t.class == 'h' }

func (t typ) mask() uint64 {
	if t.bits == 64 {
		return ^uint64(0)
	}
	return 1<<t.bits - 1
}

// signed is the number that the lower bits of x stand for.
func (t typ) signed(x uint64) int64 {
	shift := 64 - t.bits
	if t.class == 's' {
		return int64(x<<shift) >> shift
	}
	return int64(x << shift >> shift)
}

// lanes1 to lanes3 make an instruction of a function of one lane.
func (c *compiler) lanes1(in *instruction, kind string, d, a int, f func(x uint64) uint64) {
	c.warp1(in, kind, d, a, func(out, x *lanes) {
		for l := range out {
			out[l] = f(x[l])
		}
	})
}

func (c *compiler) lanes2(in *instruction, kind string, d, a, b int, f func(x, y uint64) uint64) {
	c.warp2(in, kind, d, a, b, func(out, x, y *lanes) {
		for l := range out {
			out[l] = f(x[l], y[l])
		}
	})
}

func (c *compiler) lanes3(in *instruction, kind string, d, a, b, e int, f func(x, y, z uint64) uint64) {
	c.warp3(in, kind, d, a, b, e, func(out, x, y, z *lanes) {
		for l := range out {
			out[l] = f(x[l], y[l], z[l])
		}
	})
}

// warp1 to warp3 make an instruction of a function of all lanes: for what is done
// most, of which a call for each lane would be the greater part. They check that the
// sources were written.
func (c *compiler) warp1(in *instruction, kind string, d, a int, f func(out, x *lanes)) {
	c.kind = kind
	in.run = func(w *warp, active uint32) {
		if bad := active &^ w.init[a]; bad != 0 {
			w.unwritten(bad, a)
		}
		f(w.out(d, active), &w.r[a])
		w.finish(d, active)
	}
}

func (c *compiler) warp2(in *instruction, kind string, d, a, b int, f func(out, x, y *lanes)) {
	c.kind = kind
	in.run = func(w *warp, active uint32) {
		if bad := active &^ (w.init[a] & w.init[b]); bad != 0 {
			w.unwritten(bad, a, b)
		}
		f(w.out(d, active), &w.r[a], &w.r[b])
		w.finish(d, active)
	}
}

func (c *compiler) warp3(in *instruction, kind string, d, a, b, e int, f func(out, x, y, z *lanes)) {
	c.kind = kind
	in.run = func(w *warp, active uint32) {
		if bad := active &^ (w.init[a] & w.init[b] & w.init[e]); bad != 0 {
			w.unwritten(bad, a, b, e)
		}
		f(w.out(d, active), &w.r[a], &w.r[b], &w.r[e])
		w.finish(d, active)
	}
}

// out is where an instruction puts its result for register d: straight there
// if all lanes do it, else aside.
func (w *warp) out(d int, active uint32) *lanes {
	if active == full {
		return &w.r[d]
	}
	return &w.tmp
}

// finish ends what out began.
func (w *warp) finish(d int, active uint32) {
	if active == full {
		w.init[d] = full
		return
	}
	w.set(d, active)
}
