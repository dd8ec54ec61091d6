package hipengine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/models"
	"github.com/hipengine/hipengine/ops/place"
)

// cached returns the model with as many slots for experts on the faster devices of c as Options.ExpertCache holds: arch
// itself if that is 0.
func (o Options) cached(c *computer, arch models.Model, src models.Source) (models.Model, error) {
	bad := func(format string, args ...any) (models.Model, error) {
		return nil, &OptionError{Option: "ExpertCache", Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case o.ExpertCache == 0:
		return arch, nil
	case o.ExpertCache < 0:
		return bad("%d bytes are negative", o.ExpertCache)
	case o.Experts == "":
		return nil, &OptionError{Option: "ExpertCache", Needs: "Experts"}
	case o.Invariant:
		return bad("%s: Invariant does not go with it, since answers depend on which experts have copies",
			runner.FormatBytes(o.ExpertCache))
	case o.Collect:
		return bad("%s: what is measured of a model must see all of its experts in one place",
			runner.FormatBytes(o.ExpertCache))
	}
	var names []string
	for _, d := range c.parts {
		names = append(names, d.ledger.device)
	}
	on := slices.Index(names, o.Experts)
	if on < 0 {
		return arch, nil // plotter.split says so
	}
	if kind, _, _ := strings.Cut(o.Experts, ":"); kind != "cpu" && kind != "ref" {
		return bad("%s: experts are on %s, and only those of cpu have copies elsewhere",
			runner.FormatBytes(o.ExpertCache), o.Experts)
	}
	cacher, ok := arch.(models.ExpertCacher)
	if !ok {
		return bad("%s: %s has no experts", runner.FormatBytes(o.ExpertCache), arch.Params().Arch)
	}
	// What one expert of each layer takes on the first of the other devices.
	card := c.parts[0]
	if on == 0 {
		card = c.parts[1]
	}
	sizes, err := models.WeightSizes(arch, src, card.ops)
	if err != nil {
		return nil, err
	}
	each, experts := int64(0), 0
	for _, w := range sizes {
		if place.IsExperts(w.Use) {
			each += w.Bytes / int64(w.Use.Shape[0])
			experts = max(experts, w.Use.Shape[0])
		}
	}
	if each == 0 {
		return bad("%s: %s has no experts", runner.FormatBytes(o.ExpertCache), arch.Params().Arch)
	}
	slots := int(min(o.ExpertCache/each, int64(experts)))
	if slots == 0 {
		return bad("%s is less than one expert of each layer takes, %s", runner.FormatBytes(o.ExpertCache),
			runner.FormatBytes(each))
	}
	m, err := cacher.CacheExperts(slots)
	if err != nil {
		return nil, &OptionError{Option: "ExpertCache", Err: err}
	}
	return m, nil
}

// ExpertUse returns how often tokens have chosen experts, and met copies of them on a faster device, as
// Options.ExpertCache allows. It may be called while the model is in use, and lags some steps behind.
func (m *Model) ExpertUse() runner.ExpertUse { return m.runner.ExpertUse() }

// checkCache reports slots of experts that the devices without the experts cannot hold, whatever else they do.
func (p *plotter) checkCache() error {
	var slots, free int64
	var names []string
	for i, name := range p.names {
		if i == p.on || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if p.free[name] < 0 {
			return nil
		}
		free += p.free[name]
	}
	if len(names) == 0 {
		return nil
	}
	for _, w := range p.sizes[slices.Index(p.names, names[0])] {
		if models.IsExpertSlots(w.Use.Name) {
			slots += w.Bytes
		}
	}
	if slots > free {
		return &OptionError{Option: "ExpertCache", Reason: fmt.Sprintf("%s for copies of experts is more than what is "+
			"free on %s, %s", runner.FormatBytes(slots), strings.Join(names, ","), runner.FormatBytes(free))}
	}
	return nil
}

// cachedShare is how many experts of a layer have slots, and the share of all that they are, which is how often a token
// meets one if it chooses any as often as others.
func (p *plotter) cachedShare() (slots int, share float64) {
	experts := 0
	for _, w := range p.sizes[0] {
		switch {
		case models.IsExpertSlots(w.Use.Name):
			slots = max(slots, w.Use.Shape[0])
		case place.IsExperts(w.Use):
			experts = max(experts, w.Use.Shape[0])
		}
	}
	return slots, float64(slots) / float64(max(1, experts))
}
