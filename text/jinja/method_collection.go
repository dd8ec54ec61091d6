package jinja

import (
	"errors"
	"slices"
)

// listMethods, tupleMethods and dictMethods are the methods of Python's list, tuple and dict.
var listMethods, tupleMethods, dictMethods map[string]*method

func init() {
	listMethods = map[string]*method{
		"append":  {signature: sig(1, "object"), fn: listAppend},
		"clear":   {fn: func(_ *interp, l value, _ []value) (value, error) { l.(*list).items = nil; return none{}, nil }},
		"copy":    {fn: func(in *interp, l value, _ []value) (value, error) { return in.newList(slices.Clone(l.(*list).items)) }},
		"count":   {signature: sig(1, "value"), fn: countItems},
		"extend":  {signature: sig(1, "iterable"), fn: listExtend},
		"index":   {signature: sig(1, "value", "start", "stop"), fn: indexOfItem},
		"insert":  {signature: sig(2, "index", "object"), fn: listInsert},
		"pop":     {signature: sig(0, "index"), fn: listPop},
		"remove":  {signature: sig(1, "value"), fn: listRemove},
		"reverse": {fn: listReverse},
		"sort":    {signature: sig(0, "reverse"), fn: listSort},
	}
	tupleMethods = map[string]*method{
		"count": {signature: sig(1, "value"), fn: countItems},
		"index": {signature: sig(1, "value", "start", "stop"), fn: indexOfItem},
	}
	dictMethods = map[string]*method{
		"clear":      {fn: func(_ *interp, d value, _ []value) (value, error) { *d.(*dict) = dict{}; return none{}, nil }},
		"copy":       {fn: dictCopy},
		"get":        {signature: sig(1, "key", "default"), fn: dictGet},
		"items":      viewMethod("dict_items"),
		"keys":       viewMethod("dict_keys"),
		"values":     viewMethod("dict_values"),
		"pop":        {signature: sig(1, "key", "default"), fn: dictPop},
		"popitem":    {fn: dictPopItem},
		"setdefault": {signature: sig(1, "key", "default"), fn: dictSetDefault},
		"update":     {raw: dictUpdate},
	}
}

func listAppend(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	// Growing by doubling copies each element at most twice.
	if err := in.allocItems(2); err != nil {
		return nil, err
	}
	l.items = append(l.items, a[0])
	return none{}, nil
}

func listExtend(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	more, err := in.iterate(a[0])
	if err != nil {
		return nil, err
	}
	l.items, err = in.joinItems(l.items, more)
	return none{}, err
}

func listInsert(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	i, err := argInt("insert", "index", a[0], 0)
	if err != nil {
		return nil, err
	}
	n := int64(len(l.items))
	if i < 0 {
		i = max(i+n, 0)
	}
	i = min(i, n)
	if err := in.allocItems(len(l.items) + 1); err != nil {
		return nil, err
	}
	l.items = slices.Concat(l.items[:i], a, l.items[i:])
	l.items = slices.Delete(l.items, int(i), int(i)+1) // a[0], the index
	return none{}, nil
}

// without returns a copy of items that lacks element i, and that element.
func (in *interp) without(items []value, i int64) ([]value, value, error) {
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return items, nil, errors.New("pop index out of range")
	}
	if err := in.allocItems(len(items)); err != nil {
		return items, nil, err
	}
	return slices.Concat(items[:i], items[i+1:]), items[i], nil
}

func listPop(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	i, err := argInt("pop", "index", a[0], -1)
	if err != nil {
		return nil, err
	}
	if len(l.items) == 0 {
		return nil, errors.New("pop from empty list")
	}
	var v value
	l.items, v, err = in.without(l.items, i)
	return v, err
}

// indexOf returns the index of the first element equal to v, or -1.
func (in *interp) indexOf(items []value, v value) (int, error) {
	for i, item := range items {
		if same, err := in.equal(item, v); err != nil || same {
			return i, err
		}
	}
	return -1, nil
}

func listRemove(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	i, err := in.indexOf(l.items, a[0])
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return nil, errors.New("list.remove(x): x not in list")
	}
	l.items, _, err = in.without(l.items, int64(i))
	return none{}, err
}

func indexOfItem(in *interp, recv value, a []value) (value, error) {
	items, err := in.iterate(recv)
	if err != nil {
		return nil, err
	}
	start, err := argInt("index", "start", a[1], 0)
	if err != nil {
		return nil, err
	}
	stop, err := argInt("index", "stop", a[2], int64(len(items)))
	if err != nil {
		return nil, err
	}
	bound := func(i int64) int64 {
		if i < 0 {
			i += int64(len(items))
		}
		return min(max(i, 0), int64(len(items)))
	}
	start, stop = bound(start), bound(stop)
	i, err := in.indexOf(items[start:max(start, stop)], a[0])
	if err == nil && i < 0 {
		err = errorf("value is not in %s", typeName(recv))
	}
	return start + int64(i), err
}

func countItems(in *interp, recv value, a []value) (value, error) {
	items, err := in.iterate(recv)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for _, item := range items {
		same, err := in.equal(item, a[0])
		if err != nil {
			return nil, err
		}
		if same {
			n++
		}
	}
	return n, nil
}

func listReverse(in *interp, recv value, _ []value) (value, error) {
	l := recv.(*list)
	if err := in.allocItems(len(l.items)); err != nil {
		return nil, err
	}
	l.items = slices.Clone(l.items)
	slices.Reverse(l.items)
	return none{}, nil
}

func listSort(in *interp, recv value, a []value) (value, error) {
	l := recv.(*list)
	sorted, err := in.sorted(l.items, l.items, argBool(a[0]))
	if err == nil {
		l.items = sorted
	}
	return none{}, err
}

// sorted returns items in the order of their keys, equal ones in their old order.
func (in *interp) sorted(items, keys []value, reverse bool) ([]value, error) {
	if err := in.allocItems(2 * len(items)); err != nil {
		return nil, err
	}
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	slices.SortStableFunc(order, func(i, j int) int {
		if failed != nil {
			return 0
		}
		if reverse {
			i, j = j, i
		}
		for _, pair := range [2][3]int{{i, j, -1}, {j, i, 1}} {
			before, err := in.compare("<", keys[pair[0]], keys[pair[1]])
			if err != nil {
				failed = err
				return 0
			}
			if before {
				return pair[2]
			}
		}
		return 0
	})
	out := make([]value, len(items))
	for i, from := range order {
		out[i] = items[from]
	}
	return out, failed
}

func viewMethod(kind string) *method {
	return &method{fn: func(_ *interp, recv value, _ []value) (value, error) {
		return &dictView{kind, recv.(*dict)}, nil
	}}
}

func dictCopy(in *interp, recv value, _ []value) (value, error) {
	if err := in.alloc(bytesPerEntry * recv.(*dict).len()); err != nil {
		return nil, err
	}
	return recv.(*dict).copy(), nil
}

// orNone returns an argument, none if it was left out.
func orNone(v value) value {
	if v == nil {
		return none{}
	}
	return v
}

func dictGet(_ *interp, recv value, a []value) (value, error) {
	v, ok, err := recv.(*dict).get(a[0])
	if err != nil || ok {
		return v, err
	}
	return orNone(a[1]), nil
}

func dictSetDefault(in *interp, recv value, a []value) (value, error) {
	d := recv.(*dict)
	v, ok, err := d.get(a[0])
	if err != nil || ok {
		return v, err
	}
	if err := in.alloc(bytesPerEntry); err != nil {
		return nil, err
	}
	return orNone(a[1]), d.set(a[0], orNone(a[1]))
}

func dictPop(in *interp, recv value, a []value) (value, error) {
	d := recv.(*dict)
	k, err := keyOf(a[0])
	if err != nil {
		return nil, err
	}
	i := d.find(k)
	switch {
	case i >= 0:
		if err := in.alloc(bytesPerEntry * d.len()); err != nil {
			return nil, err
		}
		return d.remove(i), nil
	case a[1] != nil:
		return a[1], nil
	}
	text, err := in.repr(a[0])
	if err != nil {
		return nil, err
	}
	return nil, errorf("pop: no key %s in the dict", text)
}

func dictPopItem(in *interp, recv value, _ []value) (value, error) {
	d := recv.(*dict)
	last := d.len() - 1
	if last < 0 {
		return nil, errors.New("popitem(): dictionary is empty")
	}
	if err := in.alloc(bytesPerEntry * d.len()); err != nil {
		return nil, err
	}
	e := d.entries[last]
	d.remove(last)
	return &tuple{items: []value{e.key, e.val}}, nil
}

// dictUpdate is update(mapping, **more) or update(pairs, **more).
func dictUpdate(in *interp, recv value, a args) (value, error) {
	if len(a.pos) > 1 {
		return nil, errorf("update takes at most 1 positional argument, got %d", len(a.pos))
	}
	return none{}, in.fill(recv.(*dict), a)
}

// fill sets entries of d from a mapping or an iterable of pairs, and from keyword arguments.
func (in *interp) fill(d *dict, a args) error {
	for _, from := range a.pos {
		pairs := from
		if m, ok := from.(*dict); ok {
			pairs = &dictView{"dict_items", m}
		}
		items, err := in.iterate(pairs)
		if err != nil {
			return err
		}
		for _, item := range items {
			pair, err := in.iterate(item)
			if err != nil {
				return err
			}
			if len(pair) != 2 {
				return errorf("an element to make a dict entry of has length %d; 2 is required", len(pair))
			}
			if err := in.alloc(bytesPerEntry); err != nil {
				return err
			}
			if err := d.set(pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	for _, n := range a.named {
		if err := in.alloc(bytesPerEntry); err != nil {
			return err
		}
		d.setString(n.name, n.val)
	}
	return nil
}
