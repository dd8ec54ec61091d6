package jinja

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// addSequenceFilters registers the filters over sequences and mappings.
func addSequenceFilters() {
	filters["batch"] = &filter{signature: sig(1, "linecount", "fill_with"), fn: filterBatch}
	filters["dictsort"] = &filter{signature: sig(0, "case_sensitive", "by", "reverse"), fn: filterDictSort}
	filters["first"] = &filter{fn: filterFirst}
	filters["groupby"] = &filter{signature: sig(1, "attribute", "default", "case_sensitive"), fn: filterGroupBy}
	filters["items"] = &filter{fn: filterItems}
	filters["join"] = &filter{signature: sig(0, "d", "attribute"), fn: filterJoin}
	filters["last"] = &filter{fn: filterLast}
	filters["list"] = &filter{fn: filterList}
	filters["map"] = &filter{raw: filterMap}
	filters["max"] = &filter{signature: sig(0, "case_sensitive", "attribute"), fn: extremeFilter("max", ">")}
	filters["min"] = &filter{signature: sig(0, "case_sensitive", "attribute"), fn: extremeFilter("min", "<")}
	filters["reject"] = &filter{raw: selectFilter("reject", false, false)}
	filters["rejectattr"] = &filter{raw: selectFilter("rejectattr", true, false)}
	filters["reverse"] = &filter{fn: filterReverse}
	filters["select"] = &filter{raw: selectFilter("select", false, true)}
	filters["selectattr"] = &filter{raw: selectFilter("selectattr", true, true)}
	filters["slice"] = &filter{signature: sig(1, "slices", "fill_with"), fn: filterSlice}
	filters["sort"] = &filter{signature: sig(0, "reverse", "case_sensitive", "attribute"), fn: filterSort}
	filters["sum"] = &filter{signature: sig(0, "attribute", "start"), fn: filterSum}
	filters["unique"] = &filter{signature: sig(0, "case_sensitive", "attribute"), fn: filterUnique}
}

// path is obj.a.b for an attribute argument: a string of names and numbers with dots between them, or an index.
func (in *interp) path(obj, attribute value) (value, error) {
	return in.pathOr(obj, attribute, nil)
}

// pathOr is path with def, if that is not nil, in place of each missing part.
func (in *interp) pathOr(obj, attribute, def value) (value, error) {
	pick := func(obj, key value) (value, error) {
		v, err := in.item(obj, key)
		if _, missing := v.(undefined); missing && def != nil {
			v = def
		}
		return v, err
	}
	s, ok := attribute.(str)
	if !ok {
		return pick(obj, attribute)
	}
	for part := range strings.SplitSeq(s.s, ".") {
		if err := in.step(1); err != nil {
			return nil, err
		}
		var key value = lit(part)
		if part != "" && digits(part, isDigit) == len(part) && !strings.Contains(part, "_") {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil {
				key = n
			}
		}
		var err error
		if obj, err = pick(obj, key); err != nil {
			return nil, err
		}
	}
	return obj, nil
}

// sortKeys returns what items are to be ordered by: an attribute or several with commas between them, or the items
// themselves, strings in lower case unless caseSensitive.
func (in *interp) sortKeys(items []value, attribute value, caseSensitive bool) ([]value, error) {
	if err := in.allocItems(len(items)); err != nil {
		return nil, err
	}
	fold := func(v value) (value, error) {
		s, ok := v.(str)
		if !ok || caseSensitive {
			return v, nil
		}
		if err := in.alloc(len(s.s)); err != nil {
			return nil, err
		}
		return lit(strings.ToLower(s.s)), nil // a key is only compared
	}
	keys := make([]value, len(items))
	for i, item := range items {
		var err error
		switch names, ok := attribute.(str); {
		case isAbsent(attribute):
			keys[i], err = fold(item)
		case ok && strings.Contains(names.s, ","):
			key := &tuple{}
			for name := range strings.SplitSeq(names.s, ",") {
				var v value
				if v, err = in.path(item, lit(name)); err == nil {
					v, err = fold(v)
				}
				if err != nil {
					return nil, err
				}
				key.items = append(key.items, v)
			}
			keys[i] = key
		default:
			var v value
			if v, err = in.path(item, attribute); err == nil {
				keys[i], err = fold(v)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func filterBatch(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	size, err := argInt("batch", "linecount", a[0], 1)
	if err != nil {
		return nil, err
	}
	if size < 1 {
		return nil, errorf("batch: size %d is less than 1", size)
	}
	if err := in.allocItems(4 * len(items)); err != nil {
		return nil, err
	}
	var rows []value
	for len(items) > 0 {
		n := int(min(size, int64(len(items))))
		rows = append(rows, &list{append([]value(nil), items[:n]...)})
		items = items[n:]
		if missing := size - int64(n); missing > 0 && !isAbsent(a[1]) {
			fill, err := in.repeat(&list{[]value{a[1]}}, missing)
			if err != nil {
				return nil, err
			}
			last := rows[len(rows)-1].(*list)
			last.items = append(last.items, fill.(*list).items...)
		}
	}
	return &iterator{rows}, nil
}

func filterDictSort(in *interp, v value, a []value) (value, error) {
	d, ok := v.(*dict)
	if !ok {
		if u, ok := v.(undefined); ok {
			return nil, errUndefined(u)
		}
		return nil, errorf("dictsort needs a mapping, not %s", typeName(v))
	}
	by, err := argString("dictsort", "by", a[1], "key")
	if err != nil {
		return nil, err
	}
	if err := in.alloc(2 * bytesPerEntry * d.len()); err != nil {
		return nil, err
	}
	keys := d.keys()
	switch by {
	case "key":
	case "value":
		keys = d.values()
	default:
		return nil, errors.New(`dictsort: by must be "key" or "value"`)
	}
	if keys, err = in.sortKeys(keys, nil, argBool(a[0])); err != nil {
		return nil, err
	}
	sorted, err := in.sorted(d.items(), keys, argBool(a[2]))
	if err != nil {
		return nil, err
	}
	return &list{sorted}, nil
}

func filterFirst(in *interp, v value, _ []value) (value, error) {
	if s, ok := v.(str); ok && s.s != "" {
		c, _, err := in.element(s, 0)
		return c, err
	}
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined{"No first item, sequence was empty."}, nil
	}
	if g, ok := v.(*iterator); ok {
		g.items = items[1:]
	}
	return items[0], nil
}

func filterLast(in *interp, v value, _ []value) (value, error) {
	switch s := v.(type) {
	case str:
		if s.s != "" {
			c, _, err := in.element(s, -1)
			return c, err
		}
	case *iterator:
		return nil, errors.New("'generator' object is not reversible")
	}
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return undefined{"No last item, sequence was empty."}, nil
	}
	return items[len(items)-1], nil
}

func filterItems(in *interp, v value, _ []value) (value, error) {
	switch d := v.(type) {
	case undefined:
		return &iterator{}, nil
	case *dict:
		if err := in.alloc(bytesPerEntry * d.len()); err != nil {
			return nil, err
		}
		return &iterator{d.items()}, nil
	}
	return nil, errors.New("items: can only get item pairs from a mapping")
}

func filterJoin(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	var sep str
	if a[0] != nil {
		if sep, err = in.str(a[0]); err != nil {
			return nil, err
		}
	}
	if !isAbsent(a[1]) {
		if err := in.allocItems(len(items)); err != nil {
			return nil, err
		}
		picked := make([]value, len(items))
		for i, item := range items {
			if picked[i], err = in.path(item, a[1]); err != nil {
				return nil, err
			}
		}
		items = picked
	}
	return in.join(items, sep)
}

func filterList(in *interp, v value, _ []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	items, err = in.joinItems(items, nil)
	return &list{items}, err
}

// filterMap is map(attribute=..., default=...) or map("filter", arguments).
func filterMap(in *interp, v value, a args) (value, error) {
	if !truth(v) {
		return &iterator{}, nil // as in Jinja, for none too
	}
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if err := in.allocItems(len(items)); err != nil {
		return nil, err
	}
	convert, err := in.mapping(a)
	if err != nil {
		return nil, err
	}
	out := make([]value, len(items))
	for i, item := range items {
		if err := in.step(1); err != nil {
			return nil, err
		}
		if out[i], err = convert(item); err != nil {
			return nil, err
		}
	}
	return &iterator{out}, nil
}

// mapping returns the function that the arguments of map describe.
func (in *interp) mapping(a args) (func(value) (value, error), error) {
	if len(a.pos) == 0 {
		named, err := a.bind("map", 1, "attribute", "default")
		if err != nil {
			return nil, err
		}
		return func(item value) (value, error) {
			return in.pathOr(item, named[0], named[1])
		}, nil
	}
	name, err := argString("map", "filter", a.pos[0], "")
	if err != nil {
		return nil, err
	}
	f, ok := filters[name]
	if !ok {
		return nil, errorf("no filter is named %q", name)
	}
	rest := args{a.pos[1:], a.named}
	return func(item value) (value, error) {
		// A filter may be map itself: its name does not nest in the source.
		if err := in.enter(); err != nil {
			in.leave()
			return nil, err
		}
		defer in.leave()
		return in.filter(name, f, item, rest)
	}, nil
}

// extremeFilter makes min and max; the first of equal elements wins.
func extremeFilter(name, op string) func(in *interp, v value, a []value) (value, error) {
	return func(in *interp, v value, a []value) (value, error) {
		items, err := in.iterate(v)
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return undefined{"No aggregated item, sequence was empty."}, nil
		}
		keys, err := in.sortKeys(items, a[1], argBool(a[0]))
		if err != nil {
			return nil, err
		}
		best := 0
		for i := 1; i < len(keys); i++ {
			better, err := in.compare(op, keys[i], keys[best])
			if err != nil {
				return nil, errorf("%s: %w", name, err)
			}
			if better {
				best = i
			}
		}
		return items[best], nil
	}
}

// selectFilter makes select, reject, selectattr and rejectattr: they keep the elements for which a test (truth, if
// none is named) gives want, applied to the element or to an attribute of it.
func selectFilter(name string, byAttr, want bool) func(in *interp, v value, a args) (value, error) {
	return func(in *interp, v value, a args) (value, error) {
		if !truth(v) {
			return &iterator{}, nil // as in Jinja, for none too
		}
		items, err := in.iterate(v)
		if err != nil {
			return nil, err
		}
		pos := a.pos
		var attribute value
		if byAttr {
			if len(pos) == 0 {
				return nil, errorf("%s lacks its argument %q", name, "attribute")
			}
			attribute, pos = pos[0], pos[1:]
		}
		var t *test
		var testName string
		var rest args
		if len(pos) > 0 {
			if testName, err = argString(name, "test", pos[0], ""); err != nil {
				return nil, err
			}
			if t = tests[testName]; t == nil {
				return nil, errorf("no test is named %q", testName)
			}
			rest = args{pos[1:], a.named}
		}
		if err := in.allocItems(len(items)); err != nil {
			return nil, err
		}
		var out []value
		for _, item := range items {
			if err := in.step(1); err != nil {
				return nil, err
			}
			x := item
			if byAttr {
				if x, err = in.path(item, attribute); err != nil {
					return nil, err
				}
			}
			holds := truth(x)
			if t != nil {
				if holds, err = in.test(testName, t, x, rest); err != nil {
					return nil, err
				}
			}
			if holds == want {
				out = append(out, item)
			}
		}
		return &iterator{out}, nil
	}
}

func filterReverse(in *interp, v value, _ []value) (value, error) {
	if s, ok := v.(str); ok {
		return in.slice(s, nil, nil, int64(-1))
	}
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if err := in.allocItems(len(items)); err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	slices.Reverse(items)
	return &iterator{items}, nil
}

func filterSort(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if err := in.allocItems(4 * len(items)); err != nil {
		return nil, err
	}
	keys, err := in.sortKeys(items, a[2], argBool(a[1]))
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		// Jinja compares lists of attributes, in which two undefined values are equal.
		keys[i] = &tuple{items: []value{key}}
	}
	sorted, err := in.sorted(items, keys, argBool(a[0]))
	if err != nil {
		return nil, err
	}
	return &list{sorted}, nil
}

func filterSum(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	total := a[1]
	if total == nil {
		total = int64(0)
	}
	for _, item := range items {
		if err := in.step(1); err != nil {
			return nil, err
		}
		if !isAbsent(a[0]) {
			if item, err = in.path(item, a[0]); err != nil {
				return nil, err
			}
		}
		if total, err = in.operate("+", total, item); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func filterUnique(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	keys, err := in.sortKeys(items, a[1], argBool(a[0]))
	if err != nil {
		return nil, err
	}
	if err := in.alloc(bytesPerEntry * len(items)); err != nil {
		return nil, err
	}
	seen := map[dictKey]bool{}
	var out []value
	for i, item := range items {
		isNew, err := isDistinct(seen, keys[i])
		if err != nil {
			return nil, err
		}
		if isNew {
			out = append(out, item)
		}
	}
	return &iterator{out}, nil
}
