package jinja

import (
	"math/big"
	"strconv"
)

// expression reads a conditional expression, the grammar's lowest level.
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	missing := len(p.missing)
	x, err := p.or()
	if err != nil {
		return nil, err
	}
	for p.isName("if") {
		// What stands in front of "if" turns out to be guarded by it.
		p.missing = p.missing[:missing]
		c := &condExpr{position: p.cur().at, yes: x}
		p.i++
		if c.cond, err = p.or(); err != nil {
			return nil, err
		}
		if p.acceptName("else") {
			p.guarded++
			c.no, err = p.expression()
			p.guarded--
			if err != nil {
				return nil, err
			}
		}
		x = c
	}
	return x, nil
}

// tuple reads one expression, or several with commas between them as a tuple. Without withCond a following "if" is
// left to the caller (the condition of a for loop).
func (p *parser) tuple(withCond bool) (expr, error) {
	read := p.expression
	if !withCond {
		read = p.or
	}
	at := p.cur().at
	first, err := read()
	if err != nil || !p.isOp(",") {
		return first, err
	}
	t := &tupleExpr{at, []expr{first}}
	for p.acceptOp(",") {
		if k := p.cur().kind; k == tokVarEnd || k == tokBlockEnd || p.isOp(")") || p.isName("recursive") {
			break
		}
		x, err := read()
		if err != nil {
			return nil, err
		}
		t.items = append(t.items, x)
	}
	return t, nil
}

func (p *parser) or() (expr, error) {
	l, err := p.and()
	for err == nil && p.isName("or") {
		at := p.next().at
		var r expr
		if r, err = p.and(); err == nil {
			l = &logicExpr{at, false, l, r}
		}
	}
	return l, err
}

func (p *parser) and() (expr, error) {
	l, err := p.not()
	for err == nil && p.isName("and") {
		at := p.next().at
		var r expr
		if r, err = p.not(); err == nil {
			l = &logicExpr{at, true, l, r}
		}
	}
	return l, err
}

func (p *parser) not() (expr, error) {
	if !p.isName("not") {
		return p.compare()
	}
	at := p.next().at
	if err := p.enter(); err != nil {
		return nil, err
	}
	x, err := p.not()
	p.depth--
	return &unaryExpr{at, "not", x}, err
}

func (p *parser) compare() (expr, error) {
	at := p.cur().at
	first, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := &compareExpr{position: at, first: first}
	for {
		op := ""
		switch t := p.cur(); {
		case t.kind == tokOp:
			switch t.text {
			case "==", "!=", "<", "<=", ">", ">=":
				op = t.text
			}
		case p.isName("in"):
			op = "in"
		case p.isName("not") && p.tokens[p.i+1].kind == tokName && p.tokens[p.i+1].text == "in":
			op = "not in"
			p.i++
		}
		if op == "" {
			break
		}
		p.i++
		r, err := p.sum()
		if err != nil {
			return nil, err
		}
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, r)
	}
	if len(c.ops) == 0 {
		return first, nil
	}
	return c, nil
}

// binary reads operands of the next level with left-associative operators between them.
func (p *parser) binary(next func() (expr, error), ops ...string) (expr, error) {
	l, err := next()
	for err == nil {
		op := ""
		for _, o := range ops {
			if p.isOp(o) {
				op = o
			}
		}
		if op == "" {
			break
		}
		at := p.next().at
		var r expr
		if r, err = next(); err == nil {
			l = &binaryExpr{at, op, l, r}
		}
	}
	return l, err
}

func (p *parser) sum() (expr, error) { return p.binary(p.concat, "+", "-") }

// concat binds tighter than + and -, as in Jinja.
func (p *parser) concat() (expr, error) {
	at := p.cur().at
	first, err := p.product()
	if err != nil || !p.isOp("~") {
		return first, err
	}
	c := &concatExpr{at, []expr{first}}
	for p.acceptOp("~") {
		x, err := p.product()
		if err != nil {
			return nil, err
		}
		c.items = append(c.items, x)
	}
	return c, nil
}

func (p *parser) product() (expr, error) { return p.binary(p.power, "*", "/", "//", "%") }

// power is left-associative, as in Jinja and unlike Python.
func (p *parser) power() (expr, error) {
	return p.binary(func() (expr, error) { return p.unary(true) }, "**")
}

// unary reads a sign or an operand with its postfixes. Filters and tests apply to the signed value.
func (p *parser) unary(withFilters bool) (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	var x expr
	var err error
	if p.isOp("-") || p.isOp("+") {
		t := p.next()
		if x, err = p.unary(false); err == nil {
			x = &unaryExpr{t.at, t.text, x}
		}
	} else {
		x, err = p.primary()
	}
	if err != nil {
		return nil, err
	}
	if x, err = p.postfix(x); err != nil || !withFilters {
		return x, err
	}
	return p.filtersAndTests(x)
}

// primary reads a literal, a name or an expression in brackets.
func (p *parser) primary() (expr, error) {
	t := p.next()
	switch t.kind {
	case tokName:
		switch t.text {
		case "true", "True":
			return &constExpr{t.at, true}, nil
		case "false", "False":
			return &constExpr{t.at, false}, nil
		case "none", "None":
			return &constExpr{t.at, none{}}, nil
		}
		return &nameExpr{t.at, p.intern(t.text), t.text}, nil
	case tokString:
		// Neighbouring strings are one string.
		text := []byte(t.text)
		for p.cur().kind == tokString {
			text = append(text, p.next().text...)
		}
		return &constExpr{t.at, lit(string(text))}, nil
	case tokInt:
		n, ok := new(big.Int).SetString(t.text, 0)
		if len(t.text) > 1 && t.text[0] == '0' && isDigit(t.text[1]) {
			n, ok = new(big.Int).SetString(t.text, 10)
		}
		if !ok || n.BitLen() > maxIntBits {
			return nil, syntaxError(t.at, "integer %s has more than %d bits", quoteShort(t.text), maxIntBits)
		}
		return &constExpr{t.at, normInt(n)}, nil
	case tokFloat:
		f, _ := strconv.ParseFloat(t.text, 64) // out of range gives an infinity, as in Python
		return &constExpr{t.at, f}, nil
	case tokOp:
		switch t.text {
		case "(":
			return p.parenthesized(t.at)
		case "[":
			items, err := p.items("]")
			return &listExpr{t.at, items}, err
		case "{":
			return p.dict(t.at)
		}
	}
	if t.kind != tokEOF {
		p.i--
	}
	return nil, p.expected("an expression")
}

// parenthesized reads what follows "(": an expression or a tuple.
func (p *parser) parenthesized(at position) (expr, error) {
	if p.acceptOp(")") {
		return &tupleExpr{at, nil}, nil
	}
	x, err := p.tuple(true)
	if err != nil {
		return nil, err
	}
	return x, p.expectOp(")")
}

// items reads expressions with commas between them up to closer.
func (p *parser) items(closer string) ([]expr, error) {
	var out []expr
	for !p.acceptOp(closer) {
		if len(out) > 0 {
			if !p.acceptOp(",") {
				return nil, p.expected(`"," or ` + quoteShort(closer))
			}
			if p.acceptOp(closer) {
				break
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// dict reads what follows "{".
func (p *parser) dict(at position) (expr, error) {
	d := &dictExpr{position: at}
	for !p.acceptOp("}") {
		if len(d.items) > 0 {
			if !p.acceptOp(",") {
				return nil, p.expected(`"," or "}"`)
			}
			if p.acceptOp("}") {
				break
			}
		}
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expectOp(":"); err != nil {
			return nil, err
		}
		val, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.items = append(d.items, key, val)
	}
	return d, nil
}

// postfix reads attributes, subscripts and calls behind x.
func (p *parser) postfix(x expr) (expr, error) {
	for {
		t := p.cur()
		var err error
		switch {
		case p.acceptOp("."):
			if n := p.cur(); n.kind == tokInt {
				p.i++
				i, convErr := strconv.Atoi(n.text)
				if convErr != nil {
					return nil, syntaxError(n.at, "index %s is out of range", quoteShort(n.text))
				}
				x = &indexExpr{t.at, x, &constExpr{n.at, int64(i)}}
				continue
			}
			var name token
			if name, err = p.identifier("an attribute name"); err == nil {
				x = &attrExpr{name.at, x, name.text}
			}
		case p.acceptOp("["):
			x, err = p.subscript(t.at, x)
		case p.isOp("("):
			var args argExprs
			if args, err = p.callArgs(); err == nil {
				x = &callExpr{t.at, x, args}
			}
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// subscript reads what follows "[": an index or a slice.
func (p *parser) subscript(at position, x expr) (expr, error) {
	var part [3]expr
	n := 0
	for {
		if !p.isOp(":") && !p.isOp("]") {
			e, err := p.expression()
			if err != nil {
				return nil, err
			}
			part[n] = e
		}
		if p.acceptOp("]") {
			break
		}
		if n == 2 {
			return nil, p.expected(`"]"`)
		}
		if n == 0 && p.isOp(",") && part[0] != nil {
			rest, err := p.subscriptTuple(at, part[0])
			if err != nil {
				return nil, err
			}
			return &indexExpr{at, x, rest}, nil
		}
		if !p.acceptOp(":") {
			return nil, p.expected(`":" or "]"`)
		}
		n++
	}
	if n == 0 {
		if part[0] == nil {
			return nil, syntaxError(at, "expected an index in the brackets")
		}
		return &indexExpr{at, x, part[0]}, nil
	}
	return &sliceExpr{at, x, part[0], part[1], part[2]}, nil
}

// subscriptTuple reads the rest of x[a, b], from the first comma on.
func (p *parser) subscriptTuple(at position, first expr) (expr, error) {
	p.i++
	rest, err := p.items("]")
	return &tupleExpr{at, append([]expr{first}, rest...)}, err
}

// callArgs reads the arguments of a call in parentheses.
func (p *parser) callArgs() (argExprs, error) {
	var a argExprs
	if err := p.expectOp("("); err != nil {
		return a, err
	}
	for first := true; !p.acceptOp(")"); first = false {
		if !first {
			if !p.acceptOp(",") {
				return a, p.expected(`"," or ")"`)
			}
			if p.acceptOp(")") {
				break
			}
		}
		t := p.cur()
		var err error
		named := t.kind == tokName && p.tokens[p.i+1].kind == tokOp && p.tokens[p.i+1].text == "="
		switch {
		case a.starStar != nil:
			return a, syntaxError(t.at, `arguments after "**"`)
		case p.acceptOp("**"):
			a.starStar, err = p.expression()
		case named:
			p.i += 2
			a.names = append(a.names, t.text)
			var x expr
			x, err = p.expression()
			a.kw = append(a.kw, x)
		case a.star != nil:
			return a, syntaxError(t.at, `positional argument after "*"`)
		case p.acceptOp("*"):
			a.star, err = p.expression()
		case len(a.kw) > 0:
			return a, syntaxError(t.at, "positional argument after a keyword argument")
		default:
			var x expr
			x, err = p.expression()
			a.pos = append(a.pos, x)
		}
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// filtersAndTests reads the filters, tests and calls behind x.
func (p *parser) filtersAndTests(x expr) (expr, error) {
	for {
		var err error
		switch {
		case p.isOp("|"):
			x, err = p.filters(x, false)
		case p.isName("is"):
			x, err = p.test(x)
		case p.isOp("("):
			at := p.cur().at
			var args argExprs
			if args, err = p.callArgs(); err == nil {
				x = &callExpr{at, x, args}
			}
		default:
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// filters reads "| name(args) | ..." behind x. With bare the first "|" is missing (the filter statement).
func (p *parser) filters(x expr, bare bool) (expr, error) {
	for bare || p.acceptOp("|") {
		bare = false
		name, err := p.dottedName("a filter name")
		if err != nil {
			return nil, err
		}
		f := &filterExpr{position: name.at, obj: x, name: name.text, def: filters[name.text]}
		if f.def == nil && p.guarded == 0 {
			p.missing = append(p.missing, syntaxError(name.at, "no filter is named %s", quoteShort(name.text)))
		}
		if p.isOp("(") {
			if f.args, err = p.callArgs(); err != nil {
				return nil, err
			}
		}
		x = f
	}
	return x, nil
}

// dottedName reads the name of a filter or test.
func (p *parser) dottedName(what string) (token, error) {
	name, err := p.identifier(what)
	for err == nil && p.acceptOp(".") {
		var part token
		part, err = p.identifier(what)
		name.text += "." + part.text
	}
	return name, err
}

// test reads "is name", "is not name", with arguments in parentheses or one operand without.
func (p *parser) test(x expr) (expr, error) {
	p.i++
	negate := p.acceptName("not")
	name, err := p.dottedName("a test name")
	if err != nil {
		return nil, err
	}
	t := &testExpr{position: name.at, obj: x, name: name.text, def: tests[name.text], negate: negate}
	if t.def == nil && p.guarded == 0 {
		p.missing = append(p.missing, syntaxError(name.at, "no test is named %s", quoteShort(name.text)))
	}
	switch c := p.cur(); {
	case p.isOp("("):
		t.args, err = p.callArgs()
	case p.isName("else", "or", "and", "if", "in", "not", "is", "recursive"):
	case c.kind == tokName || c.kind == tokString || c.kind == tokInt || c.kind == tokFloat || p.isOp("[") ||
		p.isOp("{"):
		var arg expr
		if arg, err = p.primary(); err == nil {
			if arg, err = p.postfix(arg); err == nil {
				t.args.pos = []expr{arg}
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}
