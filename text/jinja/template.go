package jinja

import (
	"fmt"
	"time"
)

// Template is a parsed template. It does not change: any number of goroutines may render it at the same time.
type Template struct {
	body   []stmt
	names  []string // by symbol
	limits Limits
}

// Parse compiles a template with the default limits. An error names line, column and what was expected there.
func Parse(src string) (*Template, error) {
	return ParseLimits(src, Limits{})
}

// ParseLimits is Parse with limits of the caller's choice, which hold for parsing and for every rendering.
func ParseLimits(src string, limits Limits) (*Template, error) {
	limits = limits.withDefaults()
	if len(src) > limits.MaxSource {
		return nil, fmt.Errorf("jinja: parse: source of %d bytes: %w", len(src),
			&LimitError{Limit: "source", Max: limits.MaxSource})
	}
	body, names, err := parse(src, limits.MaxDepth)
	if err != nil {
		return nil, err
	}
	return &Template{body: body, names: names, limits: limits}, nil
}

// Rendering is one rendering of a template: set variables, then call Run once. It belongs to one goroutine. The
// variables that it decodes count against the limits of the template.
type Rendering struct {
	t    *Template
	in   *interp
	vars map[string]value
}

// NewRendering starts a rendering; now is the local time of strftime_now.
func (t *Template) NewRendering(now time.Time) *Rendering {
	return &Rendering{
		t: t,
		in: &interp{
			limits: t.limits,
			steps:  t.limits.MaxSteps,
			memory: t.limits.MaxMemory,
			now:    now,
			out:    &buffer{},
			scope:  &scope{slots: make([]value, len(t.names))},
		},
		vars: map[string]value{},
	}
}

// Set gives a variable its value; it hides the global function of that name. A mapping or list belongs to the
// rendering from then on, which may change it.
func (r *Rendering) Set(name string, v Value) { r.vars[name] = v.v }

// Run renders the template into pieces, which together are the text. Errors name the place in the template; errors.As
// finds a [RaisedError] if the template refused its input and a [LimitError] if it ran into a limit.
func (r *Rendering) Run() ([]Piece, error) {
	for sym, name := range r.t.names {
		if v, ok := r.vars[name]; ok {
			r.in.scope.slots[sym] = v
		} else if fn, ok := globals[name]; ok {
			r.in.scope.slots[sym] = fn
		}
	}
	if _, err := r.in.run(r.t.body); err != nil {
		return nil, located(err, position{1, 1})
	}
	return r.in.out.b.str().pieces(), nil
}
