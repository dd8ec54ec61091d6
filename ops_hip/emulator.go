package opship

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
	"github.com/hipengine/hipengine/ops_hip/internal/rdna"
)

// EnvChecks names the environment variable that turns checkers of the emulator on: a list of poison, races, waits,
// readonly and order, or all. They find what no result shows, and cost time.
const EnvChecks = "HIPENGINE_EMU_CHECKS"

// emulatorMemory is what an emulated device offers. The host provides it as it is used.
const emulatorMemory = 8 << 30

func init() {
	hiprt.Register("emu", func(target string) (hiprt.Runtime, error) {
		checks, err := parseChecks(os.Getenv(EnvChecks))
		if err != nil {
			return nil, err
		}
		p := hiprt.Properties{Name: "RDNA emulator, not hardware", Target: target, Memory: emulatorMemory,
			Wave: waveLanes, CUs: 4}
		return hiprt.NewEmulator(p,
			&machine{Device: rdna.NewDevice(emulatorMemory), target: target, opt: rdna.Options{Checks: checks}}), nil
	})
}

func parseChecks(list string) (rdna.Checks, error) {
	var c rdna.Checks
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "":
		case "poison":
			c.Poison = true
		case "races":
			c.Races = true
		case "waits":
			c.Waits = true
		case "sgpr":
			c.SGPR = true
		case "readonly":
			c.ReadOnly = true
		case "order":
			c.WaveSeed = 1
		case "all":
			c.AllChecks = true
		default:
			return c, fmt.Errorf("%s: %q is not one of poison, races, waits, sgpr, readonly, order, all", EnvChecks,
				name)
		}
	}
	return c, nil
}

// machine is an emulated device of one target.
type machine struct {
	*rdna.Device
	target string
	opt    rdna.Options
	counts executed
}

// Load places a code object on the device.
func (m *machine) Load(image []byte) (hiprt.Program, error) {
	mod, err := m.Device.Load(m.target, image)
	if err != nil {
		return nil, err
	}
	return program{mod, m}, nil
}

// program is a code object on an emulated device.
type program struct {
	*rdna.Module
	on *machine
}

// Launch runs a kernel to its end and counts it. An error names the instruction at fault.
func (p program) Launch(kernel string, grid, block [3]uint32, args []byte) error {
	s, err := p.Module.Launch(context.Background(), kernel, grid, block, 0, args, p.on.opt)
	if err == nil {
		p.on.counts.add(p.Object().Kernel(kernel), &s)
	}
	return err
}
