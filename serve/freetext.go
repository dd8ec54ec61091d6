package serve

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/hipengine/hipengine/text/toolcall"
)

// freeText takes the one argument of a tool that takes free text out of the JSON of its arguments, as that is written.
type freeText struct {
	rest   string // not yet understood: before the text, all; within it, an escape that is not complete
	within bool
	over   bool
}

// opening is what stands before the text.
var opening = regexp.MustCompile(`^\s*\{\s*"` + toolcall.InputName + `"\s*:\s*"`)

// add takes a piece of JSON and returns what it adds to the text.
func (f *freeText) add(piece string) string {
	f.rest += piece
	if !f.within {
		at := opening.FindString(f.rest)
		if at == "" {
			return ""
		}
		f.within, f.rest = true, f.rest[len(at):]
	}
	if f.over {
		return ""
	}
	n := 0 // bytes that say what they are without those behind them
	for n < len(f.rest) {
		size := escapeSize(f.rest[n:])
		if f.over = f.rest[n] == '"'; f.over || size == 0 {
			break
		}
		n += size
	}
	var text string
	if err := json.Unmarshal([]byte(`"`+f.rest[:n]+`"`), &text); err != nil {
		f.over = true // the model wrote no JSON
		return ""
	}
	f.rest = f.rest[n:]
	return text
}

// escapeSize returns the length of the first character of a JSON string's text, 0 if it is not complete.
func escapeSize(s string) int {
	unicode := func(s string) int {
		switch {
		case len(s) < 2:
			return 0
		case s[1] != 'u':
			return 2
		case len(s) < 6:
			return 0
		}
		return 6
	}
	if s[0] != '\\' {
		return 1
	}
	n := unicode(s)
	// half of a pair
	if n == 6 && strings.ContainsRune("dD", rune(s[2])) && strings.ContainsRune("89abAB", rune(s[3])) {
		switch {
		case len(s) == 6:
			return 0
		case s[6] != '\\':
			return 6
		}
		second := unicode(s[6:])
		if second == 0 {
			return 0
		}
		return 6 + second
	}
	return n
}
