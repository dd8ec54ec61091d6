package opship

import "github.com/hipengine/hipengine/ops"

func init() { registerNormOfAny(ops.L2NormOp, false) }
