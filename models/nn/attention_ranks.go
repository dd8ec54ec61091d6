package nn

import (
	"errors"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// attentionPart is the heads of attention that a rank has.
type attentionPart struct {
	*part
	whole   *Attention
	keys    models.Range // heads of keys and values
	queries models.Range // heads of queries
}

// Split gives each rank heads of keys and values with the queries that read them. Where there are fewer than ranks,
// some ranks have the same keys and values, and each other queries of them.
func (a *Attention) Split(r Ranks) ([]Mixer, error) {
	ps, err := a.divide(r)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range ps {
		out[i] = p
	}
	return out, nil
}

func (a *Attention) divide(r Ranks) ([]*Attention, error) {
	each := a.Heads / a.KVHeads
	shares, err := r.headGroups("heads of queries", a.KVHeads, each)
	if err != nil {
		return nil, err
	}
	if a.QKNorm == QKNormWhole && (a.KeysAsVals || a.Gated || a.RoPEFirst) {
		return nil, errors.New("a norm of all heads together is not known with keys as values, a gate or rotation first")
	}
	out := make([]*Attention, r.N)
	for i, p := range parts(r.N) {
		sh := shares[i]
		own := *a
		own.split = &attentionPart{p, a, sh.groups, sh.heads(each)}
		own.KVHeads, own.Heads = sh.groups.Len(), own.split.queries.Len()
		if own.Scale == 0 {
			own.Scale = a.scale()
		}
		p.units["heads"] = []models.Range{own.split.queries}
		p.units["values"] = []models.Range{own.split.keys}
		p.units["keys"] = p.units["values"]
		if a.QKNorm == QKNormWhole {
			own.QKNorm = NoQKNorm // buildRanks normalizes
			if a.KVHeads < r.N {
				p.units["keys"] = []models.Range{{Lo: 0, Hi: a.KVHeads}}
			}
		}
		out[i] = &own
	}
	return out, nil
}

// buildRanks records the heads of all ranks. A norm of all heads together takes the projections of all ranks.
func (a *Attention) buildRanks(g *ops.Graph, ranks []Rank, parts []Mixer, layer int, xs []ops.Value) []ops.Value {
	n := len(parts)
	out, q, k := make([]ops.Value, n), make([]ops.Value, n), make([]ops.Value, n)
	for r := range parts {
		k[r] = Linear(g, ranks[r].Weights, "attn_k", xs[r])
	}
	if whole := a.split.whole; whole.QKNorm == QKNormWhole {
		for r := range parts {
			q[r] = Linear(g, ranks[r].Weights, "attn_q", xs[r])
		}
		q = ops.AllGather(g, q...)
		if whole.KVHeads >= n { // else each rank has the keys of all heads
			k = ops.AllGather(g, k...)
		}
		if g.Err() != nil {
			return out
		}
		for r, p := range parts {
			sp := p.(*Attention).split
			own := func(name string, x ops.Value, heads models.Range) ops.Value {
				x = RMSNorm(g, ranks[r].Weights, name, x, a.Eps)
				return ops.Slice(g, x, heads.Lo*a.HeadDim, heads.Hi*a.HeadDim)
			}
			q[r], k[r] = own("attn_q_norm", q[r], sp.queries), own("attn_k_norm", k[r], sp.keys)
		}
	}
	for r, p := range parts {
		out[r] = p.(*Attention).build(g, ranks[r].Weights, ranks[r].Step, layer, xs[r], k[r], q[r])
	}
	return out
}

// Split gives each rank the queries that read the keys and values that it has of layer From.
func (a *SharedAttention) Split(r Ranks) ([]Mixer, error) {
	if a.QKNorm == QKNormWhole {
		return nil, errors.New("a norm of all heads together is not known where layers share keys and values")
	}
	ps, err := a.divide(r)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range ps {
		out[i] = &SharedAttention{p, a.From}
	}
	return out, nil
}

// buildRanks records the queries of all ranks.
func (a *SharedAttention) buildRanks(g *ops.Graph, ranks []Rank, parts []Mixer, layer int,
	xs []ops.Value) []ops.Value {
	out := make([]ops.Value, len(parts))
	for r, p := range parts {
		out[r] = p.Build(g, ranks[r].Weights, ranks[r].Step, layer, xs[r])
	}
	return out
}
