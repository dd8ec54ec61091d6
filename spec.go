package hipengine

import (
	"context"
	"fmt"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/models"
)

// Values of Options.Spec and Params.Spec.
const (
	SpecAuto  = "auto"  // what SpecMTP does where the model can, or else what SpecNGram does; neither for much memory
	SpecOff   = "off"   // nothing is guessed
	SpecMTP   = "mtp"   // what a layer of the model predicts that was trained for it
	SpecNGram = "ngram" // what followed where the text was the same before
)

// stateDepth is how many tokens are guessed at once at most where a state of the sequence is kept for each.
const stateDepth = 4

// maxKeptStates bounds the memory for such states that is taken without being asked for, in bytes.
const maxKeptStates = 1 << 30

// guessing is what a model is opened with to guess tokens.
type guessing struct {
	arch   models.Model // with its layer for guesses, where that is used
	names  []string     // of the drafters, the one that is used first
	rewind int          // tokens of a step that the runner must be able to take back
	asked  bool         // the options ask for it
}

// guesses returns how tokens are to be guessed for sequences of a model whose weights src has.
func (o Options) guesses(arch models.Model, src models.Source) (guessing, error) {
	plain := guessing{arch: arch}
	layer, lacks := models.WithDrafts(arch)
	if lacks == nil {
		lacks = models.Check(layer, src)
	}
	kept := int64(len(arch.State().Slots))
	rewind := spec.MaxDepth
	if kept > 0 {
		rewind = stateDepth
	}
	asked := o.Spec != "" && o.Spec != SpecAuto && o.Spec != SpecOff
	switch {
	case asked && arch.Params().Encoder:
		return plain, &OptionError{Option: "Spec", Err: fmt.Errorf("%s: %w", o.Spec, runner.ErrEncoder)}
	case o.Spec == SpecOff || o.Collect || arch.Params().Encoder:
		return plain, nil
	case o.Spec == SpecMTP && lacks != nil:
		return plain, &OptionError{Option: "Spec", Err: fmt.Errorf("%s: %w", o.Spec, lacks)}
	case o.Spec == SpecMTP:
		return guessing{layer, []string{SpecMTP}, rewind, true}, nil
	case o.Spec == SpecNGram:
		return guessing{arch, []string{SpecNGram}, rewind, true}, nil
	case asked:
		return guessing{arch, []string{SpecModel, SpecNGram}, rewind, true}, nil
	}
	if kept > 0 { // of which each takes four bytes an element
		each := 4 * arch.State().SlotElems() * int64(max(o.Sequences, 1))
		rewind = int(min(stateDepth, maxKeptStates/max(each, 1)))
	}
	switch {
	case lacks == nil && rewind > 0:
		return guessing{layer, []string{SpecMTP, SpecNGram}, rewind, false}, nil
	case kept == 0:
		return guessing{arch, []string{SpecNGram}, rewind, false}, nil
	}
	return plain, nil
}

// modest is g for a device that has no memory for what it takes.
func (g guessing) modest() guessing {
	m := guessing{arch: g.arch}
	if d, ok := g.arch.(*models.Drafting); ok {
		m.arch = d.Drafter
	}
	if len(m.arch.State().Slots) == 0 { // it takes none
		m.names, m.rewind = []string{SpecNGram}, g.rewind
	}
	return m
}

// on is g for a model that lies on so many devices. The layer for guesses is not known in parts.
func (g guessing) on(devices int) (guessing, error) {
	switch {
	case devices < 2 || len(g.names) == 0 || g.names[0] != SpecMTP:
		return g, nil
	case g.asked:
		return g, &OptionError{Option: "Spec", Reason: SpecMTP + ": the model lies on several devices, the layer can be on one alone"}
	}
	return g.modest(), nil
}

// openDrafters makes what guesses tokens of a model whose runner is there.
func (m *Model) openDrafters(ctx context.Context, g guessing, o Options) error {
	switch {
	case len(g.names) == 0:
		return nil
	case m.runner.Limits().Rewinds > 0:
	case g.asked:
		return &OptionError{Option: "Spec", Reason: fmt.Sprintf("%s: the device %s cannot take tokens back that this "+
			"model (%s) has read", g.names[0], m.dev.info().Name, m.arch)}
	default:
		return nil
	}
	for _, name := range g.names {
		switch name {
		case SpecMTP:
			m.drafters = append(m.drafters, spec.NewMTP(m.runner))
		case SpecNGram:
			m.drafters = append(m.drafters, spec.NewNGram())
		case SpecModel:
			d, err := m.openDraft(ctx, o)
			if err != nil {
				return fmt.Errorf("hipengine: draft model %s: %w", o.Spec, err)
			}
			m.drafters = append(m.drafters, d)
		}
	}
	return nil
}

// drafterFailed logs that a drafter is not used any more.
func (m *Model) drafterFailed(name string, err error) {
	m.host.options.Log(fmt.Sprintf("%s: tokens are no longer guessed by %s: %v", m.id, name, err))
}
