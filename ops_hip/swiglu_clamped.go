package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerElementwise(ops.SwiGLUClampedOp, func(a Args, attrs any) Args {
		c := attrs.(ops.SwiGLUClampedAttrs)
		return a.F32(c.Alpha).F32(c.Limit)
	})
}
