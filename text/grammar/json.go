package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
)

// value is a JSON value whose objects keep the order of their members. Pointer is where it stands in its document.
type value struct {
	kind    byte // '{', '[', '"', '0', 'b', 'n'
	text    string
	truth   bool
	items   []*value
	members []member
	pointer string
	number  int // in the order in which values were read, from 1
}

type member struct {
	name  string
	value *value
}

// Bounds of a schema's text.
const (
	maxSchema      = 4 << 20
	maxSchemaDepth = 256
)

// get returns the member of a name, or nil.
func (v *value) get(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parseJSON reads one JSON value.
func parseJSON(text []byte) (*value, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("%w: a schema of %d bytes, at most %d are allowed", ErrTooLarge, len(text), maxSchema)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	p := &jsonParser{d: d}
	v, err := p.value("", 0)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("there is text behind the JSON value")
		}
	}
	if err != nil {
		if errors.Is(err, ErrTooLarge) {
			return nil, err
		}
		return nil, &SchemaError{Reason: err.Error()}
	}
	return v, nil
}

type jsonParser struct {
	d     *json.Decoder
	count int
}

func (p *jsonParser) value(pointer string, depth int) (*value, error) {
	t, err := p.d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("%w: a schema is nested deeper than %d", ErrTooLarge, maxSchemaDepth)
	}
	p.count++
	v := &value{pointer: pointer, number: p.count}
	switch t := t.(type) {
	case json.Delim:
		v.kind = byte(t)
		seen := map[string]bool{}
		for i := 0; p.d.More(); i++ {
			key := strconv.Itoa(i)
			if v.kind == '{' {
				k, err := p.d.Token()
				if err != nil {
					return nil, err
				}
				key = k.(string)
				if seen[key] {
					return nil, fmt.Errorf("the object at %q has the key %q twice", "#"+pointer, key)
				}
				seen[key] = true
			}
			item, err := p.value(pointer+"/"+escapePointer(key), depth+1)
			if err != nil {
				return nil, err
			}
			if v.kind == '{' {
				v.members = append(v.members, member{key, item})
			} else {
				v.items = append(v.items, item)
			}
		}
		_, err := p.d.Token()
		return v, err
	case string:
		v.kind, v.text = '"', t
	case json.Number:
		v.kind, v.text = '0', t.String()
	case bool:
		v.kind, v.truth = 'b', t
	default:
		v.kind = 'n'
	}
	return v, nil
}

func escapePointer(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// literalText returns the JSON of a value, with a space behind colons and commas.
func (v *value) literalText() string {
	switch v.kind {
	case '{':
		var list []string
		for _, m := range v.members {
			list = append(list, quoteJSON(m.name)+": "+m.value.literalText())
		}
		return "{" + strings.Join(list, ", ") + "}"
	case '[':
		var list []string
		for _, i := range v.items {
			list = append(list, i.literalText())
		}
		return "[" + strings.Join(list, ", ") + "]"
	case '"':
		return quoteJSON(v.text)
	case '0':
		return v.text
	case 'b':
		return strconv.FormatBool(v.truth)
	}
	return "null"
}

// quoteJSON returns s as a JSON string, in which only what must be is escaped.
func quoteJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string always marshals
	out := strings.TrimSuffix(b.String(), "\n")
	return separators.Replace(out)
}

// separators undoes what encoding/json escapes for JavaScript alone. An escaped backslash stays, whatever is behind it.
var separators = strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029")

// equal reports whether two values are the same as JSON Schema has it: numbers by value, objects in any order.
func (v *value) equal(w *value) bool {
	if v.kind != w.kind || len(v.items) != len(w.items) || len(v.members) != len(w.members) {
		return false
	}
	switch v.kind {
	case '"':
		return v.text == w.text
	case 'b':
		return v.truth == w.truth
	case '0':
		a, b := numberOf(v.text), numberOf(w.text)
		return a != nil && b != nil && a.Cmp(b) == 0
	}
	for i := range v.items {
		if !v.items[i].equal(w.items[i]) {
			return false
		}
	}
	for _, m := range v.members {
		if o := w.get(m.name); o == nil || !m.value.equal(o) {
			return false
		}
	}
	return true
}

// maxExponent bounds the decimal exponent of numbers, whose exact form has as many digits.
const maxExponent = 400

// numberOf returns the exact value of a JSON number, or nil if it is beyond the bounds.
func numberOf(text string) *big.Rat {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e > maxExponent || e < -maxExponent {
			return nil
		}
	}
	if len(text) > 2*maxExponent {
		return nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil
	}
	return r
}
