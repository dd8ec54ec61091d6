package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Limits bound what is read.
type Limits struct {
	Depth   int // of nested objects and arrays
	Members int // of an object; 0: no limit
}

// Object is a JSON object. Values are Object, []any, string, json.Number, bool or nil.
type Object map[string]any

// Check returns an error that says where text is no single JSON value within the limits.
func Check(text []byte, l Limits) error {
	return document(text, func(d *json.Decoder) error { return skip(d, l, 0) })
}

// Parse reads the JSON object that text holds.
func Parse(text []byte, l Limits) (Object, error) {
	o := Object{}
	err := Walk(text, l, func(key string, d *json.Decoder) (err error) {
		o[key], err = Value(d, l, 1)
		return err
	})
	return o, err
}

// Walk reads the JSON object that text holds member by member. f must read the value of each from d, with [Value] for
// depth 1 or otherwise.
func Walk(text []byte, l Limits, f func(key string, d *json.Decoder) error) error {
	return document(text, func(d *json.Decoder) error {
		t, err := d.Token()
		if err != nil {
			return syntax(d, err)
		}
		if t != json.Delim('{') {
			return errors.New("it is not a JSON object")
		}
		return members(d, l, f)
	})
}

// Value reads the next value of d, which lies in depth objects and arrays.
func Value(d *json.Decoder, l Limits, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, syntax(d, err)
	}
	switch t {
	case json.Delim('{'):
		if depth >= l.Depth {
			return nil, deep(l)
		}
		o := Object{}
		return o, members(d, l, func(key string, d *json.Decoder) (err error) {
			o[key], err = Value(d, l, depth+1)
			return err
		})
	case json.Delim('['):
		if depth >= l.Depth {
			return nil, deep(l)
		}
		list := []any{}
		return list, elements(d, func() error {
			v, err := Value(d, l, depth+1)
			list = append(list, v)
			return err
		})
	}
	return t, nil
}

// document lets f read one value from text and reports what follows it.
func document(text []byte, f func(d *json.Decoder) error) error {
	if !utf8.Valid(text) {
		return errors.New("not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := f(d); err != nil {
		return err
	}
	switch _, err := d.Token(); {
	case err == nil:
		return fmt.Errorf("text after the JSON value at byte %d", d.InputOffset())
	case err != io.EOF:
		return syntax(d, err)
	}
	return nil
}

// skip is Value for those who only want to know that it is well formed.
func skip(d *json.Decoder, l Limits, depth int) error {
	t, err := d.Token()
	if err != nil {
		return syntax(d, err)
	}
	if _, ok := t.(json.Delim); ok && depth >= l.Depth {
		return deep(l)
	}
	switch t {
	case json.Delim('{'):
		return members(d, l, func(_ string, d *json.Decoder) error { return skip(d, l, depth+1) })
	case json.Delim('['):
		return elements(d, func() error { return skip(d, l, depth+1) })
	}
	return nil
}

// members reads the rest of an object.
func members(d *json.Decoder, l Limits, f func(key string, d *json.Decoder) error) error {
	seen := map[string]bool{}
	for {
		t, err := d.Token()
		if err != nil {
			return syntax(d, err)
		}
		key, ok := t.(string)
		if !ok { // the decoder lets nothing but the closing brace stand here
			return nil
		}
		if seen[key] {
			return fmt.Errorf("key %s comes twice in one object", quote(key))
		}
		if seen[key] = true; l.Members > 0 && len(seen) > l.Members {
			return fmt.Errorf("an object has more than %d members", l.Members)
		}
		if err := f(key, d); err != nil {
			return err
		}
	}
}

// elements reads the rest of an array.
func elements(d *json.Decoder, f func() error) error {
	for d.More() {
		if err := f(); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return syntax(d, err)
}

func deep(l Limits) error { return fmt.Errorf("nested deeper than %d", l.Depth) }

// syntax says where the decoder met err. The end of the text inside a value is an error like any other.
func syntax(d *json.Decoder, err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("not valid JSON at byte %d: %w", d.InputOffset(), err)
}

// quote returns a quoted, shortened form of a key.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
