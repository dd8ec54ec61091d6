package grammar

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Token is an entry of a vocabulary.
type Token struct {
	Bytes   []byte // empty for a token that has no text, which no grammar allows
	Control bool   // a marker that text cannot form: grammars allow it only where they name it
}

// Vocabulary is the tokens that a model can choose from, in the form that grammars need. It does not change, and may
// be used from several goroutines.
type Vocabulary struct {
	tokens  []Token
	control map[string]int32
	eog     []int32
	encode  func(text string) ([]int32, error)
	trie    trie
	longest int // bytes of a token
	masks   *lru

	grammars *lru
}

// VocabularyOptions are what a vocabulary may have besides its tokens.
type VocabularyOptions struct {
	EOG []int32 // the ids that end a generation
	// Encode returns the ids of a text as the model is used to them. Without it nothing is forced but control tokens.
	Encode func(text string) ([]int32, error)
	// CacheBytes bounds the memory for masks; 0 is 64 MiB.
	CacheBytes int64
}

// maxTokenBytes bounds a token.
const maxTokenBytes = 1 << 16

// controlMark begins the bytes that stand for a control token, behind which comes its id. UTF-8 never has this byte.
const controlMark = 0xFF

// controlBytes are the bytes that stand for a control token.
func controlBytes(id int32) []byte {
	return []byte{controlMark, byte(id >> 16), byte(id >> 8), byte(id)}
}

// NewVocabulary returns the vocabulary of tokens, by id.
func NewVocabulary(tokens []Token, o VocabularyOptions) (*Vocabulary, error) {
	if len(tokens) == 0 || len(tokens) >= 1<<24 {
		return nil, fmt.Errorf("grammar: vocabulary of %d tokens, from 1 to %d expected", len(tokens), 1<<24-1)
	}
	v := &Vocabulary{tokens: tokens, control: map[string]int32{}, eog: slices.Clone(o.EOG), encode: o.Encode}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	v.masks, v.grammars = newLRU(o.CacheBytes), newLRU(grammarBytes)
	for _, id := range v.eog {
		if id < 0 || int(id) >= len(tokens) {
			return nil, fmt.Errorf("grammar: end-of-generation id %d is outside the vocabulary of %d tokens", id,
				len(tokens))
		}
	}
	words := make([]word, 0, len(tokens))
	for i, t := range tokens {
		id := int32(i)
		switch {
		case len(t.Bytes) == 0:
			continue
		case len(t.Bytes) > maxTokenBytes:
			return nil, fmt.Errorf("grammar: token %d has %d bytes, the limit is %d", i, len(t.Bytes), maxTokenBytes)
		case t.Control:
			if _, dup := v.control[string(t.Bytes)]; !dup {
				v.control[string(t.Bytes)] = id
			}
		case slices.Contains(v.eog, id), bytes.IndexByte(t.Bytes, controlMark) >= 0: // the mark is in no text
			continue
		}
		words = append(words, word{v.bytesOf(id), id})
		v.longest = max(v.longest, len(t.Bytes))
	}
	v.trie = newTrie(words)
	return v, nil
}

// bytesOf returns what a grammar sees of a token.
func (v *Vocabulary) bytesOf(id int32) []byte {
	t := v.tokens[id]
	switch {
	case t.Control && len(t.Bytes) > 0:
		return controlBytes(id)
	case bytes.IndexByte(t.Bytes, controlMark) >= 0:
		return nil
	}
	return t.Bytes
}

// HasControl reports whether there is a control token of this text.
func (v *Vocabulary) HasControl(text string) bool {
	_, ok := v.control[text]
	return ok
}

// special returns what stands for a control token, or for its text if there is no such token.
func (v *Vocabulary) special(text string) string {
	if id, ok := v.control[text]; ok {
		return string(controlBytes(id))
	}
	return text
}

// Len returns the number of ids.
func (v *Vocabulary) Len() int { return len(v.tokens) }

// word is a token in a trie.
type word struct {
	bytes []byte
	id    int32
}

// trie holds all tokens by their bytes, its nodes in the order in which a search in depth comes upon them. Node 0 is
// the root.
type trie struct {
	bytes []byte  // the last of each node
	depth []uint8 // bytes from the root; deeper ones are in deep
	end   []int32 // the node behind the last one below
	token []int32 // the first token that ends here, or -1
	more  map[int32][]int32
	rows  int // the greatest depth
	deep  map[int32]int32
}

func newTrie(words []word) trie {
	slices.SortStableFunc(words,
		func(a, b word) int { return cmp.Or(bytes.Compare(a.bytes, b.bytes), cmp.Compare(a.id, b.id)) })
	t := trie{more: map[int32][]int32{}, deep: map[int32]int32{}}
	add := func(c byte, depth int) {
		if depth >= math.MaxUint8 {
			t.deep[int32(len(t.bytes))] = int32(depth)
		}
		t.bytes, t.depth = append(t.bytes, c), append(t.depth, uint8(min(depth, math.MaxUint8)))
		t.end, t.token = append(t.end, 0), append(t.token, -1)
		t.rows = max(t.rows, depth)
	}
	add(0, 0)
	path := []int32{0} // the nodes of the last word
	var last []byte
	for _, w := range words {
		common := 0
		for common < min(len(last), len(w.bytes)) && last[common] == w.bytes[common] {
			common++
		}
		for _, n := range path[common+1:] {
			t.end[n] = int32(len(t.bytes))
		}
		path = path[:common+1]
		for i := common; i < len(w.bytes); i++ {
			path = append(path, int32(len(t.bytes)))
			add(w.bytes[i], i+1)
		}
		at := path[len(path)-1]
		if t.token[at] < 0 {
			t.token[at] = w.id
		} else {
			t.more[at] = append(t.more[at], w.id)
		}
		last = w.bytes
	}
	for _, n := range path {
		t.end[n] = int32(len(t.bytes))
	}
	return t
}

func (t *trie) depthOf(n int32) int {
	if d := t.depth[n]; d < math.MaxUint8 {
		return int(d)
	}
	return int(t.deep[n])
}

// child returns the node below n by byte c, or -1.
func (t *trie) child(n int32, c byte) int32 {
	for i := n + 1; i < t.end[n]; i = t.end[i] {
		if t.bytes[i] == c {
			return i
		}
	}
	return -1
}
