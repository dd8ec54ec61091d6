package jinja

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// filter is a filter of the dialect. Exactly one of fn and raw is set, as for a method.
type filter struct {
	signature
	fn  func(in *interp, v value, a []value) (value, error)
	raw func(in *interp, v value, a args) (value, error)
	// keepsMark is set for filters whose result has a mark if the value has one.
	keepsMark bool
	// seesMark is set for filters that get the value with its mark.
	seesMark bool
}

// filters are the filters by name. Those over sequences are in filter_sequence.go.
var filters map[string]*filter

func init() {
	filters = map[string]*filter{
		"abs":            {fn: filterAbs},
		"attr":           {signature: sig(1, "name"), fn: filterAttr},
		"capitalize":     mapText(upperFirst),
		"center":         {signature: sig(0, "width"), fn: filterCenter},
		"default":        {signature: sig(0, "default_value", "boolean"), fn: filterDefault, seesMark: true},
		"escape":         {fn: filterEscape, seesMark: true},
		"filesizeformat": {signature: sig(0, "binary"), fn: filterFileSize},
		"forceescape":    {fn: filterForceEscape},
		"float":          {signature: sig(0, "default"), fn: filterFloat},
		"format":         {raw: filterFormat},
		"from_json":      {fn: filterFromJSON},
		"indent":         {signature: sig(0, "width", "first", "blank"), fn: filterIndent},
		"int":            {signature: sig(0, "default", "base"), fn: filterInt},
		"length":         {fn: filterLength},
		"lower":          mapText(lowerCase),
		"pprint":         {fn: filterPPrint},
		"random":         unsupported("random", "the same conversation must give the same prompt"),
		"replace":        {signature: sig(2, "old", "new", "count"), fn: filterReplace},
		"round":          {signature: sig(0, "precision", "method"), fn: filterRound},
		"safe":           {fn: filterSafe},
		"string":         mapText(func(s string) string { return s }),
		"striptags":      {fn: filterStripTags},
		"title":          mapText(titleWords),
		"tojson":         {signature: sig(0, "ensure_ascii", "indent", "separators", "sort_keys"), fn: filterToJSON},
		"trim":           {signature: sig(0, "chars"), fn: filterTrim},
		"truncate":       {signature: sig(0, "length", "killwords", "end", "leeway"), fn: filterTruncate},
		"upper":          mapText(upperCase),
		"urlencode":      {fn: filterURLEncode},
		"urlize":         unsupported("urlize", "a prompt has no links"),
		"wordcount":      {fn: filterWordCount},
		"wordwrap": {signature: sig(0, "width", "break_long_words", "wrapstring", "break_on_hyphens"),
			fn: filterWordWrap},
		"xmlattr": {signature: sig(0, "autospace"), fn: filterXMLAttr},
	}
	for _, name := range []string{"capitalize", "indent", "lower", "string", "title", "trim", "truncate", "upper"} {
		filters[name].keepsMark = true
	}
	addSequenceFilters()
	for alias, name := range map[string]string{"count": "length", "d": "default", "e": "escape",
		"fromjson": "from_json"} {
		filters[alias] = filters[name]
	}
}

// filter passes v through a filter. Reading v, if it is a string, is work.
func (in *interp) filter(name string, f *filter, v value, a args) (value, error) {
	given := v
	if !f.seesMark {
		v = plain(v)
	}
	if s, ok := v.(str); ok {
		if err := in.scan(len(s.s)); err != nil {
			return nil, err
		}
	}
	if f.raw != nil {
		return f.raw(in, v, a)
	}
	bound, err := a.bind(name, f.required, f.params...)
	if err != nil {
		return nil, err
	}
	out, err := f.fn(in, v, bound)
	if f.keepsMark {
		out = remark(out, given)
	}
	return out, err
}

// unsupported makes a filter that Jinja has and this dialect has not: an error where a rendering reaches it.
func unsupported(name, why string) *filter {
	return &filter{raw: func(*interp, value, args) (value, error) {
		return nil, errorf("filter %q is not supported: %s", name, why)
	}}
}

// mapText makes a filter that works on the printed form of any value.
func mapText(f func(string) string) *filter {
	return &filter{fn: func(in *interp, v value, _ []value) (value, error) {
		s, err := in.str(v)
		if err != nil {
			return nil, err
		}
		if err := in.alloc(3 * s.size()); err != nil { // changes of case may lengthen text
			return nil, err
		}
		return s.mapped(f(s.s)), nil
	}}
}

// titleWords puts the first character of each word in upper case, the rest in lower case. Unlike str.title, words
// end only at blanks, hyphens and opening brackets.
func titleWords(s string) string {
	start := true
	var b strings.Builder
	for _, r := range s {
		if start {
			b.WriteString(upperCase(string(r)))
		} else {
			b.WriteString(lowerCase(string(r)))
		}
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
	}
	return b.String()
}

func filterAbs(_ *interp, v value, _ []value) (value, error) {
	if f, ok := v.(float64); ok {
		return math.Abs(f), nil
	}
	if n, ok := bigInt(v); ok {
		return normInt(new(big.Int).Abs(n)), nil
	}
	return nil, errorf("bad operand type for abs(): '%s'", typeName(v))
}

func filterAttr(in *interp, v value, a []value) (value, error) {
	name, err := argString("attr", "name", a[0], "")
	if err != nil {
		return nil, err
	}
	if u, ok := v.(undefined); ok {
		return nil, errUndefined(u)
	}
	if m, ok := in.member(v, name); ok {
		return m, nil
	}
	return undefined{"'" + typeName(v) + " object' has no attribute " + strRepr(name)}, nil
}

func filterCenter(in *interp, v value, a []value) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	width, err := argInt("center", "width", a[0], 80)
	if err != nil {
		return nil, err
	}
	return in.pad(s, width, lit(" "), 1, 1)
}

func filterDefault(_ *interp, v value, a []value) (value, error) {
	_, missing := v.(undefined)
	if !missing && (!argBool(a[1]) || truth(v)) {
		return v, nil
	}
	if a[0] == nil {
		return str{}, nil
	}
	return a[0], nil
}

func filterEscape(in *interp, v value, _ []value) (value, error) { return in.escapeHTML(v) }

func filterSafe(in *interp, v value, _ []value) (value, error) {
	s, err := in.str(v)
	return markup(s), err
}

func filterFloat(_ *interp, v value, a []value) (value, error) {
	switch v := v.(type) {
	case undefined:
		return nil, errUndefined(v)
	case str:
		if f, ok := parseFloat(v.s); ok {
			return f, nil
		}
	default:
		if isNumber(v) {
			return toFloat(v), nil
		}
	}
	if a[0] == nil {
		return 0.0, nil
	}
	return a[0], nil
}

func filterInt(_ *interp, v value, a []value) (value, error) {
	base, err := argInt("int", "base", a[1], 10)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case undefined:
		return nil, errUndefined(v)
	case str:
		if base == int64(int(base)) {
			if n, ok := parseInt(v.s, int(base)); ok {
				return n, nil
			}
		}
		if f, ok := parseFloat(v.s); ok {
			if n, ok := truncate(f); ok {
				return n, nil
			}
		}
	case float64:
		if n, ok := truncate(v); ok {
			return n, nil
		}
	default:
		if n, ok := bigInt(v); ok {
			return normInt(n), nil
		}
	}
	if a[0] == nil {
		return int64(0), nil
	}
	return a[0], nil
}

// filterFormat is "text"|format(values): printf with positional or with named values.
func filterFormat(in *interp, v value, a args) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	if len(a.named) == 0 {
		return in.printf(s, &tuple{items: a.pos})
	}
	if len(a.pos) > 0 {
		return nil, errors.New("format: cannot handle positional and keyword arguments at the same time")
	}
	d := &dict{}
	if err := in.fill(d, a); err != nil {
		return nil, err
	}
	return in.printf(s, d)
}

// filterFromJSON decodes a string. What is decoded already passes unchanged, because arguments of tool calls arrive
// in both forms.
func filterFromJSON(in *interp, v value, _ []value) (value, error) {
	s, ok := v.(str)
	if !ok {
		return v, nil
	}
	return in.decodeJSON(s)
}

func filterIndent(in *interp, v value, a []value) (value, error) {
	s, err := argStr("indent", "s", v, "")
	if err != nil {
		return nil, err
	}
	var by str
	if text, ok := a[0].(str); ok {
		by = text
	} else {
		width, err := argInt("indent", "width", a[0], 4)
		if err != nil {
			return nil, err
		}
		blanks, err := in.repeat(lit(" "), width)
		if err != nil {
			return nil, err
		}
		by = blanks.(str)
	}
	// The added newline keeps an empty last line alive through splitting.
	ends := splitLines(s.s+"\n", false)
	if by.size() > 0 && len(ends) > in.limits.MaxMemory/by.size() {
		return nil, in.alloc(-1)
	}
	if err := in.alloc(s.size() + len(ends)*(by.size()+16)); err != nil {
		return nil, err
	}
	first, blank := argBool(a[1]), argBool(a[2])
	var b strBuilder
	for i, line := range ends {
		if i > 0 {
			b.own("\n")
		}
		if i == 0 && first || i > 0 && (blank || line.begin < line.end) {
			b.add(by)
		}
		b.add(s.slice(line.begin, line.end))
	}
	return b.str(), nil
}

func filterLength(in *interp, v value, _ []value) (value, error) {
	n, err := in.length(v)
	return int64(n), err
}

func filterReplace(in *interp, v value, a []value) (value, error) {
	var text [3]str
	for i, part := range []value{v, a[0], a[1]} {
		s, err := in.str(part)
		if err != nil {
			return nil, err
		}
		text[i] = s
	}
	most := int64(-1)
	if !isAbsent(a[2]) {
		n, err := argInt("replace", "count", a[2], -1)
		if err != nil {
			return nil, err
		}
		most = n
	}
	return in.replace(text[0], text[1], text[2], most)
}

// filterRound rounds to precision digits behind the point: to the nearest value with ties of the exact binary value
// to even (common), down (floor) or up (ceil).
func filterRound(_ *interp, v value, a []value) (value, error) {
	precision, err := argInt("round", "precision", a[0], 0)
	if err != nil {
		return nil, err
	}
	how, err := argString("round", "method", a[1], "common")
	if err != nil {
		return nil, err
	}
	if !isNumber(v) {
		return nil, errorf("type %s cannot be rounded", typeName(v))
	}
	precision = min(max(precision, -400), 400) // beyond the digits of any float
	x := toFloat(v)
	switch how {
	case "common":
		if n, ok := bigInt(v); ok {
			return normInt(roundInt(n, -precision)), nil
		}
		if precision < 0 {
			unit := math.Pow(10, float64(-precision))
			return math.RoundToEven(x/unit) * unit, nil
		}
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', int(precision), 64), 64)
		return rounded, err
	case "ceil", "floor":
		unit := math.Pow(10, float64(precision))
		if how == "ceil" {
			return math.Ceil(x*unit) / unit, nil
		}
		return math.Floor(x*unit) / unit, nil
	}
	return nil, errors.New("round: method must be common, ceil or floor")
}

// roundInt rounds n to a multiple of 10**digits, halves to an even one.
func roundInt(n *big.Int, digits int64) *big.Int {
	if digits <= 0 {
		return n
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil)
	q, rest := new(big.Int).DivMod(n, unit, new(big.Int))
	if c := rest.Lsh(rest, 1).Cmp(unit); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return q.Mul(q, unit)
}

func filterToJSON(in *interp, v value, a []value) (value, error) {
	opts := jsonOptions{ensureASCII: argBool(a[0]), sortKeys: argBool(a[3]), item: lit(", "), key: lit(": ")}
	switch indent := a[1].(type) {
	case nil, none:
	case str:
		opts.indent, opts.multiline = indent, true
	default:
		n, err := argInt("tojson", "indent", indent, 0)
		if err != nil {
			return nil, err
		}
		blanks, err := in.repeat(lit(" "), n)
		if err != nil {
			return nil, err
		}
		opts.indent, opts.multiline = blanks.(str), true
	}
	if opts.multiline {
		opts.item = lit(",")
	}
	if !isAbsent(a[2]) {
		pair, err := in.iterate(a[2])
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, errors.New("tojson: separators must be a pair of strings")
		}
		if opts.item, err = argStr("tojson", "separators", pair[0], ""); err != nil {
			return nil, err
		}
		if opts.key, err = argStr("tojson", "separators", pair[1], ""); err != nil {
			return nil, err
		}
	}
	return in.encodeJSON(v, opts)
}

func filterTrim(in *interp, v value, a []value) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	if isAbsent(a[0]) {
		return s.trim(isSpace, true, true), nil
	}
	chars, err := argString("trim", "chars", a[0], "")
	return s.trim(anyOf(chars), true, true), err
}

func filterTruncate(in *interp, v value, a []value) (value, error) {
	length, err := argInt("truncate", "length", a[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := argStr("truncate", "end", a[2], "...")
	if err != nil {
		return nil, err
	}
	leeway, err := argInt("truncate", "leeway", a[3], 5)
	if err != nil {
		return nil, err
	}
	n, err := in.length(v)
	if err != nil {
		return nil, err
	}
	tail := int64(utf8.RuneCountInString(end.s))
	if length < tail {
		return nil, errorf("truncate: length %d is less than that of the end, %d", length, tail)
	}
	if leeway < 0 {
		return nil, errorf("truncate: leeway %d is negative", leeway)
	}
	if int64(n) <= length || int64(n)-length <= leeway {
		return v, nil
	}
	s, ok := v.(str)
	if !ok {
		return nil, errorf("truncate needs a string, not %s", typeName(v))
	}
	chars, err := in.starts(s.s)
	if err != nil {
		return nil, err
	}
	cut := s.slice(0, chars.at(int(length-tail)))
	if !argBool(a[1]) {
		if i := strings.LastIndex(cut.s, " "); i >= 0 {
			cut = cut.slice(0, i)
		}
	}
	return in.concat(cut, end)
}

func filterWordCount(in *interp, v value, _ []value) (value, error) {
	s, err := in.str(v)
	if err != nil {
		return nil, err
	}
	words, inWord := int64(0), false
	for _, r := range s.s {
		isWord := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if isWord && !inWord {
			words++
		}
		inWord = isWord
	}
	return words, nil
}

// isDistinct reports whether a new key was added to seen.
func isDistinct(seen map[dictKey]bool, key value) (bool, error) {
	k, err := keyOf(key)
	if err != nil || seen[k] {
		return false, err
	}
	seen[k] = true
	return true, nil
}
