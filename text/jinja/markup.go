package jinja

import "strings"

// markup is a string that the filter safe or escape has marked as HTML, as Python's markupsafe does. Though a chat
// template is no HTML, the mark shows: a string added to marked text with "+" is escaped, and published templates
// have been trained on with that. Marks live in variables and results of expressions; elements of lists and mappings
// and arguments of calls lose them, see plain.
type markup str

// plain returns v without a mark.
func plain(v value) value {
	if m, ok := v.(markup); ok {
		return str(m)
	}
	return v
}

// remark marks v, if it is a string, when the value that it was made of had a mark.
func remark(v, of value) value {
	s, ok := v.(str)
	if _, marked := of.(markup); ok && marked {
		return markup(s)
	}
	return v
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

// escapeHTML returns v as marked text: as it is if it has a mark, else with HTML's special characters escaped.
func (in *interp) escapeHTML(v value) (markup, error) {
	if m, ok := v.(markup); ok {
		return m, nil
	}
	s, err := in.str(v)
	if err != nil {
		return markup{}, err
	}
	if err := in.alloc(5 * s.size()); err != nil {
		return markup{}, err
	}
	if s.data == "" {
		return markup(lit(htmlEscaper.Replace(s.s))), nil
	}
	var b strBuilder
	for i := range len(s.s) {
		b.addLike(htmlEscaper.Replace(s.s[i:i+1]), s.data[i])
	}
	return markup(b.str()), nil
}

// addMarkup is l + r where at least one has a mark.
func (in *interp) addMarkup(l, r value) (value, error) {
	for _, v := range []value{l, r} {
		switch v.(type) {
		case str, markup:
		default:
			return nil, errorf("unsupported operand type(s) for +: '%s' and '%s'", typeName(l), typeName(r))
		}
	}
	a, err := in.escapeHTML(l)
	if err != nil {
		return nil, err
	}
	b, err := in.escapeHTML(r)
	if err != nil {
		return nil, err
	}
	sum, err := in.concat(str(a), str(b))
	return markup(sum), err
}
