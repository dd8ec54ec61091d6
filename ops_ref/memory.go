package opsref

import (
	"fmt"

	"github.com/hipengine/hipengine/internal/hostmem"
	"github.com/hipengine/hipengine/ops"
)

var _ ops.MemoryPlanner = (*Device)(nil)

// FreeBytes implements ops.MemoryPlanner: what the machine, or the control group of the process, has left.
func (d *Device) FreeBytes() (int64, error) {
	n, err := hostmem.Process()
	if err != nil {
		return 0, fmt.Errorf("opsref: free memory: %w", err)
	}
	return n, nil
}

// PlanBytes implements ops.MemoryPlanner. It leaves out what the threads of fast plans share: one step's activations
// in the layouts that kernels read, and results under way.
func (d *Device) PlanBytes(g *ops.Graph, outs ...ops.Value) (int64, error) {
	_, _, a, err := layOut(d, g, outs, d.opt.Oracle)
	return a.Bytes, err
}
