package grammar

import "slices"

// property is a member that objects may have.
type property struct {
	name     string
	value    *expr
	required bool
}

// objectWriter writes objects: properties in their order, and then others.
type objectWriter struct {
	c          *schemaCompiler
	properties []property
	other      *expr // a member that is none of the properties; nil if there may be none
	min, max   int   // members; max -1 is no bound
	counts     bool  // members must be counted
	tails      map[string]*expr
}

// object writes the objects that fit all bases.
func (c *schemaCompiler) object(bases []*value) (*expr, error) {
	w := &objectWriter{c: c, tails: map[string]*expr{}}
	var err error
	if w.min, err = size(bases, "minProperties", true, 0); err != nil {
		return nil, err
	}
	if w.max, err = size(bases, "maxProperties", false, -1); err != nil {
		return nil, err
	}
	names, required, err := propertyNames(bases)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		schemas, possible, err := propertySchemas(bases, name)
		if err != nil {
			return nil, err
		}
		p := property{name: name, required: required[name], value: never}
		if possible {
			if len(schemas) == 0 {
				p.value, err = c.anyValue()
			} else {
				var r int
				r, err = c.rule(schemas...)
				p.value = ref(r)
			}
			if err != nil {
				return nil, err
			}
		} else if !p.required {
			continue
		}
		w.properties = append(w.properties, p)
	}
	if err := w.others(bases, names); err != nil {
		return nil, err
	}
	needed := 0
	for _, p := range w.properties {
		if p.required {
			needed++
		}
	}
	w.counts = w.min > needed || w.max >= 0 && (w.other != nil || w.max < len(w.properties))
	if w.other != nil && w.min > needed+1 {
		return nil, fault(bases[0], "minProperties", "of more than one member whose name is free is not supported")
	}
	none := needed == 0 && w.min == 0
	if w.max == 0 {
		if !none {
			return never, nil
		}
		return seq(literal("{"), space, literal("}")), nil
	}
	body := w.from(0, 0)
	if body.op == opNever && none {
		return seq(literal("{"), space, literal("}")), nil
	}
	return enclosed("{", "}", body, none), nil
}

// propertyNames returns the names that the bases speak of, in their order, and those that are required.
func propertyNames(bases []*value) (names []string, required map[string]bool, err error) {
	required = map[string]bool{}
	for _, b := range bases {
		if p := b.get("properties"); p != nil {
			if p.kind != '{' {
				return nil, nil, fault(b, "properties", "must be an object")
			}
			for _, m := range p.members {
				if !slices.Contains(names, m.name) {
					names = append(names, m.name)
				}
			}
		}
	}
	for _, b := range bases {
		r := b.get("required")
		if r == nil {
			continue
		}
		if r.kind != '[' {
			return nil, nil, fault(b, "required", "must be an array of strings")
		}
		for _, n := range r.items {
			if n.kind != '"' {
				return nil, nil, fault(b, "required", "must be an array of strings")
			}
			required[n.text] = true
			if !slices.Contains(names, n.text) {
				names = append(names, n.text)
			}
		}
	}
	return names, required, nil
}

// propertySchemas returns the schemas that a member of this name must fit; possible is false if a base forbids it.
func propertySchemas(bases []*value, name string) (schemas []*value, possible bool, err error) {
	for _, b := range bases {
		if p := b.get("properties"); p != nil && p.get(name) != nil {
			schemas = append(schemas, p.get(name))
			continue
		}
		if p := b.get("patternProperties"); p != nil && len(p.members) > 0 {
			return nil, false, fault(b, "patternProperties", "is not supported together with properties or required")
		}
		a := b.get("additionalProperties")
		if a == nil {
			continue
		}
		if a.kind == 'b' && !a.truth {
			return nil, false, nil
		}
		schemas = append(schemas, a)
	}
	return schemas, true, nil
}

// others finds out which members there may be besides those of names.
func (w *objectWriter) others(bases []*value, names []string) error {
	var schemas, keys []*value
	asked, allowed := false, true
	var patterns *value
	for _, b := range bases {
		if a := b.get("additionalProperties"); a != nil {
			asked = true
			if a.kind == 'b' && !a.truth {
				allowed = false
			} else {
				schemas = append(schemas, a)
			}
		}
		if u := b.get("unevaluatedProperties"); u != nil && !(u.kind == 'b' && !u.truth) {
			return fault(b, "unevaluatedProperties", "is supported as false alone")
		} else if u != nil && len(names) == 0 {
			allowed = false
		}
		if p := b.get("patternProperties"); p != nil && len(p.members) > 0 {
			if len(p.members) > 1 || patterns != nil || len(names) > 0 {
				return fault(b, "patternProperties",
					"is supported with one pattern, and without properties and required")
			}
			patterns = b
		}
		if k := b.get("propertyNames"); k != nil {
			if len(names) > 0 {
				return fault(b, "propertyNames", "is not supported together with properties or required")
			}
			keys = append(keys, k)
		}
	}
	if patterns != nil {
		m := patterns.get("patternProperties").members[0]
		if len(keys) > 0 || len(schemas) > 0 {
			return fault(patterns, "patternProperties",
				"is not supported together with propertyNames or schemas of additionalProperties")
		}
		k, err := parseRegexp(m.name, false, w.c.runes)
		if err != nil {
			return patternFault(patterns, "patternProperties", err)
		}
		return w.otherMember(seq(literal(`"`), k, literal(`"`)), []*value{m.value})
	}
	declared := len(names) > 0 || slices.ContainsFunc(bases, func(b *value) bool { return b.get("properties") != nil })
	if !allowed || !asked && declared {
		return nil
	}
	if len(keys) > 0 {
		t, err := w.c.expand(keys)
		if err != nil {
			return err
		}
		if t.never || len(t.choices) > 0 {
			return fault(keys[0], "", "as propertyNames, a schema without alternatives is supported")
		}
		values, fixed, err := fixedValues(t.bases)
		if err != nil {
			return err
		}
		k, err := w.c.string(t.bases)
		if fixed {
			k, err = w.c.enumerated(t.bases, values, map[string]bool{"string": true}, false)
		}
		if err != nil {
			return err
		}
		return w.otherMember(k, schemas)
	}
	k, err := w.c.keyOtherThan(names)
	if err != nil {
		return err
	}
	return w.otherMember(k, schemas)
}

// otherMember sets the member that may come besides the properties.
func (w *objectWriter) otherMember(name *expr, schemas []*value) error {
	v, err := w.c.anyValue()
	if len(schemas) > 0 {
		var r int
		r, err = w.c.rule(schemas...)
		v = ref(r)
	}
	w.other = seq(name, literal(":"), optional(literal(" ")), v)
	return err
}

// from writes the members from the i-th property on, of which there is one at least, when none has come yet.
func (w *objectWriter) from(i, k int) *expr {
	if i == len(w.properties) {
		if w.other == nil {
			return never
		}
		low, high := max(0, w.min-1), -1
		if w.max >= 0 {
			high = w.max - 1
		}
		return seq(w.other, repeat(seq(comma, w.other), low, high))
	}
	p := w.properties[i]
	with := seq(w.c.key(p.name), p.value, w.tailRule(i+1, k+1))
	if p.required {
		return with
	}
	return alt(with, w.from(i+1, k))
}

// tailRule is tail as a rule, which several alternatives share.
func (w *objectWriter) tailRule(i, k int) *expr {
	if !w.counts {
		k = 1
	}
	at := position(i, k)
	e := w.tails[at]
	if e == nil {
		e = w.c.add(w.tail(i, k))
		w.tails[at] = e
	}
	return e
}

// tail writes what may come from the i-th property on when k members have come.
func (w *objectWriter) tail(i, k int) *expr {
	if w.counts && w.max >= 0 && k > w.max {
		return never
	}
	if i == len(w.properties) {
		low, high := 0, -1
		if w.counts {
			low = max(0, w.min-k)
			if w.max >= 0 {
				high = w.max - k
			}
		}
		if w.other == nil {
			if low > 0 {
				return never
			}
			return empty
		}
		return repeat(seq(comma, w.other), low, high)
	}
	p := w.properties[i]
	with := seq(comma, w.c.key(p.name), p.value)
	if !w.counts {
		if !p.required {
			with = optional(with)
		}
		return seq(with, w.tail(i+1, k))
	}
	with = seq(with, w.tailRule(i+1, k+1))
	if p.required {
		return with
	}
	return alt(with, w.tailRule(i+1, k))
}
