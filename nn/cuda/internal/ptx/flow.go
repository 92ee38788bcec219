package ptx

import "slices"

// joins finds, for each branch that may part a warp, where its two sides meet
// again: the immediate postdominator, the first instruction that every way
// from the branch to the end passes.
func joins(code []instruction) {
	exit := len(code)
	idom := postdominators(exit, func(i int) []int {
		switch in := &code[i]; {
		case in.ctl == branches && in.guard < 0:
			return []int{in.target}
		case in.ctl == branches:
			return []int{i + 1, in.target}
		case in.ctl == exits && in.guard < 0:
			return []int{exit}
		case in.ctl == exits:
			return []int{i + 1, exit}
		}
		return []int{i + 1}
	})
	for i := range code {
		code[i].join = exit
		if code[i].ctl == branches && idom[i] >= 0 {
			code[i].join = idom[i]
		}
	}
}

// postdominators gives the immediate postdominator of each of the instructions
// before exit, -1 for those that cannot reach it; next lists what may follow one.
// It is the textbook's fixed point over sets, by the intersection of two chains
// (Cooper, Harvey, Kennedy: "A Simple, Fast Dominance Algorithm"), on the
// reversed graph.
func postdominators(exit int, next func(int) []int) []int {
	order := postorder(exit, exit, next)
	place := make([]int, exit+1) // in order: the exit comes last
	for i, b := range order {
		place[b] = i + 1
	}
	idom := make([]int, exit+1)
	for i := range idom {
		idom[i] = -1
	}
	idom[exit] = exit
	meet := func(a, b int) int {
		for a != b {
			for place[a] < place[b] {
				a = idom[a]
			}
			for place[b] < place[a] {
				b = idom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for _, b := range slices.Backward(order[:len(order)-1]) { // not the exit
			dom := -1
			for _, s := range next(b) {
				switch {
				case idom[s] < 0:
				case dom < 0:
					dom = s
				default:
					dom = meet(dom, s)
				}
			}
			if dom != idom[b] {
				idom[b] = dom
				changed = true
			}
		}
	}
	return idom
}

// postorder lists the instructions so that on the reversed graph, walked from
// the exit, each comes after those that it leads to; the exit is last.
// Instructions that cannot reach the exit are left out.
func postorder(n, exit int, next func(int) []int) []int {
	before := make([][]int, n+1)
	for i := range n {
		for _, s := range next(i) {
			if s <= n {
				before[s] = append(before[s], i)
			}
		}
	}
	seen := make([]bool, n+1)
	var order []int
	type visit struct{ node, child int }
	stack := []visit{{exit, 0}}
	seen[exit] = true
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.child < len(before[v.node]) {
			p := before[v.node][v.child]
			v.child++
			if !seen[p] {
				seen[p] = true
				stack = append(stack, visit{p, 0})
			}
			continue
		}
		order = append(order, v.node)
		stack = stack[:len(stack)-1]
	}
	return order
}
