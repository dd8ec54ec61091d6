package deepseek2

import (
	"math"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("deepseek2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadLatentAttention(k, d)
	if err := k.Err(); err != nil {
		return nil, err
	}
	attn.RoPE = nn.ReadRoPE(k, d, attn.Rotated, ops.Interleaved)
	if m := 10 * attn.RoPE.LogMultiplier; m != 0 && attn.RoPE.Factor > 1 {
		f := 0.1*m*math.Log(attn.RoPE.Factor) + 1
		if attn.Scale == 0 {
			attn.Scale = float32(1 / math.Sqrt(float64(attn.KeyDim+attn.Rotated)))
		}
		attn.Scale *= float32(f * f)
		attn.RoPE.LogMultiplier = 1
	}
	attn.Temperature = nn.ReadTemperature(k, d)
	if !k.Has("expert_count") || k.IntOr("expert_count", 0, 0, models.MaxExperts) == 0 {
		d.Repeat(attn, nn.ReadMLPs(k, d, nil)...)
		return d, k.Err()
	}
	moe := nn.ReadMoE(k, d)
	gating := ops.Softmax
	if d.Vocab == 154880 && (d.Layers == 47 || d.Layers == 48) {
		gating = ops.SigmoidGate
	}
	moe.Gating = nn.ReadGating(k, gating)
	nn.ReadGroups(k, moe)
	moe.Norm = k.BoolOr("expert_weights_norm", false)
	moe.Shared = moe.FF * k.IntOr("expert_shared_count", 0, 0, models.MaxDim/moe.FF)
	d.Repeat(attn, nn.ReadLeadingDense(k, d, moe)...)
	return d, k.Err()
}
