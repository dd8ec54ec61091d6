package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// parser turns tokens into statements by recursive descent. Its methods for expressions are in parser_expr.go.
type parser struct {
	tokens []token
	i      int

	depth, maxDepth int
	// loops counts the for loops around the current statement in the current macro: break and continue need one.
	loops int
	// guarded counts the conditions around the current place. A filter or test that does not exist is an error of
	// the template only where nothing guards it, as in Jinja.
	guarded int
	missing []error // filters and tests that do not exist, in unguarded places

	symbols map[string]symbol
	names   []string
}

// parse returns the statements of src and the names it uses, indexed by symbol.
func parse(src string, maxDepth int) ([]stmt, []string, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, nil, err
	}
	p := &parser{tokens: tokens, maxDepth: maxDepth, symbols: map[string]symbol{}}
	// The names of implicit macro arguments are symbols of every template.
	for _, name := range []string{"caller", "varargs", "kwargs", "loop"} {
		p.intern(name)
	}
	body, err := p.body("")
	if err != nil {
		return nil, nil, err
	}
	if len(p.missing) > 0 {
		return nil, nil, p.missing[0]
	}
	return body, p.names, nil
}

// intern returns the symbol of name.
func (p *parser) intern(name string) symbol {
	s, ok := p.symbols[name]
	if !ok {
		s = symbol(len(p.names))
		p.symbols[name] = s
		p.names = append(p.names, name)
	}
	return s
}

func (p *parser) cur() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

// isOp reports whether the current token is the operator op.
func (p *parser) isOp(op string) bool {
	t := p.cur()
	return t.kind == tokOp && t.text == op
}

// isName reports whether the current token is one of the words.
func (p *parser) isName(words ...string) bool {
	t := p.cur()
	return t.kind == tokName && slices.Contains(words, t.text)
}

// acceptOp and acceptName step over the current token if it is op or word.
func (p *parser) acceptOp(op string) bool {
	ok := p.isOp(op)
	if ok {
		p.i++
	}
	return ok
}

func (p *parser) acceptName(word string) bool {
	ok := p.isName(word)
	if ok {
		p.i++
	}
	return ok
}

// expected reports that the current token is not what the grammar asks for.
func (p *parser) expected(what string) error {
	return syntaxError(p.cur().at, "expected %s, found %s", what, p.cur().describe())
}

func (p *parser) expectOp(op string) error {
	if !p.acceptOp(op) {
		return p.expected(quoteShort(op))
	}
	return nil
}

func (p *parser) expectName(word string) error {
	if !p.acceptName(word) {
		return p.expected(quoteShort(word))
	}
	return nil
}

// identifier reads a name.
func (p *parser) identifier(what string) (token, error) {
	if p.cur().kind != tokName {
		return token{}, p.expected(what)
	}
	return p.next(), nil
}

// blockEnd reads the "%}" of a statement.
func (p *parser) blockEnd() error {
	if p.cur().kind != tokBlockEnd {
		return p.expected(`"%}"`)
	}
	p.i++
	return nil
}

// enter counts one level of nesting; the caller undoes it with p.depth--.
func (p *parser) enter() error {
	p.depth++
	if p.depth > p.maxDepth {
		return syntaxError(p.cur().at, "%w", &LimitError{Limit: "nesting", Max: p.maxDepth})
	}
	return nil
}

// body reads statements up to a block tag that starts with one of the words in ends, and stops in front of that word.
// An empty opened stands for the template itself, which ends at its end.
func (p *parser) body(opened string, ends ...string) ([]stmt, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var out []stmt
	for {
		switch t := p.next(); t.kind {
		case tokData:
			out = append(out, &textStmt{t.at, t.text})
		case tokVarBegin:
			x, err := p.tuple(true)
			if err != nil {
				return nil, err
			}
			if p.cur().kind != tokVarEnd {
				return nil, p.expected(`"}}"`)
			}
			p.i++
			out = append(out, &outputStmt{t.at, x})
		case tokBlockBegin:
			if p.isName(ends...) {
				return out, nil
			}
			s, err := p.statement(opened, ends)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		case tokEOF:
			if opened != "" {
				return nil, syntaxError(t.at, "expected %s for the %s, found the end of the template",
					tagList(ends), opened)
			}
			return out, nil
		default:
			return nil, syntaxError(t.at, "unexpected %s", t.describe())
		}
	}
}

// tagList spells block tags for a message.
func tagList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"{% ` + w + ` %}"`
	}
	return strings.Join(quoted, " or ")
}

// closedBody reads a body that ends with the tag end, and that tag.
func (p *parser) closedBody(opened, end string) ([]stmt, error) {
	body, err := p.body(opened, end)
	if err != nil {
		return nil, err
	}
	p.i++
	return body, p.blockEnd()
}

// statement reads a block tag and what belongs to it; the current token is the one behind "{%".
func (p *parser) statement(opened string, ends []string) (stmt, error) {
	t := p.cur()
	if t.kind != tokName {
		return nil, p.expected("a statement")
	}
	p.i++
	switch t.text {
	case "if":
		return p.ifStatement(t.at)
	case "for":
		return p.forStatement(t.at)
	case "set":
		return p.setStatement(t.at)
	case "macro":
		return p.macroStatement(t.at)
	case "call":
		return p.callStatement(t.at)
	case "filter":
		filters, err := p.filters(nil, true)
		if err != nil {
			return nil, err
		}
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		body, err := p.closedBody(openedBy("filter", t.at), "endfilter")
		return &filterStmt{t.at, filters, body}, err
	case "with":
		return p.withStatement(t.at)
	case "generation":
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		body, err := p.closedBody(openedBy("generation", t.at), "endgeneration")
		return &scopeStmt{position: t.at, body: body}, err
	case "break", "continue":
		if p.loops == 0 {
			return nil, syntaxError(t.at, "%q outside a for loop", t.text)
		}
		sig := sigBreak
		if t.text == "continue" {
			sig = sigContinue
		}
		return &jumpStmt{t.at, sig}, p.blockEnd()
	case "autoescape":
		return p.autoescapeStatement(t.at)
	case "block":
		return p.blockStatement(t.at)
	case "include", "import", "from", "extends":
		if _, err := p.expression(); err != nil {
			return nil, err
		}
		for p.cur().kind != tokBlockEnd && p.cur().kind != tokEOF {
			p.i++
		}
		what := strconv.Quote(t.text) + " needs other templates, which a chat template has not"
		return &unsupportedStmt{t.at, what}, p.blockEnd()
	}
	if opened != "" {
		return nil, syntaxError(t.at, "expected a statement or %s for the %s, found %s",
			tagList(ends), opened, t.describe())
	}
	return nil, syntaxError(t.at, "expected a statement, found %s", t.describe())
}

// openedBy describes an open statement for messages about its end.
func openedBy(word string, at position) string {
	return quoteShort(word) + " of line " + strconv.Itoa(at.line)
}

func (p *parser) ifStatement(at position) (stmt, error) {
	s := &ifStmt{position: at}
	opened := openedBy("if", at)
	p.guarded++
	defer func() { p.guarded-- }()
	for {
		cond, err := p.tuple(false)
		if err != nil {
			return nil, err
		}
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		body, err := p.body(opened, "elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		s.conds = append(s.conds, cond)
		s.bodies = append(s.bodies, body)
		switch p.next().text {
		case "endif":
			return s, p.blockEnd()
		case "else":
			if err := p.blockEnd(); err != nil {
				return nil, err
			}
			s.otherwise, err = p.closedBody(opened, "endif")
			return s, err
		}
	}
}

func (p *parser) forStatement(at position) (stmt, error) {
	s := &forStmt{position: at}
	opened := openedBy("for", at)
	var err error
	if s.target, err = p.target(false); err != nil {
		return nil, err
	}
	if err := p.expectName("in"); err != nil {
		return nil, err
	}
	if s.iter, err = p.tuple(false); err != nil {
		return nil, err
	}
	if p.acceptName("if") {
		if s.cond, err = p.expression(); err != nil {
			return nil, err
		}
	}
	s.recursive = p.acceptName("recursive")
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	p.loops++
	s.body, err = p.body(opened, "else", "endfor")
	p.loops--
	if err != nil {
		return nil, err
	}
	if p.next().text == "else" {
		if err := p.blockEnd(); err != nil {
			return nil, err
		}
		s.otherwise, err = p.closedBody(opened, "endfor")
		return s, err
	}
	return s, p.blockEnd()
}

func (p *parser) setStatement(at position) (stmt, error) {
	to, err := p.target(true)
	if err != nil {
		return nil, err
	}
	if p.acceptOp("=") {
		x, err := p.tuple(true)
		if err != nil {
			return nil, err
		}
		return &setStmt{at, to, x}, p.blockEnd()
	}
	s := &setBlockStmt{position: at, target: to}
	if p.isOp("|") {
		if s.filters, err = p.filters(nil, false); err != nil {
			return nil, err
		}
	}
	if p.cur().kind != tokBlockEnd {
		return nil, p.expected(`"=" or "%}"`)
	}
	p.i++
	s.body, err = p.closedBody(openedBy("set", at), "endset")
	return s, err
}

func (p *parser) withStatement(at position) (stmt, error) {
	s := &scopeStmt{position: at}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			if err := p.expectOp(","); err != nil {
				return nil, err
			}
		}
		to, err := p.target(false)
		if err != nil {
			return nil, err
		}
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		s.targets = append(s.targets, to)
		s.vals = append(s.vals, x)
	}
	p.i++
	var err error
	s.body, err = p.closedBody(openedBy("with", at), "endwith")
	return s, err
}

func (p *parser) macroStatement(at position) (stmt, error) {
	name, err := p.identifier("the name of the macro")
	if err != nil {
		return nil, err
	}
	def := &macroDef{name: name.text}
	if err := p.params(def); err != nil {
		return nil, err
	}
	if err := p.macroBody(def, openedBy("macro", at), "endmacro"); err != nil {
		return nil, err
	}
	return &macroStmt{at, p.intern(name.text), def}, nil
}

func (p *parser) callStatement(at position) (stmt, error) {
	def := &macroDef{name: "caller"}
	if p.isOp("(") {
		if err := p.params(def); err != nil {
			return nil, err
		}
	}
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	call, ok := x.(*callExpr)
	if !ok {
		return nil, syntaxError(x.at(), "expected a call")
	}
	if err := p.macroBody(def, openedBy("call", at), "endcall"); err != nil {
		return nil, err
	}
	return &callStmt{at, call, def}, nil
}

// autoescapeStatement reads an autoescape block. Chat templates escape nothing, so that only true would change that.
func (p *parser) autoescapeStatement(at position) (stmt, error) {
	x, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	body, err := p.closedBody(openedBy("autoescape", at), "endautoescape")
	if err != nil {
		return nil, err
	}
	if c, ok := x.(*constExpr); ok && c.val == false {
		return &scopeStmt{position: at, body: body}, nil
	}
	return &unsupportedStmt{at, "autoescape is supported with false alone"}, nil
}

// blockStatement reads a block, which is printed where it stands, since no template extends another.
func (p *parser) blockStatement(at position) (stmt, error) {
	name, err := p.identifier("the name of the block")
	if err != nil {
		return nil, err
	}
	_, _ = p.acceptName("scoped"), p.acceptName("required")
	if err := p.blockEnd(); err != nil {
		return nil, err
	}
	body, err := p.body(openedBy("block", at), "endblock")
	if err != nil {
		return nil, err
	}
	p.i++
	p.acceptName(name.text)
	return &scopeStmt{position: at, body: body}, p.blockEnd()
}

// params reads the parameters of a macro in parentheses.
func (p *parser) params(def *macroDef) error {
	if err := p.expectOp("("); err != nil {
		return err
	}
	for !p.acceptOp(")") {
		if len(def.params) > 0 {
			if err := p.expectOp(","); err != nil {
				return err
			}
		}
		name, err := p.identifier(`a parameter or ")"`)
		if err != nil {
			return err
		}
		if slices.Contains(def.names, name.text) {
			return syntaxError(name.at, "parameter %q stands twice", name.text)
		}
		def.params = append(def.params, p.intern(name.text))
		def.names = append(def.names, name.text)
		if p.acceptOp("=") {
			x, err := p.expression()
			if err != nil {
				return err
			}
			def.defaults = append(def.defaults, x)
		} else if len(def.defaults) > 0 {
			return syntaxError(name.at, "expected a default for parameter %q, which follows one with a default",
				name.text)
		}
	}
	return nil
}

// macroBody reads the body of a macro, from the "%}" of its head on.
func (p *parser) macroBody(def *macroDef, opened, end string) error {
	if err := p.blockEnd(); err != nil {
		return err
	}
	// A macro is a function of its own: loops around it cannot be left from inside.
	loops := p.loops
	p.loops = 0
	start := p.i
	body, err := p.closedBody(opened, end)
	p.loops = loops
	if err != nil {
		return err
	}
	def.body = body
	mentioned := func(name string) symbol {
		for _, t := range p.tokens[start:p.i] {
			if t.kind == tokName && t.text == name {
				return p.intern(name)
			}
		}
		return -1
	}
	def.caller, def.varargs, def.kwargs = mentioned("caller"), mentioned("varargs"), mentioned("kwargs")
	return nil
}

// target reads the left side of an assignment. withAttr allows a namespace attribute.
func (p *parser) target(withAttr bool) (target, error) {
	first, err := p.targetItem(withAttr)
	if err != nil || !p.isOp(",") {
		return first, err
	}
	all := target{position: first.position, items: []target{first}}
	for p.acceptOp(",") {
		if p.isName("in") || p.isOp("=") || p.isOp(")") || p.cur().kind == tokBlockEnd {
			break
		}
		t, err := p.targetItem(withAttr)
		if err != nil {
			return target{}, err
		}
		all.items = append(all.items, t)
	}
	return all, nil
}

// targetItem reads a name, a namespace attribute, or a target in parentheses.
func (p *parser) targetItem(withAttr bool) (target, error) {
	if p.acceptOp("(") {
		if err := p.enter(); err != nil {
			return target{}, err
		}
		t, err := p.target(withAttr)
		p.depth--
		if err != nil {
			return target{}, err
		}
		return t, p.expectOp(")")
	}
	name, err := p.identifier("a name to assign to")
	if err != nil {
		return target{}, err
	}
	switch name.text {
	case "true", "false", "none", "True", "False", "None":
		return target{}, syntaxError(name.at, "cannot assign to %q", name.text)
	}
	t := target{position: name.at, sym: p.intern(name.text), name: name.text}
	if withAttr && p.acceptOp(".") {
		attr, err := p.identifier("an attribute name")
		if err != nil {
			return target{}, err
		}
		t.attr = attr.text
	}
	return t, nil
}
