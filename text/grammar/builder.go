package grammar

// Part is a part of a grammar that a [Builder] puts together. The zero value matches nothing.
type Part struct{ e *expr }

func (p Part) expr() *expr {
	if p.e == nil {
		return never
	}
	return p.e
}

// Builder puts grammars together. The zero value is ready for use. It serves one goroutine.
type Builder struct{ rules []*expr }

// Empty is the part that matches nothing but the empty text.
var Empty = Part{empty}

// Literal matches a text.
func (b *Builder) Literal(text string) Part { return Part{literal(text)} }

// Special matches a control token by its text, and the text itself where the vocabulary has no such token.
func (b *Builder) Special(text string) Part { return Part{special(text)} }

// Seq matches its parts one after the other.
func (b *Builder) Seq(parts ...Part) Part { return Part{seq(exprs(parts)...)} }

// Alt matches what one of its parts does.
func (b *Builder) Alt(parts ...Part) Part { return Part{alt(exprs(parts)...)} }

// Repeat matches a part from low to high times; high -1 is no bound.
func (b *Builder) Repeat(p Part, low, high int) Part { return Part{repeat(p.expr(), low, high)} }

func exprs(parts []Part) []*expr {
	list := make([]*expr, len(parts))
	for i, p := range parts {
		list[i] = p.expr()
	}
	return list
}

// Rule makes a part that is matched by itself, and whose masks are shared by all places that it is used in.
func (b *Builder) Rule(p Part) Part {
	b.rules = append(b.rules, p.expr())
	return Part{ref(len(b.rules) - 1)}
}

// Text matches text, without control tokens, that holds none of the given texts.
func (b *Builder) Text(without ...string) (Part, error) {
	if len(without) == 0 {
		return Part{anyText}, nil
	}
	steps := newBudget()
	all, err := steps.regular(anyText)
	if err != nil {
		return Part{}, err
	}
	d, err := steps.product(all, avoiding(without), defaultLimits.nodes, func(a, b bool) bool { return a && b })
	return Part{&expr{op: opDFA, dfa: d}}, err
}

// avoiding accepts the texts that hold none of the given ones.
func avoiding(without []string) *dfa {
	// The nodes are the beginnings of the texts that have been read; from each, a byte leads to the longest beginning
	// that then stands at the end.
	index := map[string]int32{"": 0}
	list := []string{""}
	for _, w := range without {
		for i := 1; i <= len(w); i++ {
			if _, ok := index[w[:i]]; !ok {
				index[w[:i]] = int32(len(list))
				list = append(list, w[:i])
			}
		}
	}
	holds := func(s string) bool {
		for _, w := range without {
			if len(s) >= len(w) && s[len(s)-len(w):] == w {
				return true
			}
		}
		return false
	}
	d := &dfa{nodes: make([]dfaNode, len(list))}
	for i, s := range list {
		if holds(s) {
			continue // nothing goes on from here, and it is not accepted
		}
		n := &d.nodes[i]
		n.accept = true
		for c := range 256 {
			at := s + string([]byte{byte(c)})
			for ; ; at = at[1:] {
				if _, ok := index[at]; ok {
					break
				}
			}
			to := index[at]
			if k := len(n.edges); k > 0 && n.edges[k-1].to == to {
				n.edges[k-1].hi = byte(c)
			} else {
				n.edges = append(n.edges, dfaEdge{byte(c), byte(c), to})
			}
		}
	}
	return d.trim()
}

// include adds the rules of a source, and returns its first.
func (b *Builder) include(s source, err error) (Part, error) {
	if err != nil {
		return Part{}, err
	}
	rules := s.rules
	base := len(b.rules)
	if base > 0 {
		rules = shift(rules, base)
	}
	b.rules = append(b.rules, rules...)
	return Part{ref(base)}, nil
}

// Schema matches the JSON texts that a JSON Schema allows.
func (b *Builder) Schema(schema []byte) (Part, error) { return b.include(schemaSource(schema)) }

// Object matches all JSON objects.
func (b *Builder) Object() (Part, error) { return b.include(objectSource()) }

// Regexp matches the texts that a regular expression matches as a whole.
func (b *Builder) Regexp(pattern string) (Part, error) { return b.include(regexpSource(pattern)) }

// GBNF matches the texts of a grammar in GBNF.
func (b *Builder) GBNF(text string) (Part, error) { return b.include(gbnfSource(text)) }

// Lark matches the texts of a grammar in Lark's language.
func (b *Builder) Lark(text string) (Part, error) { return b.include(larkSource(text)) }

// Spec matches the texts of a spec. The error is [ErrManySpecs] or one of its language.
func (b *Builder) Spec(s Spec) (Part, error) {
	write, err := s.part()
	if err != nil {
		return Part{}, err
	}
	return write(b)
}

// Compile makes a grammar of a part. Errors wrap [ErrTooLarge], [ErrImpossible] or [ErrLeftRecursion].
func (b *Builder) Compile(p Part, v *Vocabulary) (*Grammar, error) {
	return newGrammar(source{rules: append([]*expr{shift([]*expr{p.expr()}, 1)[0]}, shift(b.rules, 1)...)}, v)
}

// build compiles one part.
func build(v *Vocabulary, write func(b *Builder) (Part, error)) (*Grammar, error) {
	var b Builder
	p, err := write(&b)
	if err != nil {
		return nil, err
	}
	return b.Compile(p, v)
}

// JSONSchema returns the grammar of the JSON texts that a schema allows. Errors are a *[SchemaError], or wrap those of
// [Builder.Compile].
func JSONSchema(v *Vocabulary, schema []byte) (*Grammar, error) {
	return build(v, func(b *Builder) (Part, error) { return b.Schema(schema) })
}

// JSONObject returns the grammar of all JSON objects.
func JSONObject(v *Vocabulary) (*Grammar, error) {
	return build(v, (*Builder).Object)
}

// Regexp returns the grammar of the texts that a regular expression matches as a whole. Errors are a *[SyntaxError],
// or wrap those of [Builder.Compile].
func Regexp(v *Vocabulary, pattern string) (*Grammar, error) {
	return build(v, func(b *Builder) (Part, error) { return b.Regexp(pattern) })
}

// GBNF returns a grammar in llama.cpp's form of BNF, which begins with the rule root. Errors are those of Regexp.
func GBNF(v *Vocabulary, text string) (*Grammar, error) {
	return build(v, func(b *Builder) (Part, error) { return b.GBNF(text) })
}

// Lark returns a grammar in Lark's language, which begins with the rule start. Errors are those of Regexp.
func Lark(v *Vocabulary, text string) (*Grammar, error) {
	return build(v, func(b *Builder) (Part, error) { return b.Lark(text) })
}
