package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// byPattern returns the function that cuts text at a pattern by the engine for unknown ones.
func byPattern(t *testing.T, source string) func(string) []string {
	t.Helper()
	p, err := newPattern(source)
	if err != nil {
		t.Fatal(err)
	}
	return func(s string) (words []string) {
		spans, err := p.spans(s, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		for _, sp := range spans {
			if sp.begin < sp.end {
				words = append(words, s[sp.begin:sp.end])
			}
		}
		return words
	}
}

// TestPatternsAgainstMatchers runs the known patterns on the engine for unknown ones: the words must be the same.
func TestPatternsAgainstMatchers(t *testing.T) {
	for re := range patterns {
		t.Run(re, func(t *testing.T) {
			want, got := splitter(t, []Split{{Kind: SplitRegex, Pattern: re}}), byPattern(t, re)
			n, bad := 0, 0
			oracleStrings(func(s string) {
				if n++; n%7 != 0 || s == "" || bad > 3 {
					return
				}
				if g, w := got(s), want(s); !slices.Equal(g, w) {
					bad++
					t.Errorf("%q split as %q, want %q", s, g, w)
				}
			})
		})
	}
}

func TestUnknownPatterns(t *testing.T) {
	// Kimi K2's and GPT-4's own spelling, with what Oniguruma writes in its own way.
	const (
		kimi = `[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
			`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
			`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
		gpt4 = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`
	)
	tests := []struct{ pattern, text, want string }{
		{kimi, "Hello 你好world, it's 12345 days", "Hello| |你好|world|,| it's| |123|45| days"},
		{kimi, "漢字カナ\n\n  x", "漢字|カナ|\n\n| | x"},
		{gpt4, "I'll pay 12345$!\n  \n ok", "I|'ll| pay| |123|45|$!\n|  \n| ok"},
		{`\w+`, "ab_1 कि-c", "ab_1| |कि|-|c"},
		{`[\w-]+|\W`, "a-b c", "a-b| |c"},
		{`(?<=a)b`, "abb", "a|b|b"},
		{`^x`, "xx\nxx", "x|x\n|x|x"}, // anchors are those of lines
		{`\d{2}`, "12345", "12|34|5"},
		{`(?=[A-Z])`, "aBcD", "a|Bc|D"}, // empty matches cut too
		{`\x{4f60}|\u597d|\/`, "你好/x", "你|好|/|x"},
		{`(?>a+)b|c`, "aabca", "aab|c|a"},
	}
	for _, tt := range tests {
		if got := strings.Join(byPattern(t, tt.pattern)(tt.text), "|"); got != tt.want {
			t.Errorf("%s on %q\ngot  %q\nwant %q", tt.pattern, tt.text, got, tt.want)
		}
	}
	for behavior, want := range map[Behavior]string{
		Isolated: "a|-|-|b|-", MatchesOnly: "-|-|-", Removed: "a|b", MergedWithPrevious: "a-|-|b-",
		MergedWithNext: "a|-|-b|-", Contiguous: "a|--|b|-",
	} {
		split := splitter(t, []Split{{Kind: SplitRegex, Pattern: `-(?:)`, Behavior: behavior}})
		if got := strings.Join(split("a--b-"), "|"); got != want {
			t.Errorf("behavior %d: got %s, want %s", behavior, got, want)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for source, want := range map[string]string{
		`(`: "parsing", `[a`: "not closed", `[]a]`: "is empty", `a\`: `ends in "\"`, `\h`: `escape "\\h"`,
		`\bx`: `escape "\\b"`, `\1`: `escape "\\1"`,
		`[[:alpha:]]`: "class inside", `[a[b]]`: "class inside", `[^a&&[^b]]`: "class inside",
		`[a&&b]`: "class inside", `[a&&[^b]c]`: "goes on behind",
		`[\W]`: `escape "\\W"`, `(?m:a)`: "group", `(?P<x>a)`: "group", `(?<x>a)`: "group", `a{1}+`: `"}+"`,
		`a{,2}`: `"{,"`, `\p{^L}`: "parsing",
		`\pL`: "lacks its braces", `\x{41`: "lacks its closing brace", `\R`: `escape "\\R"`, `\Qa\E`: "escape",
		`*a`:                              "parsing",
		strings.Repeat("a", maxPattern+1): "the limit is 16384",
	} {
		if _, err := newPattern(source); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "tokenizer: split pattern") {
			t.Errorf("%.40s: %v, want %q", source, err, want)
		}
	}
}

// hfWithPattern is a tokenizer.json that cuts text by a pattern, and then by bytes.
func hfWithPattern(pattern string) []byte {
	type object = map[string]any
	vocab := object{}
	for b := range 256 {
		vocab[string(alphabet().char[b])] = b
	}
	vocab["ab"], vocab["Ġab"] = 256, 257
	out, err := json.Marshal(object{
		"model": object{"type": "BPE", "vocab": vocab, "merges": []string{"a b", "Ġ ab"}},
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []any{
			object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated"},
			object{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
		}},
		"added_tokens": []any{object{"id": 258, "content": "<end>", "special": true}},
	})
	if err != nil {
		panic(err)
	}
	return out
}

func TestFromHFUnknownPattern(t *testing.T) {
	v, err := FromHF(hfWithPattern(`\p{Lu}?\p{Ll}+(?<!b)|\s`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tok := newTokenizer(t, v)
	got := strings.Join(pieces(tok, encode(t, tok, "abc ab<end>", Options{ParseSpecial: true})), "|")
	if want := "ab|c|Ġ|a|b|<end>"; got != want { // ab ends in b: the match is a alone
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := FromHF(hfWithPattern(`a\K`), nil); err == nil ||
		!strings.Contains(err.Error(), `pre_tokenizer Split: tokenizer: split pattern "a\\K": escape`) {
		t.Errorf("unsupported pattern: %v", err)
	}
}

// TestHostilePatterns runs patterns that backtrack for ever: each must end in an error that names the pattern, within
// its time, and leave the tokenizer fit for the next text.
func TestHostilePatterns(t *testing.T) {
	for name, tt := range map[string]struct{ pattern, text, want string }{
		"exponential": {`(?:a|aa)+z`, strings.Repeat("a", 200), "timeout"},
		"stack":       {`(?:ab|ba|a)+z`, strings.Repeat("ab", 1<<20), "split pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && tt.want == "timeout" {
				t.Skip("SKIPPED: -short leaves to wait for time to run out to make long")
			}
			v, err := FromHF(hfWithPattern(tt.pattern), nil)
			if err != nil {
				t.Fatal(err)
			}
			tok := newTokenizer(t, v)
			start := time.Now()
			ids, err := tok.EncodePieces([]Piece{{Text: tt.text, Plain: true}, {Text: "<end>"}})
			took := time.Since(start)
			if err == nil || ids != nil || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), "tokenizer: split pattern") {
				t.Errorf("%d ids, error %.200v", len(ids), err)
			}
			if took > maxMatchTime+20*time.Second { // the rest is for busy machines
				t.Errorf("took %v", took)
			}
			if got := strings.Join(pieces(tok, encode(t, tok, "ab", Options{})), "|"); got != "ab" {
				t.Errorf("the next text gave %s", got)
			}
		})
	}
	// Matches that are each in time, but too many of them.
	p, err := newPattern(`a(?=.*z)|a`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.spans(strings.Repeat("a", 200_000), time.Now().Add(100*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "no end within") {
		t.Errorf("many slow matches: %v", err)
	}
}
