package opsref

// elementwise runs f on ranges of the elements of output 0.
func elementwise[T Float](c *Call[T], f func(lo, hi int)) error {
	return c.Pool.For(c.Out[0].Shape.Elems(), 4096, f)
}
