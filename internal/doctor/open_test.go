package doctor

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// TestOpen: where devices can be tried, that counts, and not their modes.
func TestOpen(t *testing.T) {
	for _, c := range []struct {
		tree  string
		err   error
		check string // that finds a problem; empty for none
		want  string
	}{
		{"no-permission", nil, "", ""}, // a list of who else may
		{"7900xtx", fs.ErrPermission, "permissions", "me may not use /dev/kfd and /dev/dri/renderD128"},
		{"7900xtx", errors.New("invalid argument"), "driver",
			"/dev/kfd is there, but cannot be opened: invalid argument"},
	} {
		o := options(readTree(t, "testdata/"+c.tree+".txtar"))
		o.Open = func(string) error { return c.err }
		r := Examine(o)
		if (r.Problems() > 0) != (c.check != "") {
			t.Errorf("%s, %v: %+v", c.tree, c.err, r.Findings)
		}
		for _, f := range r.Findings[:min(1, len(r.Findings))] {
			if f.Severity == Problem && (f.Check != c.check || !strings.Contains(f.Text, c.want)) {
				t.Errorf("%s, %v: %+v", c.tree, c.err, f)
			}
		}
	}
}
