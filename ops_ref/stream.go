package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/ops_ref/internal/host"
	"github.com/hipengine/hipengine/tensor"
)

// stream does all work at once.
type stream struct{ host.Stream }

func (stream) Run(p ops.Plan) error {
	r, ok := p.(interface{ run() error })
	if !ok {
		return fmt.Errorf("opsref: plan %T is of another device", p)
	}
	return r.run()
}

// Float64s returns the elements of an activation that an oracle plan computed, without rounding them.
func Float64s(t tensor.Tensor) ([]float64, error) {
	m, wide, err := host.Memory(t, 4*int64(t.Shape.Elems()))
	if err != nil {
		return nil, err
	}
	if !wide {
		return nil, fmt.Errorf("opsref: %q was not computed by the oracle", t.Name)
	}
	return append([]float64(nil), cast.Of[float64](m)...), nil
}
