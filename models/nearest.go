package models

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/kv"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Likeness says how a model of an unknown architecture differs from one of the architecture that is most like it. Kinds
// of tensors are names in which a star stands for the number of a layer or an expert; where shapes belong to them they
// stand behind, outermost first.
type Likeness struct {
	Arch    string   `json:"architecture"`      // "" if no architecture can read the metadata
	Also    []string `json:"also,omitempty"`    // architectures from which it differs as little
	Kinds   int      `json:"kinds"`             // that the model has
	Known   int      `json:"known"`             // of those, that Arch has a place for
	Keys    []string `json:"keys,omitempty"`    // of metadata that Arch needs and the model lacks
	Missing []string `json:"missing,omitempty"` // kinds that Arch needs and the model lacks
	Shapes  []string `json:"shapes,omitempty"`  // kinds of another shape than Arch makes of the metadata
	Extra   []string `json:"extra,omitempty"`   // kinds that Arch has no place for, with the ops that they look like
	Ops     []string `json:"ops,omitempty"`     // that Arch runs, and that Extra looks like
}

// distance counts what differs.
func (l *Likeness) distance() int { return len(l.Keys) + len(l.Missing) + len(l.Shapes) + len(l.Extra) }

// Nearest compares a model with all registered architectures, whatever its own is: with what each of them makes of the
// same metadata. Of those that are equally near, that is the nearest whose name begins like the model's.
func Nearest(meta *gguf.Meta, tensors []gguf.TensorInfo) *Likeness {
	own, err := meta.StringOr("general.architecture", "")
	if err != nil {
		own = ""
	}
	var all []*Likeness
	for _, arch := range Architectures() {
		if l := likeness(arch, own, meta, tensors); l != nil {
			all = append(all, l)
		}
	}
	if l := MostAlike(own, all); l != nil {
		return l
	}
	l := &Likeness{}
	l.compare(tensors, nil, nil)
	return l
}

// MostAlike returns the one of all that differs least from a model whose architecture is called own, with the names of
// those that differ as little; nil if none has a place for any of its tensors.
func MostAlike(own string, all []*Likeness) *Likeness {
	all = slices.DeleteFunc(all, func(l *Likeness) bool { return l.Known == 0 })
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *Likeness) int {
		return cmp.Or(a.distance()-b.distance(), min(1, len(b.Ops))-min(1, len(a.Ops)),
			shared(own, b.Arch)-shared(own, a.Arch))
	})
	best := all[0]
	for _, l := range all[1:] {
		if l.distance() == best.distance() && l.Arch != best.Arch && !slices.Contains(best.Also, l.Arch) {
			best.Also = append(best.Also, l.Arch)
		}
	}
	return best
}

// shared returns the length of what a and b begin with in common.
func shared(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// likeness compares a model, whose architecture is own, with another one; nil if that cannot read the metadata.
func likeness(arch, own string, meta *gguf.Meta, infos []gguf.TensorInfo) *Likeness {
	l := &Likeness{Arch: arch}
	m := l.parse(arch, own, meta)
	if m == nil {
		return nil
	}
	byName := map[string]gguf.TensorInfo{}
	for _, t := range infos {
		byName[t.Name] = t
	}
	used := map[string]bool{}
	w := Weights{tensors: map[string]tensor.Tensor{}}
	missing, shapes := kinds{}, kinds{}
	for _, spec := range m.Weights() {
		found := false
		for _, form := range spec.forms() {
			t, ok := byName[form.name]
			if !ok {
				continue
			}
			found, used[form.name] = true, true
			if form.shape != nil && !sameShape(t.Shape, form.shape) {
				shapes.add(t.Name, fmt.Sprintf("%v, not %v", t.Shape, form.shape))
			}
		}
		if !found && !spec.Optional && spec.Derive == nil {
			missing.add(spec.Name, fmt.Sprint(spec.Shape))
		}
		if found || !spec.Optional {
			w.tensors[spec.Name] = tensor.Tensor{Name: spec.Name, DType: tensor.F32, Shape: spec.Shape}
		}
	}
	l.Missing, l.Shapes = missing.list(), shapes.list()
	l.compare(infos, used, stepOps(m, w))
	return l
}

// compare takes from the tensors of a model what a known architecture, which uses some of them in these ops, has no
// place for.
func (l *Likeness) compare(infos []gguf.TensorInfo, used map[string]bool, ops []string) {
	all, known, needed, extra := map[string]bool{}, map[string]bool{}, map[string]bool{}, kinds{}
	for _, op := range ops {
		needed[op] = true
	}
	for _, t := range infos {
		all[Kind(t.Name)] = true
		if used[t.Name] {
			known[Kind(t.Name)] = true
		}
		if used[t.Name] && len(ops) > 0 {
			continue
		}
		reading := GuessOps(hints, t.Name, t.Shape)
		for _, op := range reading {
			needed[op] = true
		}
		if !used[t.Name] {
			extra.add(t.Name, fmt.Sprintf("%v: %s", t.Shape, ForOps(reading)))
		}
	}
	l.Kinds, l.Known, l.Extra, l.Ops = len(all), len(known), extra.list(), slices.Sorted(maps.Keys(needed))
}

// parse makes a model of arch from metadata that speaks of another one. Keys that it lacks are given a value, and
// listed.
func (l *Likeness) parse(arch, own string, meta *gguf.Meta) Model {
	as := &gguf.Meta{}
	for _, key := range meta.Keys() {
		v, _ := meta.Value(key)
		if rest, ok := strings.CutPrefix(key, own+"."); ok && own != "" {
			key = arch + "." + rest
		}
		if as.Set(key, v) != nil {
			return nil
		}
	}
	if as.Set("general.architecture", arch) != nil {
		return nil
	}
	const most = 12 // keys that a model which is like another lacks
	for range most {
		m, err := parsers[arch](as)
		var missing *gguf.MissingKeyError
		switch {
		case err == nil:
			return m
		case !errors.As(err, &missing):
			return nil
		}
		l.Keys = append(l.Keys, missing.Key)
		if as.Set(missing.Key, placeholder(missing.Key)) != nil {
			return nil
		}
	}
	return nil
}

// placeholder is a value that a key of this name may have.
func placeholder(key string) any {
	for _, part := range []string{"epsilon", "scale", "base", "factor", "alpha", "softcapping"} {
		if strings.Contains(key, part) {
			return float32(1)
		}
	}
	return uint32(1)
}

// form is a name under which a file may have a weight, with its shape there; nil if that follows from others.
type form struct {
	name  string
	shape tensor.Shape
}

// forms lists all names that a weight, or what it is derived from, may have in a file.
func (s WeightSpec) forms() (list []form) {
	if s.Derive == nil {
		for _, n := range s.names() {
			list = append(list, form{n, s.Shape})
		}
	}
	if s.Part.Name != "" {
		list = append(list, form{name: s.Part.Name})
	}
	if s.Stack != "" {
		for i := range s.Shape[0] {
			list = append(list, form{fmt.Sprintf(s.Stack, i), s.Shape[1:]})
		}
	}
	for _, in := range s.Inputs {
		list = append(list, in.forms()...)
	}
	return list
}

var numbers = regexp.MustCompile(`\.\d+(\.|$)`)

// Kind is a tensor's name with stars in place of the numbers of layers and experts.
func Kind(name string) string { return numbers.ReplaceAllString(name, ".*$1") }

// kinds are names of kinds with what is said of the first tensor of each.
type kinds map[string]string

func (k kinds) add(name, text string) {
	if n := Kind(name); k[n] == "" {
		k[n] = text
	}
}

func (k kinds) list() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(k)) {
		out = append(out, name+" "+k[name])
	}
	return out
}

// StepOps lists the ops of a step of m, with those of its optional weights that has names; none if the step cannot be
// recorded.
func StepOps(m Model, has func(name string) bool) []string {
	w := Weights{tensors: map[string]tensor.Tensor{}}
	for _, spec := range m.Weights() {
		if !spec.Optional || has(spec.Name) {
			w.tensors[spec.Name] = tensor.Tensor{Name: spec.Name, DType: tensor.F32, Shape: spec.Shape}
		}
	}
	return stepOps(m, w)
}

func stepOps(m Model, w Weights) (names []string) {
	ts, err := m.State().Tensors(kv.Storage{Pages: func(int) int { return 1 }, Slots: 1, KVType: tensor.F32,
		Type: tensor.F32})
	if err != nil {
		return nil
	}
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		states[t.Name] = t
	}
	g, _, err := Record(m, w, states, 0, Sizes{Tokens: 1, Seqs: 1, Pages: 1, Rows: 1})
	if err != nil {
		return nil
	}
	for _, n := range g.Nodes {
		if n.Op != nil && !n.Op.View && !slices.Contains(names, n.Op.Name) {
			names = append(names, n.Op.Name)
		}
	}
	return names
}

// Hint is a part of names of tensors, with the ops that read such tensors in the architectures that have them.
type Hint struct {
	Part string
	Ops  []*ops.Def
}

// hints are those of names in GGUF files, the most special first.
var hints = []Hint{
	{"token_embd.", []*ops.Def{ops.EmbedOp}},
	{"ssm_conv1d", []*ops.Def{ops.CausalConvOp}}, {"shortconv.conv", []*ops.Def{ops.CausalConvOp}},
	{"ssm_beta", []*ops.Def{ops.GatedDeltaNetOp}}, {"ssm_alpha", []*ops.Def{ops.GatedDeltaNetOp}},
	{"ssm_norm", []*ops.Def{ops.GatedRMSNormOp}},
	{"ssm_a", []*ops.Def{ops.SSMScanOp}}, {"ssm_d", []*ops.Def{ops.SSMScanOp}},
	{"attn_k_b.", []*ops.Def{ops.LatentAttentionOp}}, {"attn_v_b.", []*ops.Def{ops.LatentAttentionOp}},
	{"attn_kv_b.", []*ops.Def{ops.LatentAttentionOp}}, {"attn_sinks", []*ops.Def{ops.AttentionOp}},
	{"ffn_gate_inp.", []*ops.Def{ops.RouteOp, ops.MulMatOp}}, {"exp_probs_b", []*ops.Def{ops.RouteOp}},
	{"_exps.weight", []*ops.Def{ops.MulMatExpertsOp}}, {"_exps.bias", []*ops.Def{ops.AddExpertsOp}},
	{"rope_freqs", []*ops.Def{ops.RoPEOp}},
}

// GuessOps names the ops that a tensor looks made for: by the first hint that its name has, else by its ending and
// shape, outermost dimension first; nil if it looks like none.
func GuessOps(hints []Hint, name string, shape tensor.Shape) (names []string) {
	for _, h := range hints {
		if strings.Contains(name, h.Part) {
			for _, d := range h.Ops {
				names = append(names, d.Name)
			}
			return names
		}
	}
	switch matrix := len(trimOnes(shape)) > 1; {
	case strings.Contains(name, "norm.weight"):
		return []string{ops.RMSNormOp.Name}
	case strings.HasSuffix(name, "norm.bias"):
		return []string{ops.LayerNormOp.Name}
	case strings.HasSuffix(name, ".bias"):
		return []string{ops.AddOp.Name}
	case matrix && strings.HasSuffix(name, ".weight"):
		return []string{ops.MulMatOp.Name}
	}
	return nil
}

// ForOps says which ops something looks made for.
func ForOps(names []string) string {
	if len(names) == 0 {
		return "for no op of this program"
	}
	return "for " + strings.Join(names, " and ")
}
