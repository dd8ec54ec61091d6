package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hipengine/hipengine"
)

// aliases returns the names that --alias gives to models beside their IDs, each with the ID. The first that names no
// model becomes the ID of the only one.
func (c *serveCmd) aliases(s *served) (map[string]string, error) {
	offered := func(id string) bool {
		return slices.ContainsFunc(s.models, func(m hipengine.PoolModel) bool { return m.Options.ID == id })
	}
	names := map[string]string{}
	renamed := false
	for _, a := range c.Alias {
		model, name, ok := "", a, false
		if i := strings.LastIndexByte(a, '='); i >= 0 {
			model, name, ok = a[:i], a[i+1:], true
		}
		switch {
		case name == "" || ok && model == "":
			return nil, usageError{fmt.Errorf("--alias %q: want NAME or MODEL=NAME", a)}
		case !ok && (len(s.models) != 1 || c.All):
			return nil, usageError{fmt.Errorf("--alias %s: say which model it is for, as in MODEL=%s", a, a)}
		case !ok && !renamed:
			for i, id := range s.start {
				if id == s.models[0].Options.ID {
					s.start[i] = name
				}
			}
			s.models[0].Options.ID, renamed = name, true
			continue
		case !ok:
			model = s.models[0].Options.ID
		}
		id := model
		if !offered(id) {
			id = hipengine.ModelID(model)
		}
		if !offered(id) && !c.All {
			return nil, usageError{fmt.Errorf("--alias %s: the server offers no model %s", a, model)}
		}
		if offered(name) || names[name] != "" && names[name] != id {
			return nil, usageError{fmt.Errorf("--alias %s: another model has this name", a)}
		}
		names[name] = id
	}
	return names, nil
}

// tags returns what --tags says of models, by their IDs.
func (c *serveCmd) tags(s served) (map[string][]string, error) {
	tags := map[string][]string{}
	for _, t := range c.Tags {
		id, tag, ok := strings.Cut(t, "=")
		if !ok {
			if len(s.models) != 1 {
				return nil, usageError{fmt.Errorf("--tags %s: say which model it is for, as in MODEL=%s", t, t)}
			}
			id, tag = s.models[0].Options.ID, t
		}
		if id == "" || tag == "" {
			return nil, usageError{fmt.Errorf("--tags %q: want TAG or MODEL=TAG", t)}
		}
		tags[id] = append(tags[id], tag)
	}
	return tags, nil
}
