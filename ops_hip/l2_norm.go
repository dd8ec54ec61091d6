package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	registerNorm(ops.L2NormOp, false, inOut)
	registerNormOfAny(ops.L2NormOp, inOut)
}
