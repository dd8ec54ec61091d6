package hipengine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
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

	// Parts is how the model lies on several devices, as Options.Split and the like say; none on one.
	Parts []PartPlacement

	crowded bool // one of several devices has too little
}

// Need returns what the model needs in all.
func (f Fit) Need() int64 { return f.Weights + f.State + f.Plans }

// Fits reports whether that is there.
func (f Fit) Fits() bool { return !f.crowded && (f.Free < 0 || f.Need() <= f.Free) }

// Fit says what a model that is open would need on the host's device, and whether it fits, from metadata alone:
// nothing is loaded. Of the options, Context, Sequences, KVType, Invariant and Spec matter; a Context of 0 is the
// longest that the model was made for, and SpecAuto guesses nothing, since it takes what is left. memory is what there
// is in bytes, on each of several devices; 0 is what is free on the device beside the models of the host. Errors are
// those of Host.Open about the file and the options.
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
	c, err := h.computer(ctx, o.Device, false)
	if err != nil {
		return Fit{}, err
	}
	defer c.done()
	if len(c.parts) == 1 {
		if err := o.splitNeeds(); err != nil {
			return Fit{}, err
		}
	}
	if arch, err = o.divided(c, arch, f); err != nil {
		return Fit{}, err
	}
	if arch, err = o.cached(c, arch, f); err != nil {
		return Fit{}, err
	}
	length := o.Context
	if length == 0 {
		length = min(arch.Params().Context, MaxContext)
	}
	switch o.Spec {
	case "", SpecAuto:
		o.Spec = SpecOff
	case SpecOff, SpecMTP, SpecNGram:
	default:
		return Fit{}, &OptionError{Option: "Spec", Reason: fmt.Sprintf("%q: want %s, %s or %s, as a draft model is planned "+
			"like any other", o.Spec, SpecOff, SpecMTP, SpecNGram)}
	}
	guesses, err := o.guesses(arch, f)
	if err == nil {
		guesses, err = guesses.on(len(c.parts))
	}
	if err != nil {
		return Fit{}, err
	}
	arch = guesses.arch
	r := runner.Options{Context: length, Seqs: max(o.Sequences, 1), KVType: kv, Invariant: o.Invariant,
		Rewind: guesses.rewind}
	var mem runner.Memory
	err = c.with(func(share func(string) (int64, int64)) (err error) {
		if memory > 0 {
			share = func(string) (int64, int64) { return math.MinInt64 / 2, memory } // whatever is free
		}
		r.Share = share
		if len(c.parts) > 1 {
			mem, err = h.split(ctx, c, arch, f.meta, f, o, r)
			return err
		}
		r.Reserved, r.Limit = share(c.parts[0].ledger.device)
		mem, err = runner.PlanMemory(c.ops, arch, f, r)
		return err
	})
	if errors.Is(err, runner.ErrInvariant) {
		return Fit{}, &OptionError{Option: "Invariant", Err: err}
	} else if err != nil {
		return Fit{}, err
	}
	fit := Fit{Device: mem.Device, Context: length, Weights: mem.Weights, State: mem.State, Plans: mem.Plans,
		Free: mem.Free, Largest: mem.Fits, Parts: c.lies}
	if err := mem.Err(); err != nil {
		fit.crowded = true
	}
	if fit.Fits() {
		fit.Largest = length
	}
	return fit, nil
}
