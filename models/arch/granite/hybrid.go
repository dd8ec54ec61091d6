package granite

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() { models.Register("granitehybrid", parseHybrid) }

func parseHybrid(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	readFactors(k, d)
	attn := nn.ReadAttention(k, d)
	if k.BoolOr("rope.scaling.finetuned", true) {
		attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.Interleaved)
		attn.RoPE.Factors = "rope_freqs.weight"
	}
	var ffns []nn.FFN
	if k.IntOr("expert_count", 0, 0, models.MaxExperts) > 0 {
		ffns = []nn.FFN{readMoE(k, d)}
	} else {
		ffns = nn.ReadMLPs(k, d, ops.SwiGLU)
	}
	d.Alternate(nn.ReadHeadless(k, d), nn.ReadMamba2(k, d), attn, ffns...)
	return d, k.Err()
}
