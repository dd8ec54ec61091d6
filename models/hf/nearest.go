package hf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// probe collects what a family misses in a folder.
type probe struct {
	missing  map[string]bool // kinds of tensors
	problems []string
}

// Nearest compares a folder of an unknown model class with all families, and returns how it differs from the one that
// is most like it: tensors are spelled as the folder does. It has no architecture if no family can read config.json.
func Nearest(dir string) (*models.Likeness, error) {
	root, err := readObject(dir, "config.json")
	if err != nil || root == nil {
		return nil, errors.Join(err, fmt.Errorf("hf: %s: config.json cannot be read", dir))
	}
	files, err := openTensors(dir)
	if err != nil {
		return nil, fmt.Errorf("hf: %s: %w", dir, err)
	}
	defer files.close()
	own := newConfig("config.json", root).str("model_type")
	var all []*models.Likeness
	for _, name := range Models() {
		if l := likeness(dir, name, root, files); l != nil {
			all = append(all, l)
		}
	}
	if l := models.MostAlike(own, all); l != nil {
		return l, nil
	}
	return (&builder{family: &family{}, stored: files.byName}).likeness(), nil
}

// likeness compares a folder with the family of a model class; nil if the family cannot read its configuration.
func likeness(dir, name string, root object, files *tensors) (l *models.Likeness) {
	defer func() {
		// Families take it that nothing follows an error. Here it does, and a family that cannot bear it is none to
		// compare with.
		if recover() != nil {
			l = nil
		}
	}()
	as := maps.Clone(root)
	as["architectures"] = []any{name}
	fam, err := findFamily(as)
	if err != nil {
		return nil
	}
	b := &builder{dir: dir, family: fam, cfg: newConfig("config.json", as), files: files,
		stored: maps.Clone(files.byName), used: map[string]bool{}, meta: &gguf.Meta{}, entries: map[string]*entry{}}
	b.setKey("general.architecture", b.arch)
	for _, step := range []func(){b.quantization, b.unpack, b.commonKeys, b.findPrefix} {
		if step(); b.firstErr() != nil {
			return nil
		}
	}
	b.probe = &probe{missing: map[string]bool{}}
	for _, step := range []func(){b.head, b.familyKeys, func() { b.family.tensors(b) }} {
		if step(); b.firstErr() != nil {
			return nil
		}
	}
	return b.likeness()
}

// likeness says what b found.
func (b *builder) likeness() *models.Likeness {
	l := &models.Likeness{Arch: b.arch}
	var recorded []string
	if b.probe != nil {
		l.Shapes, l.Missing = b.probe.problems, sortedKeys(b.probe.missing)
		if m, err := models.New(b.meta); err == nil {
			recorded = models.StepOps(m, func(name string) bool { return b.entries[name] != nil })
		}
	}
	all, known, extra, needed := map[string]bool{}, map[string]bool{}, map[string]string{}, map[string]bool{}
	for _, op := range recorded {
		needed[op] = true
	}
	for _, name := range sortedKeys(b.stored) {
		kind, reading := models.Kind(name), models.GuessOps(hints, name, b.stored[name].shape)
		has := func(end func(s, part string) bool) func(string) bool {
			return func(part string) bool { return end(name, part) }
		}
		switch {
		case b.used[name]:
			known[kind] = true
		case slices.ContainsFunc(ignored, has(strings.HasSuffix)), slices.ContainsFunc(towers, has(strings.HasPrefix)):
			continue
		case extra[kind] == "":
			extra[kind] = fmt.Sprintf("%s %v: %s", kind, b.stored[name].shape, models.ForOps(reading))
		}
		all[kind] = true
		for _, op := range reading {
			if !b.used[name] || recorded == nil {
				needed[op] = true
			}
		}
	}
	l.Kinds, l.Known, l.Ops = len(all), len(known), sortedKeys(needed)
	for _, kind := range sortedKeys(extra) {
		l.Extra = append(l.Extra, extra[kind])
	}
	return l
}

// hints are those of names that transformers' models give tensors, the most special first.
var hints = []models.Hint{
	{Part: "embed_tokens", Ops: []*ops.Def{ops.EmbedOp}},
	{Part: "conv1d", Ops: []*ops.Def{ops.CausalConvOp}}, {Part: ".conv.conv", Ops: []*ops.Def{ops.CausalConvOp}},
	{Part: "linear_attn.", Ops: []*ops.Def{ops.GatedDeltaNetOp}},
	{Part: "A_log", Ops: []*ops.Def{ops.SSMScanOp}}, {Part: "dt_bias", Ops: []*ops.Def{ops.SSMScanOp}},
	{Part: "kv_a_proj", Ops: []*ops.Def{ops.LatentAttentionOp}},
	{Part: "kv_b_proj", Ops: []*ops.Def{ops.LatentAttentionOp}},
	{Part: ".sinks", Ops: []*ops.Def{ops.AttentionOp}}, {Part: ".experts.", Ops: []*ops.Def{ops.MulMatExpertsOp}},
	{Part: "router.", Ops: []*ops.Def{ops.RouteOp, ops.MulMatOp}},
	{Part: ".gate.weight", Ops: []*ops.Def{ops.RouteOp, ops.MulMatOp}},
	{Part: "e_score_correction_bias", Ops: []*ops.Def{ops.RouteOp}},
}
