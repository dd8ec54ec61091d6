package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// wordRecorder is a model that records the words it is given.
type wordRecorder struct{ words []string }

func (w *wordRecorder) encode(dst []int32, word string, _ *merger) []int32 {
	w.words = append(w.words, word)
	return dst
}

// splitter returns a function that splits text as the pre-tokenizer does.
func splitter(t testing.TB, splits []Split) func(string) []string {
	t.Helper()
	rec := &wordRecorder{}
	tok := &Tokenizer{model: rec}
	for _, s := range splits {
		st, err := newStage(s)
		if err != nil {
			t.Fatal(err)
		}
		tok.stages = append(tok.stages, st)
	}
	return func(s string) []string {
		rec.words = nil
		(&encoder{t: tok, classes: classes()}).splitFrom(0, s, true)
		return rec.words
	}
}

func namedSplitter(t testing.TB, pre string) func(string) []string {
	t.Helper()
	p, ok := preTokenizers[pre]
	if !ok {
		t.Fatalf("no pre-tokenizer %q", pre)
	}
	var splits []Split
	for _, re := range p.patterns {
		splits = append(splits, Split{Kind: SplitRegex, Pattern: re})
	}
	return splitter(t, splits)
}

// lcg is the generator of the oracle: 31-bit numbers.
type lcg uint64

func (g *lcg) next() int {
	*g = *g*6364136223846793005 + 1442695040888963407
	return int(*g >> 33)
}

// oracleAlphabet holds the code points of the oracle's strings; repeats are intended.
var oracleAlphabet = []rune{
	0x61, 0x62, 0x73, 0x74, 0x53, 0x54, 0x72, 0x65, 0x76, 0x6C, 0x4C, 0x64, 0x6D, 0x41, 0xE9, 0x416, 0x436, 0x6587,
	0x5B57, 0x2B0, 0x1C5, 0x301, 0x903, 0x928, 0x31, 0x32, 0x39, 0x2167, 0xBD, 0x27, 0x2019, 0x2E, 0x21, 0x2F, 0x2D,
	0x5F, 0x28, 0x20AC, 0x1F600, 0x200B, 0x20, 0x20, 0x20, 0x9, 0xA, 0xA, 0xD, 0xA0, 0x3000, 0,
}

// oracleStrings calls f with 40,000 random strings.
func oracleStrings(f func(string)) {
	g := lcg(1)
	for range 40000 {
		var b strings.Builder
		for n := 1 + g.next()%14; n > 0; n-- {
			b.WriteRune(oracleAlphabet[g.next()%len(oracleAlphabet)])
		}
		f(b.String())
	}
}

func pieceLengths(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, utf8.RuneCountInString(w))
	}
	return b.String()
}

// The hashes are of the piece lengths that the original regular expressions gave.
func TestPreTokenizerOracle(t *testing.T) {
	for pre, want := range map[string]string{
		"llama-bpe": "d1317851f93df3573025ae382fbe76098177a2c5a8146323caf93ce2bc9a34b8",
		"qwen2":     "65472024b89835b3d615a3c55731995db73a248e4bebdef5493b5b25f6acd937",
		"qwen35":    "5ffbea1e4411d55f2770354346788fc5410fa2245ecfdd080381439bf8334968",
		"gpt-4o":    "68711215d861db8e57d0bfe50a1aafe71189b1a134687fd0b840220ca2c59695",
		"tekken":    "c27f91b5e4b9c1db88487ea7e6f173cfca61ad38aff02e3cc35fb9b520af5200",
		"gpt-2":     "b1fe7195db514731bf54642f8e0eed943a56bf5beda80f1f37d764f68340dd7f",
	} {
		t.Run(pre, func(t *testing.T) {
			split := namedSplitter(t, pre)
			h := sha256.New()
			oracleStrings(func(s string) { fmt.Fprintln(h, pieceLengths(split(s))) })
			if got := hex.EncodeToString(h.Sum(nil)); got != want {
				t.Errorf("hash %s, want %s", got, want)
			}
		})
	}
}

func TestPreTokenizerCases(t *testing.T) {
	const hindi = "\u0928\u092E\u0938\u094D\u0924\u0947 \u0926\u0941\u0928\u093F\u092F\u093E"
	cases := []struct{ text, pre, want string }{
		{"I'll pay  $1234.56 at 9pm!\n\n\tOK  ", "llama-bpe", "1,3,4,1,2,3,1,1,2,3,1,1,2,3,3,2"},
		{"I'll pay  $1234.56 at 9pm!\n\n\tOK  ", "qwen2", "1,3,4,1,2,1,1,1,1,1,1,1,3,1,1,2,3,3,2"},
		{"I'll pay  $1234.56 at 9pm!\n\n\tOK  ", "qwen35", "1,3,4,1,2,1,1,1,1,1,1,1,3,1,1,2,3,3,2"},
		{"I'll pay  $1234.56 at 9pm!\n\n\tOK  ", "gpt-4o", "4,4,1,2,3,1,1,2,3,1,1,2,3,3,2"},
		{"I'll pay  $1234.56 at 9pm!\n\n\tOK  ", "gpt-2", "1,3,4,1,2,4,1,2,3,2,2,1,2,1,2,2"},
		{" Hello  world   \n  x", "llama-bpe", "6,1,6,4,1,2"},
		{" Hello  world   \n  x", "qwen2", "6,1,6,4,1,2"},
		{" Hello  world   \n  x", "qwen35", "6,1,6,4,1,2"},
		{" Hello  world   \n  x", "gpt-4o", "6,1,6,4,1,2"},
		{" Hello  world   \n  x", "gpt-2", "6,1,6,5,2"},
		{"don'T 'sS naïve HTTPServer3", "llama-bpe", "3,2,2,2,6,11,1"},
		{"don'T 'sS naïve HTTPServer3", "gpt-4o", "5,2,1,1,6,11,1"},
		{"don'T 'sS naïve HTTPServer3", "gpt-2", "3,1,1,2,2,6,11,1"},
		{hindi, "llama-bpe", "3,2,1,2,2,2,1"},
		{hindi, "qwen2", "3,2,1,2,2,2,1"},
		{hindi, "qwen35", "6,7"},
		{hindi, "gpt-4o", "6,7"},
		{hindi, "gpt-2", "3,1,1,1,2,1,1,1,1,1"},
		{"a\u0301b ABC文字def's//\n", "llama-bpe", "1,2,9,2,3"},
		{"a\u0301b ABC文字def's//\n", "qwen35", "3,9,2,3"},
		{"a\u0301b ABC文字def's//\n", "gpt-4o", "3,11,3"},
		{"a\u0301b ABC文字def's//\n", "gpt-2", "1,1,1,9,2,2,1"},
		// Digits are isolated first, so a space before them stands alone.
		{"x = 123  45", "starcoder", "1,2,1,1,1,1,2,1,1"},
		// Groups of three, Han and kana apart; a mark takes the letters after it unless a space came first.
		{"1234年ひらx _foo (bar) ok!\n\n", "deepseek-v3", "3,1,3,1,2,3,2,3,1,3,3"},
		// Punctuation runs, words, digit runs, groups of three digits.
		{"a,b 12345!! it's $5", "default", "1,1,1,1,3,2,2,3,1,1,1,1,1"},
		{"a,b 12345!! it's $5", "", "1,1,1,1,3,2,2,3,1,1,1,1,1"},
	}
	for _, c := range cases {
		if got := pieceLengths(namedSplitter(t, c.pre)(c.text)); got != c.want {
			t.Errorf("%s: %q split as %s %q, want %s", c.pre, c.text, got, namedSplitter(t, c.pre)(c.text), c.want)
		}
	}
}

// regexpSplit is an oracle for patterns: Go's regexp without the look-ahead, which is applied by hand.
func regexpSplit(re *regexp.Regexp, s string) []string {
	var out []string
	gap := 0
	for i := 0; i < len(s); {
		m := re.FindStringSubmatchIndex(s[i:])
		if m == nil {
			break
		}
		begin, end := i+m[0], i+m[1]
		// Group 1 is \s+: what \s+(?!\S)|\s+ would have matched.
		if m[2] >= 0 && end < len(s) {
			if _, n := utf8.DecodeLastRuneInString(s[begin:end]); end-begin > n {
				end -= n
			}
		}
		if gap < begin {
			out = append(out, s[gap:begin])
		}
		out = append(out, s[begin:end])
		i, gap = end, end
	}
	if gap < len(s) {
		out = append(out, s[gap:])
	}
	return out
}

// TestPatternsAgainstRegexp compares the families that have no published hash with Go's regexp, whose \s and
// leftmost-first alternation are spelled out to mean the same.
func TestPatternsAgainstRegexp(t *testing.T) {
	const ws, notWS = `\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}`,
		`\s`
	translate := func(re string) *regexp.Regexp {
		re = strings.Replace(re, `|\s+(?!\S)|\s+`, `|(`+"["+ws+`]+)`, 1)
		re = strings.ReplaceAll(re, `[^\s`, `[^`+ws)
		re = strings.ReplaceAll(re, `\s*`, `[`+ws+`]*`)
		if re == patSpaces {
			re = `[` + ws + `]+`
		}
		return regexp.MustCompile(re)
	}
	for re := range patterns {
		if re == patThrees {
			continue // it looks ahead: see TestThrees
		}
		t.Run(re, func(t *testing.T) {
			want := translate(re)
			split := splitter(t, []Split{{Kind: SplitRegex, Pattern: re}})
			if want.NumSubexp() == 0 {
				want = regexp.MustCompile("(?:" + want.String() + ")|([^\\x00-\\x{10FFFF}])")
			}
			bad := 0
			oracleStrings(func(s string) {
				if got, w := split(s), regexpSplit(want, s); !slices.Equal(got, w) && bad < 3 {
					bad++
					t.Errorf("%q split as %q, want %q", s, got, w)
				}
			})
		})
	}
}

// TestNamedPatterns makes every pre-tokenizer that has a name: all of their patterns compile, and split text into
// pieces that are the text.
func TestNamedPatterns(t *testing.T) {
	const text = "Hello, WORLD's 1234567 x²½ naïve\r\n\n\tДа 漢字かな가ㄱ。 'll  end \n"
	for _, name := range PreTokenizers() {
		words := namedSplitter(t, name)(text)
		if got := strings.Join(words, ""); got != text || len(words) < 2 {
			t.Errorf("%q: %q", name, words)
		}
	}
}

// TestThrees groups digits from the right, as patThrees does.
func TestThrees(t *testing.T) {
	re, err := newPattern(patThrees)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"1", "12", "123", "1234", "12345", "123456", "٣٤٥٦", "½1234", "a12b3456c",
		strings.Repeat("7", 100)} {
		spans, err := re.spans(s, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, sp := range spans {
			want = append(want, s[sp.begin:sp.end])
		}
		if got := splitter(t, []Split{{Kind: SplitRegex, Pattern: patThrees}})(s); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	long := strings.Repeat("1", 4<<20) // takes time in proportion
	if got := splitter(t, []Split{{Kind: SplitRegex, Pattern: patThrees}})(long); len(got) != (len(long)+2)/3 {
		t.Errorf("%d groups of %d digits", len(got), len(long))
	}
}
