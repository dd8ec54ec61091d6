package grammar

import "slices"

// checkDisjoint reports a oneOf whose branches a value may fit two of. They are told apart by their types, by values
// of enum and const, and by members that both require.
func (c *schemaCompiler) checkDisjoint(ch choice) error {
	for i, a := range ch.branches {
		for j, b := range ch.branches[:i] {
			ok, err := c.disjoint(a, b, 0)
			if err != nil {
				return err
			}
			if !ok {
				return fault(ch.of, "oneOf",
					"a value may fit the branches %d and %d, and only one is allowed; use anyOf, or tell "+
						"them apart by type or by a required property with const", j, i)
			}
		}
	}
	return nil
}

// disjoint reports whether certainly no value fits both schemas.
func (c *schemaCompiler) disjoint(a, b *value, depth int) (bool, error) {
	if depth > 4 {
		return false, nil
	}
	x, err := c.expand([]*value{a})
	if err != nil {
		return false, err
	}
	y, err := c.expand([]*value{b})
	if err != nil {
		return false, err
	}
	if x.never || y.never {
		return true, nil
	}
	// Branches of a choice must each be apart from the other side.
	for _, side := range []struct {
		t     together
		other *value
	}{{x, b}, {y, a}} {
		for _, ch := range side.t.choices {
			apart := true
			for _, branch := range ch.branches {
				ok, err := c.disjoint(branch, side.other, depth+1)
				if err != nil {
					return false, err
				}
				apart = apart && ok
			}
			if apart {
				return true, nil
			}
		}
	}
	return c.basesDisjoint(x.bases, y.bases, depth)
}

func (c *schemaCompiler) basesDisjoint(x, y []*value, depth int) (bool, error) {
	all := slices.Concat(x, y)
	values, fixed, err := fixedValues(all)
	if err != nil {
		return false, err
	}
	typesX, integerX := statedTypes(x)
	typesY, integerY := statedTypes(y)
	if fixed {
		fits := func(v *value) bool {
			n := numberOf(v.text)
			whole := v.kind != '0' || n == nil || n.IsInt()
			name := v.typeName()
			return typesX[name] && typesY[name] && (whole || !integerX && !integerY)
		}
		return !slices.ContainsFunc(values, fits), nil
	}
	common := 0
	for _, name := range types {
		if typesX[name] && typesY[name] {
			common++
		}
	}
	if common == 0 {
		return true, nil
	}
	if common > 1 || !typesX["object"] || !typesY["object"] {
		return false, nil
	}
	// Both are objects: a member that one requires is forbidden by the other, or its values are apart.
	for _, side := range [][2][]*value{{x, y}, {y, x}} {
		_, required, err := propertyNames(side[0])
		if err != nil {
			return false, err
		}
		for name := range required {
			mine, _, err := propertySchemas(side[0], name)
			if err != nil {
				return false, err
			}
			theirs, possible, err := propertySchemas(side[1], name)
			if err != nil {
				return false, err
			}
			if !possible {
				return true, nil
			}
			for _, m := range mine {
				for _, t := range theirs {
					if ok, err := c.disjoint(m, t, depth+1); ok || err != nil {
						return ok, err
					}
				}
			}
		}
	}
	return false, nil
}

// statedTypes returns the types that the type keywords of bases allow.
func statedTypes(bases []*value) (map[string]bool, bool) {
	var stated []*value
	for _, b := range bases {
		if b.get("type") != nil {
			stated = append(stated, b)
		}
	}
	if len(stated) == 0 {
		all := map[string]bool{}
		for _, name := range types {
			all[name] = true
		}
		return all, false
	}
	allowed, integer, err := allowedTypes(stated)
	if err != nil {
		return map[string]bool{}, false // reported when the schema is written
	}
	return allowed, integer
}
