package jinja

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonOptions are the options of Python's json.dumps that templates use.
type jsonOptions struct {
	ensureASCII bool
	sortKeys    bool
	multiline   bool // one element a line, indented
	indent      str  // of one level
	item, key   str  // separators behind an element and behind a key
}

// encodeJSON is json.dumps(v). No character is escaped for HTML.
func (in *interp) encodeJSON(v value, opts jsonOptions) (value, error) {
	e := &jsonEncoder{textWriter{in: in}, opts, 0}
	err := e.value(v)
	return e.b.str(), err
}

type jsonEncoder struct {
	textWriter
	opts  jsonOptions
	level int
}

func (e *jsonEncoder) value(v value) error {
	if err := e.in.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case str:
		return e.str(v)
	case *list:
		return e.array(v.items)
	case *tuple:
		return e.array(v.items)
	case *dict:
		return e.object(v)
	}
	s, ok, err := e.scalar(v)
	if err != nil {
		return err
	}
	if !ok {
		return errorf("object of type %s is not JSON serializable", typeName(v))
	}
	return e.write(s)
}

// scalar spells a value that is neither a string nor a container; keys that are no strings are spelled so too.
func (e *jsonEncoder) scalar(v value) (s string, ok bool, err error) {
	switch v := v.(type) {
	case none:
		return "null", true, nil
	case bool:
		return strconv.FormatBool(v), true, nil
	case int64:
		return strconv.FormatInt(v, 10), true, nil
	case *big.Int:
		s, err := e.in.repr(v)
		return s.s, true, err
	case float64:
		switch s := floatRepr(v); s {
		case "nan":
			return "NaN", true, nil
		case "inf":
			return "Infinity", true, nil
		case "-inf":
			return "-Infinity", true, nil
		default:
			return s, true, nil
		}
	}
	return "", false, nil
}

// between writes what stands in front of element i of a container.
func (e *jsonEncoder) between(i int) error {
	if i > 0 {
		if err := e.add(e.opts.item); err != nil {
			return err
		}
	}
	return e.newline()
}

// newline starts a line at the current level if the output has several lines.
func (e *jsonEncoder) newline() error {
	if !e.opts.multiline {
		return nil
	}
	if err := e.write("\n"); err != nil {
		return err
	}
	for range e.level {
		if err := e.add(e.opts.indent); err != nil {
			return err
		}
	}
	return nil
}

// nested writes a container of n elements, each with write.
func (e *jsonEncoder) nested(open, closer string, n int, write func(i int) error) error {
	if err := e.in.enter(); err != nil {
		e.in.leave()
		return err
	}
	defer e.in.leave()
	if err := e.write(open); err != nil {
		return err
	}
	e.level++
	for i := range n {
		if err := e.between(i); err != nil {
			return err
		}
		if err := write(i); err != nil {
			return err
		}
	}
	e.level--
	if n > 0 {
		if err := e.newline(); err != nil {
			return err
		}
	}
	return e.write(closer)
}

func (e *jsonEncoder) array(items []value) error {
	return e.nested("[", "]", len(items), func(i int) error { return e.value(items[i]) })
}

func (e *jsonEncoder) object(d *dict) error {
	order := make([]value, len(d.entries)) // of entries, by index
	if err := e.in.allocItems(len(order)); err != nil {
		return err
	}
	for i := range order {
		order[i] = int64(i)
	}
	if e.opts.sortKeys {
		var err error
		if order, err = e.in.sorted(order, d.keys(), false); err != nil {
			return err
		}
	}
	return e.nested("{", "}", len(order), func(i int) error {
		entry := d.entries[order[i].(int64)]
		key, ok := entry.key.(str)
		if !ok {
			text, ok, err := e.scalar(entry.key)
			if err != nil {
				return err
			}
			if key = lit(text); !ok {
				return errorf("keys of JSON objects must be str, int, float, bool or None, not %s",
					typeName(entry.key))
			}
		}
		if err := e.str(key); err != nil {
			return err
		}
		if err := e.add(e.opts.key); err != nil {
			return err
		}
		return e.value(entry.val)
	})
}

// str writes a quoted string.
func (e *jsonEncoder) str(t str) error {
	// An escape has at most 6 bytes for one byte of input; count before writing.
	if err := e.in.alloc(t.size() + 2); err != nil {
		return err
	}
	e.b.own(`"`)
	from := 0
	for i := 0; i < len(t.s); {
		r, n := utf8.DecodeRuneInString(t.s[i:])
		if esc := e.escape(r); esc != "" {
			e.b.add(t.slice(from, i))
			if err := e.in.alloc(len(esc)); err != nil {
				return err
			}
			e.b.addLike(esc, t.markAt(i))
			from = i + n
		}
		i += n
	}
	e.b.add(t.slice(from, len(t.s)))
	e.b.own(`"`)
	return nil
}

// escape returns the escape of r, empty if it stands for itself.
func (e *jsonEncoder) escape(r rune) string {
	if i := strings.IndexRune("\"\\\b\f\n\r\t", r); i >= 0 {
		return `\` + string(`"\bfnrt`[i])
	}
	switch {
	case r < ' ' || e.opts.ensureASCII && r >= 0x7f && r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	case e.opts.ensureASCII && r >= 0x10000:
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return ""
}
