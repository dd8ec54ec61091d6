package nn

import "github.com/hipengine/hipengine/models"

// ReadDecoder reads what every decoder has: sizes, context length and the epsilon of the norms. Blocks are the
// caller's. Draft layers for speculation (nextn_predict_layers) stand behind the layers that a step runs and are
// not counted.
func ReadDecoder(k *models.Keys) *Decoder {
	d := &Decoder{}
	d.Arch, d.Vocab = k.Arch, k.Vocab()
	blocks := k.Int("block_count", 1, models.MaxLayers)
	d.Layers = blocks - k.IntOr("nextn_predict_layers", 0, 0, 8)
	if d.Layers < 1 {
		k.Fail("block_count %d leaves no layer beside nextn_predict_layers", blocks)
		d.Layers = 1
	}
	d.Embd = k.Int("embedding_length", 1, models.MaxDim)
	d.Context = k.Int("context_length", 1, models.MaxContext)
	d.Eps = float32(k.Float("attention.layer_norm_rms_epsilon", 0, 1))
	return d
}
