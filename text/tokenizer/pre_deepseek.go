package tokenizer

// DeepSeek V3 and R1: three successive splits. Digits in groups of three; runs of Han characters and kana;
// then words, which may begin with a punctuation mark that ASCII letters follow directly.

const (
	patNum3        = `\p{N}{1,3}`
	patCJK         = `[一-龥぀-ゟ゠-ヿ]+`
	patDeepseekEnd = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" +
		`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func init() {
	registerPattern(patNum3, func(t *classTable, s string, i int) int { return digits(t, s, i, 3) })
	registerPattern(patCJK, matchCJK)
	registerPattern(patDeepseekEnd, matchDeepseek)
	registerPre(preTokenizer{patterns: []string{patNum3, patCJK, patDeepseekEnd}}, "deepseek-v3", "hunyuan-dense",
		"joyai-llm", "hy_v4")
}

func matchCJK(t *classTable, s string, i int) int {
	for {
		r, _, n := t.at(s, i)
		if n == 0 || !(r >= '一' && r <= '龥' || r >= 0x3040 && r <= 0x30FF) {
			return i
		}
		i += n
	}
}

func matchDeepseek(t *classTable, s string, i int) int {
	r, c, n := t.at(s, i)
	if n == 1 && c&(clPunct|clSym) != 0 {
		if e := asciiLetters(s, i+1); e > i+1 {
			return e
		}
	}
	if r != '\r' && r != '\n' && c&(clLetter|clPunct|clSym) == 0 {
		if e := t.run(s, i+n, clLetter|clMark); e > i+n {
			return e
		}
	}
	if e := t.run(s, i, clLetter|clMark); e > i {
		return e
	}
	p := i
	if r == ' ' {
		p++
	}
	if e := t.run(s, p, clPunct|clSym); e > p {
		return newlines(s, e)
	}
	return t.spaces(s, i, true)
}

func asciiLetters(s string, i int) int {
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z') {
		i++
	}
	return i
}
