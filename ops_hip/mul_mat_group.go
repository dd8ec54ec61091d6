package opship

import "github.com/hipengine/hipengine/ops"

func init() {
	for n := 2; n <= ops.MaxGroup; n++ {
		registerProducts(ops.MulMatGroupOp(n), n)
	}
}
