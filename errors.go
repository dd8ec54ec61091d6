package hipengine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hipengine/hipengine/engine"
)

// Errors that callers branch on.
var (
	// ErrClosed says that the Host or the Model is closed.
	ErrClosed = errors.New("hipengine: closed")
	// ErrBusy says that a measurement needs the model alone, or that one is running.
	ErrBusy = errors.New("hipengine: the model is in use")
	// ErrEncoder says that the model is an encoder: it makes embeddings, or ranks, and writes no text.
	ErrEncoder = errors.New("hipengine: the model is an encoder, which makes embeddings or ranks, and writes no text")
	// ErrQueueFull says that as many answers wait for their turn as the queue holds.
	ErrQueueFull = engine.ErrQueueFull
)

// ContextLengthError says that a prompt does not fit into the context, with room for one more token.
type ContextLengthError = engine.ContextLengthError

// OptionError says that an option has a value that it cannot have, or that does not go with another.
type OptionError struct {
	Option string // name of the field of HostOptions or Options
	Reason string // goes on with the name: "-1 is outside 0..1024"
	Err    error  // in place of Reason, what was wrong with the value
	Needs  string // in place of both, an option that this one is for and that is not given
}

// Error names the option.
func (e *OptionError) Error() string {
	return "hipengine: option " + e.Message(func(option string) string { return option })
}

// Message is the text of the error with other names for options, such as those of flags.
func (e *OptionError) Message(name func(option string) string) string {
	switch {
	case e.Needs != "":
		return fmt.Sprintf("%s is for %s, which is not given", name(e.Option), name(e.Needs))
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", name(e.Option), e.Err)
	}
	return name(e.Option) + " " + e.Reason
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// ParamsError says that a sampling parameter is out of its range, or that a constraint cannot be compiled: see package
// text/grammar for the errors in it.
type ParamsError struct{ Err error }

// Error names the parameter.
func (e *ParamsError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ParamsError) Unwrap() error { return e.Err }

// NotFoundError says that a name means no model.
type NotFoundError struct {
	Name   string
	Folder string // in which names were looked up; empty if the name is a path or a hub's
	Err    error  // of a name of a hub: what is wrong with it, or a *hub.NotCachedError

	Similar []string // names that may have been meant
}

// Error names what was looked for and where.
func (e *NotFoundError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("no model %q: %v", e.Name, e.Err)
	case e.Folder == "":
		return fmt.Sprintf("no model %q: there is no such file", e.Name)
	}
	s := fmt.Sprintf("no model %q: neither a file nor a name in %s", e.Name, e.Folder)
	if len(e.Similar) > 0 {
		s += "; there is " + strings.Join(e.Similar, ", ")
	}
	return s
}

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }

// ConversationError says that a model's chat template does not take the messages, for example because roles must
// alternate.
type ConversationError struct {
	Reason string // the template's own words, or where it failed
	err    error
}

// Error returns the template's words and where in the template they stand.
func (e *ConversationError) Error() string { return e.err.Error() }

// Unwrap returns the error of package chat.
func (e *ConversationError) Unwrap() error { return e.err }

// Refused returns Reason. Package serve tells by this method that the fault is with the conversation.
func (e *ConversationError) Refused() string { return e.Reason }

// MemoryError says that a model does not fit on the device beside the others that are loaded. Nothing was allocated.
type MemoryError struct {
	Model      string
	Device     string
	Need, Free int64 // bytes; Free is without what is promised to other models
	Fits       int   // the longest context in tokens that fits; 0 if none does

	Others []ModelMemory // what the other models of the host take

	err error
}

// Error names each part of what is needed, what is free, what would fit, and the other models.
func (e *MemoryError) Error() string {
	var b strings.Builder
	b.WriteString(e.err.Error())
	for i, o := range e.Others {
		lead := ", "
		if i == 0 {
			lead = "; promised to other models: "
		}
		fmt.Fprintf(&b, "%s%s %.1f MiB", lead, o.Model, float64(o.Planned)/(1<<20))
	}
	return b.String()
}

// Unwrap returns the error of package runner.
func (e *MemoryError) Unwrap() error { return e.err }
