package grammar

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxGrammar bounds the bytes of a grammar's text.
const maxGrammar = 1 << 20

// maxRepeat bounds the counts of repetitions.
const maxRepeat = 1 << 20

// rulebook collects the rules of a grammar by name.
type rulebook struct {
	language string
	rules    []*expr
	names    map[string]int
	used     map[int]int // the line in which an index is first referred to
	depth    int
}

func newRulebook(language string) *rulebook {
	return &rulebook{language: language, names: map[string]int{}, used: map[int]int{}}
}

// index returns the index of a rule's name.
func (b *rulebook) index(name string) int {
	i, ok := b.names[name]
	if !ok {
		i = len(b.rules)
		b.names[name] = i
		b.rules = append(b.rules, nil)
	}
	return i
}

// source returns the grammar that begins with a rule, which becomes the first. It names a rule that is missing.
func (b *rulebook) source(root string) (source, error) {
	if i, ok := b.names[root]; !ok || b.rules[i] == nil {
		return source{}, &SyntaxError{b.language, 1, fmt.Sprintf("there is no rule %q", root)}
	}
	for name, i := range b.names {
		if b.rules[i] == nil {
			return source{}, &SyntaxError{b.language, max(1, b.used[i]), fmt.Sprintf("there is no rule %q", name)}
		}
	}
	return source{rules: append([]*expr{ref(b.names[root] + 1)}, shift(b.rules, 1)...)}, nil
}

// shift returns rules in which every reference is higher by n.
func shift(rules []*expr, n int) []*expr {
	out := make([]*expr, len(rules))
	moved := map[*expr]*expr{}
	var move func(e *expr) *expr
	move = func(e *expr) *expr {
		if to, ok := moved[e]; ok {
			return to
		}
		to := e
		if e.op == opRef {
			to = ref(e.rule + n)
		} else if len(e.subs) > 0 {
			c := *e
			c.subs = make([]*expr, len(e.subs))
			for i, s := range e.subs {
				c.subs[i] = move(s)
			}
			to = &c
		}
		moved[e] = to
		return to
	}
	for i, r := range rules {
		out[i] = move(r)
	}
	return out
}

// maxNesting bounds groups within groups.
const maxNesting = 256

// gbnf reads llama.cpp's form of BNF.
type gbnf struct {
	*rulebook
	text string
	at   int
}

// gbnfSource reads a grammar in GBNF, which begins with the rule root.
func gbnfSource(text string) (source, error) {
	if len(text) > maxGrammar {
		return source{}, fmt.Errorf("%w: a grammar of %d bytes, at most %d are allowed", ErrTooLarge, len(text),
			maxGrammar)
	}
	if !utf8.ValidString(text) {
		return source{}, &SyntaxError{"GBNF", 1, "the text is not UTF-8"}
	}
	p := &gbnf{rulebook: newRulebook("GBNF"), text: text}
	for p.space(true); p.at < len(p.text); p.space(true) {
		name := p.name()
		if name == "" {
			return source{}, p.fail("the name of a rule is expected, not %s", p.here())
		}
		p.space(false)
		if !p.take("::=") {
			return source{}, p.fail("::= is expected behind the name %q", name)
		}
		p.space(true)
		i := p.index(name)
		if p.rules[i] != nil {
			return source{}, p.fail("there are two rules %q", name)
		}
		e, err := p.alternatives(false)
		if err != nil {
			return source{}, err
		}
		p.rules[i] = e
		if p.at < len(p.text) && p.text[p.at] != '\n' {
			return source{}, p.fail("the end of the line is expected, not %s", p.here())
		}
	}
	return p.source("root")
}

func (p *gbnf) line() int { return 1 + strings.Count(p.text[:min(p.at, len(p.text))], "\n") }

func (p *gbnf) fail(format string, args ...any) error {
	return &SyntaxError{p.language, p.line(), fmt.Sprintf(format, args...)}
}

// here quotes what comes next.
func (p *gbnf) here() string {
	if p.at >= len(p.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return strconv.QuoteRune(r)
}

func (p *gbnf) take(s string) bool {
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

// space skips white space and comments; line ends too if lines is set.
func (p *gbnf) space(lines bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		case c == ' ' || c == '\t' || c == '\r' || lines && c == '\n':
			p.at++
		default:
			return
		}
	}
}

func isWord(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' || c == '-' || c == '_' }

func (p *gbnf) name() string {
	begin := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) {
		p.at++
	}
	return p.text[begin:p.at]
}

func (p *gbnf) alternatives(nested bool) (*expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("groups are nested deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	var list []*expr
	for {
		e, err := p.sequence(nested)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		begin := p.at
		p.space(true)
		if !p.take("|") {
			if !nested {
				p.at = begin
				p.space(false)
			}
			return alt(list...), nil
		}
		p.space(true)
	}
}

func (p *gbnf) sequence(nested bool) (*expr, error) {
	var list []*expr
	for {
		p.space(nested)
		if p.at >= len(p.text) {
			break
		}
		var e *expr
		var err error
		switch c := p.text[p.at]; {
		case c == '"':
			e, err = p.quoted()
		case c == '[':
			e, err = p.chars()
		case c == '.':
			p.at++
			e = class(runeRange{0, maxRune})
		case c == '(':
			p.at++
			p.space(true)
			if e, err = p.alternatives(true); err == nil && !p.take(")") {
				err = p.fail("%q is expected, not %s", ")", p.here())
			}
		case isWord(c):
			begin := p.at
			name := p.name()
			after := p.at
			p.space(false)
			if strings.HasPrefix(p.text[p.at:], "::=") { // the next rule, in the same line
				p.at = begin
				return nil, p.fail("a rule begins in the middle of a line")
			}
			p.at = after
			i := p.index(name)
			if _, ok := p.used[i]; !ok {
				p.used[i] = p.line()
			}
			e = ref(i)
		default:
			return seq(list...), nil
		}
		if err != nil {
			return nil, err
		}
		if e, err = p.repeated(e); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return seq(list...), nil
}

// repeated reads what may follow an item: *, +, ? or {m,n}.
func (p *gbnf) repeated(e *expr) (*expr, error) {
	for p.at < len(p.text) {
		switch {
		case p.take("*"):
			e = repeat(e, 0, -1)
		case p.take("+"):
			e = repeat(e, 1, -1)
		case p.take("?"):
			e = optional(e)
		case p.take("{"):
			low, ok := p.number()
			high := low
			if !ok {
				return nil, p.fail("a count is expected, not %s", p.here())
			}
			if p.space(false); p.take(",") {
				if high, ok = p.number(); !ok {
					high = -1
				}
			}
			if p.space(false); !p.take("}") {
				return nil, p.fail("%q is expected, not %s", "}", p.here())
			}
			if low > maxRepeat || high > maxRepeat || high >= 0 && low > high {
				return nil, p.fail("counts must ascend and be at most %d", maxRepeat)
			}
			e = repeat(e, low, high)
		default:
			return e, nil
		}
	}
	return e, nil
}

func (p *gbnf) number() (int, bool) {
	p.space(false)
	begin := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	n, err := strconv.Atoi(p.text[begin:p.at])
	if err != nil && p.at > begin {
		n, err = maxRepeat+1, nil // beyond what is allowed
	}
	return n, err == nil
}

// quoted reads a string.
func (p *gbnf) quoted() (*expr, error) {
	var b strings.Builder
	for p.at++; ; {
		if p.at >= len(p.text) || p.text[p.at] == '\n' {
			return nil, p.fail("a string has no end")
		}
		if p.take(`"`) {
			return literal(b.String()), nil
		}
		r, err := p.char()
		if err != nil {
			return nil, err
		}
		b.WriteRune(r)
	}
}

// chars reads a class such as [^a-z].
func (p *gbnf) chars() (*expr, error) {
	p.at++
	not := p.take("^")
	var ranges []runeRange
	for !p.take("]") {
		if p.at >= len(p.text) || p.text[p.at] == '\n' {
			return nil, p.fail("a class has no end")
		}
		lo, err := p.char()
		if err != nil {
			return nil, err
		}
		hi := lo
		if p.at+1 < len(p.text) && p.text[p.at] == '-' && p.text[p.at+1] != ']' {
			p.at++
			if hi, err = p.char(); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, p.fail("a range of a class descends")
		}
		ranges = append(ranges, runeRange{lo, hi})
	}
	if not {
		ranges = complement(ranges)
	}
	return class(ranges...), nil
}

// char reads a character of a string or class.
func (p *gbnf) char() (rune, error) {
	if !p.take(`\`) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		p.at += n
		return r, nil
	}
	if p.at >= len(p.text) {
		return 0, p.fail("an escape has no end")
	}
	c := p.text[p.at]
	p.at++
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 {
		end := p.at + digits
		if end > len(p.text) || !isHex(p.text[p.at:end]) {
			return 0, p.fail(`\%c needs %d hexadecimal digits`, c, digits)
		}
		n, _ := strconv.ParseUint(p.text[p.at:end], 16, 64)
		p.at = end
		if n > maxRune || n >= 0xD800 && n <= 0xDFFF {
			return 0, p.fail(`\%c stands for no code point`, c)
		}
		return rune(n), nil
	}
	switch c {
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '\\', '"', '[', ']', '-', '^', '.':
		return rune(c), nil
	}
	return 0, p.fail(`there is no escape \%c`, c)
}
