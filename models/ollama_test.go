package models_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/tiny"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/tensor"
)

// TestOllama checks that files of Ollama, which name keys and tensors otherwise, give the same logits, bit for bit.
func TestOllama(t *testing.T) {
	t.Run("gptoss", func(t *testing.T) {
		theirs, ours := newModel(t, tiny.Meta("gptoss")), newModel(t, tiny.Meta("gpt-oss"))
		src := tiny.Weights(ours, tensor.F32, 1)
		want := promptLogits(t, ours, src)
		for _, p := range []string{"blk.0.", "blk.1.", "blk.2.", "blk.3."} {
			move(src, p+"post_attention_norm.weight", p+"ffn_norm.weight")
		}
		if !slices.Equal(promptLogits(t, theirs, src), want) {
			t.Error("logits differ")
		}
	})
	t.Run("gemma3", func(t *testing.T) {
		ours := newModel(t, tiny.Meta("gemma3"))
		meta := tiny.Meta("gemma3")
		for key, v := range map[string]any{
			"attention.layer_norm_rms_epsilon": missing, "rope.freq_base": missing, "rope.freq_base_swa": missing,
			"rope.global.freq_base": float32(10000), "rope.local.freq_base": float32(1000),
		} {
			set(t, meta, "gemma3."+key, v)
		}
		src := tiny.Weights(ours, tensor.F32, 1)
		if !slices.Equal(promptLogits(t, newModel(t, meta), src), promptLogits(t, ours, src)) {
			t.Error("logits differ")
		}
	})
}

// TestAttentionScale checks the scale of dot products where files do not say it.
func TestAttentionScale(t *testing.T) {
	for _, c := range []struct {
		name   string
		arch   string
		layers uint32
		scale  any
		want   float64 // 0: that of the head dimension, 32
	}{
		{"gemma2", "gemma2", 26, missing, 0},
		{"gemma2 27B", "gemma2", 46, missing, 1 / math.Sqrt(64/4)},
		{"gemma2 27B with a key", "gemma2", 46, float32(0.5), 0.5},
		{"gemma3", "gemma3", 48, missing, 0},
		{"gemma3 27B", "gemma3", 62, missing, 1 / math.Sqrt(64/4)},
		{"gemma4", "gemma4/moe", 6, missing, 1},
		{"granite", "granite", 2, float32(0.015625), 0.015625},
	} {
		t.Run(c.name, func(t *testing.T) {
			meta := tiny.Meta(c.arch)
			name, _, _ := strings.Cut(c.arch, "/")
			set(t, meta, name+".block_count", c.layers)
			set(t, meta, name+".attention.scale", c.scale)
			for i, b := range newModel(t, meta).(*nn.Decoder).Blocks {
				if a := b.Mixer.(*nn.Attention); a.Scale != float32(c.want) {
					t.Errorf("layer %d: scale %v, want %v", i, a.Scale, c.want)
				}
			}
		})
	}
}

// TestWindows checks which layers have a sliding window.
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		arch    string
		pattern any
		want    string // of 8 layers; s: slides
	}{
		{"gemma2", missing, "s.s.s.s."},
		{"gemma3", missing, "sssss.ss"},
		{"gemma3", uint32(3), "ss.ss.ss"},
		{"gpt-oss", missing, "s.s.s.s."},
		{"gpt-oss", []bool{false, true, true, false, false, true, false, true}, ".ss..s.s"},
		{"olmo2/window", missing, "sss.sss."},
		{"phi3", missing, "ssssssss"},
	} {
		meta := tiny.Meta(c.arch)
		name, _, _ := strings.Cut(c.arch, "/")
		set(t, meta, name+".block_count", uint32(8))
		set(t, meta, name+".attention.sliding_window_pattern", c.pattern)
		got := ""
		for _, b := range newModel(t, meta).(*nn.Decoder).Blocks {
			if b.Mixer.(*nn.Attention).Window > 0 {
				got += "s"
			} else {
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s with pattern %v: %s, want %s", c.arch, c.pattern, got, c.want)
		}
	}
}
