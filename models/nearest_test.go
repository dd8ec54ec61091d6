package models_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/tensor"
)

// unknownModel is a tiny model of arch under another name, with the tensors that it needs.
func unknownModel(t *testing.T, arch string) (*gguf.Meta, []gguf.TensorInfo) {
	t.Helper()
	from := tiny.Meta(arch)
	m := newModel(t, from)
	src := tiny.Weights(m, tensor.F32, 1)
	var infos []gguf.TensorInfo
	for _, s := range m.Weights() {
		if info, ok := src.Tensor(s.Name); ok {
			infos = append(infos, info)
		}
	}
	own, err := from.String("general.architecture")
	if err != nil {
		t.Fatal(err)
	}
	meta := &gguf.Meta{}
	for _, key := range from.Keys() {
		v, _ := from.Value(key)
		if key == "general.architecture" {
			v = "qwen4x"
		}
		if err := meta.Set(strings.Replace(key, own+".", "qwen4x.", 1), v); err != nil {
			t.Fatal(err)
		}
	}
	return meta, infos
}

// TestNearest compares models under a name that nobody knows: with themselves nothing differs, and what is changed is
// told.
func TestNearest(t *testing.T) {
	t.Parallel()
	for arch, ops := range map[string][]string{
		"qwen3": {"attention", "mul_mat"}, "qwen35moe": {"gated_delta_net", "mul_mat_experts", "route"},
		"deepseek2": {"latent_attention"}, "mamba2": {"ssm_scan"}, "gemma3": {"geglu"},
	} {
		meta, infos := unknownModel(t, arch)
		l := models.Nearest(meta, infos)
		if l == nil || l.Known != l.Kinds || len(l.Keys)+len(l.Missing)+len(l.Shapes)+len(l.Extra) > 0 {
			t.Errorf("%s: %+v", arch, l)
			continue
		}
		for _, op := range ops {
			if !slices.Contains(l.Ops, op) && l.Arch == arch {
				t.Errorf("%s: ops %q, want %s", arch, l.Ops, op)
			}
		}
	}

	meta, infos := unknownModel(t, "qwen3")
	infos = slices.DeleteFunc(infos, func(i gguf.TensorInfo) bool { return strings.HasSuffix(i.Name, "ffn_norm.weight") })
	for i := range infos {
		if strings.HasSuffix(infos[i].Name, "attn_output.weight") {
			infos[i].Shape = tensor.Shape{64, 48}
		}
	}
	infos = append(infos, gguf.TensorInfo{Name: "blk.0.ssm_conv1d.weight", Shape: tensor.Shape{64, 4}},
		gguf.TensorInfo{Name: "blk.1.ssm_conv1d.weight", Shape: tensor.Shape{64, 4}},
		gguf.TensorInfo{Name: "blk.0.time_mix_decay", Shape: tensor.Shape{64}})
	meta.Delete("qwen4x.attention.layer_norm_rms_epsilon")
	l := models.Nearest(meta, infos)
	if l == nil || l.Arch != "qwen3" || !slices.Contains(l.Also, "hunyuan-dense") {
		t.Fatalf("the nearest is %+v", l)
	}
	for what, x := range map[string]struct{ got, want []string }{
		"missing": {l.Missing, []string{"blk.*.ffn_norm.weight [64]"}},
		"keys":    {l.Keys, []string{"qwen3.attention.layer_norm_rms_epsilon"}},
		"extra": {l.Extra, []string{"blk.*.ssm_conv1d.weight [64 4]: for causal_conv",
			"blk.*.time_mix_decay [64]: for no op of this program"}},
	} {
		if !slices.Equal(x.got, x.want) {
			t.Errorf("%s: %q, want %q", what, x.got, x.want)
		}
	}
	if len(l.Shapes) != 1 || !strings.HasPrefix(l.Shapes[0], "blk.*.attn_output.weight [64 48], not [64 ") {
		t.Errorf("shapes %q", l.Shapes)
	}
	if !slices.Contains(l.Ops, "causal_conv") || l.Kinds != l.Known+2 {
		t.Errorf("ops %q, %d kinds of %d", l.Ops, l.Known, l.Kinds)
	}
}

// TestNearestNothing has nothing that any architecture could read.
func TestNearestNothing(t *testing.T) {
	t.Parallel()
	if l := models.Nearest(&gguf.Meta{}, nil); l.Arch != "" || l.Kinds > 0 {
		t.Errorf("%+v", l)
	}
	infos := []gguf.TensorInfo{{Name: "time_mix", Shape: tensor.Shape{3}}}
	l := models.Nearest(&gguf.Meta{}, infos)
	if l.Arch != "" || !slices.Equal(l.Extra, []string{"time_mix [3]: for no op of this program"}) {
		t.Errorf("%+v", l)
	}
}
