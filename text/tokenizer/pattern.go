package tokenizer

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// Bounds of patterns that no matcher of this package knows. They run on a backtracking engine, which a bad pattern
// keeps busy for ever.
const (
	maxPattern   = 16 << 10 // bytes
	maxMatchTime = time.Second
	// maxSplitTime bounds all matches of one text; large texts get splitTimePerByte more.
	maxSplitTime     = 5 * time.Second
	splitTimePerByte = 10 * time.Microsecond
	maxBacktrack     = 4 << 20 // entries of the engine's stack, of 8 bytes
)

// pattern is a regular expression without a matcher of its own.
type pattern struct {
	source string
	re     *regexp2.Regexp
}

// newPattern compiles a regular expression of a tokenizer.json, which is one of Oniguruma. Where the engine's syntax
// means something else by the same characters, they are translated or, failing that, an error.
func newPattern(source string) (*pattern, error) {
	if len(source) > maxPattern {
		return nil, fmt.Errorf("tokenizer: split pattern of %d bytes, the limit is %d", len(source), maxPattern)
	}
	translated, err := translate(source)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: split pattern %q: %w", clip(source), err)
	}
	re, err := regexp2.Compile(translated, regexp2.Multiline, regexp2.OptionMaxBacktrackingStackSize(maxBacktrack))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: split pattern %q: %w", clip(source), err)
	}
	re.MatchTimeout = maxMatchTime
	return &pattern{source, re}, nil
}

// spans returns the matches in s, which may be empty ones, and the gaps around them. It fails at the deadline, and
// when one match takes too long.
func (p *pattern) spans(s string, deadline time.Time) (spans []span, err error) {
	runes := []rune(s)
	begin, at, r := 0, 0, 0 // the end of the last match, a place in bytes, and the same place in runes
	byteAt := func(rune int) int {
		for ; r < rune; r++ {
			at += utf8.RuneLen(runes[r])
		}
		return at
	}
	late := false
	err = p.re.FindRunesMatches(runes, 0, func(m regexp2.MatchView) bool {
		index, length, _ := m.GroupRange(0)
		from := byteAt(index)
		to := byteAt(index + length)
		if begin < from {
			spans = append(spans, span{begin, from, false})
		}
		spans = append(spans, span{from, to, true})
		begin = to
		late = time.Now().After(deadline)
		return !late
	})
	if late {
		err = fmt.Errorf("no end within the time of a text, %v and %v a byte", maxSplitTime, splitTimePerByte)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: split pattern %q on a text of %d bytes: %w", clip(p.source), len(s), err)
	}
	if begin < len(s) {
		spans = append(spans, span{begin, len(s), false})
	}
	return spans, nil
}

// wordClass is what Oniguruma's \w holds.
const wordClass = `\p{L}\p{M}\p{Nd}\p{Pc}`

// translate rewrites a pattern of Oniguruma for the engine.
func translate(source string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(source); {
		rest := source[i:]
		switch {
		case rest[0] == '\\':
			text, n, err := translateEscape(rest, false)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			i += n
		case rest[0] == '[':
			n, err := translateClass(&b, rest)
			if err != nil {
				return "", err
			}
			i += n
		case strings.HasPrefix(rest, "(?") &&
			!hasAnyPrefix(rest[2:], ":", "=", "!", ">", "<=", "<!", "i:", "i)", "-i:", "-i)"):
			return "", fmt.Errorf("group %q is not supported", clip(rest))
		case strings.HasPrefix(rest, "}+"), strings.HasPrefix(rest, "{,"):
			return "", fmt.Errorf("%q is not supported", rest[:2])
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String(), nil
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// translateEscape translates the escape that s begins with, and returns its length.
func translateEscape(s string, inClass bool) (text string, n int, err error) {
	c, size := utf8.DecodeRuneInString(s[1:])
	switch {
	case size == 0:
		return "", 0, fmt.Errorf(`it ends in "\"`)
	case strings.ContainsRune("pP", c):
		end := strings.IndexByte(s, '}')
		if end < 0 || s[2] != '{' {
			return "", 0, fmt.Errorf(`%q lacks its braces`, s[:2])
		}
		// The forms that the engine does not know fail there.
		return s[:end+1], end + 1, nil
	case c == 'x' && strings.HasPrefix(s[2:], "{"):
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return "", 0, fmt.Errorf(`%q lacks its closing brace`, s[:3])
		}
		return s[:end+1], end + 1, nil
	case c == 'w' && inClass:
		return wordClass, 2, nil
	case c == 'w':
		return "[" + wordClass + "]", 2, nil
	case c == 'W' && !inClass:
		return "[^" + wordClass + "]", 2, nil
	case strings.ContainsRune("sSdDrntfvaexu", c),
		!('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'):
		return s[:1+size], 1 + size, nil
	}
	return "", 0, fmt.Errorf("escape %q is not supported", s[:1+size])
}

// translateClass translates the character class that s begins with, and returns its length. An intersection with a
// negated class at the end becomes a subtraction.
func translateClass(b *strings.Builder, s string) (int, error) {
	i := 1
	b.WriteByte('[')
	if strings.HasPrefix(s[i:], "^") {
		b.WriteByte('^')
		i++
	}
	negated, first := i == 2, i
	for i < len(s) {
		rest := s[i:]
		switch {
		case rest[0] == ']' && i > first:
			b.WriteByte(']')
			return i + 1, nil
		case rest[0] == ']':
			return 0, fmt.Errorf("class %q is empty", clip(s))
		case rest[0] == '\\':
			text, n, err := translateEscape(rest, true)
			if err != nil {
				return 0, err
			}
			b.WriteString(text)
			i += n
		case strings.HasPrefix(rest, "&&[^") && !negated && i > first:
			b.WriteByte('-')
			var inner strings.Builder
			n, err := translateClass(&inner, "["+rest[4:])
			if err != nil {
				return 0, err
			}
			i += n + 3
			if !strings.HasPrefix(s[i:], "]") || strings.HasPrefix(rest[4:], "^") {
				return 0, fmt.Errorf("class %q goes on behind an intersection", clip(s))
			}
			b.WriteString(inner.String())
		case rest[0] == '[', strings.HasPrefix(rest, "&&"):
			return 0, fmt.Errorf("class %q has a class inside", clip(s))
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	return 0, fmt.Errorf("class %q is not closed", clip(s))
}
