package engine

import (
	"bytes"
	"slices"
	"sync"
)

// The bounds of what is remembered of sequences.
const (
	verbatimTokens    = 4 << 20 // 16 MiB
	verbatimSequences = 512
	verbatimTries     = 8    // sequences that are compared with a prompt in earnest
	verbatimStretch   = 4096 // bytes that two ways of splitting a text may take to meet again
)

// verbatim remembers the ids of sequences, those that were drawn among them. A model may draw other tokens than those
// that the tokenizer makes of the same text; when a client sends the text back, these ids take their place, so that
// what was kept of the sequence still is the beginning of the prompt. Its methods may be called from any goroutine.
type verbatim struct {
	piece func(id int32) (text []byte, marker bool)

	mu     sync.Mutex
	spaces map[string][]*remembered
	tokens int
	count  int
	clock  uint64
}

// remembered is a sequence. Its ids do not change.
type remembered struct {
	ids   []int32
	drawn [][2]int // ranges of ids that the model drew: from, to
	used  uint64
}

// isDrawn reports whether the model drew the token at a place.
func (r *remembered) isDrawn(at int) bool {
	return slices.ContainsFunc(r.drawn, func(d [2]int) bool { return d[0] <= at && at < d[1] })
}

// newVerbatim returns nil if nobody says what the texts of tokens are, or if a prompt's ids must follow from the
// request alone.
func newVerbatim(c Config, invariant bool) *verbatim {
	if c.Piece == nil || invariant {
		return nil
	}
	return &verbatim{piece: c.Piece, spaces: map[string][]*remembered{}}
}

// add remembers a sequence, whose ids from number prompt on were drawn, in place of those that it continues. It
// forgets those that were used least recently where there is no room.
func (v *verbatim) add(space string, ids []int32, prompt int) {
	if v == nil || len(ids) > verbatimTokens {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.spaces[space] {
		if len(r.ids) >= len(ids) && slices.Equal(r.ids[:len(ids)], ids) {
			v.use(r)
			return
		}
	}
	n := &remembered{ids: slices.Clone(ids)}
	for _, r := range slices.Clone(v.spaces[space]) {
		if slices.Equal(r.ids, ids[:min(len(r.ids), len(ids))]) {
			if len(r.drawn) > len(n.drawn) {
				n.drawn = r.drawn
			}
			v.forget(space, r)
		}
	}
	n.drawn = append(n.drawn[:len(n.drawn):len(n.drawn)], [2]int{prompt, len(ids)})
	v.use(n)
	v.spaces[space] = append(v.spaces[space], n)
	v.tokens, v.count = v.tokens+len(ids), v.count+1
	for v.tokens > verbatimTokens || v.count > verbatimSequences {
		v.forgetOldest()
	}
}

func (v *verbatim) use(r *remembered) {
	v.clock++
	r.used = v.clock
}

func (v *verbatim) forget(space string, r *remembered) {
	left := slices.DeleteFunc(v.spaces[space], func(o *remembered) bool { return o == r })
	v.spaces[space] = left
	if len(left) == 0 {
		delete(v.spaces, space)
	}
	v.tokens, v.count = v.tokens-len(r.ids), v.count-1
}

func (v *verbatim) forgetOldest() {
	var oldest *remembered
	var of string
	for space, rs := range v.spaces {
		for _, r := range rs {
			if oldest == nil || r.used < oldest.used {
				oldest, of = r, space
			}
		}
	}
	v.forget(of, oldest)
}

// splice returns ids, or as many of them as can be replaced by ids that were remembered: each run of tokens by
// another of the same text, at the same place behind the same tokens. Markers, which stand for more than their text,
// are never replaced, and those alone are made that the model drew there, such as <think>.
func (v *verbatim) splice(space string, ids []int32) []int32 {
	if v == nil {
		return ids
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var tried []*remembered
	for range verbatimTries {
		// The sequence that shares the most first tokens, the youngest of several.
		var best *remembered
		at := 0
		for _, r := range v.spaces[space] {
			if n := sharedIDs(r.ids, ids, 0); n > 0 && !slices.Contains(tried, r) &&
				(best == nil || n > at || n == at && r.used > best.used) {
				best, at = r, n
			}
		}
		if best == nil {
			break
		}
		tried = append(tried, best)
		for {
			from, to := v.meet(best, ids, at)
			if from == 0 {
				break
			}
			ids = slices.Concat(ids[:at], best.ids[at:at+from], ids[at+to:])
			at = sharedIDs(best.ids, ids, at+from)
			v.use(best)
		}
	}
	return ids
}

// sharedIDs returns how many first tokens a and b share, of which the first n are known to be equal.
func sharedIDs(a, b []int32, n int) int {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// meet returns how many tokens of r and of ids, from place at on, have the same text, as few as possible; 0 if none
// do. Of ids, they may be none: where the model drew tokens without a text, and then went on with what ids say.
func (v *verbatim) meet(r *remembered, ids []int32, at int) (nr, n int) {
	var x, y []byte // texts that the other does not have yet: one of them is empty
	total := 0
	// take adds the text of a token to what is there of it.
	take := func(id int32, markers bool, text *[]byte) bool {
		piece, marker := v.piece(id)
		total += len(piece)
		*text = append(*text, piece...)
		return len(piece) > 0 && total <= 2*verbatimStretch && (markers || !marker)
	}
	for ; at+nr < len(r.ids) && r.isDrawn(at+nr); nr++ {
		if text, _ := v.piece(r.ids[at+nr]); len(text) > 0 {
			break
		}
	}
	if nr > 0 && at+nr < len(r.ids) && at < len(ids) && r.ids[at+nr] == ids[at] {
		return nr, 0
	}
	for n == 0 || len(x)+len(y) > 0 {
		ok := false
		if len(x) <= len(y) {
			if ok = at+nr < len(r.ids) && take(r.ids[at+nr], r.isDrawn(at+nr), &x); ok {
				nr++
			}
		} else if ok = at+n < len(ids) && take(ids[at+n], false, &y); ok {
			n++
		}
		if !ok {
			return 0, 0
		}
		both := min(len(x), len(y))
		if !bytes.Equal(x[:both], y[:both]) {
			return 0, 0
		}
		x, y = x[both:], y[both:]
	}
	return nr, n
}

// Verbatim returns the ids of a prompt that was made from text, with the tokens that the engine drew for parts of it
// earlier, in the same space, in place of those that the text was split into. The result has the same text, and is ids
// itself if nothing is to be replaced. With an invariant runner, whose answers follow from their request alone, it
// always is.
func (e *Engine) Verbatim(space string, ids []int32) []int32 { return e.verbatim.splice(space, ids) }
