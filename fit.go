package hipengine

import (
	"context"
	"errors"
	"fmt"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops"
)

// Fit is what a model needs on a device, in bytes, without kept states, which take what is left.
type Fit struct {
	Device  string
	Context int   // tokens of a sequence
	Weights int64 // in the device's layout
	State   int64 // keys and values, and recurrent state, of all sequences
	Plans   int64 // activations and scratch memory of the largest step
	Free    int64 // of the device, for all of that; -1 if it cannot tell

	// Largest is the longest context that fits, in tokens, up to Context; 0 if none does. A device that cannot tell
	// what is free may be tried with any.
	Largest int
}

// Need returns what the model needs in all.
func (f Fit) Need() int64 { return f.Weights + f.State + f.Plans }

// Fits reports whether that is there.
func (f Fit) Fits() bool { return f.Free < 0 || f.Need() <= f.Free }

// Fit says what a model that is open would need on the host's device, and whether it fits, from metadata alone:
// nothing is loaded. Of the options, Context, Sequences, KVType, Invariant and Spec matter; a Context of 0 is the longest
// that the model was made for, and SpecAuto guesses nothing, since it takes what is left. memory is what there is in bytes; 0 is what is free on the device beside the models of
// the host. Errors are those of Host.Open about the file and the options.
func (h *Host) Fit(ctx context.Context, f *File, o Options, memory int64) (Fit, error) {
	kv, err := o.kvType(h.options)
	if err != nil {
		return Fit{}, err
	}
	if memory < 0 {
		return Fit{}, fmt.Errorf("hipengine: %d bytes of memory", memory)
	}
	arch, err := models.New(f.meta)
	if err != nil {
		return Fit{}, err
	}
	dev, err := h.device(ctx, false)
	if err != nil {
		return Fit{}, err
	}
	defer dev.users.Done()
	length := o.Context
	if length == 0 {
		length = min(arch.Params().Context, MaxContext)
	}
	if o.Spec == SpecAuto || o.Spec == "" {
		o.Spec = SpecOff
	}
	guesses, err := o.guesses(arch, f)
	if err != nil {
		return Fit{}, err
	}
	r := runner.Options{Context: length, Seqs: max(o.Sequences, 1), KVType: kv, Invariant: o.Invariant,
		Rewind: guesses.rewind}
	var on ops.Device = dev.ops
	if memory > 0 {
		on = sized{dev.ops, memory}
	} else {
		dev.ledger.mu.Lock()
		r.Reserved, r.Limit = dev.ledger.rest()
		dev.ledger.mu.Unlock()
	}
	mem, err := runner.PlanMemory(on, guesses.arch, f, r)
	if errors.Is(err, runner.ErrInvariant) {
		return Fit{}, &OptionError{Option: "Invariant", Err: err}
	} else if err != nil {
		return Fit{}, err
	}
	fit := Fit{Device: mem.Device, Context: length, Weights: mem.Weights, State: mem.State, Plans: mem.Plans,
		Free: mem.Free, Largest: mem.Fits}
	if fit.Fits() {
		fit.Largest = length
	}
	return fit, nil
}

// sized is a device with another amount of memory.
type sized struct {
	ops.Device
	memory int64
}

// Caps are those of the device, but for the memory.
func (s sized) Caps() ops.Caps {
	c := s.Device.Caps()
	c.Free = func() (int64, error) { return s.memory, nil }
	return c
}
