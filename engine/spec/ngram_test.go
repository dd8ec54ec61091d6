package spec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// propose returns what the lookup proposes behind a text, and its class.
func propose(t *testing.T, d *NGram, key uint64, text []int32, most int) ([]int32, int) {
	t.Helper()
	a := Ask{Key: key, Tokens: text, Seen: len(text) - 1, Max: most}
	out, err := d.Draft(t.Context(), []Ask{a})
	if err != nil {
		t.Fatal(err)
	}
	if err := out[0].Check(a, d.Info(), 1000); err != nil {
		t.Error(err)
	}
	return out[0].Tokens, out[0].Class
}

func TestNGram(t *testing.T) {
	for _, c := range []struct {
		text  []int32
		most  int
		want  string
		class int
	}{
		{nil, 4, "[]", 0},
		{[]int32{1}, 4, "[]", 0},
		{[]int32{1, 2, 3, 4}, 4, "[]", 0},
		{[]int32{1, 2, 3, 4, 1}, 4, "[]", 0},                           // one token in common is none
		{[]int32{1, 2, 3, 4, 1, 2}, 1, "[3]", 1},                       // two
		{[]int32{1, 2, 3, 4, 1, 2}, 2, "[3 4]", 1},                     //
		{[]int32{1, 2, 3, 4, 1, 2}, 8, "[3 4 1 2 3 4 1 2]", 1},         // beyond the end, it goes round
		{[]int32{1, 2, 7, 1, 2, 8, 1, 2}, 1, "[8]", 1},                 // the last place of several
		{[]int32{5, 1, 2, 7, 6, 1, 2, 8, 5, 1, 2}, 1, "[7]", 1},        // the longest match before that
		{[]int32{9, 9}, 3, "[]", 0},                                    //
		{[]int32{9, 9, 9}, 3, "[9 9 9]", 1},                            // matches may overlap
		{[]int32{1, 2, 3, 4, 5, 1, 2, 3, 4}, 3, "[5 1 2]", 2},          // four in common
		{[]int32{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5}, 3, "[6 1 2]", 2},    // five
		{slices.Repeat([]int32{1, 2, 3}, 20), 4, "[1 2 3 1]", 5},       // 32 and more
		{append(slices.Repeat([]int32{1}, 500), 2), 4, "[]", 0},        // many places of the pair before
		{append(slices.Repeat([]int32{1}, 500), 2, 1), 4, "[]", 0},     //
		{append(slices.Repeat([]int32{1}, 500), 2, 1, 1), 1, "[2]", 1}, //
	} {
		if got, class := propose(t, NewNGram(), 1, c.text, c.most); fmt.Sprint(got) != c.want || class != c.class {
			t.Errorf("behind %v: %v of class %d, want %s of %d", c.text, got, class, c.want, c.class)
		}
	}
}

// TestNGramFollows compares lookups in texts that grow, are cut and replaced with those of a drafter that sees each for
// the first time, and the proposals with the definition.
func TestNGramFollows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	d, texts := NewNGram(), make([][]int32, 3)
	for range 3000 {
		key := rng.IntN(len(texts))
		text := &texts[key]
		switch n := rng.IntN(40); {
		case n == 0:
			*text = nil
			d.Forget(uint64(key))
		case n == 1:
			*text = slices.Clone((*text)[:rng.IntN(len(*text)+1)])
		case n == 2 && len(*text) > 0:
			*text = slices.Clone(*text)
			(*text)[rng.IntN(len(*text))] = 3
		}
		for range rng.IntN(4) {
			*text = append(*text, rng.Int32N(3))
		}
		got, class := propose(t, d, uint64(key), *text, 3)
		if want, wantClass := propose(t, NewNGram(), 1, *text, 3); !slices.Equal(got, want) || class != wantClass {
			t.Fatalf("behind %v: %v of class %d, afresh %v of %d", *text, got, class, want, wantClass)
		}
		if n := len(*text); len(got) > 0 && !occurs((*text)[:n-1], append(slices.Clone((*text)[n-2:]), got[0])) &&
			!slices.Equal((*text)[n-3:], append(slices.Clone((*text)[n-2:]), got[0])) {
			t.Fatalf("behind %v: %d never followed the last two", *text, got[0])
		}
	}
	if d.Forget(0); d.seqs[0] != nil {
		t.Error("a sequence was not forgotten")
	}
}

// occurs reports whether a text has a part.
func occurs(text, part []int32) bool {
	for i := range len(text) - len(part) + 1 {
		if slices.Equal(text[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
