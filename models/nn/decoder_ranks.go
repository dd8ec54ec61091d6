package nn

import (
	"fmt"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// rankBlocks is what one rank has of a model.
type rankBlocks struct {
	part   *part // nil: all of it, of a model that is whole
	blocks []Block
}

// suffix is that of the rank's states.
func (r rankBlocks) suffix() string {
	if r.part == nil {
		return ""
	}
	return models.RankName("", r.part.rank)
}

// What ranks have of the tensors outside of blocks: columns of the embedding, which all gather, and rows of the output
// matrix.
const (
	embdColumns = "token_embd"
	vocabRows   = "output"
)

// parts returns the ranks of d, one if it is whole.
func (d *Decoder) parts() []rankBlocks {
	if d.ranks != nil {
		return d.ranks
	}
	return []rankBlocks{{blocks: d.Blocks}}
}

// Split implements [models.Splitter].
func (d *Decoder) Split(n int, block func(kind string) int) (models.Model, error) {
	if d.ranks != nil {
		return nil, fmt.Errorf("it is split already")
	}
	r := Ranks{n, block}
	embd, err := r.columns(embdColumns, d.Embd)
	if err != nil {
		return nil, err
	}
	vocab, err := r.columns(vocabRows, d.Vocab)
	if err != nil {
		return nil, err
	}
	out := *d
	for i, p := range parts(n) {
		p.units[embdColumns], p.units[vocabRows] = embd[i:i+1], vocab[i:i+1]
		out.ranks = append(out.ranks, rankBlocks{p, make([]Block, len(d.Blocks))})
	}
	for i, b := range d.Blocks {
		mixers, err := splitMixer(b.Mixer, r)
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		ffns := make([]FFN, n)
		if b.FFN != nil {
			if ffns, err = SplitFeed(b.FFN, r); err != nil {
				return nil, fmt.Errorf("layer %d: %w", i, err)
			}
		}
		for rank := range n {
			out.ranks[rank].blocks[i] = Block{mixers[rank], ffns[rank], b.Bare, b.Norms}
		}
	}
	return &out, nil
}

func splitMixer(m Mixer, r Ranks) ([]Mixer, error) {
	s, ok := m.(SplitMixer)
	if !ok {
		return nil, fmt.Errorf("%T is not known in parts", m)
	}
	return s.Split(r)
}

// SplitFeed returns what each rank runs of f, or an error if that cannot be divided.
func SplitFeed(f FFN, r Ranks) ([]FFN, error) {
	s, ok := f.(SplitFFN)
	if !ok {
		return nil, fmt.Errorf("%T is not known in parts", f)
	}
	return s.Split(r)
}

// begin returns the ranks with their weights and states as a step finds them.
func (d *Decoder) begin(w models.Weights, b models.Batch) []Rank {
	if d.ranks == nil {
		return []Rank{{w, NewStep(b)}}
	}
	out := make([]Rank, len(d.ranks))
	for i, r := range d.ranks {
		out[i] = Rank{w.Rank(i), newStep(b, r.suffix())}
	}
	return out
}

// mixers and ffns return the parts of a layer.
func (d *Decoder) mixers(layer int) []Mixer {
	var out []Mixer
	for _, r := range d.parts() {
		out = append(out, r.blocks[layer].Mixer)
	}
	return out
}

func (d *Decoder) ffns(layer int) []FFN {
	var out []FFN
	for _, r := range d.parts() {
		out = append(out, r.blocks[layer].FFN)
	}
	return out
}

// embed records what enters the first layer, for each rank: [tokens, n_embd].
func (d *Decoder) embed(g *ops.Graph, ranks []Rank, b models.Batch) []ops.Value {
	hs := make([]ops.Value, len(ranks))
	for r, rank := range ranks {
		hs[r] = ops.Embed(g, rank.Weights.Get(g, "token_embd.weight"), b.Tokens)
	}
	if len(hs) > 1 {
		if hs = ops.AllGather(g, hs...); g.Err() != nil {
			return make([]ops.Value, len(ranks))
		}
	}
	for r, h := range hs {
		h = scale(g, h, d.EmbdScale)
		if b.Embeds.Valid() {
			h = ops.ReplaceRows(g, h, b.Embeds, b.EmbedIDs)
		}
		if d.Encoder != nil {
			h = d.Encoder.input(g, ranks[r].Weights, d, b, h)
		}
		hs[r] = h
	}
	return hs
}

// logits multiplies hs, the hidden states of each rank, by the output matrix; the result is rank 0's. Where the
// embedding stands in for that, ranks have columns of it.
func (d *Decoder) logits(g *ops.Graph, ranks []Rank, hs []ops.Value) ops.Value {
	if len(ranks) == 1 {
		return Logits(g, ranks[0].Weights, hs[0])
	}
	ys := make([]ops.Value, len(ranks))
	rows := ranks[0].Weights.Has("output.weight")
	for r, rank := range ranks {
		x := hs[r]
		if !rows {
			own := d.ranks[r].part.units[embdColumns][0]
			x = ops.Slice(g, x, own.Lo, own.Hi)
		}
		ys[r] = Logits(g, rank.Weights, x)
	}
	if rows {
		ys = ops.AllGather(g, ys...)
	} else {
		ys = ops.AllReduce(g, ys...)
	}
	if g.Err() != nil {
		return ops.Value{}
	}
	return ys[0]
}
