package tokenizer

// The GPT-2 family: lower-case English contractions; runs of letters, of digits, and of other characters,
// each with one leading space; whitespace.

const (
	patGPT2                            = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	preRoberta, preJinaV1, preJinaCode = "roberta-bpe", "jina-v1-en", "jina-v2-code" // which put EOS between texts twice

	patNum  = `\p{N}`
	patNums = `\p{N}+`
)

func init() {
	registerPattern(patGPT2, matchGPT2)
	registerPattern(`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, matchGPT2)
	registerPattern(patNum, func(t *classTable, s string, i int) int { return digits(t, s, i, 1) })
	registerPattern(patNums, func(t *classTable, s string, i int) int { return t.run(s, i, clNum) })

	registerPre(preTokenizer{patterns: []string{patGPT2}}, "gpt-2", "phi-2", "mpt", "olmo", "exaone4",
		"modern-bert", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "jais",
		"trillion", "granite-docling", preRoberta, preJinaV1, preJinaCode)
	registerPre(preTokenizer{patterns: []string{patNum, patGPT2}}, "starcoder", "refact", "command-r", "smollm",
		"codeshell", "exaone", "minerva-7b", "mellum2")
}

func matchGPT2(t *classTable, s string, i int) int {
	if e := contraction(s, i, false); e > i {
		return e
	}
	p := i
	if p < len(s) && s[p] == ' ' {
		p++
	}
	_, c, n := t.at(s, p)
	switch {
	case n == 0:
	case c&clLetter != 0:
		return t.run(s, p, clLetter)
	case c&clNum != 0:
		return t.run(s, p, clNum)
	case c&clSpace == 0:
		return t.runNot(s, p, clSpace|clLetter|clNum)
	}
	return t.spaces(s, i, false)
}

// contraction matches 's|'t|'re|'ve|'m|'ll|'d at byte i, in lower case or, with fold, in any case of ASCII.
func contraction(s string, i int, fold bool) int {
	if i+1 >= len(s) || s[i] != '\'' {
		return i
	}
	lower := func(b byte) byte {
		if fold && b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		return b
	}
	a := lower(s[i+1])
	switch a {
	case 's', 't', 'm', 'd':
		return i + 2
	}
	if i+2 >= len(s) {
		return i
	}
	switch b := lower(s[i+2]); {
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return i + 3
	}
	return i
}

// digits matches \p{N}{1,limit} at byte i.
func digits(t *classTable, s string, i, limit int) int {
	for ; limit > 0; limit-- {
		_, c, n := t.at(s, i)
		if n == 0 || c&clNum == 0 {
			break
		}
		i += n
	}
	return i
}
