package nn

import (
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// DeltaNet is the gated DeltaNet mixer: short convolution and SiLU over q, k and v, unit-length q and k, the gated
// delta rule, then a norm gated by SiLU(z). ssm_a holds -exp(A).
type DeltaNet struct {
	Embd                 int
	KeyHeads, ValueHeads int
	Dim                  int // of a head: keys and values
	Conv                 int // length of the convolution's filters
	Eps                  float32
	Tiled                bool // as in ops.GatedDeltaNetAttrs

	split *deltaPart // of one rank; nil: the whole
}

type deltaPart struct {
	*part
	whole *DeltaNet
}

// keyDim, valueDim and convDim are the widths of the projections: q and k each, v, and all three.
func (d *DeltaNet) keyDim() int   { return d.KeyHeads * d.Dim }
func (d *DeltaNet) valueDim() int { return d.ValueHeads * d.Dim }
func (d *DeltaNet) convDim() int  { return 2*d.keyDim() + d.valueDim() }

// Specs adds the projections, the filters, and the parameters of decay and norm. Files may hold ssm_alpha and
// ssm_beta as ssm_ba, and attn_qkv and attn_gate as ssm_in; rows of both are grouped by key head.
func (d *DeltaNet) Specs(s *Specs) {
	if d.split != nil {
		d.split.specs(s, d.split.whole.Specs)
		return
	}
	r := d.ValueHeads / d.KeyHeads
	v := r * d.Dim // values of a key head
	in := func(at func(i int) int) models.Part {
		return models.Part{Name: "ssm_in", Of: d.convDim() + d.valueDim(), At: at}
	}
	ba := func(lo int) models.Part {
		return models.Part{Name: "ssm_ba", Of: 2 * d.ValueHeads, At: func(i int) int { return i/r*2*r + lo + i%r }}
	}
	// group returns the row of ssm_in where row i of a part lies that has n rows for each key head, from lo on.
	group := func(i, n, lo int) int { return i/n*2*(d.Dim+v) + lo + i%n }
	keys := models.Segment{Kind: "key heads", Units: d.KeyHeads, Size: d.Dim}
	values := models.Segment{Kind: "value heads", Units: d.ValueHeads, Size: d.Dim}
	each := byRows(models.Segment{Kind: "value heads", Units: d.ValueHeads, Size: 1})
	mixed := byRows(keys, keys, values)
	s.linear(models.WeightSpec{Name: "attn_qkv", Shape: tensor.Shape{d.convDim(), d.Embd}, Split: mixed,
		Part: in(func(i int) int {
			switch k := d.keyDim(); {
			case i < k:
				return group(i, d.Dim, 0)
			case i < 2*k:
				return group(i-k, d.Dim, d.Dim)
			default:
				return group(i-2*k, v, 2*d.Dim)
			}
		})}, false)
	s.linear(models.WeightSpec{Name: "attn_gate", Shape: tensor.Shape{d.valueDim(), d.Embd}, Split: byRows(values),
		Part: in(func(i int) int { return group(i, v, 2*d.Dim+v) })}, false)
	perHead := tensor.Shape{d.ValueHeads, d.Embd}
	s.linear(models.WeightSpec{Name: "ssm_beta", Shape: perHead, Part: ba(0), Split: each}, false)
	s.linear(models.WeightSpec{Name: "ssm_alpha", Shape: perHead, Part: ba(r), Split: each}, false)
	s.SplitLinear("ssm_out", d.Embd, d.valueDim(), byColumns(values))
	s.splitVector("ssm_conv1d.weight", mixed, d.convDim(), d.Conv)
	s.Add(models.WeightSpec{Name: "ssm_dt.bias", Alt: []string{"ssm_dt"}, Shape: tensor.Shape{d.ValueHeads},
		Vector: true, Split: each})
	s.splitVector("ssm_a", each, d.ValueHeads)
	s.Norm("ssm_norm", d.Dim)
}

// Split gives each rank key heads and the value heads that they serve, or, where there are fewer key heads than ranks,
// some ranks the same key head and each other value heads.
func (d *DeltaNet) Split(r Ranks) ([]Mixer, error) {
	each := d.ValueHeads / d.KeyHeads
	shares, err := r.headGroups("value heads", d.KeyHeads, each)
	if err != nil {
		return nil, err
	}
	out := make([]Mixer, r.N)
	for i, p := range parts(r.N) {
		sh := shares[i]
		values := []models.Range{sh.heads(each)}
		if d.Tiled {
			values = nil
			for tile := sh.within.Lo; tile < sh.within.Hi; tile++ {
				values = append(values, models.Range{Lo: tile*d.KeyHeads + sh.groups.Lo, Hi: tile*d.KeyHeads + sh.groups.Hi})
			}
		}
		p.units["key heads"], p.units["value heads"] = []models.Range{sh.groups}, values
		own := *d
		own.KeyHeads, own.ValueHeads = sh.groups.Len(), sh.groups.Len()*sh.within.Len()
		own.split = &deltaPart{p, d}
		out[i] = &own
	}
	return out, nil
}

// State lists the convolution window and the matrix of each value head.
func (d *DeltaNet) State(layer int) kv.Spec {
	return kv.Spec{Slots: []kv.Slot{
		{Name: convName(layer), Shape: tensor.Shape{d.Conv - 1, d.convDim()}},
		{Name: fmt.Sprintf("blk.%d.delta", layer), Shape: tensor.Shape{d.ValueHeads, d.Dim, d.Dim}},
	}}
}

// Build records the mixer over x, [tokens, n_embd].
func (d *DeltaNet) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()

	mixed := Linear(g, w, "attn_qkv", x)
	mixed = ops.SiLU(g, conv(g, w, b, layer, "ssm_conv1d", mixed))
	heads := func(lo, n int) ops.Value {
		return ops.Reshape(g, ops.Slice(g, mixed, lo, lo+n*d.Dim), tokens, n, d.Dim)
	}
	q := ops.L2Norm(g, heads(0, d.KeyHeads), d.Eps)
	k := ops.L2Norm(g, heads(d.keyDim(), d.KeyHeads), d.Eps)
	v := heads(2*d.keyDim(), d.ValueHeads)

	beta := ops.Sigmoid(g, Linear(g, w, "ssm_beta", x))
	decay := ops.Softplus(g, ops.Add(g, Linear(g, w, "ssm_alpha", x), w.Get(g, "ssm_dt.bias")))
	decay = ops.Mul(g, decay, w.Get(g, "ssm_a"))
	o, _ := ops.GatedDeltaNet(g, q, k, v, decay, beta, b.State(g, fmt.Sprintf("blk.%d.delta", layer)), b.Starts,
		b.Slots,
		ops.GatedDeltaNetAttrs{Scale: float32(1 / math.Sqrt(float64(d.Dim))), Tiled: d.Tiled})

	z := ops.Reshape(g, Linear(g, w, "attn_gate", x), tokens, d.ValueHeads, d.Dim)
	o = ops.Mul(g, RMSNorm(g, w, "ssm_norm", o, d.Eps), ops.SiLU(g, z))
	return Linear(g, w, "ssm_out", ops.Reshape(g, o, tokens, d.valueDim()))
}

// ReadDeltaNet reads the head counts and sizes. ssm.v_head_reordered says whether value heads are stored tiled;
// without it, tiled does.
func ReadDeltaNet(k *models.Keys, dec *Decoder, tiled bool) *DeltaNet {
	d := &DeltaNet{Embd: dec.Embd, Eps: dec.Eps, Tiled: k.BoolOr("ssm.v_head_reordered", tiled)}
	d.KeyHeads = k.Int("ssm.group_count", 1, models.MaxHeads)
	d.ValueHeads = k.Int("ssm.time_step_rank", 1, models.MaxHeads)
	d.Dim = k.Int("ssm.state_size", 1, models.MaxDim)
	d.Conv = k.Int("ssm.conv_kernel", 2, 64)
	if inner := k.Int("ssm.inner_size", 1, models.MaxDim); inner != d.valueDim() {
		k.Fail("ssm.inner_size %d is not ssm.time_step_rank %d times ssm.state_size %d", inner, d.ValueHeads, d.Dim)
	}
	if d.ValueHeads%d.KeyHeads != 0 {
		k.Fail("ssm.time_step_rank %d is not a multiple of ssm.group_count %d", d.ValueHeads, d.KeyHeads)
	}
	return d
}
