package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// role is what a tensor does, as far as mixtures tell tensors apart.
type role int

const (
	other     role = iota
	output         // or the embedding that serves as output
	embedding      // of tokens
	attnV          // values, alone or fused with other projections
	attnK
	attnQ
	attnOutput
	ffnDown
	ffnGate
	ffnUp
)

// roles are found by the first part of a name that is there.
var roles = []struct {
	part string
	role role
}{
	{"attn_v.weight", attnV}, {"attn_qkv.weight", attnV}, {"attn_kv_b.weight", attnV},
	{"attn_k.weight", attnK}, {"attn_q.weight", attnQ}, {"attn_output.weight", attnOutput},
	{"ffn_down", ffnDown}, {"ffn_gate", ffnGate}, {"ffn_up", ffnUp},
}

// place is what rules may ask about a tensor.
type place struct {
	role    role
	i, n    int // its number among those of its role, and how many there are
	gqa     int // query heads for each KV head
	experts int // 1 for a dense model
	imatrix bool
}

// more holds for the first and last eighth of the layers and each third between: those where errors cost most.
func more(p place) bool { return p.i < p.n/8 || p.i >= 7*p.n/8 || (p.i-p.n/8)%3 == 2 }

func firstEighth(p place) bool { return p.i < p.n/8 }
func middle(p place) bool      { return p.i >= p.n/8 && p.i < 7*p.n/8 }
func manyGQA(p place) bool     { return p.gqa >= 4 }
func noImatrix(p place) bool   { return !p.imatrix }
func eight(p place) bool       { return p.experts == 8 }

// and holds where all conditions do.
func and(conds ...func(place) bool) func(place) bool {
	return func(p place) bool {
		for _, c := range conds {
			if !c(p) {
				return false
			}
		}
		return true
	}
}

// mixRule gives tensors of a role a type other than the mixture's base. The first rule that matches counts.
type mixRule struct {
	role   role
	ftypes []FType
	when   func(place) bool // nil: always
	use    tensor.DType
}

func of(f ...FType) []FType { return f }

// low are the mixtures of less than three bits by grids, which have rules of their own.
var low = of(IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ2_M)

// fourBits are the mixtures of at most four bits that give models of eight experts a better attn_output.
var fourBits = of(Q2_K, IQ3_XS, IQ3_XXS, IQ3_S, IQ3_M, Q3_K_S, Q3_K_M, IQ4_NL, IQ4_XS, Q4_K_S, Q4_K_M)

var mixRules = []mixRule{
	{embedding, of(IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS), nil, quant.Q2_K},
	{embedding, of(IQ2_S, IQ2_M, IQ3_XXS), nil, quant.IQ3_S},
	{embedding, of(TQ1_0, TQ2_0), nil, quant.Q4_K},

	{attnV, low, func(p place) bool { return p.gqa >= 4 || p.experts >= 4 }, quant.Q4_K},
	{attnV, of(IQ2_S, IQ2_M), nil, quant.IQ3_S},
	{attnV, low, nil, quant.Q2_K},
	{attnV, of(Q2_K, Q2_K_S), manyGQA, quant.Q4_K},
	{attnV, of(Q2_K), nil, quant.Q3_K},
	{attnV, of(IQ3_XXS, IQ3_XS, IQ3_S), manyGQA, quant.Q4_K},
	{attnV, of(IQ3_XXS), noImatrix, quant.IQ3_S},
	{attnV, of(IQ3_M), nil, quant.Q4_K},
	{attnV, of(Q3_K_M), func(p place) bool { return p.i < 2 }, quant.Q5_K},
	{attnV, of(Q3_K_M), nil, quant.Q4_K},
	{attnV, of(Q3_K_L), nil, quant.Q5_K},
	{attnV, of(IQ4_NL, IQ4_XS), manyGQA, quant.Q5_K},
	{attnV, of(Q4_K_M, Q5_K_M), more, quant.Q6_K},
	{attnV, of(Q4_K_S), func(p place) bool { return p.i < 4 }, quant.Q5_K},

	{attnK, low, eight, quant.Q4_K},
	{attnK, of(IQ3_XS), nil, quant.IQ3_XXS},
	{attnK, of(IQ3_XXS), nil, quant.IQ2_S},
	{attnQ, of(IQ3_XS), nil, quant.IQ3_XXS},
	{attnQ, of(IQ3_XXS), nil, quant.IQ2_S},

	{attnOutput, slices.Concat(low, fourBits), eight, quant.Q5_K},
	{attnOutput, of(IQ1_S, IQ1_M), nil, quant.IQ2_XXS},
	{attnOutput, of(IQ2_S, IQ2_M), nil, quant.IQ3_S},
	{attnOutput, of(Q2_K), nil, quant.Q3_K},
	{attnOutput, of(IQ3_XXS), nil, quant.IQ3_S},
	{attnOutput, of(Q3_K_M, IQ3_M), nil, quant.Q4_K},
	{attnOutput, of(Q3_K_L), eight, quant.Q3_K},
	{attnOutput, of(Q3_K_L), nil, quant.Q5_K},

	{ffnDown, of(IQ2_S, IQ2_M), firstEighth, quant.IQ3_S},
	{ffnDown, low, firstEighth, quant.Q2_K},
	{ffnDown, of(Q2_K), nil, quant.Q3_K},
	{ffnDown, of(Q2_K_S), firstEighth, quant.Q4_K},
	{ffnDown, of(IQ3_XXS), and(noImatrix, firstEighth), quant.Q4_K},
	{ffnDown, of(IQ3_XXS), noImatrix, quant.Q3_K},
	{ffnDown, of(Q3_K_M), func(p place) bool { return p.i < p.n/16 }, quant.Q5_K},
	{ffnDown, of(Q3_K_M), nil, quant.Q4_K},
	{ffnDown, of(Q3_K_L), nil, quant.Q5_K},
	{ffnDown, of(IQ3_M), firstEighth, quant.Q4_K},
	{ffnDown, of(IQ3_M), and(eight, more), quant.Q4_K},
	{ffnDown, of(Q4_K_M, Q5_K_M), more, quant.Q6_K},
	{ffnDown, of(Q4_K_S), firstEighth, quant.Q5_K},
	{ffnDown, of(IQ4_NL, IQ4_XS), and(noImatrix, firstEighth), quant.Q5_K},
	{ffnDown, of(Q4_0), and(func(p place) bool { return p.imatrix }, firstEighth), quant.Q4_1},
	{ffnDown, of(Q5_0), and(func(p place) bool { return p.imatrix }, firstEighth), quant.Q5_1},

	{ffnGate, of(IQ3_XS), middle, quant.IQ3_XXS},
	{ffnUp, of(IQ3_XS), middle, quant.IQ3_XXS},
}

// fallbacks replace a type whose blocks do not divide the rows of a tensor.
var fallbacks = map[tensor.DType]tensor.DType{
	quant.Q2_K: quant.Q4_0, quant.Q3_K: quant.Q4_0, quant.TQ1_0: quant.Q4_0, quant.TQ2_0: quant.Q4_0,
	quant.Q4_K: quant.Q5_0, quant.Q5_K: quant.Q5_1, quant.Q6_K: quant.Q8_0,
	quant.IQ1_S: quant.IQ4_NL, quant.IQ1_M: quant.IQ4_NL, quant.IQ2_XXS: quant.IQ4_NL, quant.IQ2_XS: quant.IQ4_NL,
	quant.IQ2_S: quant.IQ4_NL, quant.IQ3_XXS: quant.IQ4_NL, quant.IQ3_S: quant.IQ4_NL, quant.IQ4_XS: quant.IQ4_NL,
}

// keptParts are parts of the names of matrices that stay as they are: small ones where errors cost much.
var keptParts = []string{
	"_norm.weight", "ffn_gate_inp.weight", "ssm_conv1d", "shortconv.conv.weight", "altup", "laurel",
	"per_layer_model_proj",
	"position_embd", "pos_embd", "token_types", ".patch_embd", "attn_rel_b",
}

// quantizable reports whether a mixture may change the type of a tensor.
func quantizable(t gguf.TensorInfo) bool {
	dims := 0
	for i, n := range t.Shape {
		if n > 1 || dims > 0 || i == len(t.Shape)-1 {
			dims++
		}
	}
	return dims >= 2 && strings.HasSuffix(t.Name, "weight") &&
		!slices.ContainsFunc(keptParts, func(p string) bool { return strings.Contains(t.Name, p) })
}

// mixer gives each tensor of a model its type.
type mixer struct {
	ftype   FType
	base    tensor.DType
	imatrix bool

	layers, gqa, experts int
	seventy              bool // a model of 70B: eight heads share their values
	hasOutput            bool
	values               int // tensors of role attnV
}

// Types returns the type that each of tensors gets in a model with the given metadata. imatrix says that an importance
// matrix will be at hand: mixtures spend fewer bits then. tensors must be in the order of [SortTensors].
func Types(meta *gguf.Meta, tensors []gguf.TensorInfo, f FType, imatrix bool) ([]tensor.DType, error) {
	base, ok := f.base()
	if !ok {
		return nil, fmt.Errorf("convert: unknown type %v", f)
	}
	m := &mixer{ftype: f, base: base, imatrix: imatrix}
	if err := m.read(meta); err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	for _, t := range tensors {
		m.hasOutput = m.hasOutput || t.Name == "output.weight"
		if roleOf(t.Name) == attnV {
			m.values++
		}
	}
	counts := map[role]int{}
	out := make([]tensor.DType, len(tensors))
	for i, t := range tensors {
		if out[i] = t.DType; quantizable(t) {
			r := m.roleOf(t)
			out[i] = m.fit(t, m.typeOf(t, r, counts[r]))
			counts[r]++
		}
	}
	return out, nil
}

// read takes what rules depend on from the metadata.
func (m *mixer) read(meta *gguf.Meta) error {
	k := models.NewKeys(meta)
	m.layers = k.IntOr("block_count", 1, 1, models.MaxLayers)
	m.experts = max(1, k.IntOr("expert_count", 1, 0, models.MaxExperts))
	if err := k.Err(); err != nil {
		return err
	}
	largest := func(name string) int {
		ns, err := meta.Ints(k.Arch + "." + name)
		if err != nil || len(ns) == 0 {
			return 0
		}
		return int(slices.Max(ns))
	}
	heads, kv := largest("attention.head_count"), largest("attention.head_count_kv")
	if kv < 1 {
		kv = heads
	}
	m.gqa = 1
	if kv > 0 {
		m.gqa = heads / kv
	}
	m.seventy = m.layers == 80 && heads != kv && (k.Arch == "llama" || k.Arch == "qwen2")
	return nil
}

func roleOf(name string) role {
	for _, r := range roles {
		if strings.Contains(name, r.part) {
			return r.role
		}
	}
	return other
}

// roleOf is the role of t in this model: embeddings count as the output of models without one.
func (m *mixer) roleOf(t gguf.TensorInfo) role {
	switch t.Name {
	case "output.weight":
		return output
	case "token_embd.weight", "per_layer_token_embd.weight":
		if !m.hasOutput {
			return output
		}
		return embedding
	}
	return roleOf(t.Name)
}

// typeOf returns the type of t, the i-th of its role, without regard to its row length.
func (m *mixer) typeOf(t gguf.TensorInfo, r role, i int) tensor.DType {
	base := m.base
	f, _ := base.Format()
	switch {
	case f.Block == 1:
		return base
	case r == output && (m.ftype == MXFP4MoE || t.Shape.Last()%f.Block != 0):
		return quant.Q8_0
	case r == output && (m.ftype.in(low...) || m.ftype == IQ3_XXS):
		return quant.Q5_K
	case r == output && base != quant.Q8_0:
		return quant.Q6_K
	case m.ftype == MXFP4MoE && !(len(t.Shape) > 2 && t.Shape[0] > 1):
		return quant.Q8_0
	case r == output || m.ftype == MXFP4MoE:
		return base
	}
	p := place{role: r, i: i, n: m.layers, gqa: m.gqa, experts: m.experts, imatrix: m.imatrix}
	switch {
	case r == attnV:
		p.n = m.values
	case m.experts > 1 && !m.ftype.in(low...): // several tensors of a layer may share a role
		if layer := layerOf(t.Name); layer >= 0 {
			p.i = layer
		}
	}
	d := base
	for _, rule := range mixRules {
		if rule.role == r && m.ftype.in(rule.ftypes...) && (rule.when == nil || rule.when(p)) {
			d = rule.use
			break
		}
	}
	if m.ftype.in(low...) {
		return d
	}
	if r == attnV && m.seventy && (d == quant.Q3_K || d == quant.Q4_K) {
		d = quant.Q5_K
	}
	if (r == attnV || r == attnK) && m.experts == 8 {
		d = quant.Q8_0
	}
	return d
}

// fit replaces a type whose blocks do not divide the rows of t.
func (m *mixer) fit(t gguf.TensorInfo, d tensor.DType) tensor.DType {
	for {
		f, _ := d.Format()
		if t.Shape.Last()%f.Block == 0 {
			return d
		}
		var ok bool
		if d, ok = fallbacks[d]; !ok {
			return tensor.F16
		}
	}
}

// layerOf returns the layer that a tensor belongs to, -1 if to none.
func layerOf(name string) int {
	layer := -1
	if _, err := fmt.Sscanf(name, "blk.%d.", &layer); err != nil {
		return -1
	}
	return layer
}

// SortTensors returns tensors in the order in which llama-quantize processes and writes them: those of no layer first,
// then layer by layer, by name.
func SortTensors(tensors []gguf.TensorInfo) []gguf.TensorInfo {
	out := slices.Clone(tensors)
	slices.SortStableFunc(out, func(a, b gguf.TensorInfo) int {
		if d := layerOf(a.Name) - layerOf(b.Name); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
