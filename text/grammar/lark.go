package grammar

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// larkCommon are the terminals of Lark's module common that can be imported.
var larkCommon = map[string]string{
	"DIGIT": `[0-9]`, "HEXDIGIT": `[a-fA-F0-9]`, "INT": `[0-9]+`, "SIGNED_INT": `[+-]?[0-9]+`,
	"DECIMAL": `[0-9]+\.[0-9]*|\.[0-9]+`, "FLOAT": `[0-9]+[eE][+-]?[0-9]+|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`,
	"NUMBER":        `[0-9]+([eE][+-]?[0-9]+)?|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`,
	"SIGNED_NUMBER": `[+-]?([0-9]+([eE][+-]?[0-9]+)?|([0-9]+\.[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)`,
	"LCASE_LETTER":  `[a-z]`, "UCASE_LETTER": `[A-Z]`, "LETTER": `[a-zA-Z]`, "WORD": `[a-zA-Z]+`,
	"CNAME": `[_a-zA-Z][_a-zA-Z0-9]*`, "WS_INLINE": `[ \t]+`, "WS": `[ \t\f\r\n]+`, "CR": `\r`, "LF": `\n`,
	"NEWLINE": `(\r?\n)+`, "ESCAPED_STRING": `"([^"\\\n]|\\.)*"`,
}

// larkSource reads a grammar in Lark's language, which begins with the rule start.
func larkSource(text string) (source, error) {
	if len(text) > maxGrammar {
		return source{}, fmt.Errorf("%w: a grammar of %d bytes, at most %d are allowed", ErrTooLarge, len(text),
			maxGrammar)
	}
	if !utf8.ValidString(text) {
		return source{}, &SyntaxError{"Lark", 1, "the text is not UTF-8"}
	}
	p := &lark{gbnf{rulebook: newRulebook("Lark"), text: text}}
	for p.blank(true); p.at < len(p.text); p.blank(true) {
		if err := p.statement(); err != nil {
			return source{}, err
		}
	}
	return p.source("start")
}

// lark reads Lark's language. Its cursor is that of gbnf.
type lark struct{ gbnf }

// blank skips white space and comments; line ends too if lines is set.
func (p *lark) blank(lines bool) {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case strings.HasPrefix(p.text[p.at:], "//") || c == '#':
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

// statement reads a rule, a terminal or a directive.
func (p *lark) statement() error {
	if p.take("%") {
		return p.directive()
	}
	for p.take("?") || p.take("!") { // the shape of a tree that nobody builds
	}
	name := p.word()
	if name == "" {
		return p.fail("the name of a rule is expected, not %s", p.here())
	}
	if p.take("{") {
		return p.fail("templates are not supported")
	}
	if p.take(".") { // the priority of a lexer that there is not
		p.take("-")
		if _, ok := p.number(); !ok {
			return p.fail("a priority is expected, not %s", p.here())
		}
	}
	if p.blank(false); !p.take(":") {
		return p.fail("a colon is expected behind the name %q", name)
	}
	i := p.index(name)
	if p.rules[i] != nil {
		return p.fail("there are two rules %q", name)
	}
	e, err := p.choices(true)
	if err != nil {
		return err
	}
	if p.at < len(p.text) && p.text[p.at] != '\n' {
		return p.fail("the end of the line is expected, not %s", p.here())
	}
	p.rules[i] = e
	return nil
}

// word reads a name.
func (p *lark) word() string {
	begin := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) && p.text[p.at] != '-' {
		p.at++
	}
	return p.text[begin:p.at]
}

// directive reads %import common.NAME and its forms.
func (p *lark) directive() error {
	name := p.word()
	if name != "import" {
		return p.fail("%%%s is not supported", name)
	}
	p.blank(false)
	if !p.take("common.") {
		if !p.take("common") {
			return p.fail("only the module common can be imported")
		}
		p.blank(false)
		if !p.take("(") {
			return p.fail("a name of the module common is expected, not %s", p.here())
		}
		for {
			p.blank(true)
			name := p.word()
			if err := p.importAs(name, name); err != nil {
				return err
			}
			if p.blank(true); p.take(")") {
				return nil
			}
			if !p.take(",") {
				return p.fail("a comma is expected, not %s", p.here())
			}
		}
	}
	name = p.word()
	as := name
	if p.blank(false); p.take("->") {
		p.blank(false)
		as = p.word()
	}
	return p.importAs(name, as)
}

func (p *lark) importAs(name, as string) error {
	pattern, ok := larkCommon[name]
	if !ok {
		return p.fail("the module common has no %q here", name)
	}
	i := p.index(as)
	if as == "" || p.rules[i] != nil {
		return p.fail("the name %q is empty or taken", as)
	}
	e, err := parseRegexp(pattern, true, plainRunes)
	p.rules[i] = e
	return err
}

// choices reads alternatives. At the top they go on in a next line that begins with "|".
func (p *lark) choices(top bool) (*expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, p.fail("groups are nested deeper than %d", maxNesting)
	}
	defer func() { p.depth-- }()
	var list []*expr
	for {
		e, err := p.items(!top)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		begin := p.at
		p.blank(true)
		if !p.take("|") {
			if top {
				p.at = begin
			}
			return alt(list...), nil
		}
	}
}

// items reads a sequence, with an alias behind it.
func (p *lark) items(nested bool) (*expr, error) {
	var list []*expr
	for {
		p.blank(nested)
		if p.take("->") {
			p.blank(false)
			if p.word() == "" {
				return nil, p.fail("a name is expected behind ->")
			}
			p.blank(nested)
			return seq(list...), nil
		}
		e, err := p.item()
		if err != nil || e == nil {
			return seq(list...), err
		}
		if e, err = p.times(e); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
}

// item reads a string, a pattern, a name or a group, or returns nil if there is none.
func (p *lark) item() (*expr, error) {
	if p.at >= len(p.text) {
		return nil, nil
	}
	group := func(end string) (*expr, error) {
		p.at++
		e, err := p.choices(false)
		if err == nil && !p.take(end) {
			err = p.fail("%q is expected, not %s", end, p.here())
		}
		return e, err
	}
	switch c := p.text[p.at]; {
	case c == '"':
		return p.str()
	case c == '/':
		return p.pattern()
	case c == '(':
		return group(")")
	case c == '[':
		e, err := group("]")
		if err != nil {
			return nil, err
		}
		return optional(e), nil
	case isLetter(c) || c == '_':
		name := p.word()
		if p.take("{") {
			return nil, p.fail("templates are not supported")
		}
		i := p.index(name)
		if _, ok := p.used[i]; !ok {
			p.used[i] = p.line()
		}
		return ref(i), nil
	case c == '<':
		end := strings.IndexByte(p.text[p.at:], '>')
		if end < 0 {
			return nil, p.fail("a special token has no end")
		}
		text := p.text[p.at : p.at+end+1]
		p.at += end + 1
		return special(text), nil
	}
	return nil, nil
}

// times reads ?, *, +, ~n and ~n..m.
func (p *lark) times(e *expr) (*expr, error) {
	switch {
	case p.take("?"):
		return optional(e), nil
	case p.take("*"):
		return repeat(e, 0, -1), nil
	case p.take("+"):
		return repeat(e, 1, -1), nil
	case p.take("~"):
		low, ok := p.number()
		high := low
		if ok && p.take("..") {
			high, ok = p.number()
		}
		if !ok || low > high || high > maxRepeat {
			return nil, p.fail("counts must ascend and be at most %d", maxRepeat)
		}
		return repeat(e, low, high), nil
	}
	return e, nil
}

// str reads a string, which may be one of letters a..z or ignore case by a final i.
func (p *lark) str() (*expr, error) {
	s, err := p.quotedText('"')
	if err != nil {
		return nil, err
	}
	text, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		return nil, p.fail("string %q: %v", s, err)
	}
	if p.take("..") {
		if p.at >= len(p.text) || p.text[p.at] != '"' {
			return nil, p.fail("a string is expected behind .., not %s", p.here())
		}
		last, err := p.quotedText('"')
		if err != nil {
			return nil, err
		}
		lo, n := utf8.DecodeRuneInString(text)
		hi, m := utf8.DecodeRuneInString(last)
		if n != len(text) || m != len(last) || n == 0 || m == 0 || lo > hi {
			return nil, p.fail("a range needs two characters that ascend")
		}
		return class(runeRange{lo, hi}), nil
	}
	if p.at < len(p.text) && p.text[p.at] == 'i' && (p.at+1 == len(p.text) || !isWord(p.text[p.at+1])) {
		p.at++
		var list []*expr
		for _, r := range text {
			list = append(list, class(folds(r, true)...))
		}
		return seq(list...), nil
	}
	return literal(text), nil
}

// quotedText reads up to the closing quote and returns what is between, with its escapes.
func (p *lark) quotedText(quote byte) (string, error) {
	p.at++
	begin := p.at
	for p.at < len(p.text) && p.text[p.at] != '\n' {
		switch p.text[p.at] {
		case '\\':
			p.at++
		case quote:
			p.at++
			return p.text[begin : p.at-1], nil
		}
		p.at++
	}
	p.at = min(p.at, len(p.text))
	return "", p.fail("a string or pattern has no end")
}

// pattern reads a regular expression with its flags.
func (p *lark) pattern() (*expr, error) {
	s, err := p.quotedText('/')
	if err != nil {
		return nil, err
	}
	flags := ""
	for p.at < len(p.text) && strings.IndexByte("imslux", p.text[p.at]) >= 0 {
		if c := p.text[p.at]; c == 'i' || c == 's' {
			flags += string(c)
		} else if c != 'u' {
			return nil, p.fail("the flag %c of a pattern is not supported", c)
		}
		p.at++
	}
	if flags != "" {
		s = "(?" + flags + ")" + s
	}
	e, err := parseRegexp(s, true, plainRunes)
	if err != nil {
		return nil, fmt.Errorf("Lark, line %d: %w", p.line(), err)
	}
	return e, nil
}
