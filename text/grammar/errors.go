package grammar

import (
	"errors"
	"fmt"
)

// Errors of compiling, which wrap one of these or are a *[SchemaError] or *[SyntaxError].
var (
	// ErrTooLarge says that a grammar needs more states, rules or time than the limits allow.
	ErrTooLarge = errors.New("grammar: too large")
	// ErrImpossible says that no text at all fits the grammar.
	ErrImpossible = errors.New("grammar: no text fits")
	// ErrLeftRecursion says that a rule begins with itself.
	ErrLeftRecursion = errors.New("grammar: left recursion")
)

// Errors of a [Matcher].
var (
	// ErrNoToken says that the vocabulary has no token by which the text could go on.
	ErrNoToken = errors.New("grammar: no token of the vocabulary fits here")
	// ErrRejected says that an accepted token does not fit.
	ErrRejected = errors.New("grammar: the token does not fit")
	// ErrAmbiguous says that a text can be read in more ways at once than the limits allow.
	ErrAmbiguous = errors.New("grammar: too ambiguous")
)

// SchemaError says what in a JSON Schema cannot be enforced, or is wrong.
type SchemaError struct {
	Pointer string // JSON pointer to the place, empty for the schema itself
	Keyword string // the keyword at fault; empty for the place as a whole
	Reason  string
}

// Error names keyword and place.
func (e *SchemaError) Error() string {
	at := "#" + e.Pointer
	if e.Keyword == "" {
		return fmt.Sprintf("grammar: schema %s: %s", at, e.Reason)
	}
	return fmt.Sprintf("grammar: schema %s: keyword %q: %s", at, e.Keyword, e.Reason)
}

// SyntaxError says where the text of a grammar is wrong.
type SyntaxError struct {
	Language string // "GBNF", "Lark" or "regular expression"
	Line     int    // from 1
	Reason   string
}

// Error names language and line.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("grammar: %s, line %d: %s", e.Language, e.Line, e.Reason)
}
