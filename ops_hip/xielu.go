package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerElementwise(ops.XIELUOp, func(args Args, attrs any) Args {
		a := attrs.(ops.XIELUAttrs)
		return args.F32(a.Positive).F32(a.Negative).F32(a.Linear)
	})
}
