package nemotronh

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
)

func init() { models.Register("nemotron_h", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	attn, ssm, headless := nn.ReadAttention(k, d), nn.ReadMamba2(k, d), nn.ReadHeadless(k, d)
	for i, ff := range k.PerLayer("feed_forward_length", d.Layers, 0, models.MaxDim) {
		var m nn.Mixer = attn
		switch {
		case ff > 0:
			m = nn.Alone{FFN: &nn.FeedForward{Embd: d.Embd, FF: ff, Act: nn.SquaredReLU}}
		case headless[i]:
			m = ssm
		}
		d.Blocks = append(d.Blocks, nn.Block{Mixer: m})
	}
	return d, k.Err()
}
