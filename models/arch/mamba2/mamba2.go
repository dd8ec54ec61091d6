package mamba2

import (
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/models/nn"
)

func init() { models.Register("mamba2", parse) }

func parse(meta *gguf.Meta) (models.Model, error) {
	k := models.NewKeys(meta)
	d := nn.ReadDecoder(k)
	d.Repeat(nn.ReadMamba2(k, d))
	return d, k.Err()
}
