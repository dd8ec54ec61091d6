package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind says what a token is. Operators and punctuation share one kind and differ in their text.
type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString // text is the decoded string
	tokInt
	tokFloat
	tokOp
)

// token is one lexical unit of a template with its place in the source.
type token struct {
	kind tokenKind
	text string
	at   position
}

// describe spells a token for error messages.
func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "the end of the template"
	case tokData:
		return "text"
	case tokVarBegin:
		return `"{{"`
	case tokVarEnd:
		return `"}}"`
	case tokBlockBegin:
		return `"{%"`
	case tokBlockEnd:
		return `"%}"`
	case tokString:
		return "string " + quoteShort(t.text)
	default:
		return quoteShort(t.text)
	}
}

// quoteShort quotes s for a message, cut to a readable length.
func quoteShort(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

// syntaxError reports a template that does not parse.
func syntaxError(at position, format string, args ...any) error {
	return fmt.Errorf("jinja: parse: line %d, column %d: %w", at.line, at.col, fmt.Errorf(format, args...))
}

// lexer cuts a template into tokens. Whitespace control (trim_blocks, lstrip_blocks, "-" and "+" signs) is applied
// here, so that the parser sees only the text that is to be printed.
type lexer struct {
	src    string
	pos    int
	tokens []token

	// Place of markPos, from which positionOf counts on; offsets are asked for in ascending order.
	markPos int
	mark    position

	open []opener // brackets open in the current tag
}

// opener is an open bracket and the text that closes it.
type opener struct {
	closer string
	at     position
}

// lex returns the tokens of src, the last of kind tokEOF.
func lex(src string) ([]token, error) {
	if i := invalidUTF8(src); i >= 0 {
		lx := lexer{src: src, mark: position{1, 1}}
		return nil, syntaxError(lx.positionOf(i), "the source is not valid UTF-8")
	}
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	src = strings.TrimSuffix(src, "\n")
	lx := &lexer{src: src, mark: position{1, 1}}
	for lx.pos < len(lx.src) {
		if err := lx.text(); err != nil {
			return nil, err
		}
	}
	lx.emit(tokEOF, "", len(lx.src))
	return lx.tokens, nil
}

// invalidUTF8 returns the offset of the first byte of s that is no UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// positionOf returns line and column of the byte offset off.
func (lx *lexer) positionOf(off int) position {
	if off < lx.markPos {
		lx.markPos, lx.mark = 0, position{1, 1}
	}
	for _, r := range lx.src[lx.markPos:off] {
		if r == '\n' {
			lx.mark = position{lx.mark.line + 1, 1}
		} else {
			lx.mark.col++
		}
	}
	lx.markPos = off
	return lx.mark
}

func (lx *lexer) emit(kind tokenKind, text string, off int) {
	lx.tokens = append(lx.tokens, token{kind, text, lx.positionOf(off)})
}

// text reads plain text up to the next tag, and that tag.
func (lx *lexer) text() error {
	start := lx.pos
	tag := nextTag(lx.src, start)
	if tag < 0 {
		lx.emit(tokData, lx.src[start:], start)
		lx.pos = len(lx.src)
		return nil
	}
	kind := lx.src[tag+1]
	after := tag + 2
	sign := signAt(lx.src, after)
	if sign != 0 {
		after++
	}
	if data := lx.stripBefore(start, tag, sign, kind != '{'); data != "" {
		lx.emit(tokData, data, start)
	}
	lx.pos = after
	switch kind {
	case '#':
		return lx.comment(tag)
	case '{':
		lx.emit(tokVarBegin, "{{", tag)
		return lx.tag(tag, "}}")
	}
	if end, sign := keywordTag(lx.src, tag, "raw"); end >= 0 {
		lx.pos = end
		if sign == '-' {
			lx.skipSpace()
		}
		return lx.raw(tag)
	}
	lx.emit(tokBlockBegin, "{%", tag)
	return lx.tag(tag, "%}")
}

// nextTag returns the offset of the next "{{", "{%" or "{#" at or after from, or -1.
func nextTag(src string, from int) int {
	for {
		i := strings.IndexByte(src[from:], '{')
		if i < 0 || from+i+1 >= len(src) {
			return -1
		}
		from += i
		switch src[from+1] {
		case '{', '%', '#':
			return from
		}
		from++
	}
}

// signAt returns the whitespace sign '-' or '+' at offset i, or 0.
func signAt(src string, i int) byte {
	if i < len(src) && (src[i] == '-' || src[i] == '+') {
		return src[i]
	}
	return 0
}

// stripBefore returns the text src[start:tag] as it is to be printed in front of a tag. A "-" takes away all
// whitespace; without a sign, a block tag or comment takes away the blanks between it and the start of its line.
func (lx *lexer) stripBefore(start, tag int, sign byte, isBlock bool) string {
	data := lx.src[start:tag]
	switch {
	case sign == '-':
		return strings.TrimRightFunc(data, isSpace)
	case sign == 0 && isBlock:
		line := strings.LastIndexByte(data, '\n') + 1
		startsLine := line > 0 || start == 0 || lx.src[start-1] == '\n'
		if startsLine && strings.TrimLeftFunc(data[line:], isSpace) == "" {
			return data[:line]
		}
	}
	return data
}

// comment skips a comment; lx.pos is behind its opening and sign.
func (lx *lexer) comment(tag int) error {
	end := strings.Index(lx.src[lx.pos:], "#}")
	if end < 0 {
		return syntaxError(lx.positionOf(tag), `comment is not closed: expected "#}"`)
	}
	var sign byte
	if end > 0 {
		sign = signAt(lx.src, lx.pos+end-1)
	}
	lx.pos += end + 2
	lx.trimAfter(sign, true)
	return nil
}

// raw reads the body of a raw block as text; lx.pos is behind the opening tag.
func (lx *lexer) raw(tag int) error {
	start := lx.pos
	for from := start; ; {
		i := strings.Index(lx.src[from:], "{%")
		if i < 0 {
			return syntaxError(lx.positionOf(tag), `raw block is not closed: expected "{%% endraw %%}"`)
		}
		from += i
		end, sign := keywordTag(lx.src, from, "endraw")
		if end < 0 {
			from += 2
			continue
		}
		if data := lx.stripBefore(start, from, signAt(lx.src, from+2), true); data != "" {
			lx.emit(tokData, data, start)
		}
		lx.pos = end
		lx.trimAfter(sign, true)
		return nil
	}
}

// keywordTag matches a block tag at offset tag that holds nothing but word. It returns the offset behind the closing
// bracket and the sign in front of it, or -1.
func keywordTag(src string, tag int, word string) (end int, sign byte) {
	rest := src[tag+2:]
	if signAt(rest, 0) != 0 {
		rest = rest[1:]
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	rest, ok := strings.CutPrefix(rest, word)
	if !ok {
		return -1, 0
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	if sign = signAt(rest, 0); sign != 0 {
		rest = rest[1:]
	}
	rest, ok = strings.CutPrefix(rest, "%}")
	if !ok {
		return -1, 0
	}
	return len(src) - len(rest), sign
}

// trimAfter drops what a closing bracket takes with it: all whitespace after a "-", else one newline after a block.
func (lx *lexer) trimAfter(sign byte, isBlock bool) {
	switch {
	case sign == '-':
		lx.skipSpace()
	case sign == 0 && isBlock && strings.HasPrefix(lx.src[lx.pos:], "\n"):
		lx.pos++
	}
}

// skipSpace moves lx.pos over whitespace.
func (lx *lexer) skipSpace() {
	rest := strings.TrimLeftFunc(lx.src[lx.pos:], isSpace)
	lx.pos = len(lx.src) - len(rest)
}

// tag reads the tokens inside a tag up to and with its closing bracket.
func (lx *lexer) tag(start int, closing string) error {
	lx.open = lx.open[:0]
	for {
		lx.skipSpace()
		if lx.pos >= len(lx.src) {
			return syntaxError(lx.positionOf(start), "tag is not closed: expected %q", closing)
		}
		if len(lx.open) == 0 && lx.closeTag(closing) {
			return nil
		}
		if err := lx.inner(); err != nil {
			return err
		}
	}
}

// closeTag reads the closing bracket of a tag if it is next. A "+" sign exists for blocks alone.
func (lx *lexer) closeTag(closing string) bool {
	isBlock := closing == "%}"
	sign := signAt(lx.src, lx.pos)
	if sign == '+' && !isBlock {
		sign = 0
	}
	at := lx.pos
	if sign != 0 {
		at++
	}
	if !strings.HasPrefix(lx.src[at:], closing) {
		return false
	}
	kind := tokVarEnd
	if isBlock {
		kind = tokBlockEnd
	}
	lx.emit(kind, closing, lx.pos)
	lx.pos = at + len(closing)
	lx.trimAfter(sign, isBlock)
	return true
}

// inner reads one token inside a tag; lx.pos is at its first character.
func (lx *lexer) inner() error {
	start := lx.pos
	rest := lx.src[start:]
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c >= '0' && c <= '9':
		return lx.number()
	case c == '"' || c == '\'':
		return lx.str()
	case c == '_' || unicode.IsLetter(c):
		end := nameLen(rest)
		lx.emit(tokName, rest[:end], start)
		lx.pos += end
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			if err := lx.balance(op); err != nil {
				return err
			}
			lx.emit(tokOp, op, start)
			lx.pos += len(op)
			return nil
		}
	}
	return syntaxError(lx.positionOf(start), "unexpected character %q", c)
}

// operators in the order in which they are tried: longer ones first.
var operators = []string{
	"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
}

// balance keeps track of open brackets, inside which "}}" and "%}" do not close the tag.
func (lx *lexer) balance(op string) error {
	at := lx.positionOf(lx.pos)
	switch op {
	case "(":
		lx.open = append(lx.open, opener{")", at})
	case "[":
		lx.open = append(lx.open, opener{"]", at})
	case "{":
		lx.open = append(lx.open, opener{"}", at})
	case ")", "]", "}":
		if len(lx.open) == 0 {
			return syntaxError(at, "unexpected %q: no bracket is open", op)
		}
		top := lx.open[len(lx.open)-1]
		lx.open = lx.open[:len(lx.open)-1]
		if top.closer != op {
			return syntaxError(at, "expected %q for the bracket opened at line %d, column %d, found %q",
				top.closer, top.at.line, top.at.col, op)
		}
	}
	return nil
}

// number reads an integer (decimal, 0x, 0o, 0b) or a float; digits may be grouped by "_".
func (lx *lexer) number() error {
	start := lx.pos
	s := lx.src[start:]
	afterDot := start > 0 && lx.src[start-1] == '.'
	if len(s) > 2 && s[0] == '0' {
		if base := strings.IndexByte("xXoObB", s[1]); base >= 0 {
			n := 2 + digits(s[2:], isHexDigit)
			if n == 2 {
				return syntaxError(lx.positionOf(start), "expected digits after %q", s[:2])
			}
			lx.emit(tokInt, s[:n], start)
			lx.pos += n
			return nil
		}
	}
	n := digits(s, isDigit)
	kind := tokInt
	if !afterDot {
		if n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
			kind = tokFloat
			n += 1 + digits(s[n+1:], isDigit)
		}
		if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
			e := n + 1
			if signAt(s, e) != 0 {
				e++
			}
			if d := digits(s[e:], isDigit); d > 0 {
				kind = tokFloat
				n = e + d
			}
		}
	}
	lx.emit(kind, strings.ReplaceAll(s[:n], "_", ""), start)
	lx.pos += n
	return nil
}

// nameLen returns the length of the name at the start of s.
func nameLen(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && !unicode.Is(unicode.M, r)) {
			return i
		}
	}
	return len(s)
}

// digits returns the length of the run of digits at the start of s; an "_" counts if a digit follows it.
func digits(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && (is(s[n]) || n > 0 && s[n] == '_' && n+1 < len(s) && is(s[n+1])) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHexDigit(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// str reads a quoted string and decodes its escapes.
func (lx *lexer) str() error {
	start := lx.pos
	quote := lx.src[start]
	for i := start + 1; i < len(lx.src); i++ {
		switch lx.src[i] {
		case '\\':
			i++
		case quote:
			text, bad := unescape(lx.src[start+1 : i])
			if bad != "" {
				return syntaxError(lx.positionOf(start), "bad escape %s in a string", quoteShort(bad))
			}
			lx.emit(tokString, text, start)
			lx.pos = i + 1
			return nil
		}
	}
	return syntaxError(lx.positionOf(start), "string is not closed: expected %q", string(quote))
}

// unescape decodes Python's string escapes. Unknown escapes stay as they are. bad is the first escape that cannot be
// decoded, or empty.
func unescape(s string) (text, bad string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		c := s[i+1]
		i += 2
		if k := strings.IndexByte(`\'"abfnrtv`, c); k >= 0 {
			b.WriteByte("\\'\"\a\b\f\n\r\t\v"[k])
			continue
		}
		switch {
		case c == '\n':
			// an escaped newline joins two lines
		case c >= '0' && c <= '7':
			v, n := rune(0), i-1
			for n < len(s) && n < i+2 && s[n] >= '0' && s[n] <= '7' {
				v = v*8 + rune(s[n]-'0')
				n++
			}
			b.WriteRune(v)
			i = n
		case c == 'x' || c == 'u' || c == 'U':
			width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+width > len(s) || digits(s[i:i+width], isHexDigit) != width || strings.Contains(s[i:i+width], "_") {
				return "", s[i-2 : min(i+width, len(s))]
			}
			v := rune(0)
			for _, h := range []byte(s[i : i+width]) {
				v = v<<4 | rune(hexValue(h))
			}
			b.WriteRune(v) // surrogates and values past Unicode become U+FFFD
			i += width
		case c == 'N':
			return "", `\N`
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

func hexValue(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	default:
		return c - '0'
	}
}

// isSpace reports whether Python counts r as whitespace: Unicode's White_Space and the four ASCII separators.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}
