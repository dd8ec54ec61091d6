package jinja

import (
	"html"
	"strings"
)

// filterForceEscape escapes text even if it has a mark.
func filterForceEscape(in *interp, v value, _ []value) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	return in.escapeHTML(s)
}

// filterStripTags drops comments and tags, makes white space single blanks, and resolves entities.
func filterStripTags(in *interp, v value, _ []value) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	if err := in.alloc(4 * s.size()); err != nil {
		return nil, err
	}
	text := between(between(s.s, "<!--", "-->"), "<", ">")
	return derived(html.UnescapeString(strings.Join(splitSpace(text), " ")), s), nil
}

// between drops all that stands from one mark to the next of another kind.
func between(s, open, closer string) string {
	var b strings.Builder
	for {
		begin := strings.Index(s, open)
		if begin < 0 {
			break
		}
		end := strings.Index(s[begin:], closer)
		if end < 0 {
			break
		}
		b.WriteString(s[:begin])
		s = s[begin+end+len(closer):]
	}
	b.WriteString(s)
	return b.String()
}

// splitSpace is Python's str.split().
func splitSpace(s string) []string { return strings.FieldsFunc(s, isSpace) }

// filterURLEncode quotes a text as a part of a path, or a mapping or pairs as a query.
func filterURLEncode(in *interp, v value, _ []value) (value, error) {
	pairs := []value(nil)
	switch d := v.(type) {
	case *dict:
		if err := in.alloc(bytesPerEntry * d.len()); err != nil {
			return nil, err
		}
		pairs = d.items()
	default:
		if _, ok := v.(str); ok || !isIterable(v) {
			return in.quoteURL(v, false)
		}
		var err error
		if pairs, err = in.iterate(v); err != nil {
			return nil, err
		}
	}
	var b strBuilder
	for i, p := range pairs {
		pair, err := in.iterate(p)
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, errorf("urlencode needs pairs, found %d elements", len(pair))
		}
		for j, x := range pair {
			q, err := in.quoteURL(x, true)
			if err != nil {
				return nil, err
			}
			switch {
			case j == 1:
				b.own("=")
			case i > 0:
				b.own("&")
			}
			b.add(q)
		}
	}
	return b.str(), nil
}

// quoteURL writes all bytes but those of unreserved characters as %XX; a query has "+" for a blank, a path keeps "/".
func (in *interp) quoteURL(v value, query bool) (str, error) {
	s, err := in.str(v)
	if err != nil {
		return str{}, err
	}
	if err := in.alloc(3 * s.size()); err != nil {
		return str{}, err
	}
	var b strBuilder
	for i := range len(s.s) {
		c := s.s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("_.-~", c) >= 0,
			c == '/' && !query:
			b.addLike(string(rune(c)), s.markAt(i))
		case c == ' ' && query:
			b.addLike("+", s.markAt(i))
		default:
			const hex = "0123456789ABCDEF"
			b.addLike(string([]byte{'%', hex[c>>4], hex[c&15]}), s.markAt(i))
		}
	}
	return b.str(), nil
}

// filterXMLAttr writes a mapping as attributes of a tag, without those that are none or undefined.
func filterXMLAttr(in *interp, v value, a []value) (value, error) {
	d, ok := v.(*dict)
	if !ok {
		return nil, errorf("xmlattr needs a mapping, not %s", typeName(v))
	}
	var b strBuilder
	for i := range d.entries {
		e := &d.entries[i]
		switch e.val.(type) {
		case none, undefined:
			continue
		}
		name, err := in.escapeHTML(e.key)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(name.s, " \t\n\v\f\r/>=") {
			return nil, errorf("xmlattr: %s is no name of an attribute", strRepr(name.s))
		}
		val, err := in.escapeHTML(e.val)
		if err != nil {
			return nil, err
		}
		if b.b.Len() > 0 || a[0] == nil || truth(a[0]) {
			b.own(" ")
		}
		b.add(str(name))
		b.own(`="`)
		b.add(str(val))
		b.own(`"`)
	}
	if err := in.alloc(b.b.Len() + b.marks.Len()); err != nil {
		return nil, err
	}
	return b.str(), nil
}
