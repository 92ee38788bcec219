package checkpoint

import (
	"strings"
	"testing"
)

func TestWrappersAreTakenOffNames(t *testing.T) {
	for name, want := range map[string]string{
		"conv1.weight": "conv1.weight", "module.conv1.weight": "conv1.weight", "_orig_mod.module.module.dense.bias": "dense.bias",
		"conv1._orig_mod.weight": "conv1.weight", "mymodule.x": "mymodule.x", "module": "module", "module.": "",
	} {
		if got := withoutWrappers(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	_, err := unwrap([]Tensor{{Name: "a"}, {Name: "module.a"}})
	if err == nil || !strings.Contains(err.Error(), `"a" and "module.a" are both "a"`) {
		t.Errorf("two names that become one: %v", err)
	}
}
