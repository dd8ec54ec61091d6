package jinja

import (
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errorf makes an error without a prefix; the renderError around it carries the package and the place.
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// str is Python's str(v): what printing v gives.
func (in *interp) str(v value) (str, error) {
	switch v := v.(type) {
	case str:
		return v, nil
	case markup:
		return str(v), nil
	case undefined:
		return str{}, nil
	}
	return in.repr(v)
}

// repr is Python's repr(v).
func (in *interp) repr(v value) (str, error) {
	w := &textWriter{in: in}
	err := w.repr(v)
	return w.b.str(), err
}

// textWriter builds the text of a value within the limits of a rendering. Shared values can make the text far larger
// than the values, so each piece is counted.
type textWriter struct {
	in *interp
	b  strBuilder
}

// write appends text of the template.
func (w *textWriter) write(s string) error { return w.add(lit(s)) }

// add appends t.
func (w *textWriter) add(t str) error {
	if err := w.in.alloc(t.size()); err != nil {
		return err
	}
	w.b.add(t)
	return nil
}

func (w *textWriter) repr(v value) error {
	if err := w.in.step(1); err != nil {
		return err
	}
	switch v := v.(type) {
	case none:
		return w.write("None")
	case undefined:
		return w.write("Undefined")
	case bool:
		if v {
			return w.write("True")
		}
		return w.write("False")
	case int64:
		return w.write(fmt.Sprint(v))
	case *big.Int:
		if err := w.in.scan(v.BitLen() * 64); err != nil { // conversion to decimal is not linear
			return err
		}
		return w.write(v.String())
	case float64:
		return w.write(floatRepr(v))
	case str:
		if err := w.in.scan(len(v.s)); err != nil {
			return err
		}
		return w.add(quoted(v))
	case *list:
		return w.sequence("[", v.items, "]")
	case *tuple:
		if len(v.items) == 1 {
			return w.sequence("(", v.items, ",)")
		}
		return w.sequence("(", v.items, ")")
	case *dict:
		return w.mapping("{", v, "}")
	case *dictView:
		if err := w.write(v.kind + "("); err != nil {
			return err
		}
		if err := w.sequence("[", v.elements(), "]"); err != nil {
			return err
		}
		return w.write(")")
	case *pyRange:
		if v.step == 1 {
			return w.write(fmt.Sprintf("range(%d, %d)", v.start, v.stop))
		}
		return w.write(fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step))
	case *namespace:
		return w.mapping("<Namespace {", v.attrs, "}>")
	case *macro:
		return w.write("<Macro " + strRepr(v.def.name) + ">")
	case *loopState:
		return w.write(fmt.Sprintf("<LoopContext %d/%d>", v.index+1, len(v.items)))
	case *boundMethod:
		return w.write("<built-in method " + v.name + " of " + typeName(v.recv) + " object>")
	default:
		return w.write("<" + typeName(v) + " object>")
	}
}

func (w *textWriter) sequence(open string, items []value, closer string) error {
	if err := w.in.enter(); err != nil {
		return err
	}
	defer w.in.leave()
	if err := w.write(open); err != nil {
		return err
	}
	for i, item := range items {
		if i > 0 {
			if err := w.write(", "); err != nil {
				return err
			}
		}
		if err := w.repr(item); err != nil {
			return err
		}
	}
	return w.write(closer)
}

func (w *textWriter) mapping(open string, d *dict, closer string) error {
	if err := w.in.enter(); err != nil {
		return err
	}
	defer w.in.leave()
	if err := w.write(open); err != nil {
		return err
	}
	for i := range d.entries {
		if i > 0 {
			if err := w.write(", "); err != nil {
				return err
			}
		}
		if err := w.repr(d.entries[i].key); err != nil {
			return err
		}
		if err := w.write(": "); err != nil {
			return err
		}
		if err := w.repr(d.entries[i].val); err != nil {
			return err
		}
	}
	return w.write(closer)
}

// strRepr quotes a string of the template, see quoted.
func strRepr(s string) string { return quoted(lit(s)).s }

// quoted quotes t as Python's repr does: with ' unless only " avoids escapes, and with escapes for what does not
// print.
func quoted(t str) str {
	quote := byte('\'')
	if strings.Contains(t.s, "'") && !strings.Contains(t.s, `"`) {
		quote = '"'
	}
	var b strBuilder
	b.own(string(quote))
	from := 0
	for i, r := range t.s {
		esc := ""
		switch {
		case r == rune(quote) || r == '\\':
			esc = `\` + string(r)
		case r == '\n':
			esc = `\n`
		case r == '\r':
			esc = `\r`
		case r == '\t':
			esc = `\t`
		case unicode.IsPrint(r):
			continue
		case r < 0x100:
			esc = fmt.Sprintf(`\x%02x`, r)
		case r < 0x10000:
			esc = fmt.Sprintf(`\u%04x`, r)
		default:
			esc = fmt.Sprintf(`\U%08x`, r)
		}
		b.add(t.slice(from, i))
		b.addLike(esc, t.markAt(i))
		from = i + utf8.RuneLen(r)
	}
	b.add(t.slice(from, len(t.s)))
	b.own(string(quote))
	return b.str()
}

// isASCII reports whether s is ASCII, so that bytes and characters are the same.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
