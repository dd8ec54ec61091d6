package grammar

import "slices"

// op is the kind of an expression.
type op uint8

const (
	opNever   op = iota // matches nothing
	opEmpty             // matches the empty text
	opLiteral           // bytes
	opClass             // one code point of ranges
	opSeq
	opAlt
	opRepeat  // subs[0], from min to max times; max -1 is no bound
	opRef     // a rule
	opSpecial // a control token by its text, or the text where the vocabulary has no such token
	opDFA     // a regular language that is already an automaton
)

// expr is a node of a grammar. It does not change once it is made, and may be part of several others.
type expr struct {
	op       op
	text     string
	ranges   []runeRange
	subs     []*expr
	min, max int
	rule     int
	dfa      *dfa
}

// runeRange is a range of code points, both ends included.
type runeRange struct{ lo, hi rune }

var (
	never = &expr{op: opNever}
	empty = &expr{op: opEmpty}
)

func literal(s string) *expr {
	if s == "" {
		return empty
	}
	return &expr{op: opLiteral, text: s}
}

func special(s string) *expr { return &expr{op: opSpecial, text: s} }

func ref(rule int) *expr { return &expr{op: opRef, rule: rule} }

// class matches a code point of the ranges, which need not be in order.
func class(ranges ...runeRange) *expr {
	if len(ranges) == 0 {
		return never
	}
	return &expr{op: opClass, ranges: normalize(ranges)}
}

// seq matches its parts one after the other.
func seq(parts ...*expr) *expr {
	var list []*expr
	for _, p := range parts {
		switch p.op {
		case opNever:
			return never
		case opEmpty:
		case opSeq:
			list = append(list, p.subs...)
		default:
			list = append(list, p)
		}
	}
	switch len(list) {
	case 0:
		return empty
	case 1:
		return list[0]
	}
	return &expr{op: opSeq, subs: list}
}

// alt matches what any of its parts does.
func alt(parts ...*expr) *expr {
	var list []*expr
	for _, p := range parts {
		switch p.op {
		case opNever:
		case opAlt:
			list = append(list, p.subs...)
		default:
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	switch len(list) {
	case 0:
		return never
	case 1:
		return list[0]
	}
	return &expr{op: opAlt, subs: list}
}

// repeat matches e from low to high times; high -1 is no bound.
func repeat(e *expr, low, high int) *expr {
	switch {
	case high >= 0 && low > high:
		return never
	case high == 0, e.op == opEmpty:
		return empty
	case e.op == opNever:
		if low > 0 {
			return never
		}
		return empty
	case low == 1 && high == 1:
		return e
	}
	return &expr{op: opRepeat, subs: []*expr{e}, min: low, max: high}
}

func optional(e *expr) *expr { return repeat(e, 0, 1) }

// normalize sorts ranges and joins those that touch. Surrogates, which no UTF-8 spells, are left out.
func normalize(ranges []runeRange) []runeRange {
	const lowSurrogate, highSurrogate = 0xD800, 0xDFFF
	var list []runeRange
	for _, r := range ranges {
		r.lo, r.hi = max(r.lo, 0), min(r.hi, maxRune)
		if r.lo < lowSurrogate && r.hi >= lowSurrogate {
			list = append(list, runeRange{r.lo, lowSurrogate - 1})
			r.lo = highSurrogate + 1
		} else if r.lo >= lowSurrogate && r.lo <= highSurrogate {
			r.lo = highSurrogate + 1
		}
		if r.lo <= r.hi {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	var out []runeRange
	for _, r := range list {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// complement returns the code points that are in none of the ranges.
func complement(ranges []runeRange) []runeRange {
	var out []runeRange
	next := rune(0)
	for _, r := range normalize(ranges) {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= maxRune {
		out = append(out, runeRange{next, maxRune})
	}
	return normalize(out)
}

// overlap returns the code points that are in both.
func overlap(a, b []runeRange) []runeRange {
	var out []runeRange
	for _, x := range a {
		for _, y := range b {
			if lo, hi := max(x.lo, y.lo), min(x.hi, y.hi); lo <= hi {
				out = append(out, runeRange{lo, hi})
			}
		}
	}
	return normalize(out)
}

// anyText matches any UTF-8.
var anyText = repeat(class(runeRange{0, maxRune}), 0, -1)

const maxRune = 0x10FFFF

// size counts the nodes of an expression, up to limit.
func (e *expr) size(limit int) int {
	n := 1
	for _, s := range e.subs {
		if n >= limit {
			break
		}
		n += s.size(limit - n)
	}
	switch e.op {
	case opLiteral, opSpecial:
		n += len(e.text)
	case opClass:
		n += len(e.ranges)
	case opDFA:
		n += len(e.dfa.nodes)
	}
	return n
}
