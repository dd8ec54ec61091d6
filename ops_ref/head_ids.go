package opsref

import "github.com/hipengine/hipengine/ops"

func init() { Register(ops.HeadIDsOp, headIDs[float32], headIDs[float64]) }

func headIDs[T Float](c *Call[T]) error {
	heads := c.Attrs.(ops.HeadIDsAttrs).Heads
	for i, out := 0, c.Out[0].Ints(); i < len(out); i++ {
		out[i] = int32(i % heads)
	}
	return nil
}
