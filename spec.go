package hipengine

import (
	"fmt"

	"github.com/hipengine/hipengine/engine/spec"
	"github.com/hipengine/hipengine/models"
)

// Values of Options.Spec and Params.Spec.
const (
	SpecAuto  = "auto"  // a layer of the model's own, or else what SpecNGram does where that costs no memory
	SpecOff   = "off"   // nothing is guessed
	SpecNGram = "ngram" // what followed where the text was the same before
)

// stateDepth is how many tokens are guessed at once at most where a state of the sequence is kept for each.
const stateDepth = 4

// specs reports whether tokens are to be guessed, and whether somebody asked for that.
func (o Options) specs(arch models.Model) (guess, asked bool) {
	switch {
	case o.Spec == SpecOff || o.Collect || arch.Params().Encoder:
		return false, false
	case o.Spec == "" || o.Spec == SpecAuto:
		return len(arch.State().Slots) == 0, false
	}
	return true, true
}

// rewind returns how many tokens of a step a runner shall be able to take back.
func (o Options) rewind(arch models.Model) int {
	guess, _ := o.specs(arch)
	switch {
	case !guess:
		return 0
	case len(arch.State().Slots) > 0:
		return stateDepth
	}
	return spec.MaxDepth
}

// openDrafters makes what guesses tokens of a model whose runner is there.
func (m *Model) openDrafters(arch models.Model, o Options) error {
	guess, asked := o.specs(arch)
	switch {
	case !guess:
		return nil
	case m.runner.Limits().Rewinds > 0:
	case asked:
		return &OptionError{Option: "Spec", Reason: fmt.Sprintf("%s: the device %s cannot take tokens back that this "+
			"model (%s) has read", o.Spec, m.dev.info().Name, m.arch)}
	default:
		return nil
	}
	switch o.Spec {
	case "", SpecAuto, SpecNGram:
		m.drafters = append(m.drafters, spec.NewNGram())
	default:
		return &OptionError{Option: "Spec", Reason: fmt.Sprintf("%q: want %s, %s or %s", o.Spec, SpecAuto, SpecOff,
			SpecNGram)}
	}
	return nil
}

// drafterFailed logs that a drafter is not used any more.
func (m *Model) drafterFailed(name string, err error) {
	m.host.options.Log(fmt.Sprintf("%s: tokens are no longer guessed by %s: %v", m.id, name, err))
}
