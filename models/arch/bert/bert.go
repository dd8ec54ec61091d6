package bert

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
	"github.com/hipengine/hipengine/ops"
)

func init() {
	models.Register("bert", func(meta *gguf.Meta) (models.Model, error) {
		k, d, attn := parse(meta)
		d.Encoder.Positions = d.Context
		d.Repeat(attn, nn.ReadFeedForwards(k, d, ops.GELUErf)...)
		return d, k.Err()
	})
	models.Register("nomic-bert", func(meta *gguf.Meta) (models.Model, error) {
		k, d, attn := parse(meta)
		attn.RoPE = nn.ReadRoPE(k, d, attn.HeadDim, ops.NeoX)
		d.Repeat(attn, nn.ReadMLPs(k, d, ops.SwiGLU)...)
		return d, k.Err()
	})
}

// parse reads what both have.
func parse(meta *gguf.Meta) (*models.Keys, *nn.Decoder, *nn.Attention) {
	k := models.NewKeys(meta)
	d := nn.ReadLayerNormDecoder(k)
	nn.ReadEncoder(k, d)
	d.PostNorm, d.Norms = true, nn.Norms{MixerOut: "attn_output_norm", FFNOut: "layer_output_norm"}
	d.Encoder.Norm = true
	if key := "tokenizer.ggml.token_type_count"; meta.Has(key) {
		n, err := meta.Int(key)
		if err != nil || n < 1 || n > models.MaxDim {
			k.Fail("key %q is no number from 1 to %d", key, models.MaxDim)
		}
		d.Encoder.Types, d.TokenTypes = int(n), int(n)
	}
	attn := nn.ReadAttention(k, d)
	attn.Bidirectional = true
	return k, d, attn
}
