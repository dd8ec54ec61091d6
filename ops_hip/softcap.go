package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerElementwise(ops.SoftcapOp, func(a Args, attrs any) Args { return a.F32(attrs.(ops.SoftcapAttrs).Cap) })
}
