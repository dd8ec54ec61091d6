package jinja

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeJSON decodes one JSON document into values. Unlike encoding/json it keeps the order of keys and the difference
// between 1 and 1.0. Of equal keys the last one counts, at the place of the first, as in Python. Bytes that are no
// UTF-8 and halves of surrogate pairs become U+FFFD.
func (in *interp) decodeJSON(src str) (value, error) {
	d := &jsonDecoder{in: in, text: src, src: src.s}
	d.space()
	v, err := d.value()
	if err == nil {
		d.space()
		if d.pos < len(d.src) {
			err = d.expected("the end of the document")
		}
	}
	if err != nil {
		var limit *LimitError
		if errors.As(err, &limit) {
			return nil, err
		}
		return nil, fmt.Errorf("JSON at byte %d: %w", d.pos, err)
	}
	return v, nil
}

// decodeData is decodeJSON for a document whose strings are data.
func (in *interp) decodeData(src []byte) (value, error) {
	if err := in.alloc(2 * len(src)); err != nil {
		return nil, err
	}
	return in.decodeJSON(dataStr(string(src)))
}

// jsonDecoder reads src from pos on. On an error pos is where it was found.
type jsonDecoder struct {
	in    *interp
	text  str    // the document
	src   string // its bytes
	pos   int
	depth int
}

// peek returns the next byte, 0 at the end.
func (d *jsonDecoder) peek() byte {
	if d.pos < len(d.src) {
		return d.src[d.pos]
	}
	return 0
}

func (d *jsonDecoder) space() {
	for d.pos < len(d.src) && strings.IndexByte(" \t\r\n", d.src[d.pos]) >= 0 {
		d.pos++
	}
}

func (d *jsonDecoder) expected(what string) error {
	if d.pos >= len(d.src) {
		return errorf("expected %s, found the end of the input", what)
	}
	r, _ := utf8.DecodeRuneInString(d.src[d.pos:])
	return errorf("expected %s, found %q", what, r)
}

func (d *jsonDecoder) value() (value, error) {
	if err := d.in.step(1); err != nil {
		return nil, err
	}
	switch c := d.peek(); {
	case c == '{':
		return d.nested(d.object)
	case c == '[':
		return d.nested(d.array)
	case c == '"':
		return d.str()
	case c == '-' || isDigit(c):
		return d.number()
	}
	for word, v := range map[string]value{"true": true, "false": false, "null": none{}} {
		if strings.HasPrefix(d.src[d.pos:], word) {
			d.pos += len(word)
			return v, nil
		}
	}
	return nil, d.expected("a JSON value")
}

// nested reads an object or array one level deeper.
func (d *jsonDecoder) nested(read func() (value, error)) (value, error) {
	if d.depth++; d.depth > maxJSONNest {
		return nil, &LimitError{Limit: "JSON nesting", Max: maxJSONNest}
	}
	defer func() { d.depth-- }()
	d.pos++
	d.space()
	return read()
}

// next steps over a "," (and returns true) or the closing bracket.
func (d *jsonDecoder) next(closer byte) (bool, error) {
	d.space()
	switch d.peek() {
	case ',':
		d.pos++
		d.space()
		return true, nil
	case closer:
		d.pos++
		return false, nil
	}
	return false, d.expected(fmt.Sprintf("',' or %q", closer))
}

func (d *jsonDecoder) array() (value, error) {
	l := &list{}
	if d.peek() == ']' {
		d.pos++
		return l, d.in.allocItems(0)
	}
	for more := true; more; {
		if err := d.in.allocItems(1); err != nil {
			return nil, err
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, v)
		if more, err = d.next(']'); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (d *jsonDecoder) object() (value, error) {
	m := &dict{}
	if d.peek() == '}' {
		d.pos++
		return m, d.in.alloc(bytesPerEntry)
	}
	for more := true; more; {
		if err := d.in.alloc(bytesPerEntry); err != nil {
			return nil, err
		}
		if d.peek() != '"' {
			return nil, d.expected("a key in quotes")
		}
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.peek() != ':' {
			return nil, d.expected("':'")
		}
		d.pos++
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		if err := m.set(key, v); err != nil {
			return nil, err
		}
		if more, err = d.next('}'); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// number reads a number: an integer if it has neither fraction nor exponent.
func (d *jsonDecoder) number() (value, error) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	run := func() int {
		from := d.pos
		for isDigit(d.peek()) {
			d.pos++
		}
		return d.pos - from
	}
	if d.peek() == '0' {
		d.pos++
	} else if run() == 0 {
		return nil, d.expected("a digit")
	}
	isFloat := false
	if d.peek() == '.' {
		isFloat = true
		d.pos++
		if run() == 0 {
			return nil, d.expected("a digit")
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		isFloat = true
		d.pos++
		if signAt(d.src, d.pos) != 0 {
			d.pos++
		}
		if run() == 0 {
			return nil, d.expected("a digit")
		}
	}
	text := d.src[start:d.pos]
	if isFloat {
		f, _ := strconv.ParseFloat(text, 64) // out of range gives an infinity, as in Python
		return f, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	// More than 3.3 bits per digit: a bound that keeps the conversion cheap.
	if len(text) > maxIntBits/3 {
		return nil, &LimitError{Limit: "integer bits", Max: maxIntBits}
	}
	n, _ := new(big.Int).SetString(text, 10)
	return boundedInt(n)
}

// str reads a string; without escapes it shares the memory of the input.
func (d *jsonDecoder) str() (value, error) {
	d.pos++
	start := d.pos
	for d.pos < len(d.src) && d.src[d.pos] != '"' && d.src[d.pos] != '\\' && d.src[d.pos] >= ' ' {
		d.pos++
	}
	if d.peek() == '"' {
		s := d.text.slice(start, d.pos)
		d.pos++
		if utf8.ValidString(s.s) {
			return s, nil
		}
		return derived(strings.ToValidUTF8(s.s, "\uFFFD"), s), nil
	}
	var b strings.Builder
	b.WriteString(d.src[start:d.pos])
	for {
		run := d.pos
		for d.pos < len(d.src) && d.src[d.pos] != '"' && d.src[d.pos] != '\\' && d.src[d.pos] >= ' ' {
			d.pos++
		}
		b.WriteString(d.src[run:d.pos])
		switch c := d.peek(); {
		case d.pos >= len(d.src):
			return nil, d.expected(`'"'`)
		case c == '"':
			text := strings.ToValidUTF8(b.String(), "\uFFFD")
			raw := d.text.slice(start, d.pos)
			d.pos++
			return derived(text, raw), d.in.alloc(raw.size())
		case c != '\\':
			return nil, d.expected("an escape for the control character")
		}
		d.pos++
		e := d.peek()
		if i := strings.IndexByte(`"\/bfnrt`, e); i >= 0 && e != 0 {
			b.WriteByte("\"\\/\b\f\n\r\t"[i])
			d.pos++
			continue
		}
		if e != 'u' {
			return nil, d.expected("a JSON escape")
		}
		r, err := d.hex()
		if err != nil {
			return nil, err
		}
		if utf16.IsSurrogate(r) && strings.HasPrefix(d.src[d.pos:], `\u`) {
			back := d.pos
			d.pos++
			low, err := d.hex()
			if err != nil {
				return nil, err
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r = pair
			} else {
				d.pos = back
			}
		}
		b.WriteRune(r)
	}
}

// hex reads the "u" and four digits of an escape.
func (d *jsonDecoder) hex() (rune, error) {
	d.pos++
	r := rune(0)
	for range 4 {
		c := d.peek()
		if !isHexDigit(c) {
			return 0, d.expected("a hexadecimal digit")
		}
		r = r<<4 | rune(hexValue(c))
		d.pos++
	}
	return r, nil
}
