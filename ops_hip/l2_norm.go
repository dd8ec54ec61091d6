package opship

import "github.com/hipengine/hipengine/ops"

func init() { registerNorm(ops.L2NormOp) }
