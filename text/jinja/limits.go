package jinja

import "fmt"

// Limits bounds what one template may cost. A zero field takes its default, so the zero value is ready for use.
type Limits struct {
	// MaxSource is the longest template source in bytes; default 1 MiB.
	MaxSource int
	// MaxDepth bounds nesting: of expressions and statements in the source, of macro calls and evaluation while
	// rendering, and of values while printing or comparing them; default 2000.
	MaxDepth int
	// MaxSteps bounds the work of one rendering. Evaluating one expression or statement is a step, and so is
	// handling one element or 64 bytes in a filter, method or operator; default 20 million.
	MaxSteps int
	// MaxMemory bounds the bytes of all values that one rendering builds, the decoded input included. Values that
	// have become garbage count too, so it bounds memory in use from above. Text that stems from data counts twice,
	// with its marks; default 256 MiB.
	MaxMemory int
	// MaxOutput is the longest rendered text in bytes; it holds also for each text that a template captures in
	// a macro or a block; default 16 MiB.
	MaxOutput int
}

// withDefaults returns l with every zero field set to its default.
func (l Limits) withDefaults() Limits {
	set := func(field *int, def int) {
		if *field == 0 {
			*field = def
		}
	}
	set(&l.MaxSource, 1<<20)
	set(&l.MaxDepth, 2000)
	set(&l.MaxSteps, 20_000_000)
	set(&l.MaxMemory, 256<<20)
	set(&l.MaxOutput, 16<<20)
	return l
}

// Bounds on single values, which no template needs to raise.
const (
	maxIntBits  = 1 << 14 // about 4900 decimal digits; Python stops at 4300 digits when printing
	maxRange    = 100_000 // elements of one range, as in Jinja's sandbox
	maxJSONNest = 512     // nesting of a JSON document; Python's decoder stops near 1000
)

// LimitError reports that a template ran into one of its [Limits].
type LimitError struct {
	// Limit says what was used up: "source", "nesting", "steps", "memory" or "output" for the fields of Limits;
	// "range", "integer bits", "JSON nesting" or "format width" for bounds on single values.
	Limit string
	// Max is the bound, in the unit of the limit.
	Max int
}

// Error names the limit and its value.
func (e *LimitError) Error() string {
	return fmt.Sprintf("limit of %d reached for %s", e.Max, e.Limit)
}

// RaisedError is the error of a template that called raise_exception: it refuses the conversation on purpose, for
// example because roles do not alternate. The fault is with the request and not with the engine.
type RaisedError struct {
	Message string // the template's own words
}

// Error returns the template's message with a prefix.
func (e *RaisedError) Error() string {
	return "template raised: " + e.Message
}

// position is a place in a template source; both count from 1, columns in characters.
type position struct {
	line, col int
}

// renderError puts the place in the template in front of an error.
type renderError struct {
	at  position
	err error
}

func (e *renderError) Error() string {
	return fmt.Sprintf("jinja: render: line %d, column %d: %v", e.at.line, e.at.col, e.err)
}

func (e *renderError) Unwrap() error { return e.err }

// located wraps err with the place where it arose, unless a deeper node did so already.
func located(err error, at position) error {
	if _, ok := err.(*renderError); ok {
		return err
	}
	return &renderError{at: at, err: err}
}
