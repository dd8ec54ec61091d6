package models

import (
	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/ops"
)

// uploadDraft makes the data of a [DraftIndex] of the step's, and copies it to the inputs of p.
func (x *Index) uploadDraft(s ops.Stream, p ops.Plan) error {
	if _, ok := p.Input("draft.slots"); !ok {
		return nil
	}
	for i := range x.draft {
		x.draft[i] = x.draft[i][:0]
	}
	for t, pos := range x.pos {
		seq := x.seq[t]
		entry, recent, keep := seq, int32(-1), seq
		if pos == 0 {
			entry = -1
		}
		if seq >= 0 {
			if pos > 0 && t == int(x.starts[seq]) {
				recent = recentRow(x.recent[seq], pos-1)
			}
			if t < int(x.starts[seq+1])-kv.RecentTokens {
				keep = -1 // a later token takes the place
			}
		}
		for i, v := range [...]int32{max(pos-1, 0), entry, int32(max(t-1, 0)), recent, keep, pos % kv.RecentTokens} {
			x.draft[i] = append(x.draft[i], v)
		}
	}
	for i, name := range [...]string{"pos", "seq", "before", "recent", "keep", "place"} {
		if err := upload(x, s, p, "draft."+name, x.draft[i], word); err != nil {
			return err
		}
	}
	return upload(x, s, p, "draft.slots", x.recent, word)
}

// recentRow returns the row of the token at pos among the recent ones of all sequences.
func recentRow(seq, pos int32) int32 { return seq*kv.RecentTokens + pos%kv.RecentTokens }

// DraftSpan is a sequence for which drafts are wanted.
type DraftSpan struct {
	Token  int32     // the newest, which the model has not read
	Len    int       // tokens that it has read, at least one
	Recent int       // as in Span
	Depth  int       // drafts
	Tables [][]int32 // as in Span, up to Len+Depth-1 tokens
}

// ChainIndex is the index data of drafts of several sequences, as the inputs that [ChainInputs] declares. The zero
// value is empty. It keeps its memory and belongs to one goroutine.
type ChainIndex struct {
	index  Index
	depths []int
}

// Reset is [Index.Reset].
func (c *ChainIndex) Reset(windows []int, width int) {
	c.index.Reset(windows, width, 0)
	c.depths = c.depths[:0]
}

// Add appends a sequence.
func (c *ChainIndex) Add(s DraftSpan) {
	c.index.Add(Span{Tokens: []int32{s.Token}, Pos: s.Len - 1, Recent: s.Recent, Tables: s.Tables})
	c.depths = append(c.depths, s.Depth)
}

// Pad rounds the number of sequences up, as [Index.Pad] does.
func (c *ChainIndex) Pad() {
	c.index.Pad(0)
	for len(c.depths) < len(c.index.tokens) {
		c.depths = append(c.depths, 0)
	}
}

// Sizes returns the sizes of the step.
func (c *ChainIndex) Sizes() Sizes {
	n := len(c.index.tokens)
	return Sizes{Tokens: n, Seqs: n, Pages: c.index.width, Rows: n}
}

// Upload copies the data to the inputs of p, a plan of depth drafts.
func (c *ChainIndex) Upload(s ops.Stream, p ops.Plan, depth int) error {
	x := &c.index
	if err := upload(x, s, p, "tokens", x.tokens, word); err != nil {
		return err
	}
	for i, name := range x.names {
		if err := upload(x, s, p, name, x.tables[i], word); err != nil {
			return err
		}
	}
	recent, pos, seq := x.draft[0][:0], x.draft[1][:0], x.draft[2][:0]
	for t := range x.tokens {
		recent = append(recent, recentRow(x.recent[t], x.pos[t]))
	}
	if err := upload(x, s, p, "draft.recent", recent, word); err != nil {
		return err
	}
	for i := range depth {
		pos, seq = pos[:0], seq[:0]
		for t := range x.tokens {
			pos = append(pos, x.pos[t]+int32(i))
			if i < c.depths[t] {
				seq = append(seq, x.seq[t])
			} else {
				seq = append(seq, -1)
			}
		}
		if err := upload(x, s, p, chainName("pos", i), pos, word); err != nil {
			return err
		}
		if err := upload(x, s, p, chainName("seq", i), seq, word); err != nil {
			return err
		}
	}
	x.draft[0], x.draft[1], x.draft[2] = recent, pos, seq
	return nil
}
