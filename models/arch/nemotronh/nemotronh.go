package nemotronh

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("nemotron_h", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		return decoder(k, d, func(ff int) nn.FFN { return &nn.FeedForward{Embd: d.Embd, FF: ff, Act: nn.SquaredReLU} })
	})
	models.Register("nemotron_h_moe", func(meta *gguf.Meta) (models.Model, error) {
		k := models.NewKeys(meta)
		d := nn.ReadDecoder(k)
		moe := nn.ReadMoE(k, d)
		moe.Plain, moe.Gating = nn.SquaredReLU, ops.SigmoidGate
		moe.Norm = k.BoolOr("expert_weights_norm", false)
		moe.Shared = k.IntOr("expert_shared_feed_forward_length", 0, 0, models.MaxDim)
		nn.ReadGroups(k, moe)
		return decoder(k, d, func(int) nn.FFN { return moe })
	})
}

// decoder makes the network of a layer from its width.
func decoder(k *models.Keys, d *nn.Decoder, network func(ff int) nn.FFN) (models.Model, error) {
	attn, ssm, headless := nn.ReadAttention(k, d), nn.ReadMamba2(k, d), nn.ReadHeadless(k, d)
	for i, ff := range k.PerLayer("feed_forward_length", d.Layers, 0, models.MaxDim) {
		var m nn.Mixer = attn
		switch {
		case ff > 0:
			m = nn.Alone{FFN: network(ff)}
		case headless[i]:
			m = ssm
		}
		d.Blocks = append(d.Blocks, nn.Block{Mixer: m})
	}
	return d, k.Err()
}
