package runner

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Launches returns the kernels that dev starts for a step of m of the given sizes, in order. Weights are those of src
// by type and shape alone: nothing is read, and nothing allocated on the device. The error is that of PlanMemory, or
// says that the device does not count what it starts.
func Launches(dev ops.Device, m models.Model, src models.Source, o Options, n models.Sizes) ([]string, error) {
	launches := dev.Caps().Launches
	if launches == nil {
		return nil, errors.New("runner: " + dev.Info().Name + " does not tell which kernels it starts")
	}
	g, out, err := Record(dev, m, src, o, n)
	if err != nil {
		return nil, err
	}
	names, err := launches(g, out.Result())
	if err != nil {
		return nil, fmt.Errorf("runner: planning %s for %d tokens: %w", m.Params().Arch, n.Tokens, err)
	}
	return names, nil
}

// Record records a step of m of the given sizes as a runner of dev would compile it. Weights are those of src by type
// and shape, in the layouts of dev, and like the states without memory. The error is that of PlanMemory.
func Record(dev ops.Device, m models.Model, src models.Source, o Options, n models.Sizes) (*ops.Graph, models.Outputs,
	error) {
	var none models.Outputs
	o, err := o.with(m.Params(), dev)
	if err != nil {
		return nil, none, err
	}
	w, _, err := models.DeclareWeights(m, src, dev)
	if err != nil {
		return nil, none, err
	}
	if o, err = o.keeping(dev, m, w); err != nil {
		return nil, none, err
	}
	ts, _, err := stateTensors(m.State(), o, dev.Info().Buckets)
	if err != nil {
		return nil, none, err
	}
	states, err := declareStates(dev, ts)
	if err != nil {
		return nil, none, err
	}
	return o.record(m, w, states, n)
}
