package jinja

// Value is a value that a caller gives to a rendering. It belongs to the rendering that decoded it.
type Value struct{ v value }

// Text returns a string that counts as part of the template, not as data.
func Text(s string) Value { return Value{lit(s)} }

// Bool returns a boolean.
func Bool(b bool) Value { return Value{b} }

// None returns the value none.
func None() Value { return Value{none{}} }

// DecodeJSON returns the value of one JSON document, whose strings are data. Objects keep the order of their keys, and
// numbers the difference between 1 and 1.0.
func (r *Rendering) DecodeJSON(src []byte) (Value, error) {
	v, err := r.in.decodeData(src)
	return Value{v}, err
}

// Type names the type of v as Python does: NoneType, bool, int, float, str, list or dict.
func (v Value) Type() string { return typeName(v.v) }

// Text returns the text of a string, and whether v is one.
func (v Value) Text() (string, bool) {
	s, ok := v.v.(str)
	return s.s, ok
}

// Items returns the elements of a list, none for other values.
func (v Value) Items() []Value {
	l, ok := v.v.(*list)
	if !ok {
		return nil
	}
	items := make([]Value, len(l.items))
	for i, item := range l.items {
		items[i] = Value{item}
	}
	return items
}

// Field returns the value of a key of a mapping, and whether v is a mapping that has it.
func (v Value) Field(key string) (Value, bool) {
	d, ok := v.v.(*dict)
	if !ok {
		return Value{}, false
	}
	field, ok := d.getString(key)
	return Value{field}, ok
}

// SetField sets the value of a key, in its old place if the mapping has it. Values that are no mappings stay as
// they are.
func (v Value) SetField(key string, field Value) {
	if d, ok := v.v.(*dict); ok {
		d.setString(lit(key), field.v)
	}
}
