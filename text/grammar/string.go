package grammar

import (
	"strings"
	"unicode/utf8"
)

// The characters of JSON strings that are not written as they are.
var escapes = []struct {
	r    rune
	text string
}{
	{'"', `\"`}, {'\\', `\\`}, {'\b', `\b`}, {'\f', `\f`}, {'\n', `\n`}, {'\r', `\r`}, {'\t', `\t`},
}

// unescaped are the characters that JSON strings hold as they are.
var unescaped = complement([]runeRange{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}})

// noTags are the characters that JSON strings hold as they are where tags must not stand in them.
var noTags = overlap(unescaped, complement([]runeRange{{'<', '<'}}))

// runesIn is the expression of a class within a JSON string, which holds bare characters as they are.
func runesIn(ranges, bare []runeRange) *expr {
	ranges = normalize(ranges)
	list := []*expr{class(overlap(ranges, bare)...)}
	escaped := overlap(ranges, complement(bare))
	for _, r := range escaped {
		for c := r.lo; c <= r.hi; c++ {
			list = append(list, literal(escapeOf(c)))
		}
	}
	return alt(list...)
}

// escapeOf returns how a character that must be escaped is written.
func escapeOf(c rune) string {
	for _, e := range escapes {
		if e.r == c {
			return e.text
		}
	}
	const hex = "0123456789abcdef"
	return `\u00` + string(hex[c>>4&15]) + string(hex[c&15])
}

// jsonChar matches one character of a JSON string, in any form that JSON has for it. A pair of surrogates is one.
func jsonChar(bare []runeRange) *expr {
	hex := class(runeRange{'0', '9'}, runeRange{'a', 'f'}, runeRange{'A', 'F'})
	d := class(runeRange{'d', 'd'}, runeRange{'D', 'D'})
	high := seq(d, class(runeRange{'8', '9'}, runeRange{'a', 'b'}, runeRange{'A', 'B'}), hex, hex)
	low := seq(d, class(runeRange{'c', 'f'}, runeRange{'C', 'F'}), hex, hex)
	other := alt(
		seq(class(runeRange{'0', '9'}, runeRange{'a', 'c'}, runeRange{'A', 'C'}, runeRange{'e', 'f'},
			runeRange{'E', 'F'}),
			repeat(hex, 3, 3)),
		seq(d, digits('0', '7'), hex, hex))
	short := class(runeRange{'"', '"'}, runeRange{'\\', '\\'}, runeRange{'/', '/'}, runeRange{'b', 'b'},
		runeRange{'f', 'f'},
		runeRange{'n', 'n'}, runeRange{'r', 'r'}, runeRange{'t', 't'})
	return alt(class(bare...),
		seq(literal(`\`), alt(short, seq(literal("u"), alt(other, seq(high, literal(`\u`), low))))))
}

// jsonString matches a JSON string of low to high characters; high -1 is no bound.
func (c *schemaCompiler) jsonString(low, high int) *expr {
	return seq(literal(`"`), repeat(jsonChar(c.bare()), low, high), literal(`"`))
}

// bare are the characters that strings hold as they are.
func (c *schemaCompiler) bare() []runeRange {
	if c.tagless {
		return noTags
	}
	return unescaped
}

// runes is the expression of a class within a string.
func (c *schemaCompiler) runes(ranges []runeRange) *expr { return runesIn(ranges, c.bare()) }

// spelled is a JSON text in which no string holds a tag.
func (c *schemaCompiler) spelled(text string) string {
	if c.tagless {
		return strings.ReplaceAll(text, "<", `\u003c`) // it is nowhere but in strings
	}
	return text
}

// keyOtherThan matches a JSON string that is none of names. It has no escapes, so that no name has a second spelling.
func (c *schemaCompiler) keyOtherThan(names []string) (*expr, error) {
	char := class(c.bare()...)
	all, err := c.budget.regular(repeat(char, 0, -1))
	if err != nil {
		return nil, err
	}
	var list []*expr
	for _, n := range names {
		if utf8.ValidString(n) {
			list = append(list, literal(n))
		}
	}
	if len(list) == 0 {
		return seq(literal(`"`), repeat(char, 0, -1), literal(`"`)), nil
	}
	// the empty one is added so that it is not mistaken for none
	taken, err := c.budget.regular(alt(append(list, empty)...))
	if err != nil {
		return nil, err
	}
	taken.nodes[0].accept = false
	for _, n := range names {
		if n == "" {
			taken.nodes[0].accept = true
		}
	}
	rest, err := c.budget.product(all, taken, defaultLimits.nodes, func(a, b bool) bool { return a && !b })
	if err != nil {
		return nil, err
	}
	return seq(literal(`"`), &expr{op: opDFA, dfa: rest}, literal(`"`)), nil
}

// intersection matches what all of the expressions do, which have no rules.
func (b *budget) intersection(list ...*expr) (*expr, error) {
	first, err := b.regular(list[0])
	if err != nil {
		return nil, err
	}
	for _, e := range list[1:] {
		d, err := b.regular(e)
		if err != nil {
			return nil, err
		}
		if first, err = b.product(first, d, defaultLimits.nodes/4,
			func(a, b bool) bool { return a && b }); err != nil {
			return nil, err
		}
	}
	if first.isEmpty() {
		return never, nil
	}
	return &expr{op: opDFA, dfa: first}, nil
}
