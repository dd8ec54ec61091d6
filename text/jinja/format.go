package jinja

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxFormatWidth bounds widths and precisions in format strings.
const maxFormatWidth = 10_000

// numberSpec says how to format one value: the parts that printf and str.format have in common.
type numberSpec struct {
	left, plus, space, zero, alt bool
	group                        string // between groups of three digits
	fill                         rune   // 0 for a blank
	align                        byte   // one of < > = ^, or 0
	width, precision             int    // precision -1 for none
	verb                         byte
}

// fillers returns what brings n characters to the width of the spec: the text before and behind them.
func (sp *numberSpec) fillers(n int, align byte) (before, after string) {
	n = sp.width - n
	if n <= 0 {
		return "", ""
	}
	fill := " "
	if sp.fill != 0 {
		fill = string(sp.fill)
	}
	switch align {
	case '<':
		return "", strings.Repeat(fill, n)
	case '^':
		return strings.Repeat(fill, n/2), strings.Repeat(fill, n-n/2)
	}
	return strings.Repeat(fill, n), ""
}

// pad brings the text of a number to the width of the spec.
func (sp *numberSpec) pad(s string) string {
	align := sp.align
	if sp.left {
		align = '<'
	} else if sp.zero {
		if align == 0 {
			align = '='
		}
		if sp.fill == 0 {
			sp.fill = '0'
		}
	}
	before, after := sp.fillers(utf8.RuneCountInString(s), align)
	if align == '=' && s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		return s[:1] + before + s[1:]
	}
	return before + s + after
}

// padText brings t to the width of the spec with characters that are the template's.
func (sp *numberSpec) padText(t str) str {
	align := sp.align
	if sp.left {
		align = '<'
	}
	before, after := sp.fillers(utf8.RuneCountInString(t.s), align)
	if before == "" && after == "" {
		return t
	}
	filler := lit
	if sp.fill != 0 && t.hasData() {
		filler = dataStr // it may come from there too
	}
	var b strBuilder
	b.add(filler(before))
	b.add(t)
	b.add(filler(after))
	return b.str()
}

// number formats a number for one of the verbs d, i, u, x, X, o, b, e, E, f, F, g, G and %.
func (sp *numberSpec) number(v value) (string, error) {
	var s string
	negative := false
	switch sp.verb {
	case 'd', 'i', 'u', 'x', 'X', 'o', 'b':
		n, ok := bigInt(v)
		if f, isFloat := v.(float64); isFloat && sp.verb != 'x' && sp.verb != 'X' && sp.verb != 'o' && sp.verb != 'b' {
			var t value
			if t, ok = truncate(f); ok {
				n, _ = bigInt(t)
			}
		}
		if !ok {
			return "", errorf("format %%%c needs an integer, not %s", sp.verb, typeName(v))
		}
		base := map[byte]int{'x': 16, 'X': 16, 'o': 8, 'b': 2}[sp.verb]
		if base == 0 {
			base = 10
		}
		negative = n.Sign() < 0
		s = new(big.Int).Abs(n).Text(base)
		if sp.alt && base != 10 {
			s = "0" + string(sp.verb|0x20) + s
		}
		if sp.verb == 'X' {
			s = strings.ToUpper(s)
		}
	default:
		if !isNumber(v) {
			return "", errorf("format %%%c needs a number, not %s", sp.verb, typeName(v))
		}
		s = sp.float(toFloat(v))
		if s[0] == '-' {
			negative, s = true, s[1:]
		}
	}
	if sp.group != "" {
		s = groupThousands(s, sp.group)
	}
	switch {
	case negative:
		s = "-" + s
	case sp.plus:
		s = "+" + s
	case sp.space:
		s = " " + s
	}
	return sp.pad(s), nil
}

func (sp *numberSpec) float(f float64) string {
	precision := sp.precision
	if precision < 0 {
		precision = 6
	}
	verb := sp.verb | 0x20
	suffix := ""
	switch sp.verb {
	case '%':
		verb, f, suffix = 'f', f*100, "%"
	case 'g', 'G':
		precision = max(precision, 1)
	}
	s := strconv.FormatFloat(f, verb, precision, 64)
	if verb == 'g' {
		s = trimGeneral(s, f, precision)
	}
	s = strings.NewReplacer("+Inf", "inf", "-Inf", "-inf", "NaN", "nan").Replace(s)
	if sp.verb == 'E' || sp.verb == 'G' || sp.verb == 'F' {
		s = strings.ToUpper(s)
	}
	return s + suffix
}

// trimGeneral spells f as C's %g does: an exponent only below 1e-4 or from 10**precision on, no zeros at the end.
// Go's 'g' differs in where the exponent starts.
func trimGeneral(s string, f float64, precision int) string {
	e := strconv.FormatFloat(f, 'e', precision-1, 64)
	i := strings.IndexByte(e, 'e')
	if i < 0 { // an infinity or NaN
		return s
	}
	exp, _ := strconv.Atoi(e[i+1:])
	trim := func(m string) string {
		if strings.Contains(m, ".") {
			m = strings.TrimRight(strings.TrimRight(m, "0"), ".")
		}
		return m
	}
	if exp < -4 || exp >= precision {
		return trim(e[:i]) + e[i:]
	}
	return trim(strconv.FormatFloat(f, 'f', max(precision-1-exp, 0), 64))
}

// groupThousands puts a separator between groups of three digits in front of the point.
func groupThousands(s, separator string) string {
	end := strings.IndexAny(s, ".e%")
	if end < 0 {
		end = len(s)
	}
	for i := end - 3; i > 0; i -= 3 {
		s = s[:i] + separator + s[i:]
	}
	return s
}

// printf is Python's format % values; a tuple holds several values, a mapping named ones.
func (in *interp) printf(format str, values value) (value, error) {
	named, _ := values.(*dict)
	rest := []value{values}
	if t, ok := values.(*tuple); ok {
		rest = t.items
	}
	w := &textWriter{in: in}
	used := 0
	for at, size := 0, len(format.s); at < size; {
		i := strings.IndexByte(format.s[at:], '%')
		if i < 0 {
			i = size - at
		}
		if err := w.add(format.slice(at, at+i)); err != nil {
			return nil, err
		}
		if at += i; at == size {
			break
		}
		if err := in.step(1); err != nil {
			return nil, err
		}
		sp, key, tail, err := parsePrintf(format.s[at+1:])
		if err != nil {
			return nil, err
		}
		sign := at
		at = size - len(tail)
		if sp.verb == '%' {
			if err := w.add(format.slice(sign, sign+1)); err != nil {
				return nil, err
			}
			continue
		}
		var v value
		switch {
		case key != nil:
			if named == nil {
				return nil, errors.New("format requires a mapping")
			}
			found, ok := named.getString(*key)
			if !ok {
				return nil, errorf("format: no key %s", strRepr(*key))
			}
			v = found
		case used < len(rest):
			v = rest[used]
			used++
		default:
			return nil, errors.New("not enough arguments for format string")
		}
		s, err := in.formatValue(&sp, v)
		if err != nil {
			return nil, err
		}
		if err := w.add(s); err != nil {
			return nil, err
		}
	}
	switch values.(type) {
	case *dict, *list, *pyRange, undefined:
		// What Python can index may stay unused: it might be a mapping.
	default:
		if used < len(rest) {
			return nil, errors.New("not all arguments converted during string formatting")
		}
	}
	return w.b.str(), nil
}

// parsePrintf reads a conversion behind its "%" and returns the rest of the format.
func parsePrintf(s string) (sp numberSpec, key *string, rest string, err error) {
	sp = numberSpec{precision: -1}
	if strings.HasPrefix(s, "(") {
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return sp, nil, "", errors.New("incomplete format key")
		}
		name := s[1:end]
		key, s = &name, s[end+1:]
	}
	flags := map[byte]*bool{'-': &sp.left, '+': &sp.plus, ' ': &sp.space, '0': &sp.zero, '#': &sp.alt}
	for s != "" && flags[s[0]] != nil {
		*flags[s[0]] = true
		s = s[1:]
	}
	if sp.width, s, err = formatWidth(s); err != nil {
		return sp, nil, "", err
	}
	if strings.HasPrefix(s, ".") {
		if sp.precision, s, err = formatWidth(s[1:]); err != nil {
			return sp, nil, "", err
		}
	}
	if s == "" {
		return sp, nil, "", errors.New("incomplete format")
	}
	sp.verb = s[0]
	return sp, key, s[1:], nil
}

// formatWidth reads a number at the start of s, 0 if there is none.
func formatWidth(s string) (n int, rest string, err error) {
	for s != "" && isDigit(s[0]) {
		if n = n*10 + int(s[0]-'0'); n > maxFormatWidth {
			return 0, "", &LimitError{Limit: "format width", Max: maxFormatWidth}
		}
		s = s[1:]
	}
	return n, s, nil
}

// formatValue formats v for a printf conversion.
func (in *interp) formatValue(sp *numberSpec, v value) (str, error) {
	if err := in.alloc(sp.width + 2*max(sp.precision, 0)); err != nil {
		return str{}, err
	}
	var s str
	var err error
	switch sp.verb {
	case 's':
		s, err = in.str(v)
	case 'r', 'a':
		s, err = in.repr(v)
	case 'c':
		n, ok := smallInt(v)
		if s, isString := v.(str); isString && utf8.RuneCountInString(s.s) == 1 {
			return sp.padText(s), nil
		}
		if !ok || n < 0 || n > utf8.MaxRune {
			return str{}, errors.New("%c requires int or char")
		}
		s = lit(string(rune(n)))
	case 'd', 'i', 'u', 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G':
		text, err := sp.number(v)
		return lit(text), err
	default:
		return str{}, errorf("unsupported format character %q", sp.verb)
	}
	if err == nil && sp.precision >= 0 && utf8.RuneCountInString(s.s) > sp.precision {
		chars, err := in.starts(s.s)
		if err != nil {
			return str{}, err
		}
		s = s.slice(0, chars.at(sp.precision))
	}
	return sp.padText(s), err
}

// formatMethod is str.format: fields {}, {0} and {name}, with a conversion (!r, !s) and a format
// specification, in which fields may stand too.
func formatMethod(in *interp, recv value, a args) (value, error) {
	format := recv.(str)
	at, size := 0, len(format.s)
	w := &textWriter{in: in}
	auto := 0
	for at < size {
		i := strings.IndexAny(format.s[at:], "{}")
		if i < 0 {
			i = size - at
		}
		if err := w.add(format.slice(at, at+i)); err != nil {
			return nil, err
		}
		if at += i; at == size {
			break
		}
		rest := format.s[at:]
		if strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "}}") {
			if err := w.add(format.slice(at, at+1)); err != nil {
				return nil, err
			}
			at += 2
			continue
		}
		end := fieldEnd(rest)
		if end < 0 {
			return nil, errors.New("single brace encountered in format string")
		}
		s, err := in.formatField(rest[1:end], a, &auto)
		if err != nil {
			return nil, err
		}
		if err := w.add(s); err != nil {
			return nil, err
		}
		at += end + 1
	}
	return w.b.str(), nil
}

// formatField formats one field of str.format; auto numbers the fields without a name.
func (in *interp) formatField(field string, a args, auto *int) (str, error) {
	name, spec, _ := strings.Cut(field, ":")
	name, conversion, converted := strings.Cut(name, "!")
	v, err := in.formatArgument(name, a, auto)
	if err != nil {
		return str{}, err
	}
	for i := strings.IndexByte(spec, '{'); i >= 0; i = strings.IndexByte(spec, '{') {
		end := fieldEnd(spec[i:])
		if end < 0 || strings.Contains(spec[i:i+end], ":") {
			return str{}, errorf("format: bad specification %q", spec)
		}
		s, err := in.formatField(spec[i+1:i+end], a, auto)
		if err != nil {
			return str{}, err
		}
		if strings.Contains(s.s, "{") {
			return str{}, errorf("format: bad specification %q", s.s)
		}
		if err := in.alloc(len(spec) + len(s.s)); err != nil {
			return str{}, err
		}
		spec = spec[:i] + s.s + spec[i+end+1:]
	}
	if converted {
		var s str
		var err error
		switch conversion {
		case "s":
			s, err = in.str(v)
		case "r", "a":
			s, err = in.repr(v)
		default:
			err = errorf("format: unknown conversion %q", conversion)
		}
		if err != nil {
			return str{}, err
		}
		v = s
	}
	sp, err := parseFormatSpec(spec)
	if err == nil {
		err = sp.fits(v)
	}
	if err != nil {
		return str{}, err
	}
	_, isBool := v.(bool)
	_, isFloat := v.(float64)
	switch {
	case !isNumber(v) || isBool && spec == "":
		if sp.verb == 0 {
			sp.verb = 's'
		}
		sp.zero, sp.left = false, sp.align == 0
		return in.formatValue(&sp, v)
	case sp.verb == 0 && isFloat && sp.precision < 0:
		return lit(sp.pad(floatRepr(v.(float64)))), nil
	case sp.verb == 0 && isFloat:
		sp.verb = 'g'
	case sp.verb == 0, sp.verb == 'n' && !isFloat:
		sp.verb = 'd'
	case sp.verb == 'n':
		sp.verb = 'g'
	case sp.verb == 'c':
		return in.formatValue(&sp, v)
	}
	if err := in.alloc(sp.width + 2*max(sp.precision, 0)); err != nil {
		return str{}, err
	}
	text, err := sp.number(v)
	return lit(text), err
}

// fieldEnd returns where the field ends whose "{" begins s, or -1.
func fieldEnd(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
			if depth < 0 {
				return -1
			}
		}
	}
	return -1
}

// formatArgument finds what a field of str.format names: an argument, and then its elements and attributes.
func (in *interp) formatArgument(name string, a args, auto *int) (v value, err error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	name, path := name[:end], name[end:]
	if name == "" {
		name = strconv.Itoa(*auto)
		*auto++
	}
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= len(a.pos) {
			return nil, errorf("format: no positional argument %d", i)
		}
		v = a.pos[i]
	} else {
		for _, n := range a.named {
			if n.name.s == name {
				v = n.val
			}
		}
		if v == nil {
			return nil, errorf("format: no argument is named %q", name)
		}
	}
	for path != "" {
		var part string
		if path[0] == '.' {
			part = path[1:]
			if end := strings.IndexAny(part, ".["); end >= 0 {
				part = part[:end]
			}
			path = path[1+len(part):]
			v, err = filterAttr(in, v, []value{lit(part)})
		} else {
			closed := false
			if part, path, closed = strings.Cut(path[1:], "]"); !closed {
				return nil, errors.New("format: missing ']'")
			}
			var key value = lit(part)
			if n, err := strconv.ParseInt(part, 10, 64); err == nil {
				key = n
			}
			v, err = in.item(v, key)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// fits reports whether the type of the spec is one for v.
func (sp *numberSpec) fits(v value) error {
	ok := true
	_, isFloat := v.(float64)
	switch {
	case sp.verb == 0:
	case !isNumber(v):
		ok = sp.verb == 's'
	case isFloat:
		ok = strings.IndexByte("sbcdoxX", sp.verb) < 0
	default:
		ok = sp.verb != 's'
	}
	if !ok {
		return errorf("format: unknown format code %q for %s", sp.verb, typeName(v))
	}
	return nil
}

// parseFormatSpec reads [[fill]align][sign][#][0][width][group][.precision][type].
func parseFormatSpec(s string) (numberSpec, error) {
	sp := numberSpec{precision: -1}
	whole := s
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>=^", s[0]) >= 0 }
	if fill, n := utf8.DecodeRuneInString(s); isAlign(s[n:]) {
		sp.fill, sp.align, s = fill, s[n], s[n+1:]
	} else if isAlign(s) {
		sp.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		sp.plus, sp.space, s = s[0] == '+', s[0] == ' ', s[1:]
	}
	if strings.HasPrefix(s, "#") {
		sp.alt, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		sp.zero, s = true, s[1:]
	}
	var err error
	if sp.width, s, err = formatWidth(s); err != nil {
		return sp, err
	}
	if s != "" && (s[0] == ',' || s[0] == '_') {
		sp.group, s = s[:1], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if sp.precision, s, err = formatWidth(s[1:]); err != nil {
			return sp, err
		}
	}
	if len(s) > 1 || s != "" && strings.IndexByte("bcdeEfFgGnosxX%", s[0]) < 0 {
		return sp, errorf("format: bad specification %q", whole)
	}
	if s != "" {
		sp.verb = s[0]
	}
	return sp, nil
}
