package hipengine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops/place"
)

// maxParts bounds the devices that share a model.
const maxParts = 64

// deviceNames splits a list of devices.
func deviceNames(list string) []string { return strings.Split(list, ",") }

// checkDevices reports what is wrong with a list of devices.
func checkDevices(list string) error {
	names := deviceNames(list)
	if len(names) > maxParts {
		return &OptionError{Option: "Device", Reason: fmt.Sprintf("%q: %d devices, at most %d", list, len(names), maxParts)}
	}
	for _, name := range names {
		switch kind, _, _ := strings.Cut(name, ":"); kind {
		case "cpu", "ref", "hip", "kfd", "cuda", "emu":
			continue
		case "", "auto":
			if len(names) == 1 {
				continue
			}
		}
		reason := fmt.Sprintf("%q: want auto, cpu, ref, hip:N, kfd:N, cuda:N or emu:TARGET", name)
		if len(names) > 1 {
			reason = fmt.Sprintf("%q in %q: want cpu, ref, hip:N, kfd:N, cuda:N or emu:TARGET", name, list)
		}
		return &OptionError{Option: "Device", Reason: reason}
	}
	return nil
}

// computer is what a model computes on: a device, or several.
type computer struct {
	ops   ops.Device
	parts []*device // one for each part of ops; a device may be there several times
	split string    // how the model lies on several; empty on one
	lies  []PartPlacement
}

// computer opens devices, which the caller releases. On several, ops is yet to be made: see Host.split.
func (h *Host) computer(ctx context.Context, list string, tested bool) (*computer, error) {
	if list == "" {
		list = h.options.Device
	}
	if err := checkDevices(list); err != nil {
		return nil, err
	}
	names := deviceNames(list)
	c := &computer{parts: make([]*device, len(names))}
	// The CPU comes last, which leaves GPUs the threads that they want.
	for _, last := range []bool{false, true} {
		for i, name := range names {
			if (name == "cpu") != last {
				continue
			}
			d, err := h.device(ctx, name, tested)
			if err != nil {
				c.done()
				return nil, err
			}
			c.parts[i] = d
		}
	}
	if len(c.parts) == 1 {
		c.ops = c.parts[0].ops
	}
	return c, nil
}

// done releases the devices.
func (c *computer) done() {
	if len(c.parts) > 1 && c.ops != nil {
		_ = c.ops.Close() // what fails here is a device that others report
	}
	for _, d := range c.parts {
		if d != nil { // opened
			d.users.Done()
		}
	}
}

// adopts reports whether a device can use weights where the process has them.
func (c *computer) adopts() bool {
	return slices.ContainsFunc(c.parts, func(d *device) bool { return d.ops.Caps().Adopt != nil })
}

// devices are those of the parts.
func (c *computer) devices() (list []ops.Device) {
	for _, d := range c.parts {
		list = append(list, d.ops)
	}
	return list
}

// place makes one device of several.
func (c *computer) place(s place.Split) error {
	dev, err := place.New(c.devices(), s.Place)
	if err == nil {
		c.ops, c.split = dev, fmt.Sprint(s)
	}
	return err
}

// ledgers are those of the devices, each once, in an order that is the same for all.
func (c *computer) ledgers() (list []*ledger) {
	for _, d := range c.parts {
		if !slices.Contains(list, d.ledger) {
			list = append(list, d.ledger)
		}
	}
	slices.SortFunc(list, func(a, b *ledger) int { return strings.Compare(a.device, b.device) })
	return list
}

// planning returns what a model needs, where share says how much of what is free on a device belongs to others, and how
// much may be taken; 0 is no limit.
type planning func(share func(device string) (reserved, limit int64)) (runner.Memory, error)

// with calls f while nothing is promised of the devices' memory by others.
func (c *computer) with(f func(share func(device string) (reserved, limit int64)) error) error {
	ls := c.ledgers()
	for _, l := range ls {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	return f(func(device string) (reserved, limit int64) {
		for _, l := range ls {
			if l.device == device {
				return l.rest()
			}
		}
		return 0, 0
	})
}

// planned is what plan returns, or a *MemoryError if that is not there. The ledgers are held.
func (c *computer) planned(model string, plan planning, share func(string) (int64, int64)) (runner.Memory, error) {
	mem, err := plan(share)
	if err != nil {
		return mem, err
	}
	var lack *runner.MemoryError
	if errors.As(mem.Err(), &lack) {
		e := &MemoryError{Model: model, Device: lack.Device, Need: lack.Need(), Free: lack.Free, Fits: lack.Fits, err: lack}
		for _, l := range c.ledgers() {
			if l.device == lack.Device {
				e.Others = l.models()
			}
		}
		return mem, e
	}
	return mem, nil
}

// check is reserve without promising anything.
func (c *computer) check(model string, plan planning) error {
	return c.with(func(share func(string) (int64, int64)) error {
		_, err := c.planned(model, plan, share)
		return err
	})
}

// promised is what a model was promised: of each of its devices.
type promised struct {
	planned runner.Memory
	parts   []*promise
}

// reserve promises what plan says that a model needs, or returns a *MemoryError. Models that are planned at the same time
// wait for each other.
func (c *computer) reserve(model string, plan planning) (*promised, error) {
	var p *promised
	err := c.with(func(share func(string) (int64, int64)) error {
		mem, err := c.planned(model, plan, share)
		if err != nil {
			return err
		}
		p = &promised{planned: mem}
		for _, l := range c.ledgers() {
			part := &promise{model: model, ledger: l, planned: mem}
			if len(mem.Parts) > 0 {
				part.planned = runner.Memory{Device: l.device}
				for _, m := range mem.Parts {
					if m.Device == l.device {
						part.planned.Weights += m.Weights
						part.planned.State += m.State
						part.planned.Plans += m.Plans
					}
				}
			}
			l.promises = append(l.promises, part)
			p.parts = append(p.parts, part)
		}
		return nil
	})
	return p, err
}

// loaded notes that the model holds its weights and state.
func (p *promised) loaded() {
	for _, part := range p.parts {
		part.ledger.loaded(part)
	}
}

// proven notes that the model holds all that it was promised.
func (p *promised) proven() {
	for _, part := range p.parts {
		part.ledger.proven(part)
	}
}

// release takes the promise back.
func (p *promised) release() {
	for _, part := range p.parts {
		part.ledger.release(part)
	}
}
