package tokenizer

// The Llama 3 family: contractions in any case; runs of letters with one leading character that is neither
// letter, digit nor line break; digits in groups; punctuation with the line breaks that follow; whitespace.
// Qwen 2 takes digits one by one, Qwen 3.5 counts combining marks as letters.

const (
	patLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patQwen35 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

func init() {
	registerPattern(patLlama3, func(t *classTable, s string, i int) int { return matchLlama3(t, s, i, clLetter, 3) })
	registerPattern(patQwen2, func(t *classTable, s string, i int) int { return matchLlama3(t, s, i, clLetter, 1) })
	registerPattern(patQwen35,
		func(t *classTable, s string, i int) int { return matchLlama3(t, s, i, clLetter|clMark, 1) })

	llama3 := []string{patLlama3}
	registerPre(preTokenizer{patterns: llama3, ignoreMerges: true, addBOS: true},
		"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2", "midm-2.0", "jina-v5-nano")
	registerPre(preTokenizer{patterns: llama3}, "smaug-bpe", "dbrx", "chatglm-bpe", "glm4")
	registerPre(preTokenizer{patterns: []string{patQwen2}}, "qwen2", "deepseek-r1-qwen", "megrez", "stablelm2",
		"hunyuan", "kormo", "f2llmv2", "grok-2", "solar-open")
	registerPre(preTokenizer{patterns: []string{patQwen35}}, "qwen35")
}

// matchLlama3 matches the family's pattern at byte i. letters is what counts as a letter, maxDigits the
// largest group of digits.
func matchLlama3(t *classTable, s string, i int, letters class, maxDigits int) int {
	if e := contraction(s, i, true); e > i {
		return e
	}
	r, c, n := t.at(s, i)
	if c&letters != 0 {
		return t.run(s, i, letters)
	}
	if r != '\r' && r != '\n' && c&(clLetter|clNum) == 0 {
		if e := t.run(s, i+n, letters); e > i+n {
			return e
		}
	}
	if c&clNum != 0 {
		return digits(t, s, i, maxDigits)
	}
	p := i
	if r == ' ' {
		p++
	}
	if e := t.runNot(s, p, clSpace|letters|clNum); e > p {
		return newlines(s, e)
	}
	return t.spaces(s, i, true)
}
