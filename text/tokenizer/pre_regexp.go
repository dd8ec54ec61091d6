package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// Pre-tokenizers whose patterns have no matcher of their own: they run on the regular expressions, slower and within
// limits of time. Patterns are those of the models' tokenizer.json files where llama.cpp names them
// (src/llama-vocab.cpp), else llama.cpp's.

const (
	// patThrees cuts runs of digits into groups of three from the right.
	patThrees = `\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))`

	patLetters  = `[^\r\n\p{L}\p{N}]?\p{L}+`
	patTail     = ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patMixed    = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	patSuffix   = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	patBloom    = ` ?[^(\s|.,!?…。，、।۔،)]+`
	patDeepHan  = "[一-龥ࠀ-一가-\ud7ff]+"
	patNotHan   = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	patNotHan2  = `[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	patCascaded = `\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|` +
		`\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`
)

func init() {
	registerPattern(patThrees, matchThrees)

	for _, p := range []struct {
		preTokenizer
		names []string
	}{
		{preTokenizer{patterns: []string{`[\p{P}\$\+<=>\^~\|` + "`" + `]+`, patGPT2, patDigit3}}, []string{"falcon"}},
		{preTokenizer{patterns: []string{`[\r\n]`, `\s?` + deepseekLetters + `+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`,
			`\s+$`, patDeepHan, patNums}}, []string{"deepseek-llm"}},
		{preTokenizer{patterns: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, patDeepHan, patNum}},
			[]string{"deepseek-coder"}},
		{preTokenizer{patterns: []string{patNum3, patCJK,
			`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|` +
				` ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`, patNum}}, []string{"spark2_5"}},
		{preTokenizer{ignoreMerges: true, patterns: []string{
			`[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`,
			`[^\r\n\p{L}\p{N}]?` + patMixed + patSuffix + `?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+` +
				`[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` + patSuffix + `?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|` +
				`\s+(?!\S)|\s+`}}, []string{"youtu"}},
		{preTokenizer{patterns: []string{patSuffix + `|` + patLetters + `|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|` +
			`\s*[\r\n]+|` + patCascaded}}, []string{"jais-2"}},
		{preTokenizer{patterns: []string{patBloom}}, []string{"bloom", "gpt3-finnish", "poro-chat"}},
		{preTokenizer{patterns: []string{patBloom, patNum}}, []string{"viking"}},
		{preTokenizer{addBOS: true, patterns: []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`,
			`([\t\n]|    |  )`, patNum, `[\p{P}!-/:-@\[-` + "`" + `{-~]`, patGPT2}}, []string{"chameleon"}},
		{preTokenizer{patterns: []string{patSuffix + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|` +
			` ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`}}, []string{"exaone-moe"}},
		{preTokenizer{ignoreMerges: true, patterns: []string{patGPT4o}}, []string{"granite-embed-multi-97m"}},
		{preTokenizer{patterns: []string{`\d{1,3}(?=(?:\d{3})*(?![\p{L}\p{M}\p{Nd}\p{Pc}]))`, patGPT4o}},
			[]string{"tiny_aya", "cohere2moe"}},
		{preTokenizer{patterns: []string{patNums, `(?=(\d{3})+(?!\d))`}}, []string{"superbpe"}},
		{preTokenizer{patterns: []string{`'(?i:[sdmt]|ll|ve|re)|` + patLetters + `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|` +
			`\s*[\r\n]|\s+(?!\S)|\s+`}}, []string{"bailingmoe", "bailingmoe2", "llada-moe"}},
		{preTokenizer{patterns: []string{patSuffix + `|` + patLetters +
			`|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|` +
			`\s+(?!\S)|\s+`}}, []string{"seed-coder"}},
		{preTokenizer{patterns: []string{`[\p{Han}]+|[^\r\n\p{L}\p{N}]?` + patNotHan + `*` + patNotHan2 + `+` +
			patSuffix + `?|[^\r\n\p{L}\p{N}]?` + patNotHan + `+` + patNotHan2 + `*` + patSuffix + `?|\p{N}{1,3}|` +
			patTail}}, []string{"kimi-k2"}},
		{preTokenizer{patterns: []string{patLetters + `|\p{N}|` + patTail}}, []string{"ufakzeka"}},
		{preTokenizer{patterns: []string{patThrees,
			`[一-鿿㐀-䶿豈-\ufaff぀-ゟ゠-ヿ･-ﾟ⼀-\u2fdf\u0e40-\u0e7f\u0e80-\u0effក-\u17ffက-႟ꩠ-ꩿꧠ-\ua9ff가-\ud7afᄀ-ᇿ]+`,
			patDeepseekEnd}}, []string{"afmoe"}},
		{preTokenizer{patterns: []string{patNewlines, patQwen2}}, []string{"laguna"}},
		{preTokenizer{ignoreMerges: true, patterns: []string{patNum3, patSuffix + `|` + patLetters + `|\p{N}+|` +
			patTail}}, []string{"minicpm5"}},
	} {
		registerPre(p.preTokenizer, p.names...)
	}
}

// deepseekLetters are the letters with cases that the first DeepSeek models know.
const deepseekLetters = `[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7d` +
	`ᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ` +
	`-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]`

// matchThrees matches patThrees at byte i.
func matchThrees(t *classTable, s string, i int) int {
	three := digits(t, s, i, 3)
	if before, size := utf8.DecodeLastRuneInString(s[:i]); size > 0 && unicode.Is(unicode.N, before) {
		return three // within a run, of which the first match has left a multiple of three
	}
	n := utf8.RuneCountInString(s[i:t.run(s, i, clNum)])
	if n == 0 || n%3 == 0 {
		return three
	}
	return digits(t, s, i, n%3)
}
