package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerNorm(ops.RMSNormOp, true, inOut)
	registerNormOfAny(ops.RMSNormOp, inOut)
}
