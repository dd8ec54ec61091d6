package grammar

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
)

// size returns the tightest of a keyword's counts in all bases: the greatest if most is set, else the least; or none.
func size(bases []*value, keyword string, most bool, none int) (int, error) {
	n, found := none, false
	for _, b := range bases {
		v := b.get(keyword)
		if v == nil {
			continue
		}
		r := numberOf(v.text)
		if v.kind != '0' || r == nil || !r.IsInt() || r.Sign() < 0 {
			return 0, fault(b, keyword, "must be an integer that is not negative")
		}
		i := maxRepeat
		if r.Num().IsInt64() && r.Num().Int64() < maxRepeat {
			i = int(r.Num().Int64())
		} else if most {
			return 0, fault(b, keyword, "%s is more than the %d that are supported", v.text, maxRepeat)
		}
		switch {
		case !found:
			n, found = i, true
		case most:
			n = max(n, i)
		default:
			n = min(n, i)
		}
	}
	return n, nil
}

// patternFault is the error of a pattern in a schema.
func patternFault(v *value, keyword string, err error) error {
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		return fault(v, keyword, "%s", syntax.Reason)
	}
	return err
}

// patterns writes the patterns and formats of strings, of characters as runes writes them.
func (c *schemaCompiler) patterns(bases []*value, runes func([]runeRange) *expr) ([]*expr, error) {
	var list []*expr
	for _, b := range bases {
		if p := b.get("pattern"); p != nil {
			if p.kind != '"' {
				return nil, fault(b, "pattern", "must be a string")
			}
			e, err := parseRegexp(p.text, false, runes)
			if err != nil {
				return nil, patternFault(b, "pattern", err)
			}
			list = append(list, e)
		}
		if f := b.get("format"); f != nil {
			if f.kind != '"' {
				return nil, fault(b, "format", "must be a string")
			}
			if p, ok := formats[f.text]; ok {
				e, err := parseRegexp(p, true, runes)
				if err != nil {
					return nil, err
				}
				list = append(list, e)
			}
		}
	}
	return list, nil
}

// string writes the strings that fit all bases.
func (c *schemaCompiler) string(bases []*value) (*expr, error) {
	low, err := size(bases, "minLength", true, 0)
	if err != nil {
		return nil, err
	}
	high, err := size(bases, "maxLength", false, -1)
	if err != nil {
		return nil, err
	}
	if high == maxRepeat {
		high = -1
	}
	list, err := c.patterns(bases, c.runes)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		if low == 0 && high < 0 {
			return c.common("string", func() *expr { return c.jsonString(0, -1) }), nil
		}
		return c.jsonString(low, high), nil
	}
	if low > 0 || high >= 0 {
		list = append(list, repeat(c.runes([]runeRange{{0, maxRune}}), low, high))
	}
	body := list[0]
	if len(list) > 1 {
		if body, err = c.budget.intersection(list...); err != nil {
			return nil, err
		}
	}
	return seq(literal(`"`), body, literal(`"`)), nil
}

// numberBounds returns the ends of the range in which all bases want numbers to be.
func numberBounds(bases []*value) (low, high bound, err error) {
	for _, b := range bases {
		for _, k := range []struct {
			keyword  string
			to       *bound
			sign     int // of a tighter bound against another
			excluded bool
		}{
			{"minimum", &low, 1, false}, {"exclusiveMinimum", &low, 1, true},
			{"maximum", &high, -1, false}, {"exclusiveMaximum", &high, -1, true},
		} {
			v := b.get(k.keyword)
			if v == nil {
				continue
			}
			r := numberOf(v.text)
			if v.kind != '0' || r == nil {
				return low, high, fault(b, k.keyword, "must be a number of at most %d digits", maxExponent)
			}
			if cmp := 1; k.to.at != nil {
				if cmp = r.Cmp(k.to.at) * k.sign; cmp < 0 || cmp == 0 && !k.excluded {
					continue
				}
			}
			*k.to = bound{r, k.excluded}
		}
		if f := b.get("format"); f != nil {
			if ends, ok := integerFormats[f.text]; ok {
				if r := numberOf(ends[0]); low.at == nil || r.Cmp(low.at) > 0 {
					low = bound{at: r}
				}
				if r := numberOf(ends[1]); high.at == nil || r.Cmp(high.at) < 0 {
					high = bound{at: r}
				}
			}
		}
	}
	return low, high, nil
}

// divisors returns the values of multipleOf.
func divisors(bases []*value) (list []*big.Rat, err error) {
	for _, b := range bases {
		v := b.get("multipleOf")
		if v == nil {
			continue
		}
		r := numberOf(v.text)
		if v.kind != '0' || r == nil || r.Sign() <= 0 {
			return nil, fault(b, "multipleOf", "must be a number above 0")
		}
		list = append(list, r)
	}
	return list, nil
}

// numberFits reports whether a number is within the bounds of all bases.
func (c *schemaCompiler) numberFits(bases []*value, n *big.Rat) (bool, error) {
	low, high, err := numberBounds(bases)
	if err != nil {
		return false, err
	}
	list, err := divisors(bases)
	if err != nil {
		return false, err
	}
	if low.at != nil && (n.Cmp(low.at) < 0 || n.Cmp(low.at) == 0 && low.excluded) ||
		high.at != nil && (n.Cmp(high.at) > 0 || n.Cmp(high.at) == 0 && high.excluded) {
		return false, nil
	}
	return !slices.ContainsFunc(list, func(d *big.Rat) bool { return !new(big.Rat).Quo(n, d).IsInt() }), nil
}

// maxDivisor bounds multipleOf, which takes a state for each remainder.
const maxDivisor = 1000

// number writes the numbers that fit all bases.
func (c *schemaCompiler) number(bases []*value, integer bool) (*expr, error) {
	low, high, err := numberBounds(bases)
	if err != nil {
		return nil, err
	}
	list, err := divisors(bases)
	if err != nil {
		return nil, err
	}
	bounded := low.at != nil || high.at != nil
	var e *expr
	switch {
	case bounded:
		e = numberRange(low, high, integer)
	case integer:
		e = c.common("integer", anyInteger)
	default:
		e = c.common("number", anyNumber)
	}
	for _, d := range list {
		switch {
		case integer && d.Cmp(big.NewRat(1, 1)) == 0:
			continue
		case !integer || !d.IsInt() || d.Cmp(big.NewRat(maxDivisor, 1)) > 0:
			return nil, fault(bases[0], "multipleOf", "is supported for integers, up to %d", maxDivisor)
		}
		if !bounded {
			e = anyInteger()
		}
		if e, err = c.budget.intersection(e, &expr{op: opDFA, dfa: multiples(int(d.Num().Int64()))}); err != nil {
			return nil, err
		}
		bounded = true
	}
	return e, nil
}

// multiples accepts the integers that n divides.
func multiples(n int) *dfa {
	// Nodes: the begin, behind the sign, and one for each remainder.
	d := &dfa{nodes: make([]dfaNode, n+2)}
	d.nodes[0].edges = []dfaEdge{{'-', '-', 1}}
	for i := range d.nodes {
		remainder := max(0, i-2)
		for digit := range 10 {
			c := byte('0' + digit)
			d.nodes[i].edges = append(d.nodes[i].edges, dfaEdge{c, c, int32(2 + (remainder*10+digit)%n)})
		}
	}
	d.nodes[2].accept = true
	return d
}

// space is the white space between the parts of objects and arrays: none, a space, or line ends and what indents.
var space = optional(alt(literal(" "),
	seq(repeat(literal("\n"), 1, 2), repeat(class(runeRange{' ', ' '}, runeRange{'\t', '\t'}), 0, 20))))

// comma separates members and elements.
var comma = seq(literal(","), space)

// enclosed writes what stands in brackets, and the empty ones too if none is set.
func enclosed(open, shut string, body *expr, none bool) *expr {
	e := seq(literal(open), space, body, space, literal(shut))
	if none {
		e = alt(e, seq(literal(open), space, literal(shut)))
	}
	return e
}

// array writes the arrays that fit all bases.
func (c *schemaCompiler) array(bases []*value) (*expr, error) {
	low, err := size(bases, "minItems", true, 0)
	if err != nil {
		return nil, err
	}
	high, err := size(bases, "maxItems", false, -1)
	if err != nil {
		return nil, err
	}
	if high == maxRepeat {
		high = -1
	}
	prefix, more, hasPrefix := 0, false, false
	for _, b := range bases {
		if u := b.get("uniqueItems"); u != nil && u.truth && (high < 0 || high > 1) {
			return nil, fault(b, "uniqueItems", "is not supported for more than one element")
		}
		if p := b.get("prefixItems"); p != nil {
			if p.kind != '[' {
				return nil, fault(b, "prefixItems", "must be an array")
			}
			prefix, hasPrefix = max(prefix, len(p.items)), true
		}
		if i := b.get("items"); i != nil {
			if i.kind == '[' {
				return nil, fault(b, "items", "must be a schema; an array of them is called prefixItems")
			}
			more = true
		}
	}
	// The element at an index fits the schema that each base has for it.
	element := func(i int) (*expr, error) {
		var schemas []*value
		for _, b := range bases {
			if p := b.get("prefixItems"); p != nil && i < len(p.items) {
				schemas = append(schemas, p.items[i])
			} else if s := b.get("items"); s != nil {
				schemas = append(schemas, s)
			}
		}
		if len(schemas) == 0 {
			return c.anyValue()
		}
		r, err := c.rule(schemas...)
		return ref(r), err
	}
	rest := empty // behind the prefix
	lowRest, highRest := max(0, low-prefix), high
	if high >= 0 {
		highRest = max(0, high-prefix)
	}
	if more || !hasPrefix || lowRest > 0 {
		item, err := element(prefix)
		if err != nil {
			return nil, err
		}
		if prefix > 0 {
			rest = repeat(seq(comma, item), lowRest, highRest)
		} else if highRest != 0 {
			if highRest > 0 {
				highRest--
			}
			rest = seq(item, repeat(seq(comma, item), max(0, lowRest-1), highRest))
		}
	}
	none := low == 0
	if high == 0 {
		if low > 0 {
			return never, nil
		}
		return seq(literal("["), space, literal("]")), nil
	}
	for i := prefix - 1; i >= 0; i-- {
		if high >= 0 && i >= high {
			rest = empty
			continue
		}
		e, err := element(i)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			e = seq(comma, e)
		}
		if rest = seq(e, rest); i > 0 && i >= low {
			rest = optional(rest)
		}
	}
	return enclosed("[", "]", rest, none), nil
}

// anyValue is the rule of all JSON values.
func (c *schemaCompiler) anyValue() (*expr, error) {
	var err error
	e := c.common("value", func() *expr {
		var e *expr
		e, err = c.typed(nil)
		return e
	})
	return e, err
}

// key writes the name of a member and the colon behind it.
func (c *schemaCompiler) key(name string) *expr {
	return seq(literal(c.spelled(quoteJSON(name))+":"), optional(literal(" ")))
}

// number of a position, for messages and names of rules.
func position(i, k int) string { return strconv.Itoa(i) + "/" + strconv.Itoa(k) }
