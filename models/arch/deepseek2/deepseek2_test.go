package deepseek2

import (
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// model parses keys of architecture deepseek2, with those that every file has.
func model(t *testing.T, keys map[string]any) *nn.Decoder {
	t.Helper()
	meta := &gguf.Meta{}
	for k, v := range map[string]any{
		"vocab_size": uint32(129280), "block_count": uint32(61), "context_length": uint32(163840),
		"embedding_length": uint32(7168), "feed_forward_length": uint32(18432),
		"attention.layer_norm_rms_epsilon": float32(1e-6), "attention.head_count": uint32(128),
		"attention.q_lora_rank": uint32(1536), "attention.kv_lora_rank": uint32(512),
		"attention.key_length_mla": uint32(192), "attention.value_length_mla": uint32(128),
		"rope.dimension_count": uint32(64), "expert_count": uint32(256), "expert_used_count": uint32(8),
		"expert_feed_forward_length": uint32(2048), "leading_dense_block_count": uint32(3),
	} {
		if _, ok := keys[k]; !ok {
			keys[k] = v
		}
	}
	for k, v := range keys {
		if err := meta.Set("deepseek2."+k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := meta.Set("general.architecture", "deepseek2"); err != nil {
		t.Fatal(err)
	}
	m, err := parse(meta)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*nn.Decoder)
}

// TestCacheBytes: a token of DeepSeek-V3 keeps 512 + 64 numbers in each of 61 layers, and nothing for each head (arXiv
// 2412.19437, section 2.1.1): 70,272 bytes in F16, where keys and values of 128 heads would take 4,997,120.
func TestCacheBytes(t *testing.T) {
	s := model(t, map[string]any{}).State()
	if n, err := s.TokenBytes(tensor.F16); err != nil || n != 61*(512+64)*2 {
		t.Errorf("%d bytes a token, %v, want %d", n, err, 61*(512+64)*2)
	}
	if len(s.Paged) != 61 || len(s.Slots) != 0 || s.Paged[0].Heads != 1 || s.Paged[0].Dim != 576 {
		t.Errorf("state %+v", s.Paged[0])
	}
}

// TestGating: routers take softmax without expert_gating_func, except those of GLM-4.7-Flash; groups are as good as
// their best expert with softmax and as their best two with sigmoid.
func TestGating(t *testing.T) {
	for _, c := range []struct {
		name   string
		keys   map[string]any
		gating ops.Gating
		best   int
	}{
		{"v2", map[string]any{"expert_group_count": uint32(8), "expert_group_used_count": uint32(3)}, ops.Softmax, 1},
		{"v3", map[string]any{"expert_group_count": uint32(8), "expert_group_used_count": uint32(4),
			"expert_gating_func": uint32(2)}, ops.SigmoidGate, 2},
		{"glm-4.7-flash", map[string]any{"vocab_size": uint32(154880), "block_count": uint32(47)}, ops.SigmoidGate, 0},
		{"kimi", map[string]any{"vocab_size": uint32(163840), "expert_gating_func": uint32(2)}, ops.SigmoidGate, 0},
	} {
		m := model(t, c.keys).Blocks[3].FFN.(*nn.MoE)
		if m.Gating != c.gating || m.GroupBest != c.best {
			t.Errorf("%s: gating %d with groups of best %d, want %d and %d", c.name, m.Gating, m.GroupBest, c.gating, c.best)
		}
	}
}
