package gemma3

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
)

func init() { models.Register("gemma-embedding", parseEmbedding) }

// parseEmbedding makes an encoder of Gemma 3.
func parseEmbedding(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := read(k, true)
	nn.ReadEncoder(k, d)
	in := d.Embd
	for _, name := range []string{"dense_2", "dense_3"} {
		if !k.Has(name + "_feat_out") {
			continue
		}
		if from := k.IntOr(name+"_feat_in", in, 1, models.MaxDim); from != in {
			k.Fail("%s_feat_in is %d, what stands before it makes %d", name, from, in)
		}
		out := k.Int(name+"_feat_out", 1, models.MaxDim)
		d.Encoder.Dense = append(d.Encoder.Dense, nn.Dense{Name: name, In: in, Out: out})
		in = out
	}
	if in != d.Embd {
		k.Fail("the last matrix behind the blocks makes %d numbers of a token, embedding_length is %d", in, d.Embd)
	}
	return d, k.Err()
}
