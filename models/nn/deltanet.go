package nn

import (
	"cmp"
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
	Dim                  int // of a head: values and, without KeyDim, keys
	KeyDim               int // of a head's keys; 0: Dim
	Conv                 int // length of the convolution's filters
	Eps                  float32
	NormEps              float32 // of the norm; 0: Eps
	Tiled                bool    // as in ops.GatedDeltaNetAttrs
	Twice                bool    // β is twice its sigmoid, so that the rule can turn signs

	split *deltaPart // of one rank; nil: the whole
}

type deltaPart struct {
	*part
	whole *DeltaNet
}

// keyDim, valueDim and convDim are the widths of the projections: q and k each, v, and all three.
func (d *DeltaNet) keyDim() int   { return d.KeyHeads * d.headDim() }
func (d *DeltaNet) valueDim() int { return d.ValueHeads * d.Dim }
func (d *DeltaNet) convDim() int  { return 2*d.keyDim() + d.valueDim() }

// headDim is the size of a head's keys.
func (d *DeltaNet) headDim() int { return cmp.Or(d.KeyDim, d.Dim) }

// Specs adds the projections, the filters, and the parameters of decay and norm. Files may hold ssm_alpha and
// ssm_beta as ssm_ba, and attn_qkv and attn_gate as ssm_in; rows of both are grouped by key head.
func (d *DeltaNet) Specs(s *Specs) {
	if d.split != nil {
		d.split.specs(s, d.split.whole.Specs)
		return
	}
	r, k := d.ValueHeads/d.KeyHeads, d.headDim()
	v := r * d.Dim // values of a key head
	in := func(at func(i int) int) models.Part {
		return models.Part{Name: "ssm_in", Of: d.convDim() + d.valueDim(), At: at}
	}
	ba := func(lo int) models.Part {
		return models.Part{Name: "ssm_ba", Of: 2 * d.ValueHeads, At: func(i int) int { return i/r*2*r + lo + i%r }}
	}
	// group returns the row of ssm_in where row i of a part lies that has n rows for each key head, from lo on.
	group := func(i, n, lo int) int { return i/n*2*(k+v) + lo + i%n }
	keys := models.Segment{Kind: "key heads", Units: d.KeyHeads, Size: k}
	values := models.Segment{Kind: "value heads", Units: d.ValueHeads, Size: d.Dim}
	each := byRows(models.Segment{Kind: "value heads", Units: d.ValueHeads, Size: 1})
	mixed := byRows(keys, keys, values)
	s.linear(models.WeightSpec{Name: "attn_qkv", Shape: tensor.Shape{d.convDim(), d.Embd}, Split: mixed,
		Part: in(func(i int) int {
			switch n := d.keyDim(); {
			case i < n:
				return group(i, k, 0)
			case i < 2*n:
				return group(i-n, k, k)
			default:
				return group(i-2*n, v, 2*k)
			}
		})}, false)
	s.linear(models.WeightSpec{Name: "attn_gate", Shape: tensor.Shape{d.valueDim(), d.Embd}, Split: byRows(values),
		Part: in(func(i int) int { return group(i, v, 2*k+v) })}, false)
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
		{Name: fmt.Sprintf("blk.%d.delta", layer), Shape: tensor.Shape{d.ValueHeads, d.Dim, d.headDim()}},
	}}
}

// Build records the mixer over x, [tokens, n_embd].
func (d *DeltaNet) Build(g *ops.Graph, w models.Weights, b *Step, layer int, x ops.Value) ops.Value {
	tokens := x.Shape().Rows()

	mixed := Linear(g, w, "attn_qkv", x)
	mixed = ops.SiLU(g, conv(g, w, b, layer, "ssm_conv1d", mixed))
	heads := func(lo, n, dim int) ops.Value {
		return ops.Reshape(g, ops.Slice(g, mixed, lo, lo+n*dim), tokens, n, dim)
	}
	q := ops.L2Norm(g, heads(0, d.KeyHeads, d.headDim()), d.Eps)
	k := ops.L2Norm(g, heads(d.keyDim(), d.KeyHeads, d.headDim()), d.Eps)
	v := heads(2*d.keyDim(), d.ValueHeads, d.Dim)

	beta := ops.Sigmoid(g, Linear(g, w, "ssm_beta", x))
	if d.Twice {
		beta = ops.Scale(g, beta, 2)
	}
	decay := ops.Softplus(g, ops.Add(g, Linear(g, w, "ssm_alpha", x), w.Get(g, "ssm_dt.bias")))
	decay = ops.Mul(g, decay, w.Get(g, "ssm_a"))
	o, _ := ops.GatedDeltaNet(g, q, k, v, decay, beta, b.State(g, fmt.Sprintf("blk.%d.delta", layer)), b.Starts,
		b.Slots,
		ops.GatedDeltaNetAttrs{Scale: float32(1 / math.Sqrt(float64(d.headDim()))), Tiled: d.Tiled})

	z := ops.Reshape(g, Linear(g, w, "attn_gate", x), tokens, d.ValueHeads, d.Dim)
	o = ops.Mul(g, RMSNorm(g, w, "ssm_norm", o, cmp.Or(d.NormEps, d.Eps)), ops.SiLU(g, z))
	return Linear(g, w, "ssm_out", ops.Reshape(g, o, tokens, d.valueDim()))
}

// ReadDeltaNet reads the head counts and sizes. ssm.v_head_reordered says whether value heads are stored tiled;
// without it, tiled does.
func ReadDeltaNet(k *models.Keys, dec *Decoder, tiled bool) *DeltaNet {
	d := readDeltaNet(k, dec, tiled)
	if d.KeyDim != d.Dim {
		k.Fail("ssm.inner_size %d is not ssm.time_step_rank %d times ssm.state_size %d", d.valueDim(), d.ValueHeads,
			d.KeyDim)
	}
	return d
}

// ReadUnevenDeltaNet is ReadDeltaNet for models whose values have another size than their keys, which is
// ssm.state_size: ssm.inner_size is that of all values.
func ReadUnevenDeltaNet(k *models.Keys, dec *Decoder) *DeltaNet { return readDeltaNet(k, dec, false) }

func readDeltaNet(k *models.Keys, dec *Decoder, tiled bool) *DeltaNet {
	d := &DeltaNet{Embd: dec.Embd, Eps: dec.Eps, Tiled: k.BoolOr("ssm.v_head_reordered", tiled)}
	d.KeyHeads = k.Int("ssm.group_count", 1, models.MaxHeads)
	d.ValueHeads = k.Int("ssm.time_step_rank", 1, models.MaxHeads)
	d.KeyDim = k.Int("ssm.state_size", 1, models.MaxDim)
	d.Conv = k.Int("ssm.conv_kernel", 2, 64)
	inner := k.Int("ssm.inner_size", 1, models.MaxDim)
	if d.Dim = inner / d.ValueHeads; d.Dim*d.ValueHeads != inner || d.Dim == 0 {
		k.Fail("ssm.inner_size %d is not a multiple of ssm.time_step_rank %d", inner, d.ValueHeads)
	}
	if d.ValueHeads%d.KeyHeads != 0 {
		k.Fail("ssm.time_step_rank %d is not a multiple of ssm.group_count %d", d.ValueHeads, d.KeyHeads)
	}
	return d
}
