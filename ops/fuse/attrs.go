package fuse

import "reflect"

// bindAttrs makes attributes of like's type from those of the nodes that a fused op replaces, in their order: the
// first of that type; or a struct whose fields are attributes of nodes, the first of each field's type that no field
// has taken, and zero where no node has any: parts may be missing. Whether they are right is for the expansion to
// say.
func bindAttrs(like any, nodes []any) (any, bool) {
	if like == nil {
		return nil, true
	}
	t := reflect.TypeOf(like)
	taken := make([]bool, len(nodes))
	take := func(t reflect.Type) (reflect.Value, bool) {
		for i, a := range nodes {
			if !taken[i] && a != nil && reflect.TypeOf(a) == t {
				taken[i] = true
				return reflect.ValueOf(a), true
			}
		}
		return reflect.Value{}, false
	}
	if v, ok := take(t); ok {
		return v.Interface(), true
	}
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	all := reflect.New(t).Elem()
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			return nil, false
		}
		if v, ok := take(t.Field(i).Type); ok {
			all.Field(i).Set(v)
		}
	}
	return all.Interface(), true
}
