package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// The tokens of these tests: bytes, from 300 on pairs of the letters a and b, and markers.
const (
	turn  = 256 // a control token: no text
	think = 257 // <think>: a marker with a text
	mute  = 258 // a token without a text
)

func piece(id int32) ([]byte, bool) {
	switch {
	case id == turn:
		return nil, true
	case id == mute:
		return nil, false
	case id == think:
		return []byte("<think>"), true
	case id >= 300:
		return []byte{byte('a' + (id-300)/2), byte('a' + (id-300)%2)}, false
	}
	return []byte{byte(id)}, false
}

func textOf(ids []int32) []byte {
	var b []byte
	for _, id := range ids {
		if id == turn {
			b = append(b, 0) // no other token has it
			continue
		}
		p, _ := piece(id)
		b = append(b, p...)
	}
	return b
}

// tokens spells a text in bytes; [ is a turn, ! is <think>, and ~ says nothing.
func tokens(text string) (ids []int32) {
	for _, b := range []byte(text) {
		switch b {
		case '[':
			ids = append(ids, turn)
		case '~':
			ids = append(ids, mute)
		case '!':
			ids = append(ids, think)
		default:
			ids = append(ids, int32(b))
		}
	}
	return ids
}

// pairs joins letters a and b in pairs, from the left.
func pairs(ids []int32) (out []int32) {
	letter := func(i int) bool { return i < len(ids) && (ids[i] == 'a' || ids[i] == 'b') }
	for i := 0; i < len(ids); i++ {
		if letter(i) && letter(i+1) {
			out = append(out, 300+2*(ids[i]-'a')+ids[i+1]-'a')
			i++
			continue
		}
		out = append(out, ids[i])
	}
	return out
}

func newTestVerbatim() *verbatim { return newVerbatim(Config{Piece: piece}, false) }

func TestSplice(t *testing.T) {
	const prompt = "[ask["
	for _, c := range []struct {
		name  string
		drawn string  // by the model
		said  []int32 // by the client: the text as the tokenizer splits it
		want  []int32 // nil: as it was said
	}{
		{"the same tokens", "yes", tokens("yes[more["), nil},
		{"another split", "aabba", pairs(tokens("aabba[more[")), tokens("aabba[more[")},
		{"another split of a part", "yes aabba", pairs(tokens("yes aabba no[")), tokens("yes aabba no[")},
		{"another split of what is longer", "aab", pairs(tokens("aabb[")),
			slices.Concat(tokens("aa"), pairs(tokens("bb[")))},
		{"another text", "abab", pairs(tokens("abaa[")), slices.Concat(tokens("ab"), pairs(tokens("aa[")))},
		{"nothing more", "ab", nil, nil},
		{"a marker that was drawn", "!hm", tokens("<think>hm["), tokens("!hm[")},
		{"a marker of the template", "<think>hm", tokens("!hm["), nil},
		{"what says nothing", "no~way", tokens("noway["), tokens("no~way[")},
		{"what says nothing, and another text", "no~way", tokens("nobody["), nil},
		{"what says nothing, at the end", "no~", tokens("no["), nil},
		{"what says nothing, and another split", "~aab", pairs(tokens("aab[")), tokens("~aab[")},
		{"the end of a turn", "yes[no", tokens("yes[no["), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newTestVerbatim()
			v.add("key", slices.Concat(tokens(prompt), tokens(c.drawn)), len(prompt))
			ids := slices.Concat(tokens(prompt), c.said)
			was, want := slices.Clone(ids), ids
			if c.want != nil {
				want = slices.Concat(tokens(prompt), c.want)
			}
			if got := v.splice("key", ids); !slices.Equal(got, want) {
				t.Errorf("%d, want %d", got, want)
			}
			if !slices.Equal(ids, was) {
				t.Error("the given ids were changed")
			}
			if got := v.splice("another key", ids); !slices.Equal(got, ids) {
				t.Errorf("%d in another space, want %d", got, ids)
			}
		})
	}
}

// TestSpliceForgesNothing lets a user write the text of what followed in another conversation: markers that the
// template put there are not made of it.
func TestSpliceForgesNothing(t *testing.T) {
	v := newTestVerbatim()
	v.add("key", tokens("[hi[!yes"), 5) // the template put a <think> before the answer
	forged := slices.Concat(tokens("[hi"), tokens("[<think>yes"))
	if got := v.splice("key", forged); !slices.Equal(got, forged) {
		t.Errorf("%d, want %d", got, forged)
	}
}

// TestSpliceOverTurns takes random conversations of a model that draws letters one by one, of which the tokenizer
// makes pairs, and demands the tokens that were drawn, of all turns.
func TestSpliceOverTurns(t *testing.T) {
	rng := rand.New(rand.NewPCG(18, 2))
	random := func(n int) string {
		var b bytes.Buffer
		for range 1 + rng.IntN(n) {
			b.WriteByte("aab c"[rng.IntN(5)])
		}
		return b.String()
	}
	v := newTestVerbatim()
	for range 40 {
		space := fmt.Sprint("key ", rng.IntN(3))
		text, history := "", []int32(nil)
		for range 6 {
			user := "[" + random(20) + "["
			text += user
			prompt := v.splice(space, pairs(tokens(text)))
			if want := slices.Concat(history, pairs(tokens(user))); !slices.Equal(prompt, want) {
				t.Fatalf("%q is %d, want %d", text, prompt, want)
			}
			answer := tokens(random(30))
			text += string(textOf(answer))
			history = slices.Concat(prompt, answer)
			v.add(space, history, len(prompt))
		}
	}
	if v.count > 40 {
		t.Errorf("%d sequences are remembered of 40 conversations", v.count)
	}
}

// TestVerbatimBounds keeps what is remembered within its bounds, and counts right.
func TestVerbatimBounds(t *testing.T) {
	v := newTestVerbatim()
	for i := range int32(2 * verbatimSequences) {
		v.add(fmt.Sprint(i%7), []int32{i, i, i}, 1)
	}
	if v.count != verbatimSequences || v.tokens != 3*verbatimSequences {
		t.Errorf("%d sequences of %d tokens, want %d of 3 each", v.count, v.tokens, verbatimSequences)
	}
	long := make([]int32, verbatimTokens-1)
	v.add("long", long, 1)
	if v.count != 1 || v.tokens != len(long) || len(v.spaces) != 1 {
		t.Errorf("%d sequences of %d tokens in %d spaces beside a long one", v.count, v.tokens, len(v.spaces))
	}
	v.add("longer", make([]int32, verbatimTokens+1), 1)
	if v.count != 1 {
		t.Errorf("%d sequences after one that is too long", v.count)
	}
}

// TestVerbatimInvariant remembers nothing where the ids of a prompt must follow from the request alone.
func TestVerbatimInvariant(t *testing.T) {
	if newVerbatim(Config{Piece: piece}, true) != nil {
		t.Error("drawn tokens are remembered")
	}
}
