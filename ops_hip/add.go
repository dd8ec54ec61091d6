package opship

import "github.com/hipengine/hipengine/ops"

func init() { registerBroadcast(ops.AddOp) }
