package standin

import (
	"errors"
	"slices"
	"testing"

	"cifartui/nn/cuda/driver"
)

// chainWithBranch captures a kernel of each letter, the capitals on a branch.
func chainWithBranch(t *testing.T, join bool) (*context, error) {
	t.Helper()
	opened, err := New(9, 0).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	c := opened.(*context)
	const chain, branch, event = 1, 2, 3
	err = c.Capture(chain)
	for _, k := range "a>AbcB>Cd" {
		switch {
		case k == '>':
			err = errors.Join(err, c.Record(event, chain), c.Follow(branch, event))
		case k < 'a':
			err = errors.Join(err, c.capturing.add(launch{params: []byte{byte(k)}}, branch))
		default:
			err = errors.Join(err, c.capturing.add(launch{params: []byte{byte(k)}}, chain))
		}
	}
	if join {
		err = errors.Join(err, c.Record(event, branch), c.Follow(chain, event))
	}
	err = errors.Join(err, c.capturing.add(launch{params: []byte("e")}, chain))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.EndCapture(chain)
	return c, err
}

// Tests of what may run beside each other rest on both ends of what is allowed.
func TestBranchesRunAsLateAsAllowedAndAsEarly(t *testing.T) {
	c, err := chainWithBranch(t, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range c.graphs {
		for early, want := range map[bool]string{false: "abcdABCe", true: "aABbcCde"} {
			var got []byte
			for _, i := range g.sorted(early) {
				got = append(got, g.nodes[i].params...)
			}
			if !slices.Equal(got, []byte(want)) {
				t.Errorf("early %v: %s, want %s", early, got, want)
			}
		}
	}
}

// The driver refuses a branch that its graph does not wait for.
func TestBranchThatNobodyWaitsFor(t *testing.T) {
	if _, err := chainWithBranch(t, false); !driver.Is(err, 904) {
		t.Errorf("%v, want a capture that is not joined", err)
	}
}
