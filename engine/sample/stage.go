package sample

import (
	"fmt"
	"slices"
	"strings"
)

// Stage is a step of the chain whose place can be chosen.
type Stage uint8

// The stages, in the order in which they come unless Params.Order names another.
const (
	Penalties Stage = iota
	DRY
	TopNSigma
	TopK
	Typical
	TopP
	MinP
	XTC
	Temperature
	stages int = iota
)

// stageName is how llama.cpp calls a stage.
type stageName struct {
	name   string
	letter byte
	others []string // further spellings
}

var stageNames = [stages]stageName{
	Penalties:   {"penalties", 'e', nil},
	DRY:         {"dry", 'd', nil},
	TopNSigma:   {"top_n_sigma", 's', []string{"top-n-sigma"}},
	TopK:        {"top_k", 'k', []string{"top-k"}},
	Typical:     {"typ_p", 'y', []string{"typical_p", "typical-p", "typical", "typ-p", "typ"}},
	TopP:        {"top_p", 'p', []string{"top-p", "nucleus"}},
	MinP:        {"min_p", 'm', []string{"min-p"}},
	XTC:         {"xtc", 'x', nil},
	Temperature: {"temperature", 't', []string{"temp"}},
}

// MaxOrder bounds the stages of an order, in which one may come several times.
const MaxOrder = 32

// defaultOrder is the order of the constants.
var defaultOrder = func() []Stage {
	order := make([]Stage, stages)
	for i := range order {
		order[i] = Stage(i)
	}
	return order
}()

// String returns llama.cpp's name of the stage.
func (s Stage) String() string {
	if int(s) >= stages {
		return fmt.Sprintf("stage %d", uint8(s))
	}
	return stageNames[s].name
}

// ParseStage returns the stage of a name that llama.cpp knows.
func ParseStage(name string) (Stage, error) {
	for i, n := range stageNames {
		if n.name == name || slices.Contains(n.others, name) {
			return Stage(i), nil
		}
	}
	var known []string
	for _, n := range stageNames {
		known = append(known, n.name)
	}
	return 0, fmt.Errorf("sample: samplers: %q is unknown (known: %s)", name, strings.Join(known, ", "))
}

// ParseOrder returns the stages of a text as llama.cpp's command line has it: names with ";" between them, or letters
// of stages, such as "edskypmxt".
func ParseOrder(text string) ([]Stage, error) {
	order := []Stage{}
	if _, err := ParseStage(text); err != nil { // "temp" are letters too
		for i := range len(text) {
			at := slices.IndexFunc(stageNames[:], func(n stageName) bool { return n.letter == text[i] })
			if at < 0 {
				break
			}
			order = append(order, Stage(at))
		}
		if len(order) == len(text) {
			return order, nil
		}
		order = order[:0]
	}
	for name := range strings.SplitSeq(text, ";") {
		s, err := ParseStage(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		order = append(order, s)
	}
	return order, nil
}

// active reports whether the stage changes anything.
func (p *Params) active(s Stage) bool {
	switch s {
	case Penalties:
		return p.penalises()
	case DRY:
		return p.DRYMultiplier != 0
	case TopNSigma:
		return p.TopNSigma > 0
	case TopK:
		return p.TopK > 0
	case Typical:
		return p.TypicalP > 0 && p.TypicalP < 1
	case TopP:
		return p.TopP > 0 && p.TopP < 1
	case MinP:
		return p.MinP > 0
	case XTC:
		return p.XTCProbability > 0 && p.XTCThreshold <= maxXTCThreshold
	case Temperature:
		return p.Temperature != 1 || p.DynatempRange > 0
	}
	return false
}

// plan returns the active stages in their order.
func (p *Params) plan(buf []Stage) []Stage {
	order := p.Order
	if order == nil {
		order = defaultOrder
	}
	for _, s := range order {
		if p.active(s) {
			buf = append(buf, s)
		}
	}
	return buf
}

// greedy reports whether the token of highest rank is taken of what the penalties leave: no stage of the plan that drops
// the most likely one, or changes its rank once others are gone, comes before a temperature of 0.
func (p *Params) greedy(plan []Stage) bool {
	if p.Temperature != 0 || p.DynatempRange > 0 {
		return false
	}
	leading := true
	for _, s := range plan {
		switch s {
		case Temperature:
			return true
		case Penalties, DRY:
			if !leading {
				return false
			}
		case Typical, XTC:
			return false
		default:
			leading = false
		}
	}
	return false
}
