package models

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Sizes are the sizes of a step's index data: all that its graph depends on.
type Sizes struct {
	Tokens int
	Seqs   int // sequences
	Pages  int // length of a sequence's page tables
	Rows   int // tokens whose outputs are wanted
	Embeds int // rows that replace tokens
	Kept   int // places for states of a sequence after tokens before its last, see ops.CausalConv
}

// Inputs declares the index data of a step of m in g, as inputs that [Index.Upload] fills. States, Context and Tap are
// the caller's to set.
func Inputs(g *ops.Graph, m Model, n Sizes) Batch {
	b := Batch{
		Tokens: g.Input("tokens", tensor.I32, n.Tokens),
		Pos:    g.Input("pos", tensor.I32, n.Tokens),
		Seq:    g.Input("seq", tensor.I32, n.Tokens),
		Starts: g.Input("starts", tensor.I32, n.Seqs+1),
		Rows:   g.Input("rows", tensor.I32, n.Rows),
	}
	if m.Params().TokenTypes > 1 {
		b.Types = g.Input("types", tensor.I32, n.Tokens)
	}
	if n.Kept > 0 {
		b.Slots = g.Input("slots", tensor.I32, n.Seqs, 1+n.Kept)
	} else {
		b.Slots = g.Input("slots", tensor.I32, n.Seqs)
	}
	for _, w := range m.State().Windows() {
		b.Pages = append(b.Pages, PageGroup{w, g.Input(tableName(w), tensor.I32, n.Seqs, n.Pages)})
	}
	if _, ok := m.(*Drafting); ok {
		b.Draft = DraftIndex{
			Pos:    g.Input("draft.pos", tensor.I32, n.Tokens),
			Seq:    g.Input("draft.seq", tensor.I32, n.Tokens),
			Before: g.Input("draft.before", tensor.I32, n.Tokens),
			Recent: g.Input("draft.recent", tensor.I32, n.Tokens),
			Keep:   g.Input("draft.keep", tensor.I32, n.Tokens),
			Place:  g.Input("draft.place", tensor.I32, n.Tokens),
			Slots:  g.Input("draft.slots", tensor.I32, n.Seqs, 1),
		}
	}
	if n.Embeds > 0 {
		b.Embeds = g.Input("embeds", tensor.F32, n.Embeds, m.Params().Embd)
		b.EmbedIDs = g.Input("embed_ids", tensor.I32, n.Tokens)
	}
	return b
}

// ChainInputs declares the index data of depth drafts of n.Seqs sequences in g, as inputs that [ChainIndex.Upload]
// fills. States and Context are the caller's to set.
func ChainInputs(g *ops.Graph, d *Drafting, n Sizes, depth int) ChainBatch {
	b := ChainBatch{Tokens: g.Input("tokens", tensor.I32, n.Seqs), Recent: g.Input("draft.recent", tensor.I32, n.Seqs)}
	for i := range depth {
		b.Pos = append(b.Pos, g.Input(chainName("pos", i), tensor.I32, n.Seqs))
		b.Seq = append(b.Seq, g.Input(chainName("seq", i), tensor.I32, n.Seqs))
	}
	for _, w := range d.State().Windows() {
		b.Pages = append(b.Pages, PageGroup{w, g.Input(tableName(w), tensor.I32, n.Seqs, n.Pages)})
	}
	return b
}

// chainName is the name of an input of one draft of a chain.
func chainName(what string, i int) string { return fmt.Sprintf("draft.%s.%d", what, i) }

// tableName is the name of the input that holds the page table of a window.
func tableName(window int) string {
	if window == 0 {
		return "pages"
	}
	return fmt.Sprintf("pages.%d", window)
}
