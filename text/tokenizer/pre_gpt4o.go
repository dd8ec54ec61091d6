package tokenizer

// The o200k family (GPT-4o, Llama 4, gpt-oss) and Tekken: as Llama 3, but words are also cut where a lower-case
// letter is followed by an upper-case one, marks count as letters, and slashes may follow punctuation. o200k
// takes contractions as suffixes of words and digits in groups of three; Tekken has neither.

const (
	patGPT4o  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patTekken = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func init() {
	registerPattern(patGPT4o, func(t *classTable, s string, i int) int { return matchGPT4o(t, s, i, true, 3) })
	registerPattern(patTekken, func(t *classTable, s string, i int) int { return matchGPT4o(t, s, i, false, 1) })

	registerPre(preTokenizer{patterns: []string{patGPT4o}}, "gpt-4o", "o200k", "llama4", "gpt-oss", "minimax-m2",
		"kanana2",
		"talkie")
	registerPre(preTokenizer{patterns: []string{patTekken}, ignoreMerges: true, addBOS: true}, "tekken")
}

func matchGPT4o(t *classTable, s string, i int, suffix bool, maxDigits int) int {
	r, c, n := t.at(s, i)
	starts := [2]int{i, i}
	if n > 0 && r != '\r' && r != '\n' && c&(clLetter|clNum) == 0 {
		starts[0] = i + n // the optional leading character is taken first and given back last
	}
	end := i
	for _, match := range [2]func(*classTable, string, int) int{casedWord, upperWord} {
		for _, p := range starts {
			if e := match(t, s, p); e > p {
				end = e
				break
			}
		}
		if end > i {
			break
		}
	}
	if end > i {
		if suffix {
			end = contraction(s, end, true)
		}
		return end
	}
	if c&clNum != 0 {
		return digits(t, s, i, maxDigits)
	}
	p := i
	if r == ' ' {
		p++
	}
	if e := t.runNot(s, p, clSpace|clLetter|clNum); e > p {
		for e < len(s) && (s[e] == '\r' || s[e] == '\n' || s[e] == '/') {
			e++
		}
		return e
	}
	return t.spaces(s, i, true)
}

const (
	upperish = clUpper | clOther | clMark // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
	lowerish = clLower | clOther | clMark // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
)

// casedWord matches upperish*lowerish+ at byte i, backtracking into the first run where needed.
func casedWord(t *classTable, s string, i int) int {
	end, p := i, i
	for {
		_, c, n := t.at(s, p)
		if n == 0 || c&upperish == 0 {
			if c&lowerish != 0 {
				return t.run(s, p, lowerish)
			}
			return end
		}
		p += n
		if c&lowerish != 0 {
			end = p
		}
	}
}

// upperWord matches upperish+ at byte i. A lowerish run cannot follow, or casedWord had matched.
func upperWord(t *classTable, s string, i int) int { return t.run(s, i, upperish) }
