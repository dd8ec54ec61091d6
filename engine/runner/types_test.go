package runner

import (
	"slices"
	"strings"
	"testing"
)

// TestTypes: hidden states follow from the types of tokens, of which none means zeros, and types that the model does
// not have are refused.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		arch  string
		types []int32
		want  string // of the error
	}{
		{"bert", []int32{0, 0, 0, 0, 0}, ""},
		{"bert", []int32{0, 0, 0, 1, 1}, ""},
		{"bert", []int32{0, 0, 0, 1}, "4 types of 5 tokens"},
		{"bert", []int32{0, 0, 2, 1, 1}, "token 2 is of type 2, the model has 2"},
		{"bert", []int32{0, -1, 0, 1, 1}, "token 1 is of type -1"},
		{"modern-bert", []int32{0, 0, 0, 0, 1}, "token 4 is of type 1, the model has 1"},
	} {
		l := load(t, c.arch)
		r := l.runner(t, Options{})
		read := func(types []int32) ([]float32, error) {
			id, err := r.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Release(id)
			rows, err := r.StepHidden(t.Context(), []Work{{Seq: id, Tokens: prompt(1, 5), Types: types, Rows: 5}})
			if err != nil {
				return nil, err
			}
			return slices.Clone(rows[0]), nil
		}
		plain, err := read(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := read(c.types)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: types %v: error %v, want one with %q", c.arch, c.types, err, c.want)
			}
			continue
		}
		if err != nil || slices.Equal(got, plain) != !slices.Contains(c.types, 1) {
			t.Errorf("%s: types %v: %v, or the states do not follow from them", c.arch, c.types, err)
		}
	}
}
