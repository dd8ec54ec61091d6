package nn

import "github.com/hipengine/hipengine/models"

// ReadDecoder reads what every decoder has: sizes, context length and the epsilon of the norms. Blocks are the
// caller's. Layers that predict further tokens (nextn_predict_layers) stand behind the layers that a step runs and are
// not counted; see [ReadNextN].
func ReadDecoder(k *models.Keys) *Decoder { return readDecoder(k, "attention.layer_norm_rms_epsilon") }

// ReadLayerNormDecoder is ReadDecoder for models with layer normalization.
func ReadLayerNormDecoder(k *models.Keys) *Decoder {
	d := readDecoder(k, "attention.layer_norm_epsilon")
	d.LayerNorm = true
	return d
}

func readDecoder(k *models.Keys, epsilon string) *Decoder {
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
	d.Eps = float32(k.Float(epsilon, 0, 1))
	return d
}

// ReadEncoder makes an encoder of d.
func ReadEncoder(k *models.Keys, d *Decoder) {
	if k.BoolOr("attention.causal", false) {
		k.Fail("attention.causal is true, which makes no encoder")
	}
	d.Encoder, d.Hparams.Encoder = &Encoder{}, true
}

// ReadSliding reports which layers see attention.sliding_window tokens only. attention.sliding_window_pattern is a
// bool for each layer, or a number n for windows in all but every n-th layer; without it, period is that number.
func ReadSliding(k *models.Keys, d *Decoder, period int) []bool {
	const key = "attention.sliding_window_pattern"
	if k.Has(key) {
		if _, err := k.Meta.Int(k.Arch + "." + key); err != nil {
			return k.Bools(key, d.Layers)
		}
		period = k.Int(key, 1, models.MaxLayers)
	}
	return AllButEvery(period, d.Layers)
}

// ReadWindow reads the window of layers that slide, in tokens; 0: none.
func ReadWindow(k *models.Keys) int {
	return k.IntOr("attention.sliding_window", 0, 0, models.MaxContext)
}

// ReadRecurrent reports which layers of a hybrid model are recurrent: attention.recurrent_layers is a bool for each
// layer; without it, all are but every full_attention_interval-th, 4 by default.
func ReadRecurrent(k *models.Keys, d *Decoder) []bool {
	interval := k.IntOr("full_attention_interval", 4, 1, models.MaxLayers)
	if r := k.Bools("attention.recurrent_layers", d.Layers); r != nil {
		return r
	}
	return AllButEvery(interval, d.Layers)
}

// ReadHeadless reports which layers have no heads of keys, those that attention.head_count_kv lists with a zero.
func ReadHeadless(k *models.Keys, d *Decoder) []bool {
	out := make([]bool, d.Layers)
	for i, heads := range k.PerLayer("attention.head_count_kv", d.Layers, 0, models.MaxHeads) {
		out[i] = heads == 0
	}
	return out
}

// AllButEvery returns n bools of which every p-th is false.
func AllButEvery(p, n int) []bool {
	out := make([]bool, n)
	for i := range out {
		out[i] = (i+1)%p != 0
	}
	return out
}
