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

// fewArchs are those that -short tests: one of each kind of block.
var fewArchs = []string{"llama", "qwen35moe", "gemma4/moe", "gpt-oss", "falcon-h1", "lfm2", "minimax-m2", "kimi-linear",
	"bert"}

// TestSplitModel compares every architecture over several ranks with the whole. Only sums over ranks round otherwise.
func TestSplitModel(t *testing.T) {
	t.Parallel()
	for _, arch := range tiny.Archs {
		if testing.Short() && !slices.Contains(fewArchs, arch) {
			continue
		}
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, tiny.Meta(arch))
			src := tiny.Weights(m, tensor.F32, 5)
			want := promptLogits(t, m, src)
			for _, n := range []int{2, 3, 4} {
				split, err := models.SplitModel(m, n, src)
				if err != nil {
					t.Fatal(err)
				}
				got := promptLogits(t, split, src)
				if len(got) != len(want) {
					t.Fatalf("%d ranks: %d numbers, want %d", n, len(got), len(want))
				}
				var diff, size float64
				for i, x := range want {
					d := float64(got[i]) - float64(x)
					diff, size = diff+d*d, size+float64(x)*float64(x)
				}
				if nmse := diff / size; !(nmse < 1e-9) {
					t.Errorf("%d ranks: NMSE %g", n, nmse)
				}
			}
		})
	}
}

// TestSplitShares checks that ranks hold all of a tensor together, each element once, and no more than their part.
func TestSplitShares(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"qwen35moe", "gemma2", "mamba2", "lfm2"} {
		m := newModel(t, tiny.Meta(arch))
		src := tiny.Weights(m, tensor.F32, 5)
		split, err := models.SplitModel(m, 2, src)
		if err != nil {
			t.Fatal(err)
		}
		held := map[string][]int{} // times that each element along the axis is held
		for _, s := range split.Weights() {
			name, rank, ok := models.RankOf(s.Name)
			if !ok || s.Share == nil || name != s.Share.Whole || rank != s.Share.Rank {
				t.Fatalf("%s: %q is no share: %+v", arch, s.Name, s.Share)
			}
			if s.Share.Ranges == nil {
				continue
			}
			if held[name] == nil {
				held[name] = make([]int, s.Share.Of[s.Share.Axis])
			}
			for _, r := range s.Share.Ranges {
				for i := r.Lo; i < r.Hi; i++ {
					held[name][i]++
				}
			}
		}
		if len(held) < 5 {
			t.Errorf("%s: %d tensors are divided", arch, len(held))
		}
		for name, times := range held {
			if slices.Max(times) > 1 || slices.Min(times) < 1 {
				t.Errorf("%s: %s is held %v times", arch, name, times)
			}
		}
	}
}

// TestSplitQuantized demands the elements of the whole from shares of quantized tensors, read in pieces of any size.
func TestSplitQuantized(t *testing.T) {
	t.Parallel()
	meta := tiny.Meta("llama")
	for key, v := range map[string]uint32{"embedding_length": 512, "feed_forward_length": 1280} {
		if err := meta.Set("llama."+key, v); err != nil {
			t.Fatal(err)
		}
	}
	m := newModel(t, meta)
	q4k, _ := tensor.ParseDType("Q4_K")
	src := tiny.Weights(m, q4k, 3)
	want := promptLogits(t, m, src)
	split, err := models.SplitModel(m, 2, src)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range split.Weights() {
		if strings.HasPrefix(s.Name, "blk.0.ffn_down.weight@") && s.Shape[1] != 512 && s.Shape[1] != 768 {
			t.Errorf("%s holds %d columns: five blocks of 256 are two and three", s.Name, s.Shape[1])
		}
	}
	got := promptLogits(t, split, src)
	for i, x := range want {
		if d := float64(got[i] - x); d > 1e-4 || d < -1e-4 {
			t.Fatalf("logit %d is %v, of the whole %v", i, got[i], x)
		}
	}
}

// TestSplitErrors holds what cannot be divided to an error that names it.
func TestSplitErrors(t *testing.T) {
	t.Parallel()
	with := func(arch string, keys map[string]any) *gguf.Meta {
		meta := tiny.Meta(arch)
		for k, v := range keys {
			if err := meta.Set(arch+"."+k, v); err != nil {
				t.Fatal(err)
			}
		}
		return meta
	}
	q8, _ := tensor.ParseDType("Q8_0")
	for _, c := range []struct {
		meta *gguf.Meta
		n    int
		want string
	}{
		{tiny.Meta("llama"), 5, "llama cannot be split over 5 ranks: 64 columns of token_embd are 2 blocks of 32"},
		{with("llama", map[string]any{"embedding_length": uint32(320), "feed_forward_length": uint32(320)}), 5,
			"layer 0: there are 4 heads of queries"},
		{with("qwen35moe", map[string]any{}), 2, "32 columns of ffn_down_exps are 1 blocks of 32"},
		{with("llama", map[string]any{"embedding_length": uint32(96), "attention.head_count": uint32(6),
			"attention.head_count_kv": uint32(6)}), 2, "parts a block of 32 elements of Q8_0"},
		{tiny.Meta("llama"), 17, "want 1..16"},
		{tiny.Meta("llama"), 0, "want 1..16"},
	} {
		m := newModel(t, c.meta)
		src := tiny.Weights(m, q8, 1)
		_, err := models.SplitModel(m, c.n, src)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d ranks: error %v, want one with %q", c.n, err, c.want)
		}
	}
}
