package grammar

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
)

// maxPattern bounds the bytes of a regular expression.
const maxPattern = 1 << 14

// parseRegexp returns what a whole text that matches pattern looks like. Unless anchored is set, the pattern may match
// anywhere in the text and ^ and $ hold it to the ends, as in JSON Schema; else it is the whole text. rune makes the
// expression of a class of code points.
func parseRegexp(pattern string, anchored bool, runes func([]runeRange) *expr) (*expr, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("%w: a regular expression of %d bytes, at most %d are allowed",
			ErrTooLarge, len(pattern), maxPattern)
	}
	re, err := syntax.Parse(ecmaToGo(pattern), syntax.Perl)
	if err != nil {
		return nil, &SyntaxError{"regular expression", 1, err.Error()}
	}
	p := regexpParser{runes: runes, gap: repeat(runes([]runeRange{{0, maxRune}}), 0, -1)}
	if anchored {
		p.gap = empty
	}
	return p.whole(re, true, true)
}

// ecmaToGo spells what JavaScript's regular expressions have as Go's do: \u with four digits or braces, and \c.
func ecmaToGo(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '\\' || i+1 == len(p) {
			b.WriteByte(p[i])
			continue
		}
		rest := p[i+2:]
		switch c := p[i+1]; {
		case c == 'u' && len(rest) >= 4 && isHex(rest[:4]):
			b.WriteString(`\x{` + rest[:4] + `}`)
			i += 5
		case c == 'u' && strings.HasPrefix(rest, "{"):
			b.WriteString(`\x`)
			i++
		case c == 'c' && len(rest) > 0 && isLetter(rest[0]):
			fmt.Fprintf(&b, `\x%02x`, rest[0]&31)
			i += 2
		case c == '-' || c == '/':
			b.WriteString(`\` + string(c))
			i++
		default:
			b.WriteString(p[i : i+2])
			i++
		}
	}
	return b.String()
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// regexpParser turns the syntax tree of a regular expression into an expression.
type regexpParser struct {
	runes func([]runeRange) *expr
	gap   *expr // what may stand before and behind
	work  int
}

func unsupportedPattern(what string) error {
	return &SyntaxError{"regular expression", 1, what + " is not supported"}
}

// whole returns what a text looks like of which re matches a part. first and last say that the text's begin and end
// are still to be written: where re is not held to them by anchors, the gap comes before and behind.
func (p *regexpParser) whole(re *syntax.Regexp, first, last bool) (*expr, error) {
	if p.work++; p.work > 1<<12 {
		return nil, fmt.Errorf("%w: a regular expression with too many anchors", ErrTooLarge)
	}
	switch re.Op {
	case syntax.OpCapture:
		return p.whole(re.Sub[0], first, last)
	case syntax.OpAlternate:
		var list []*expr
		for _, s := range re.Sub {
			e, err := p.whole(s, first, last)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return alt(list...), nil
	case syntax.OpConcat:
		return p.concat(re.Sub, first, last)
	}
	return p.concat([]*syntax.Regexp{re}, first, last)
}

// concat is whole for parts that follow each other.
func (p *regexpParser) concat(parts []*syntax.Regexp, first, last bool) (*expr, error) {
	var before, behind *expr
	for first && len(parts) > 0 && isBegin(parts[0]) {
		parts, before = parts[1:], empty
	}
	for last && len(parts) > 0 && isEnd(parts[len(parts)-1]) {
		parts, behind = parts[:len(parts)-1], empty
	}
	// An anchor within a group at either end is written out for each of the group's alternatives.
	if n := len(parts); n > 0 {
		at := -1
		if first && before == nil && hasAnchor(parts[0]) {
			at = 0
		} else if last && behind == nil && hasAnchor(parts[n-1]) {
			at = n - 1
		}
		if at >= 0 {
			choices, err := p.choices(parts[at])
			if err != nil {
				return nil, err
			}
			var list []*expr
			for _, c := range choices {
				var spliced []*syntax.Regexp
				if before != nil {
					spliced = append(spliced, &syntax.Regexp{Op: syntax.OpBeginText})
				}
				spliced = append(append(append(spliced, parts[:at]...), c...), parts[at+1:]...)
				if behind != nil {
					spliced = append(spliced, &syntax.Regexp{Op: syntax.OpEndText})
				}
				e, err := p.concatAgain(spliced, first, last)
				if err != nil {
					return nil, err
				}
				list = append(list, e)
			}
			return alt(list...), nil
		}
	}
	var list []*expr
	if first && before == nil {
		list = append(list, p.gap)
	}
	for _, s := range parts {
		e, err := p.plain(s)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if last && behind == nil {
		list = append(list, p.gap)
	}
	return seq(list...), nil
}

func (p *regexpParser) concatAgain(parts []*syntax.Regexp, first, last bool) (*expr, error) {
	if p.work++; p.work > 1<<12 {
		return nil, fmt.Errorf("%w: a regular expression with too many anchors", ErrTooLarge)
	}
	return p.concat(parts, first, last)
}

// choices returns the alternatives of a group with anchors, each as the parts that follow each other.
func (p *regexpParser) choices(re *syntax.Regexp) ([][]*syntax.Regexp, error) {
	switch re.Op {
	case syntax.OpCapture:
		return p.choices(re.Sub[0])
	case syntax.OpConcat:
		return [][]*syntax.Regexp{re.Sub}, nil
	case syntax.OpQuest:
		return [][]*syntax.Regexp{{re.Sub[0]}, {}}, nil
	case syntax.OpAlternate:
		var list [][]*syntax.Regexp
		for _, s := range re.Sub {
			list = append(list, []*syntax.Regexp{s})
		}
		return list, nil
	}
	return nil, unsupportedPattern("an anchor in a repetition")
}

func isBegin(re *syntax.Regexp) bool { return re.Op == syntax.OpBeginText }
func isEnd(re *syntax.Regexp) bool   { return re.Op == syntax.OpEndText }

func hasAnchor(re *syntax.Regexp) bool {
	if isBegin(re) || isEnd(re) {
		return true
	}
	for _, s := range re.Sub {
		if hasAnchor(s) {
			return true
		}
	}
	return false
}

// plain returns the expression of re, which has no anchors.
func (p *regexpParser) plain(re *syntax.Regexp) (*expr, error) {
	list := make([]*expr, len(re.Sub))
	for i, s := range re.Sub {
		var err error
		if list[i], err = p.plain(s); err != nil {
			return nil, err
		}
	}
	switch re.Op {
	case syntax.OpNoMatch:
		return never, nil
	case syntax.OpEmptyMatch:
		return empty, nil
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			list = append(list, p.runes(folds(r, re.Flags&syntax.FoldCase != 0)))
		}
		return seq(list...), nil
	case syntax.OpCharClass:
		var ranges []runeRange
		for i := 0; i+1 < len(re.Rune); i += 2 {
			ranges = append(ranges, runeRange{re.Rune[i], re.Rune[i+1]})
		}
		if ranges = normalize(ranges); len(ranges) == 0 {
			return never, nil
		}
		return p.runes(ranges), nil
	case syntax.OpAnyCharNotNL:
		return p.runes(complement([]runeRange{{'\n', '\n'}})), nil
	case syntax.OpAnyChar:
		return p.runes([]runeRange{{0, maxRune}}), nil
	case syntax.OpCapture:
		return list[0], nil
	case syntax.OpStar:
		return repeat(list[0], 0, -1), nil
	case syntax.OpPlus:
		return repeat(list[0], 1, -1), nil
	case syntax.OpQuest:
		return optional(list[0]), nil
	case syntax.OpRepeat:
		return repeat(list[0], re.Min, re.Max), nil
	case syntax.OpConcat:
		return seq(list...), nil
	case syntax.OpAlternate:
		return alt(list...), nil
	case syntax.OpBeginText, syntax.OpEndText:
		return nil, unsupportedPattern("an anchor in the middle")
	case syntax.OpBeginLine, syntax.OpEndLine:
		return nil, unsupportedPattern("an anchor at lines")
	}
	return nil, unsupportedPattern("a word boundary")
}

// folds returns a code point, with those that differ in case alone if fold is set.
func folds(r rune, fold bool) []runeRange {
	list := []runeRange{{r, r}}
	if fold {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			list = append(list, runeRange{f, f})
		}
	}
	return list
}

// plainRunes is the expression of a class in text as it is.
func plainRunes(ranges []runeRange) *expr { return class(ranges...) }

// regexpSource is the grammar of the texts that a regular expression matches as a whole.
func regexpSource(pattern string) (source, error) {
	e, err := parseRegexp(pattern, true, plainRunes)
	return source{rules: []*expr{e}}, err
}
