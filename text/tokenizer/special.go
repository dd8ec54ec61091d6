package tokenizer

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// specials cuts text at special tokens. It holds their texts in a trie of bytes.
type specials struct {
	leftmost bool
	first    [256]bool        // bytes that begin a token
	edges    map[uint64]int32 // node<<8 | byte to node; node 0 is the root
	leaf     []int32          // id of the token that ends at a node, or -1
	depth    []int32          // bytes from the root
	ids      map[string]int32
	attrs    map[int32]Attr
	words    map[int32]bool // tokens that count in plain text too
}

// fragment is a special token, or text between special tokens if id is -1.
type fragment struct {
	text  string
	id    int32
	begin int // byte of the cut text at which it begins
}

func newSpecials(leftmost bool, attrs map[int32]Attr, words map[int32]bool) *specials {
	return &specials{
		leftmost: leftmost, edges: map[uint64]int32{}, leaf: []int32{-1}, depth: []int32{0}, ids: map[string]int32{},
		attrs: attrs, words: words,
	}
}

// add puts in a token. Of tokens of equal text the first added counts.
func (sp *specials) add(text string, id int32) {
	if _, dup := sp.ids[text]; dup || text == "" {
		return
	}
	sp.ids[text] = id
	sp.first[text[0]] = true
	node := int32(0)
	for i := range len(text) {
		key := uint64(node)<<8 | uint64(text[i])
		to, ok := sp.edges[key]
		if !ok {
			to = int32(len(sp.leaf))
			sp.edges[key] = to
			sp.leaf = append(sp.leaf, -1)
			sp.depth = append(sp.depth, sp.depth[node]+1)
		}
		node = to
	}
	sp.leaf[node] = id
}

// each calls f with the length and id of every token that begins at byte i of s, shortest first.
func (sp *specials) each(s string, i int, f func(length, id int32)) {
	if !sp.first[s[i]] {
		return
	}
	node := int32(0)
	for ; i < len(s); i++ {
		to, ok := sp.edges[uint64(node)<<8|uint64(s[i])]
		if !ok {
			return
		}
		node = to
		if id := sp.leaf[node]; id >= 0 {
			f(sp.depth[node], id)
		}
	}
}

// hit is an occurrence of a special token.
type hit struct {
	begin, length int
	id            int32
}

// cut appends the fragments of s to dst. Whitespace that tokens swallow is gone from the text.
func (sp *specials) cut(dst []fragment, s string, plain plainRanges, t *classTable) []fragment {
	var hits []hit
	if len(sp.ids) > 0 {
		if sp.leftmost {
			hits = sp.leftmostHits(s, plain)
		} else {
			hits = sp.longestHits(s, plain)
		}
	}
	at := 0
	for n, h := range hits {
		a := sp.attrs[h.id]
		begin, end := at, h.begin
		if n > 0 && sp.attrs[hits[n-1].id].RStrip {
			begin = t.run(s[:end], begin, clSpace)
		}
		if a.LStrip {
			end = trimRight(t, s, begin, end)
		}
		if begin < end {
			dst = append(dst, fragment{s[begin:end], -1, begin})
		}
		dst = append(dst, fragment{"", h.id, h.begin})
		at = h.begin + h.length
	}
	if len(hits) > 0 && sp.attrs[hits[len(hits)-1].id].RStrip {
		at = t.run(s, at, clSpace)
	}
	if at < len(s) {
		dst = append(dst, fragment{s[at:], -1, at})
	}
	return dst
}

// trimRight returns the end of s[begin:end] without whitespace at its end.
func trimRight(t *classTable, s string, begin, end int) int {
	for end > begin {
		r, n := utf8.DecodeLastRuneInString(s[begin:end])
		if _, c, _ := t.at(string(r), 0); c&clSpace == 0 {
			break
		}
		end -= n
	}
	return end
}

// allowed says whether the attributes of token id let it match s[begin:end].
func (sp *specials) allowed(s string, begin, end int, id int32) bool {
	if !sp.attrs[id].SingleWord {
		return true
	}
	wordy := func(r rune, n int) bool { // \w of Unicode's regular expressions
		return n > 0 && unicode.In(r, unicode.L, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc,
			unicode.Join_Control)
	}
	return !wordy(utf8.DecodeLastRuneInString(s[:begin])) && !wordy(utf8.DecodeRuneInString(s[end:]))
}

// counts says whether token id may match s[begin:end] as far as plain text is concerned.
func (sp *specials) counts(plain plainRanges, begin, end int, id int32) bool {
	return len(plain) == 0 || sp.words[id] || !plain.touches(begin, end)
}

// leftmostHits returns the occurrences of tokens, leftmost first and longest at each place. Those that plain text
// rules out hide no others: neither a shorter one at the same place nor one that begins inside.
func (sp *specials) leftmostHits(s string, plain plainRanges) []hit {
	var hits []hit
	for i := 0; i < len(s); {
		best := hit{begin: i}
		sp.each(s, i, func(n, id int32) {
			if sp.counts(plain, i, i+int(n), id) {
				best.length, best.id = int(n), id
			}
		})
		if best.length == 0 {
			i++
			continue
		}
		if sp.allowed(s, i, i+best.length, best.id) {
			hits = append(hits, best)
		}
		i += best.length
	}
	return hits
}

// longestHits returns what the definition gives: token by token, longest text first and lowest id of equals,
// each cuts the text that is left at its occurrences from left to right.
//
// It runs in passes, one for each length of which a token occurs. Within a pass at most one token begins at a
// position, and no earlier cut is shorter, so a candidate is still whole if neither its first nor its last byte
// is taken.
func (sp *specials) longestHits(s string, plain plainRanges) []hit {
	var candidates []int
	lengths := map[int]bool{}
	for i := range len(s) {
		before := len(candidates)
		sp.each(s, i, func(n, id int32) {
			if !sp.counts(plain, i, i+int(n), id) {
				return
			}
			lengths[int(n)] = true
			if len(candidates) == before {
				candidates = append(candidates, i)
			}
		})
	}
	if len(candidates) == 0 {
		return nil
	}
	order := make([]int, 0, len(lengths))
	for n := range lengths {
		order = append(order, n)
	}
	slices.SortFunc(order, func(a, b int) int { return b - a })

	taken := make([]uint64, len(s)/64+1)
	isTaken := func(i int) bool { return taken[i/64]>>(i%64)&1 != 0 }
	var hits, found []hit
	for _, n := range order {
		found = found[:0]
		left := candidates[:0]
		for _, i := range candidates {
			if isTaken(i) {
				continue
			}
			left = append(left, i)
			if i+n > len(s) || isTaken(i+n-1) {
				continue
			}
			if id, ok := sp.ids[s[i:i+n]]; ok && sp.counts(plain, i, i+n, id) && sp.allowed(s, i, i+n, id) {
				found = append(found, hit{i, n, id})
			}
		}
		candidates = left
		slices.SortStableFunc(found, func(a, b hit) int { return cmp.Compare(a.id, b.id) })
		for _, h := range found {
			if isTaken(h.begin) || isTaken(h.begin+n-1) {
				continue
			}
			for i := h.begin; i < h.begin+n; i++ {
				taken[i/64] |= 1 << (i % 64)
			}
			hits = append(hits, h)
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.begin, b.begin) })
	return hits
}
