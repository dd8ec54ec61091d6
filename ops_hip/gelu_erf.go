package opship

import "github.com/hipengine/hipengine/ops"

func init() { registerElementwise(ops.GELUErfOp, nil) }
