package tokenizer

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// cutByDefinition cuts s token by token: longest text first, of equals the lowest id, each cuts what is left of
// the text at its occurrences from left to right.
func cutByDefinition(texts []string, s string) []fragment {
	ids := make([]int32, len(texts))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(len(texts[b]), len(texts[a])) })
	frags := []fragment{{s, -1, 0}}
	for _, id := range ids {
		var next []fragment
		for _, f := range frags {
			for f.id < 0 {
				i := strings.Index(f.text, texts[id])
				if i < 0 {
					break
				}
				if i > 0 {
					next = append(next, fragment{f.text[:i], -1, f.begin})
				}
				next = append(next, fragment{"", id, f.begin + i})
				i += len(texts[id])
				f.text, f.begin = f.text[i:], f.begin+i
			}
			if f.id >= 0 || f.text != "" {
				next = append(next, f)
			}
		}
		frags = next
	}
	return frags
}

func randomText(r *rand.Rand, n int, letters string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
	}
	return string(b)
}

func TestCutMatchesDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	several := 0
	for range 20000 {
		sp := newSpecials(false, nil, nil)
		var texts []string
		for len(texts) < 1+r.IntN(8) {
			text := randomText(r, 1+r.IntN(5), "abc")
			if !slices.Contains(texts, text) {
				sp.add(text, int32(len(texts)))
				texts = append(texts, text)
			}
		}
		s := randomText(r, 1+r.IntN(40), "abc")
		got, want := sp.cut(nil, s, nil, classes()), cutByDefinition(texts, s)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("tokens %q, text %q\n got %v\nwant %v", texts, s, got, want)
		}
		if len(want) > 3 {
			several++
		}
	}
	if several < 10000 {
		t.Errorf("only %d of 20000 texts had several fragments", several)
	}
}

// TestCutIsFast cuts texts that hold many nested or overlapping occurrences.
func TestCutIsFast(t *testing.T) {
	size := 1 << 20
	if testing.Short() {
		size = 1 << 18
	}
	for _, leftmost := range []bool{false, true} {
		attrs := map[int32]Attr{}
		sp := newSpecials(leftmost, attrs, nil)
		for n := range 64 {
			sp.add(strings.Repeat("\n", n+1), int32(n))
			attrs[int32(n)] = Attr{LStrip: true, RStrip: true}
		}
		start := time.Now()
		frags := sp.cut(nil, strings.Repeat("\n", size)+"x", nil, classes())
		// Linear work takes a fraction of a second; quadratic work would take minutes at least.
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("leftmost %v: %v", leftmost, d)
		}
		if want := size/64 + 1; len(frags) != want {
			t.Errorf("leftmost %v: %d fragments, want %d", leftmost, len(frags), want)
		}
	}
}
