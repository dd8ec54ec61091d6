package grammar

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// annotations are the keywords that say nothing about what fits.
var annotations = map[string]bool{
	"$schema": true, "$id": true, "$comment": true, "$defs": true, "definitions": true, "$anchor": true,
	"$vocabulary": true,
	"title":       true, "description": true, "default": true, "examples": true, "example": true, "deprecated": true,
	"readOnly": true, "writeOnly": true, "contentEncoding": true, "contentMediaType": true, "contentSchema": true,
	"nullable": true, "discriminator": true, "externalDocs": true, "xml": true, "markdownDescription": true,
}

// assertions are the keywords that are enforced, by the type of value that they speak of.
var assertions = map[string]string{
	"type": "", "enum": "", "const": "", "$ref": "", "allOf": "", "anyOf": "", "oneOf": "",
	"properties": "object", "required": "object", "additionalProperties": "object", "unevaluatedProperties": "object",
	"patternProperties": "object", "propertyNames": "object", "minProperties": "object", "maxProperties": "object",
	"items": "array", "prefixItems": "array", "minItems": "array", "maxItems": "array", "uniqueItems": "array",
	"minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
	"minimum": "number", "maximum": "number", "exclusiveMinimum": "number", "exclusiveMaximum": "number",
	"multipleOf": "number",
}

// schemaCompiler turns a JSON Schema into rules.
type schemaCompiler struct {
	root   *value
	rules  []*expr
	memo   map[string]int // rules of schemas that hold together
	shared map[string]int // rules that many schemas use
	work   int
	budget *budget

	tagless bool // no string holds "<" as it is
}

// maxSchemaWork bounds the schemas that are looked at, each combination of alternatives by itself with all that it
// must fit.
const maxSchemaWork = 1 << 14

// schemaSource is the grammar of the JSON texts that a schema allows.
func schemaSource(schema []byte) (source, error) {
	root, err := parseJSON(schema)
	if err != nil {
		return source{}, err
	}
	c := &schemaCompiler{
		root: root, rules: []*expr{nil}, memo: map[string]int{}, shared: map[string]int{}, budget: newBudget(),
	}
	rule, err := c.rule(root)
	if err != nil {
		return source{}, err
	}
	c.rules[0] = ref(rule)
	return source{rules: c.rules}, nil
}

// objectSource is the grammar of all JSON objects.
func objectSource() (source, error) { return schemaSource([]byte(`{"type":"object"}`)) }

func fault(v *value, keyword, format string, args ...any) error {
	return &SchemaError{Pointer: v.pointer, Keyword: keyword, Reason: fmt.Sprintf(format, args...)}
}

// rule returns the rule of the values that fit all of the schemas.
func (c *schemaCompiler) rule(schemas ...*value) (int, error) {
	numbers := make([]int, len(schemas))
	for i, s := range schemas {
		numbers[i] = s.number
	}
	slices.Sort(numbers)
	key := fmt.Sprint(slices.Compact(numbers))
	if i, ok := c.memo[key]; ok {
		return i, nil
	}
	i := len(c.rules)
	c.memo[key] = i
	c.rules = append(c.rules, nil)
	all, err := c.expand(schemas)
	if err != nil {
		return 0, err
	}
	c.rules[i], err = c.alternatives(all)
	return i, err
}

// add makes a rule of an expression.
func (c *schemaCompiler) add(e *expr) *expr {
	c.rules = append(c.rules, e)
	return ref(len(c.rules) - 1)
}

// common returns a rule that is made once.
func (c *schemaCompiler) common(name string, write func() *expr) *expr {
	i, ok := c.shared[name]
	if !ok {
		i = len(c.rules)
		c.shared[name] = i
		c.rules = append(c.rules, nil)
		c.rules[i] = write()
	}
	return ref(i)
}

// together is what a value must fit: the keywords of all bases, and one alternative at least of each choice.
type together struct {
	never   bool
	bases   []*value
	choices []choice
}

type choice struct {
	of       *value
	keyword  string // anyOf or oneOf
	branches []*value
}

// expand follows references and allOf.
func (c *schemaCompiler) expand(schemas []*value) (together, error) {
	var t together
	seen, open := map[*value]bool{}, map[*value]bool{}
	var visit func(v *value) error
	visit = func(v *value) error {
		if c.work++; c.work > maxSchemaWork {
			return fmt.Errorf("%w: a schema with more than %d combinations", ErrTooLarge, maxSchemaWork)
		}
		switch {
		case v.kind == 'b':
			t.never = t.never || !v.truth
			return nil
		case v.kind != '{':
			return fault(v, "", "a schema must be an object or a boolean")
		case open[v]:
			return fault(v, "$ref", "the schema refers to itself without anything between")
		case seen[v]:
			return nil
		}
		seen[v], open[v] = true, true
		defer delete(open, v)
		for _, m := range v.members {
			if _, ok := assertions[m.name]; !ok && !annotations[m.name] && !strings.HasPrefix(m.name, "x-") {
				if m.name == "not" && m.value.kind == '{' && len(m.value.members) == 0 {
					t.never = true
					continue
				}
				return fault(v, m.name, "is not supported")
			}
		}
		t.bases = append(t.bases, v)
		if r := v.get("$ref"); r != nil {
			target, err := c.resolve(r)
			if err != nil {
				return err
			}
			if err := visit(target); err != nil {
				return err
			}
		}
		for _, name := range []string{"allOf", "anyOf", "oneOf"} {
			list := v.get(name)
			if list == nil {
				continue
			}
			if list.kind != '[' || len(list.items) == 0 {
				return fault(v, name, "must be an array with one schema at least")
			}
			if name != "allOf" {
				t.choices = append(t.choices, choice{v, name, list.items})
				continue
			}
			for _, s := range list.items {
				if err := visit(s); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, s := range schemas {
		if err := visit(s); err != nil {
			return t, err
		}
	}
	return t, nil
}

// resolve returns what a $ref refers to, within the document.
func (c *schemaCompiler) resolve(r *value) (*value, error) {
	bad := func(reason string) (*value, error) {
		at := strings.TrimSuffix(r.pointer, "/$ref")
		return nil, &SchemaError{Pointer: at, Keyword: "$ref", Reason: fmt.Sprintf("%q %s", r.text, reason)}
	}
	if r.kind != '"' {
		return bad("is not a string")
	}
	base, fragment, _ := strings.Cut(r.text, "#")
	if id := c.root.get("$id"); base != "" && (id == nil || strings.TrimSuffix(id.text, "#") != base) {
		return bad("is in another document, which is not supported")
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return bad("is not a URI")
	}
	if fragment != "" && fragment[0] != '/' {
		if v := findAnchor(c.root, fragment); v != nil {
			return v, nil
		}
		return bad("names no $anchor")
	}
	v := c.root
	for part := range strings.SplitSeq(fragment, "/") {
		if part == "" && v == c.root {
			continue
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		next := v.get(part)
		if i, err := strconv.Atoi(part); v.kind == '[' && err == nil && i >= 0 && i < len(v.items) {
			next = v.items[i]
		}
		if next == nil {
			return bad("leads nowhere")
		}
		v = next
	}
	return v, nil
}

func findAnchor(v *value, name string) *value {
	if a := v.get("$anchor"); a != nil && a.kind == '"' && a.text == name {
		return v
	}
	for _, m := range v.members {
		if f := findAnchor(m.value, name); f != nil {
			return f
		}
	}
	for _, i := range v.items {
		if f := findAnchor(i, name); f != nil {
			return f
		}
	}
	return nil
}

// alternatives writes the values that fit t.
func (c *schemaCompiler) alternatives(t together) (*expr, error) {
	if c.work += 1 + len(t.bases); c.work > maxSchemaWork {
		return nil, fmt.Errorf("%w: a schema with more than %d combinations", ErrTooLarge, maxSchemaWork)
	}
	if t.never {
		return never, nil
	}
	if len(t.choices) == 0 {
		return c.typed(t.bases)
	}
	first := t.choices[0]
	if first.keyword == "oneOf" {
		if err := c.checkDisjoint(first); err != nil {
			return nil, err
		}
	}
	var list []*expr
	for _, b := range first.branches {
		more, err := c.expand([]*value{b})
		if err != nil {
			return nil, err
		}
		if len(t.bases) == 1 && len(t.choices) == 1 && onlyChoice(t.bases[0], first.keyword) {
			i, err := c.rule(b) // a rule of its own, which others may share
			if err != nil {
				return nil, err
			}
			list = append(list, ref(i))
			continue
		}
		both := together{never: more.never, bases: slices.Clone(t.bases),
			choices: slices.Concat(t.choices[1:], more.choices)}
		for _, v := range more.bases {
			if !slices.Contains(both.bases, v) {
				both.bases = append(both.bases, v)
			}
		}
		e, err := c.alternatives(both)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return alt(list...), nil
}

// onlyChoice reports whether a schema says nothing but this choice.
func onlyChoice(v *value, keyword string) bool {
	for _, m := range v.members {
		if m.name != keyword && !annotations[m.name] && !strings.HasPrefix(m.name, "x-") {
			return false
		}
	}
	return true
}

// types are those of JSON, in the order in which alternatives are written. An integer is a number.
var types = []string{"object", "array", "string", "number", "boolean", "null"}

// typed writes the values that fit the keywords of all bases.
func (c *schemaCompiler) typed(bases []*value) (*expr, error) {
	allowed, integer, err := allowedTypes(bases)
	if err != nil {
		return nil, err
	}
	values, fixed, err := fixedValues(bases)
	if err != nil {
		return nil, err
	}
	if fixed {
		return c.enumerated(bases, values, allowed, integer)
	}
	var list []*expr
	for _, name := range types {
		if !allowed[name] {
			continue
		}
		var e *expr
		switch name {
		case "object":
			e, err = c.object(bases)
		case "array":
			e, err = c.array(bases)
		case "string":
			e, err = c.string(bases)
		case "number":
			e, err = c.number(bases, integer)
		case "boolean":
			e = alt(literal("true"), literal("false"))
		case "null":
			e = literal("null")
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return alt(list...), nil
}

// allowedTypes returns the types that all bases allow, and whether numbers must be integers. Where none says so, those
// that keywords speak of are taken, or all.
func allowedTypes(bases []*value) (allowed map[string]bool, integer bool, err error) {
	allowed = map[string]bool{}
	said := false
	for _, name := range types {
		allowed[name] = true
	}
	for _, b := range bases {
		t := b.get("type")
		if t == nil {
			continue
		}
		said = true
		list := t.items
		if t.kind == '"' {
			list = []*value{t}
		} else if t.kind != '[' || len(list) == 0 {
			return nil, false, fault(b, "type", "must be a string or an array of strings")
		}
		here, numbers, integers := map[string]bool{}, false, false
		for _, i := range list {
			switch {
			case i.kind == '"' && i.text == "integer":
				integers = true
				here["number"] = true
			case i.kind == '"' && slices.Contains(types, i.text):
				here[i.text] = true
				numbers = numbers || i.text == "number"
			default:
				return nil, false, fault(b, "type", "%s is no type", i.literalText())
			}
		}
		integer = integer || integers && !numbers
		for _, name := range types {
			allowed[name] = allowed[name] && here[name]
		}
	}
	if said {
		return allowed, integer, nil
	}
	spoken := map[string]bool{}
	for _, b := range bases {
		for _, m := range b.members {
			if t := assertions[m.name]; t != "" {
				spoken[t] = true
			}
		}
	}
	if len(spoken) > 0 {
		return spoken, false, nil
	}
	return allowed, false, nil
}

// fixedValues returns the values that all enum and const keywords allow; fixed is false if there are no such keywords.
func fixedValues(bases []*value) (values []*value, fixed bool, err error) {
	for _, b := range bases {
		lists := [][]*value{}
		if e := b.get("enum"); e != nil {
			if e.kind != '[' || len(e.items) == 0 {
				return nil, false, fault(b, "enum", "must be an array with one value at least")
			}
			lists = append(lists, e.items)
		}
		if v := b.get("const"); v != nil {
			lists = append(lists, []*value{v})
		}
		for _, list := range lists {
			if !fixed {
				values, fixed = list, true
				continue
			}
			values = slices.DeleteFunc(slices.Clone(values), func(v *value) bool {
				return !slices.ContainsFunc(list, v.equal)
			})
		}
	}
	return values, fixed, nil
}

// enumerated writes those of the values that fit the other keywords too.
func (c *schemaCompiler) enumerated(bases, values []*value, allowed map[string]bool, integer bool) (*expr, error) {
	for _, b := range bases {
		for _, m := range b.members {
			if t := assertions[m.name]; t == "object" || t == "array" {
				if slices.ContainsFunc(values, func(v *value) bool { return v.typeName() == t }) {
					return nil, fault(b, m.name, "is not supported together with an enum or const of that type")
				}
			}
		}
	}
	noType := true
	for _, b := range bases {
		noType = noType && b.get("type") == nil
	}
	var list []*expr
	for _, v := range values {
		name := v.typeName()
		if !noType && !allowed[name] {
			continue
		}
		var e *expr
		var err error
		switch name {
		case "string":
			e, err = c.string(bases)
		case "number":
			n := numberOf(v.text)
			if n == nil {
				return nil, fault(v, "", "the number is beyond what is supported")
			}
			if integer && !n.IsInt() {
				continue
			}
			var fits bool
			if fits, err = c.numberFits(bases, n); err == nil && !fits {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		text := c.spelled(v.literalText())
		if e != nil && e.op != opRef { // there are keywords for strings
			d, err := c.budget.regular(e)
			if err != nil {
				return nil, err
			}
			if !d.matches(text) {
				continue
			}
		}
		list = append(list, literal(text))
	}
	return alt(list...), nil
}

// typeName returns the type of a value.
func (v *value) typeName() string {
	return map[byte]string{'{': "object", '[': "array", '"': "string", '0': "number", 'b': "boolean",
		'n': "null"}[v.kind]
}

// matches reports whether an automaton without calls accepts a text.
func (d *dfa) matches(text string) bool {
	n := int32(0)
	for i := range len(text) {
		if n = d.nodes[n].step(text[i]); n < 0 {
			return false
		}
	}
	return d.nodes[n].accept
}
