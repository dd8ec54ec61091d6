package tokenizer

import "fmt"

// merges is the merge table of a BPE model. Symbols are token ids; texts that merges name but that are no
// token (or one that text must not form) get symbols from len(Tokens) on.
type merges struct {
	tokens   int              // number of tokens
	ids      map[string]int32 // tokens that text may form
	extra    []string         // text of symbol tokens+i
	extraIDs map[string]int32
	table    pairTable
}

// newMerges builds the table of v.Merges. Of equal entries the first counts.
func newMerges(v *Vocab) (*merges, error) {
	m := &merges{tokens: len(v.Tokens), ids: formable(v), extraIDs: map[string]int32{}}
	m.table.init(len(v.Merges))
	for rank, line := range v.Merges {
		a, b, ok := splitMerge(line)
		if !ok {
			return nil, fmt.Errorf("tokenizer: merge %d %q is not of the form \"A B\"", rank, clip(line))
		}
		if len(line) > 2*MaxTokenLength {
			return nil, fmt.Errorf("tokenizer: merge %d has %d bytes, the limit is %d", rank, len(line),
				2*MaxTokenLength)
		}
		m.table.add(m.symbol(a), m.symbol(b), uint32(rank), m.symbol(a+b))
	}
	return m, nil
}

// formable returns the tokens that the model step may form from text, by text. Control, unknown and byte
// tokens are none of them: else the text "</s>" could become the end of the sequence. Of tokens of equal text
// the lowest id counts.
func formable(v *Vocab) map[string]int32 {
	ids := make(map[string]int32, len(v.Tokens))
	for i, text := range v.Tokens {
		switch v.typeOf(int32(i)) {
		case Control, Unknown, Byte:
			continue
		}
		if _, dup := ids[text]; !dup && text != "" {
			ids[text] = int32(i)
		}
	}
	return ids
}

// symbol returns the symbol of text, and makes one if there is none.
func (m *merges) symbol(text string) int32 {
	if id, ok := m.ids[text]; ok {
		return id
	}
	id, ok := m.extraIDs[text]
	if !ok {
		id = int32(m.tokens + len(m.extra))
		m.extraIDs[text] = id
		m.extra = append(m.extra, text)
	}
	return id
}

// rank implements ranker.
func (m *merges) rank(g *merger, i, j int32) (key uint32, sym int32, ok bool) {
	return m.table.find(g.sym[i], g.sym[j])
}

// pairTable maps pairs of symbols to the rank and result of their merge: open addressing, at most half full.
type pairTable struct {
	slots []pairSlot
	shift uint
}

type pairSlot struct {
	a, b int32
	rank uint32
	sym  int32 // -1: empty
}

func (t *pairTable) init(n int) {
	bits := uint(4)
	for 1<<bits < 2*n {
		bits++
	}
	t.shift = 64 - bits
	t.slots = make([]pairSlot, 1<<bits)
	for i := range t.slots {
		t.slots[i].sym = -1
	}
}

func (t *pairTable) home(a, b int32) int {
	return int((uint64(uint32(a))<<32 | uint64(uint32(b))) * 0x9E3779B97F4A7C15 >> t.shift)
}

// add stores a pair unless it is there. No more pairs may be added than init was told.
func (t *pairTable) add(a, b int32, rank uint32, sym int32) {
	for i := t.home(a, b); ; i = (i + 1) & (len(t.slots) - 1) {
		s := &t.slots[i]
		if s.sym < 0 {
			*s = pairSlot{a, b, rank, sym}
			return
		}
		if s.a == a && s.b == b {
			return
		}
	}
}

func (t *pairTable) find(a, b int32) (rank uint32, sym int32, ok bool) {
	for i := t.home(a, b); ; i = (i + 1) & (len(t.slots) - 1) {
		s := &t.slots[i]
		if s.sym < 0 {
			return 0, 0, false
		}
		if s.a == a && s.b == b {
			return s.rank, s.sym, true
		}
	}
}

// clip shortens text for error messages.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
