package nn

import (
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Split gives each rank groups with their heads, or, where there are fewer groups than ranks, some ranks the same group
// and each other heads.
func (m *Mamba2) Split(r Ranks) ([]Mixer, error) {
	each := m.Heads / m.Groups
	shares, err := r.headGroups("heads", m.Groups, each)
	if err != nil {
		return nil, err
	}
	whole := m.Groups >= r.N
	out := make([]Mixer, r.N)
	for i, p := range parts(r.N) {
		sh := shares[i]
		own := *m
		own.split = &mambaPart{p, m, sh.heads(each), whole}
		own.Groups, own.Heads = sh.groups.Len(), own.split.heads.Len()
		p.units["heads"], p.units["groups"] = []models.Range{own.split.heads}, []models.Range{sh.groups}
		p.units["normalized groups"] = p.units["groups"]
		if !whole {
			p.units["normalized groups"] = []models.Range{{Lo: 0, Hi: m.Groups}}
		}
		out[i] = &own
	}
	return out, nil
}

// buildRanks records the heads of all ranks. Where ranks share a group, its norm takes what all of them make.
func (m *Mamba2) buildRanks(g *ops.Graph, ranks []Rank, parts []Mixer, layer int, xs []ops.Value) []ops.Value {
	ys := make([]ops.Value, len(parts))
	if m.split.whole || !ranks[0].Weights.Has("ssm_norm.weight") {
		for r, p := range parts {
			ys[r] = p.Build(g, ranks[r].Weights, ranks[r].Step, layer, xs[r])
		}
		return ys
	}
	for r, p := range parts {
		ys[r] = p.(*Mamba2).scan(g, ranks[r].Weights, ranks[r].Step, layer, xs[r])
	}
	ys = ops.AllGather(g, ys...)
	if g.Err() != nil {
		return make([]ops.Value, len(parts))
	}
	for r, p := range parts {
		sp := p.(*Mamba2).split
		y := sp.of.norm(g, ranks[r].Weights, ys[r])
		y = ops.Slice(g, y, sp.heads.Lo*m.HeadDim, sp.heads.Hi*m.HeadDim)
		ys[r] = Linear(g, ranks[r].Weights, "ssm_out", y)
	}
	return ys
}
