package models

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/hipengine/hipengine/ops"
)

// Span is what one sequence contributes to a step.
type Span struct {
	Tokens []int32
	Pos    int       // position of the first of them in the sequence
	Slot   int       // place of the sequence in per-sequence state
	Kept   []int     // places for its state without the last token, without the last two and so on; none: it keeps none
	Recent int       // place of the sequence in state of its newest tokens
	Rows   int       // outputs are wanted for the last Rows of Tokens
	Tables [][]int32 // page tables, in the order of kv.Spec.Windows; negative for pages that nobody reads

	Types    []int32     // of Tokens, see Batch; nil: all 0
	Embeds   [][]float32 // rows that replace tokens, see Batch
	EmbedIDs []int32     // for each of Tokens, a row of Embeds or a negative number; nil if there are none
}

// Index is the index data of one step, as the inputs that [Inputs] declares. The zero Index is empty. It keeps its
// memory from step to step and belongs to one goroutine.
type Index struct {
	tokens, types, pos, seq, starts, slots, rows []int32

	recent []int32 // place of each sequence in state of its newest tokens
	draft  [6][]int32

	embeds   []float32
	embedded int // rows of embeds
	embedIDs []int32

	kept    int // places for each sequence beside its own
	windows []int
	names   []string  // of the inputs that hold the tables
	tables  [][]int32 // [seqs, width] for each window
	width   int
	raw     []byte
}

// Reset empties x for a model whose page tables have the given windows, in a step whose tables are width pages long and
// in which a sequence keeps up to kept states beside its last.
func (x *Index) Reset(windows []int, width, kept int) {
	for _, p := range []*[]int32{&x.tokens, &x.types, &x.pos, &x.seq, &x.starts, &x.slots, &x.rows, &x.embedIDs,
		&x.recent} {
		*p = (*p)[:0]
	}
	x.starts = append(x.starts, 0)
	x.embeds, x.embedded = x.embeds[:0], 0
	if !slices.Equal(x.windows, windows) {
		x.windows, x.names = slices.Clone(windows), nil
		for _, w := range windows {
			x.names = append(x.names, tableName(w))
		}
	}
	x.width, x.kept = width, kept
	x.tables = slices.Grow(x.tables[:0], len(windows))[:len(windows)]
	for i := range x.tables {
		x.tables[i] = x.tables[i][:0]
	}
}

// Add appends a sequence, whose tables and kept states must be as Reset was told.
func (x *Index) Add(s Span) {
	seq := int32(len(x.starts) - 1)
	for i := range s.Tokens {
		x.pos, x.seq = append(x.pos, int32(s.Pos+i)), append(x.seq, seq)
	}
	x.tokens = append(x.tokens, s.Tokens...)
	if x.types = append(x.types, s.Types...); s.Types == nil {
		x.types = zeros(x.types, len(s.Tokens))
	}
	for i := range s.Tokens {
		id := int32(-1)
		if s.EmbedIDs != nil && s.EmbedIDs[i] >= 0 {
			id = int32(x.embedded) + s.EmbedIDs[i]
		}
		x.embedIDs = append(x.embedIDs, id)
	}
	for _, row := range s.Embeds {
		x.embeds = append(x.embeds, row...)
	}
	x.embedded += len(s.Embeds)
	for i := range s.Rows {
		x.rows = append(x.rows, int32(len(x.tokens)-s.Rows+i))
	}
	x.starts = append(x.starts, int32(len(x.tokens)))
	x.place(s.Slot, s.Kept)
	x.recent = append(x.recent, int32(s.Recent))
	for i, t := range s.Tables {
		for _, page := range t {
			x.tables[i] = append(x.tables[i], max(page, 0)) // kernels may touch what they mask
		}
		x.tables[i] = zeros(x.tables[i], x.width-len(t))
	}
}

// place appends the places of a sequence's states.
func (x *Index) place(slot int, kept []int) {
	x.slots = append(x.slots, int32(slot))
	for j := range x.kept {
		at := -1
		if j < len(kept) {
			at = kept[j]
		}
		x.slots = append(x.slots, int32(at))
	}
}

// Fill makes sure that there is a row, which a graph wants even if nobody else does.
func (x *Index) Fill() {
	if len(x.rows) == 0 {
		x.rows = append(x.rows, 0)
	}
}

// Pad rounds all sizes up to powers of two, so that a device that replays captured plans needs few of them. Padding
// tokens belong to no sequence; padding sequences have no tokens and the slot spare.
func (x *Index) Pad(spare int) {
	end := int32(len(x.tokens))
	for range Bucket(len(x.tokens)) - len(x.tokens) {
		x.tokens, x.pos, x.seq = append(x.tokens, 0), append(x.pos, 0), append(x.seq, -1)
		x.types, x.embedIDs = append(x.types, 0), append(x.embedIDs, -1)
	}
	seqs := len(x.starts) - 1
	for range Bucket(seqs) - seqs {
		x.starts = append(x.starts, end)
		x.place(spare, nil)
		x.recent = append(x.recent, 0) // no token of it is kept
		for i := range x.tables {
			x.tables[i] = zeros(x.tables[i], x.width)
		}
	}
	x.rows = zeros(x.rows, Bucket(len(x.rows))-len(x.rows))
	if x.embedded > 0 {
		n := Bucket(x.embedded)
		x.embeds = append(x.embeds, make([]float32, (n-x.embedded)*(len(x.embeds)/x.embedded))...)
		x.embedded = n
	}
}

// Sizes returns the sizes of the step.
func (x *Index) Sizes() Sizes {
	return Sizes{Tokens: len(x.tokens), Seqs: len(x.starts) - 1, Pages: x.width, Rows: len(x.rows), Embeds: x.embedded,
		Kept: x.kept}
}

// Upload copies the data to the inputs of p, but for those that the plan does not use.
func (x *Index) Upload(s ops.Stream, p ops.Plan) error {
	for _, in := range []struct {
		name string
		data []int32
	}{{"tokens", x.tokens}, {"types", x.types}, {"pos", x.pos}, {"seq", x.seq}, {"starts", x.starts},
		{"slots", x.slots}, {"rows", x.rows}, {"embed_ids", x.embedIDs}} {
		if err := upload(x, s, p, in.name, in.data, word); err != nil {
			return err
		}
	}
	for i, name := range x.names {
		if err := upload(x, s, p, name, x.tables[i], word); err != nil {
			return err
		}
	}
	if err := x.uploadDraft(s, p); err != nil {
		return err
	}
	return upload(x, s, p, "embeds", x.embeds, math.Float32bits)
}

func upload[T any](x *Index, s ops.Stream, p ops.Plan, name string, data []T, word func(T) uint32) error {
	t, ok := p.Input(name)
	if !ok {
		return nil
	}
	x.raw = x.raw[:0]
	for _, v := range data {
		x.raw = binary.LittleEndian.AppendUint32(x.raw, word(v))
	}
	if err := s.Upload(t, x.raw); err != nil {
		return fmt.Errorf("models: input %q: %w", name, err)
	}
	return nil
}

func word(v int32) uint32 { return uint32(v) }

// zeros appends n zeros to x.
func zeros(x []int32, n int) []int32 {
	x = slices.Grow(x, n)[:len(x)+n]
	clear(x[len(x)-n:])
	return x
}

// Bucket returns the least power of two that is at least n, which must be positive.
func Bucket(n int) int { return 1 << bits.Len(uint(n-1)) }
