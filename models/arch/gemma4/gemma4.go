package gemma4

import (
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

func init() { models.Register("gemma4", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Norms = nn.SandwichNorms
	d.EmbdScale = float32(math.Sqrt(float64(d.Embd)))
	d.LogitSoftcap = float32(k.FloatOr("final_logit_softcapping", 0, 0, 1e6))
	d.OutputScale = true
	if dim := k.IntOr("embedding_length_per_layer_input", 0, 0, models.MaxDim); dim > 0 {
		d.PerLayer = &nn.PerLayerInput{Embd: d.Embd, Vocab: d.Vocab, Layers: d.Layers, Dim: dim, Eps: d.Eps,
			Scale: float32(math.Sqrt(float64(dim)))}
	}
	mixers := attention(k, d)
	ffns := nn.ReadMLPs(k, d, ops.GeGLU)
	if k.IntOr("expert_count", 0, 0, models.MaxExperts) > 0 {
		d.Norms.FFN = "" // each of the two networks has its own
		moe := nn.ReadMoE(k, d)
		moe.Norm, moe.Act = true, ops.GeGLU
		for i, dense := range ffns {
			ffns[i] = &parallel{dense, moe, d.Eps}
		}
	}
	for i, m := range mixers {
		d.Blocks = append(d.Blocks, nn.Block{Mixer: m, FFN: ffns[i]})
	}
	return d, k.Err()
}

// attention returns the mixer of each layer. The last attention.shared_kv_layers have no keys and values of their own
// but read those of the last layer of their kind that has.
func attention(k *models.Keys, d *nn.Decoder) (mixers []nn.Mixer) {
	full := nn.ReadAttention(k, d)
	full.QKNorm, full.VNorm, full.KeysAsVals = nn.QKNormHeads, true, true
	if full.Scale == 0 {
		full.Scale = 1
	}
	full.RoPE = nn.ReadRoPE(k, d, full.HeadDim, ops.NeoX)
	full.RoPE.Factors = "rope_freqs.weight"

	local := *full
	local.KeysAsVals = false
	local.Window = nn.ReadWindow(k)
	local.HeadDim = k.IntOr("attention.key_length_swa", full.HeadDim, 1, models.MaxDim)
	if v := k.IntOr("attention.value_length_swa", local.HeadDim, 1, models.MaxDim); v != local.HeadDim {
		k.Fail("attention.value_length_swa %d differs from attention.key_length_swa %d", v, local.HeadDim)
	}
	local.RoPE = nn.ReadSlidingRoPE(k, d, local.HeadDim, ops.NeoX, 1e4)

	heads := k.PerLayer("attention.head_count_kv", d.Layers, 0, full.Heads)
	own := d.Layers - k.IntOr("attention.shared_kv_layers", 0, 0, d.Layers-1)
	if !k.Has("attention.sliding_window_pattern") {
		k.Fail("key attention.sliding_window_pattern is missing")
	}
	last := map[bool]int{}
	for i, sliding := range nn.ReadSliding(k, d, 6) {
		a := *full
		if sliding {
			a = local
		}
		if from, ok := last[sliding]; i >= own {
			if !ok {
				k.Fail("layer %d shares keys and values, but no layer of its kind has any", i)
			}
			a.KVHeads = heads[from]
			mixers = append(mixers, &nn.SharedAttention{Attention: &a, From: from})
			continue
		}
		last[sliding] = i
		if a.KVHeads = heads[i]; heads[i] == 0 || a.Heads%heads[i] != 0 {
			k.Fail("attention.head_count %d is not a multiple of attention.head_count_kv %d of layer %d", a.Heads,
				heads[i], i)
		}
		mixers = append(mixers, &a)
	}
	return mixers
}

// parallel is a dense network and a mixture of experts side by side, each between norms of its own. It takes the
// residual stream itself: the router sees that without the weights of either norm.
type parallel struct {
	dense nn.FFN
	moe   *nn.MoE
	eps   float32
}

// Weights of the router's norm, and the factor on each expert's weight as a matrix of one element.
const (
	routerNorm   = "ffn_gate_inp_norm"
	expertScales = "ffn_down_exps.scales"
)

// Specs adds both networks and their norms.
func (p *parallel) Specs(s *nn.Specs) {
	embd, experts := p.moe.Embd, p.moe.Experts
	s.Norm("ffn_norm", embd)
	p.dense.Specs(s)
	s.Norm("post_ffw_norm_1", embd)
	s.Norm("pre_ffw_norm_2", embd)
	p.moe.Specs(s)
	s.Norm("post_ffw_norm_2", embd)
	s.Add(models.WeightSpec{Name: routerNorm + ".weight", Shape: tensor.Shape{embd}, Vector: true,
		Inputs: []models.WeightSpec{{Name: "ffn_gate_inp.scale", Shape: tensor.Shape{embd}, Vector: true}},
		Derive: func(in [][]float32) ([]float32, error) {
			out := make([]float32, embd)
			for i, x := range in[0] {
				out[i] = float32(float64(x) / math.Sqrt(float64(embd)))
			}
			return out, nil
		}})
	s.Add(models.WeightSpec{Name: expertScales, Shape: tensor.Shape{experts, 1, 1}, Vector: true,
		Inputs: []models.WeightSpec{{Name: "ffn_down_exps.scale", Alt: []string{"ffn_gate_inp.per_expert_scale"},
			Shape: tensor.Shape{experts}, Vector: true}},
		Derive: func(in [][]float32) ([]float32, error) { return in[0], nil }})
}

// Build records both networks over h, the residual stream.
func (p *parallel) Build(g *ops.Graph, w models.Weights, h ops.Value) ops.Value {
	norm := func(name string, x ops.Value) ops.Value { return nn.RMSNorm(g, w, name, x, p.eps) }
	dense := norm("post_ffw_norm_1", p.dense.Build(g, w, norm("ffn_norm", h)))
	return ops.Add(g, dense, norm("post_ffw_norm_2", p.sparse(g, w, h)))
}

// sparse records the experts over h.
func (p *parallel) sparse(g *ops.Graph, w models.Weights, h ops.Value) ops.Value {
	norm := func(name string) ops.Value { return nn.RMSNorm(g, w, name, h, p.eps) }
	tokens, used := h.Shape().Rows(), p.moe.Used
	ids, weights := p.moe.Route(g, w, norm(routerNorm))
	weights = ops.MulMatExperts(g, ops.Reshape(g, weights, tokens, used, 1), w.Get(g, expertScales), ids)
	weights = ops.Reshape(g, weights, tokens, used)
	return p.moe.Mix(g, w, norm("pre_ffw_norm_2"), ids, weights)
}

// WithSlots implements nn.CachedFFN.
func (p *parallel) WithSlots(n int) nn.FFN {
	return &parallel{p.dense, p.moe.WithSlots(n).(*nn.MoE), p.eps}
}

// Split gives each rank parts of both networks.
func (p *parallel) Split(r nn.Ranks) ([]nn.FFN, error) {
	dense, err := nn.SplitFeed(p.dense, r)
	if err != nil {
		return nil, err
	}
	sparse, err := p.moe.Split(r)
	if err != nil {
		return nil, err
	}
	out := make([]nn.FFN, r.N)
	for i := range out {
		out[i] = &parallel{dense[i], sparse[i].(*nn.MoE), p.eps}
	}
	return out, nil
}

// BuildRanks records both networks of all ranks, which add what each of them makes before its norm.
func (p *parallel) BuildRanks(g *ops.Graph, ranks []nn.Rank, parts []nn.FFN, hs []ops.Value) []ops.Value {
	n := len(parts)
	feeds, xs, sparse := make([]nn.FFN, n), make([]ops.Value, n), make([]ops.Value, n)
	norm := func(r int, name string, x ops.Value) ops.Value {
		return nn.RMSNorm(g, ranks[r].Weights, name, x, p.eps)
	}
	for r, q := range parts {
		own := q.(*parallel)
		feeds[r], xs[r] = own.dense, norm(r, "ffn_norm", hs[r])
		sparse[r] = own.sparse(g, ranks[r].Weights, hs[r])
	}
	dense := nn.FeedRanks(g, ranks, feeds, xs)
	sparse = ops.AllReduce(g, sparse...)
	for r := range dense {
		dense[r] = ops.Add(g, norm(r, "post_ffw_norm_1", dense[r]), norm(r, "post_ffw_norm_2", sparse[r]))
	}
	return dense
}
