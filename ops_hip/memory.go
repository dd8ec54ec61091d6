package opship

import (
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// free is Free of the device's ops.Caps.
func (d *Device) free() (int64, error) {
	free, _, err := d.memory()
	if err != nil {
		return 0, fmt.Errorf("opship: %s: free memory: %w", d.info.Name, err)
	}
	return free, nil
}

// planBytes is PlanBytes of the device's ops.Caps. Argument blocks, which are host memory, do not count.
func (d *Device) planBytes(g *ops.Graph, outs ...ops.Value) (int64, error) {
	l, err := d.lower(g, outs)
	if err != nil {
		return 0, err
	}
	return l.bytes(), nil
}

// launches is Launches of the device's ops.Caps.
func (d *Device) launches(g *ops.Graph, outs ...ops.Value) ([]string, error) {
	ls, err := d.Planned(g, outs...)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range ls {
		names = append(names, l.Launch.Symbol)
	}
	return names, nil
}

// memory returns the bytes that are free and that exist. A discrete GPU is asked by way of its runtime.
//
// Integrated GPUs take weights, states and plans from the memory of the host, by the same calls: what hipMalloc
// returns there is what kernels read fastest (coherent host memory is not cached by the GPU, and managed memory is
// charged to the control group of the process), and it comes from the carve-out and from what the kernel driver maps.
// Their runtimes report a part of that, or nothing. So the kernel driver is asked, and less is free of
//
//   - all that the device can use, less what this process holds by its own ledger;
//   - what the host can still give, and what is left of the carve-out, which no program of the host can take.
func (d *Device) memory() (free, total int64, err error) {
	err = d.thread.Do(background, func() (err error) {
		free, total, err = d.rt.MemInfo(d.ordinal)
		return err
	})
	if d.integrated {
		if m, ok := d.rt.SharedMemory(d.ordinal); ok {
			total = max(total, m.Total())
			free = total - d.Used()
			if m.Available > 0 {
				free = min(free, m.Available+max(0, m.Carveout-m.CarveoutUsed))
			}
			return max(0, free), total, nil
		}
	}
	if err == nil && total <= 0 {
		err = errors.New("the runtime does not know it")
	}
	return max(0, free), total, err
}

// memoryOf returns the bytes that a device has.
func memoryOf(rt hiprt.Runtime, ordinal int, p hiprt.Properties) int64 {
	if p.Integrated {
		if m, ok := rt.SharedMemory(ordinal); ok {
			return max(p.Memory, m.Total())
		}
	}
	return p.Memory
}
