package spec

import (
	"context"
	"math/bits"
	"slices"
)

// What a lookup looks at.
const (
	leastMatch = 2  // tokens that the end of a text must have in common with an earlier place of it
	mostMatch  = 32 // longer matches count as this long
	mostPlaces = 64 // earlier places that are compared, the last ones first
)

// NGram proposes what followed where the end of a sequence last occurred in it, prompt and answer alike: the place
// with which it has the most tokens in common, of several the last. Texts that repeat themselves, or what they were
// given, go on like that. The classes of its drafts are the lengths of the match.
//
// It keeps some 50 bytes for each token of a sequence.
type NGram struct {
	seqs map[uint64]*index
}

// NewNGram returns a drafter that looks up.
func NewNGram() *NGram { return &NGram{seqs: map[uint64]*index{}} }

// index finds the places in a text of its pairs of tokens.
type index struct {
	tokens []int32
	last   map[[leastMatch]int32]int32 // behind the last occurrence of a pair
	before []int32                     // for a place, behind the occurrence before that of the pair that ends there; 0 is none
}

// Info implements Drafter.
func (*NGram) Info() Info {
	return Info{Name: "ngram", Classes: bits.Len(mostMatch), Free: true}
}

// Draft implements Drafter.
func (d *NGram) Draft(_ context.Context, asks []Ask) ([]Draft, error) {
	out := make([]Draft, len(asks))
	for i, a := range asks {
		x := d.seqs[a.Key]
		if x == nil || len(x.tokens) > len(a.Tokens) || !slices.Equal(x.tokens, a.Tokens[:len(x.tokens)]) {
			x = &index{last: map[[leastMatch]int32]int32{}}
			d.seqs[a.Key] = x
		}
		for _, id := range a.Tokens[len(x.tokens):] {
			x.add(id)
		}
		at, n := x.find()
		if n == 0 {
			continue
		}
		out[i] = Draft{Tokens: x.from(at, a.Max), Class: bits.Len(uint(n)) - 1}
	}
	return out, nil
}

// Drafted implements Drafter.
func (*NGram) Drafted(uint64, int, int) {}

// Forget implements Drafter.
func (d *NGram) Forget(key uint64) { delete(d.seqs, key) }

// Close implements Drafter.
func (*NGram) Close() error { return nil }

// add appends a token.
func (x *index) add(id int32) {
	x.tokens = append(x.tokens, id)
	n, prev := len(x.tokens), int32(0)
	if n >= leastMatch {
		pair := [leastMatch]int32(x.tokens[n-leastMatch:])
		prev = x.last[pair]
		x.last[pair] = int32(n)
	}
	x.before = append(x.before, prev)
}

// find returns the place behind the longest earlier occurrence of the end of the text, and how many tokens that has in
// common with it; 0 if there is none.
func (x *index) find() (at, n int) {
	if len(x.tokens) == 0 {
		return 0, 0
	}
	place := int(x.before[len(x.tokens)-1])
	for range mostPlaces {
		if place == 0 || n == mostMatch {
			break
		}
		if m := x.common(place); m > n {
			at, n = place, m
		}
		place = int(x.before[place-1])
	}
	return at, n
}

// common returns how many tokens before a place are those at the end of the text.
func (x *index) common(place int) (n int) {
	end := len(x.tokens)
	for n < mostMatch && n < place && x.tokens[place-1-n] == x.tokens[end-1-n] {
		n++
	}
	return n
}

// from returns the n tokens from a place on. Where the text ends, its end repeats.
func (x *index) from(place, n int) []int32 {
	out := make([]int32, 0, n)
	for i := range n {
		if at := place + i; at < len(x.tokens) {
			out = append(out, x.tokens[at])
		} else {
			out = append(out, out[at-len(x.tokens)])
		}
	}
	return out
}
