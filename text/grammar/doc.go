// Package grammar holds generated text to a form: it says which tokens may come next, and which must.
//
// # Languages
//
// A [Grammar] is compiled from a JSON Schema, a grammar in GBNF or Lark's language, a regular expression, or from
// parts of them that a [Builder] puts together. What cannot be enforced is an error that names it; nothing is
// ignored.
//
// JSON Schema is draft 2020-12 as far as these keywords go:
//
//   - type, enum, const, $ref within the document (also recursive), $defs, $anchor, allOf, anyOf;
//
// - oneOf where the branches can be told apart: by type, by enum and const, or by a member that one requires and
// whose
//
//	  values are apart in the other or that the other forbids;
//	- properties, required, additionalProperties; propertyNames and patternProperties where all names are free;
//	  minProperties and maxProperties; unevaluatedProperties if false;
//	- items, prefixItems, minItems, maxItems; uniqueItems for one element;
//
// - minLength, maxLength, pattern (as below), format: date, time, date-time, duration, uuid, email, hostname, ipv4,
// ipv6
// and uri are enforced for strings, int8 to uint64 for integers, and other formats are annotations, as the standard
//
//	  has it;
//	- minimum, maximum and the exclusive ones, of any size; multipleOf for integers up to 1000.
//
// Annotations such as title, description, default and examples, $schema, and names that begin with x- have no effect.
// The texts are a subset of what the schema allows: members come in the order of properties; beside declared ones
// there are others only where additionalProperties asks for them; without type, the types that the other keywords
// speak of are meant; numbers have at most 15 digits before and behind the point unless bounds ask for more; white
// space is at most a space, or line ends with an indent of 20.
//
// GBNF is llama.cpp's: rules with ::=, strings, classes, the dot, groups, |, *, +, ?, {m,n} and comments.
//
// Of Lark's language there are rules and terminals, strings (also with i, and ranges "a".."z"), patterns with the
// flags i, s and u, groups, [optional], |, ?, *, +, ~n, ~n..m, aliases, priorities (which have no effect, since there
// is no lexer: a terminal matches whatever its pattern does), control tokens as <name>, and %import of terminals of
// the module common.
//
// Regular expressions are those of package regexp/syntax, in which JavaScript's \u escapes also work. They have no
// look-around, no word boundaries, and anchors at the ends alone. In a schema they match anywhere in the text.
//
// # Matching
//
// Every rule becomes a deterministic automaton over bytes, in which calls of other rules and counted loops are steps
// of their own. A state is the set of all readings of a text, each a node and the stack of callers. So tokens may
// hold parts of characters, and recursion and counts take no copies. Rules nest up to 512 deep; left recursion is an
// error.
//
// The mask of a state is made from those of its nodes: what a node makes of the tokens, as long as its rule has not
// ended, does not depend on the callers and is kept. Only for tokens that end the rule and go on is the caller asked.
// Masks of nodes and of whole states are kept up to a number of bytes for a vocabulary, the least used dropped first.
//
// # Tokens
//
// Control tokens are no text: a grammar allows them where it names them with [Builder.Special] and nowhere else, and
// text that spells one is text. End-of-generation tokens may come where the text may end, and nowhere else. A state
// without a token is an error and never an open end.
package grammar
