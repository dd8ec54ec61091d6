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
func (in *interp) str(v value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case markup:
		return string(v), nil
	case undefined:
		return "", nil
	}
	return in.repr(v)
}

// repr is Python's repr(v).
func (in *interp) repr(v value) (string, error) {
	w := &textWriter{in: in}
	err := w.repr(v)
	return w.b.String(), err
}

// textWriter builds the text of a value within the limits of a rendering. Shared values can make the text far larger
// than the values, so each piece is counted.
type textWriter struct {
	in *interp
	b  strings.Builder
}

func (w *textWriter) write(s string) error {
	if err := w.in.alloc(len(s)); err != nil {
		return err
	}
	w.b.WriteString(s)
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
	case string:
		if err := w.in.scan(len(v)); err != nil {
			return err
		}
		return w.write(strRepr(v))
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

// strRepr quotes s as Python does: with ' unless only " avoids escapes, and with escapes for what does not print.
func strRepr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for _, r := range s {
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte(quote)
	return b.String()
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

// upperFirst returns s with its first character in upper case and the rest in lower case.
func upperFirst(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + strings.ToLower(s[n:])
}
