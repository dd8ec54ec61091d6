package tokenizer

// The default of files that name no pre-tokenizer: punctuation runs, then the GPT-2 pattern, then digit runs,
// then groups of three ASCII digits.

const (
	patPunct  = `[\p{P}\$\+<=>\^~\|]+`
	patDigit3 = `[0-9][0-9][0-9]`
)

func init() {
	registerPattern(patPunct, matchPunct)
	registerPattern(patDigit3, matchDigit3)
	registerPre(preTokenizer{patterns: []string{patPunct, patGPT2, patNums, patDigit3}}, "", "default")
}

func matchPunct(t *classTable, s string, i int) int {
	for {
		r, c, n := t.at(s, i)
		if n == 0 {
			return i
		}
		if c&clPunct == 0 {
			switch r {
			case '$', '+', '<', '=', '>', '^', '~', '|':
			default:
				return i
			}
		}
		i += n
	}
}

func matchDigit3(_ *classTable, s string, i int) int {
	if len(s)-i < 3 {
		return i
	}
	for _, b := range []byte(s[i : i+3]) {
		if b < '0' || b > '9' {
			return i
		}
	}
	return i + 3
}
