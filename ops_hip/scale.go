package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerElementwise(ops.ScaleOp, func(a Args, attrs any) Args { return a.F32(attrs.(ops.ScaleAttrs).By) })
}
