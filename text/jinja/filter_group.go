package jinja

import "errors"

// filterGroupBy is groupby(attribute, default, case_sensitive): the elements in the order of an attribute, those with
// the same value of it together, each group as a pair that also has the names grouper and list.
func filterGroupBy(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	if err := in.allocItems(6 * len(items)); err != nil {
		return nil, err
	}
	def := a[1]
	if isAbsent(def) {
		def = nil
	}
	keys := make([]value, len(items))
	for i, item := range items {
		if keys[i], err = in.pathOr(item, a[0], def); err != nil {
			return nil, err
		}
	}
	folded, err := in.sortKeys(keys, nil, argBool(a[2]))
	if err != nil {
		return nil, err
	}
	order := make([]value, len(items))
	for i := range order {
		order[i] = int64(i)
	}
	if order, err = in.sorted(order, folded, false); err != nil {
		return nil, err
	}
	groups := &list{}
	var last value // the folded key of the group at the end
	for n, at := range order {
		i := at.(int64)
		same := false
		if n > 0 {
			if same, err = in.compare("==", folded[i], last); err != nil {
				return nil, err
			}
		}
		if !same {
			groups.items = append(groups.items, &tuple{[]value{keys[i], &list{}}, groupNames})
		}
		last = folded[i]
		group := groups.items[len(groups.items)-1].(*tuple).items[1].(*list)
		group.items = append(group.items, items[i])
	}
	return groups, nil
}

// groupNames name the elements of the pairs of groupby.
var groupNames = []string{"grouper", "list"}

// filterSlice is slice(slices, fill_with): the elements in that many lists, the first of which are one longer where
// the division leaves a rest; the others may be filled up.
func filterSlice(in *interp, v value, a []value) (value, error) {
	items, err := in.iterate(v)
	if err != nil {
		return nil, err
	}
	n, err := argInt("slice", "slices", a[0], 1)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errors.New("slice: fewer than 1 slice")
	}
	if n > int64(in.limits.MaxMemory) {
		return nil, in.alloc(-1)
	}
	if err := in.allocItems(4*int(n) + 2*len(items)); err != nil {
		return nil, err
	}
	out := make([]value, n)
	size, longer := len(items)/int(n), len(items)%int(n)
	for i := range out {
		take := size
		if i < longer {
			take++
		}
		part := append([]value(nil), items[:take]...)
		items = items[take:]
		if i >= longer && !isAbsent(a[1]) {
			part = append(part, a[1])
		}
		out[i] = &list{part}
	}
	return &iterator{out}, nil
}
