package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.LatentAttentionOp, latentAttention[float32], latentAttention[float64]) }

// latentAttention is attention whose values are the beginnings of its keys.
func latentAttention[T Float](c *Call[T]) error {
	return attend(c, c.In[1], c.In[1], c.In[2:5], nil,
		ops.AttentionAttrs{Scale: c.Attrs.(ops.LatentAttentionAttrs).Scale})
}
