package hipengine

import "github.com/hipengine/hipengine/text/grammar"

// Constraint is a form that an answer must have, in one of several languages, of which package text/grammar says what
// they hold. Tokens are chosen among those that fit; where only one text fits, it is read like a prompt.
//
//	Constraint{JSONSchema: `{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}`}
//	Constraint{Regexp: `(yes|no)`}
type Constraint = grammar.Spec
