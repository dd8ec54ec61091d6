package grammar

import "slices"

// Member is a property of an object schema as a part, for forms of objects that are not JSON.
type Member struct {
	Name     string
	Required bool
	IsText   bool // the value is a string, which Text spells as it is; else Text is JSON
	IsPlain  bool // the value is a number, a boolean or null
	Text     Part
}

// Members returns the properties of an object schema in their order. Texts of strings do not hold shut, by which the
// form ends them, and strings within JSON no "<". Errors are those of Schema, also for schemas of other members than
// declared ones.
func (b *Builder) Members(schema []byte, shut string) ([]Member, error) {
	root, err := parseJSON(schema)
	if err != nil {
		return nil, err
	}
	c := &schemaCompiler{
		root: root, rules: b.rules, memo: map[string]int{}, shared: map[string]int{}, budget: newBudget(),
		tagless: true,
	}
	t, err := c.expand([]*value{root})
	if err != nil {
		return nil, err
	}
	if t.never || len(t.choices) > 0 {
		return nil, &SchemaError{Reason: "alternatives of whole objects are not supported here"}
	}
	for _, v := range t.bases {
		for _, m := range v.members {
			a := m.value
			switch m.name {
			case "patternProperties", "propertyNames", "minProperties", "maxProperties":
				return nil, fault(v, m.name, "is not supported here")
			case "additionalProperties":
				if a.kind != 'b' || a.truth && v.get("properties") == nil {
					return nil, fault(v, m.name, "is not supported here as a schema, or without properties")
				}
			}
		}
	}
	names, required, err := propertyNames(t.bases)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && !slices.ContainsFunc(t.bases, func(v *value) bool {
		return v.get("properties") != nil || v.get("additionalProperties") != nil
	}) {
		return nil, &SchemaError{Reason: "an object without properties is not supported here"}
	}
	var list []Member
	for _, name := range names {
		schemas, possible, err := propertySchemas(t.bases, name)
		if err != nil {
			return nil, err
		}
		m := Member{Name: name, Required: required[name]}
		if !possible {
			schemas = []*value{{kind: 'b'}} // nothing
		}
		if err := c.member(&m, schemas, shut); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	b.rules = c.rules
	return list, nil
}

// member writes the value of a member.
func (c *schemaCompiler) member(m *Member, schemas []*value, shut string) error {
	t, err := c.expand(schemas)
	if err != nil {
		return err
	}
	if !t.never && len(t.choices) == 0 {
		allowed, _, err := allowedTypes(t.bases)
		if err != nil {
			return err
		}
		values, fixed, err := fixedValues(t.bases)
		if err != nil {
			return err
		}
		if fixed {
			for _, name := range types {
				allowed[name] = allowed[name] &&
					slices.ContainsFunc(values, func(v *value) bool { return v.typeName() == name })
			}
		}
		m.IsPlain = !allowed["string"] && !allowed["object"] && !allowed["array"]
		only := allowed["string"]
		for _, name := range types {
			only = only && (name == "string" || !allowed[name])
		}
		if only {
			m.IsText = true
			e, err := c.plainText(t.bases, shut)
			m.Text = Part{e}
			return err
		}
	}
	if len(schemas) == 0 {
		e, err := c.anyValue()
		m.Text = Part{e}
		return err
	}
	r, err := c.rule(schemas...)
	m.Text = Part{ref(r)}
	return err
}

// plainText writes the strings that fit all bases, as they are, without shut.
func (c *schemaCompiler) plainText(bases []*value, shut string) (*expr, error) {
	values, fixed, err := fixedValues(bases)
	if err != nil {
		return nil, err
	}
	if fixed {
		if _, err := c.enumerated(bases, values, map[string]bool{"string": true}, false); err != nil {
			return nil, err
		}
		var list []*expr
		for _, v := range values {
			if v.kind == '"' {
				list = append(list, literal(v.text))
				if v.text == "" {
					list = append(list, empty)
				}
			}
		}
		return alt(list...), nil
	}
	low, err := size(bases, "minLength", true, 0)
	if err != nil {
		return nil, err
	}
	high, err := size(bases, "maxLength", false, -1)
	if err != nil {
		return nil, err
	}
	list, err := c.patterns(bases, plainRunes)
	if err != nil {
		return nil, err
	}
	if low > 0 || high >= 0 && high < maxRepeat {
		list = append(list, repeat(class(runeRange{0, maxRune}), low, high))
	}
	text, err := c.budget.regular(anyText)
	if err != nil {
		return nil, err
	}
	free, err := c.budget.product(text, avoiding([]string{shut}), defaultLimits.nodes,
		func(a, b bool) bool { return a && b })
	if err != nil {
		return nil, err
	}
	without := &expr{op: opDFA, dfa: free}
	if len(list) == 0 {
		c.rules = append(c.rules, without)
		return ref(len(c.rules) - 1), nil
	}
	return c.budget.intersection(append(list, without)...)
}
