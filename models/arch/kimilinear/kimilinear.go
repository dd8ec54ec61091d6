package kimilinear

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("kimi-linear", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn := nn.ReadLatentAttention(k, d)
	delta := &nn.KimiDelta{Embd: d.Embd, Heads: k.Int("attention.head_count", 1, models.MaxHeads), Eps: d.Eps,
		Dim: k.Int("kda.head_dim", 1, models.MaxDim), Conv: k.Int("ssm.conv_kernel", 2, 64)}
	recurrent := make([]bool, d.Layers)
	for i, kv := range k.PerLayer("attention.head_count_kv", d.Layers, 0, models.MaxHeads) {
		recurrent[i] = kv == 0
	}
	moe := nn.ReadMoE(k, d)
	moe.Gating = nn.ReadGating(k, ops.Softmax)
	nn.ReadGroups(k, moe)
	moe.Norm = k.BoolOr("expert_weights_norm", true)
	moe.Shared = moe.FF * k.IntOr("expert_shared_count", 0, 0, models.MaxDim/moe.FF)
	d.Alternate(recurrent, delta, attn, nn.ReadLeadingDense(k, d, moe)...)
	return d, k.Err()
}
