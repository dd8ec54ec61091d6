package runner

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/tensor"
)

// Launches returns the kernels that dev starts for a step of m of the given sizes, in order. Weights are those of src by
// type and shape alone: nothing is read, and nothing allocated on the device. The error is that of PlanMemory, or says that
// the device does not count what it starts.
func Launches(dev ops.Device, m models.Model, src models.Source, o Options, n models.Sizes) ([]string, error) {
	launches := dev.Caps().Launches
	if launches == nil {
		return nil, errors.New("runner: " + dev.Info().Name + " does not tell which kernels it starts")
	}
	o, err := o.with(m.Params())
	if err != nil {
		return nil, err
	}
	w, _, err := models.DeclareWeights(m, src, dev)
	if err != nil {
		return nil, err
	}
	ts, _, err := stateTensors(m.State(), o, dev.Info().Buckets)
	if err != nil {
		return nil, err
	}
	states := map[string]tensor.Tensor{}
	for _, t := range ts {
		states[t.Name] = t
	}
	g, out, err := o.record(m, w, states, n)
	if err != nil {
		return nil, err
	}
	names, err := launches(g, out.Logits)
	if err != nil {
		return nil, fmt.Errorf("runner: planning %s for %d tokens: %w", m.Params().Arch, n.Tokens, err)
	}
	return names, nil
}
