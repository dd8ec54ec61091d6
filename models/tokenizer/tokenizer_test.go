package tokenizer

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// toyVocab is a byte-level vocabulary: all bytes, a few merges, one token of each other type.
func toyVocab() Vocab {
	v := NewVocab(ModelGPT2)
	v.Pre = "qwen2"
	for b := range 256 {
		v.Tokens = append(v.Tokens, string(alphabet().char[b]))
	}
	for _, m := range []string{"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "Ã ©"} {
		a, b, _ := splitMerge(m)
		v.Merges = append(v.Merges, m)
		v.Tokens = append(v.Tokens, a+b)
	}
	v.Types = slices.Repeat([]TokenType{Normal}, len(v.Tokens))
	add := func(text string, typ TokenType) int32 {
		v.Tokens, v.Types = append(v.Tokens, text), append(v.Types, typ)
		return int32(len(v.Tokens) - 1)
	}
	v.BOS = add("<s>", Control)
	v.EOS = add("</s>", Control)
	add("<|im_end|>", Control)
	add("<think>", Control)
	add("<tool>", UserDefined)
	add("<unk>", Unknown)
	add("[PAD7]", Unused)
	return v
}

func id(t testing.TB, tok *Tokenizer, text string) int32 {
	t.Helper()
	i := slices.Index(tok.v.Tokens, text)
	if i < 0 {
		t.Fatalf("no token %q", text)
	}
	return int32(i)
}

func pieces(tok *Tokenizer, ids []int32) []string {
	var out []string
	for _, i := range ids {
		out = append(out, tok.v.Tokens[i])
	}
	return out
}

func TestEncodeByteLevel(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	cases := []struct {
		name, text string
		o          Options
		want       string
	}{
		{"empty", "", Options{}, ""},
		{"merges", "hello world", Options{}, "hello Ġwor l d"},
		{"bytes", "é\n", Options{}, "Ã© Ċ"},
		{"invalid UTF-8 is U+FFFD", "h\xffh", Options{}, "h ï ¿ ½ h"},
		{"control text of a user", "he<|im_end|>", Options{}, "he < | i m _ e n d | >"},
		{"control text of a template", "he<|im_end|>", Options{ParseSpecial: true}, "he <|im_end|>"},
		{"unknown text of a template", "<unk>", Options{ParseSpecial: true}, "<unk>"},
		{"user-defined always matches", "he<tool>", Options{}, "he <tool>"},
		{"unused never matches", "[PAD7]", Options{ParseSpecial: true}, "[ P A D 7 ]"},
		{"no BOS by default", "he", Options{AddSpecial: true}, "he"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(pieces(tok, tok.Encode(c.text, c.o)), " "); got != c.want {
				t.Errorf("%q gives %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestAddSpecial(t *testing.T) {
	yes, no := true, false
	cases := []struct {
		name string
		set  func(*Vocab)
		text string
		o    Options
		want string
	}{
		{"pre-tokenizer default", func(v *Vocab) { v.Pre = "llama-bpe" }, "he", Options{AddSpecial: true}, "<s> he"},
		{"pre-tokenizer without", func(v *Vocab) { v.Pre = "glm4" }, "he", Options{AddSpecial: true}, "he"},
		{"key wins", func(v *Vocab) { v.Pre, v.AddBOS = "llama-bpe", &no }, "he", Options{AddSpecial: true}, "he"},
		{"bos and eos", func(v *Vocab) { v.AddBOS, v.AddEOS = &yes, &yes }, "he", Options{AddSpecial: true}, "<s> he </s>"},
		{"not asked for", func(v *Vocab) { v.AddBOS, v.AddEOS = &yes, &yes }, "he", Options{}, "he"},
		{"no second bos", func(v *Vocab) { v.AddBOS = &yes }, "<s>he", Options{AddSpecial: true, ParseSpecial: true}, "<s> he"},
		{"bos text of a user", func(v *Vocab) { v.AddBOS = &yes }, "<s>he", Options{AddSpecial: true}, "<s> < s > he"},
		{"bos alone", func(v *Vocab) { v.AddBOS = &yes }, "", Options{AddSpecial: true}, "<s>"},
		{"gemma4 whatever the key says", func(v *Vocab) { v.Model, v.AddBOS = ModelGemma4, &no }, "h", Options{AddSpecial: true}, "<s> h"},
		{"absent bos", func(v *Vocab) { v.AddBOS, v.BOS = &yes, -1 }, "he", Options{AddSpecial: true}, "he"},
		{"prefix and suffix", func(v *Vocab) { v.Prefix, v.Suffix = []int32{v.EOS, v.BOS}, []int32{v.EOS} }, "he", Options{AddSpecial: true}, "</s> <s> he </s>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := toyVocab()
			c.set(&v)
			tok := newTokenizer(t, v)
			if got := strings.Join(pieces(tok, tok.Encode(c.text, c.o)), " "); got != c.want {
				t.Errorf("%q gives %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestPiece(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	cases := []struct {
		id            int32
		plain, marked string
	}{
		{id(t, tok, "Ġwor"), " wor", " wor"},
		{id(t, tok, "Ã"), "\xc3", "\xc3"},
		{id(t, tok, "<|im_end|>"), "", "<|im_end|>"},
		{id(t, tok, "<unk>"), "", "<unk>"},
		{id(t, tok, "[PAD7]"), "", "[PAD7]"},
		{id(t, tok, "<tool>"), "<tool>", "<tool>"},
		{id(t, tok, "<think>"), "<think>", "<think>"},
		{-1, "", ""},
		{int32(tok.Len()), "", ""},
		{math.MaxInt32, "", ""},
		{math.MinInt32, "", ""},
	}
	for _, c := range cases {
		if got := string(tok.Piece(c.id, false)); got != c.plain {
			t.Errorf("Piece(%d, false) = %q, want %q", c.id, got, c.plain)
		}
		if got := string(tok.Piece(c.id, true)); got != c.marked {
			t.Errorf("Piece(%d, true) = %q, want %q", c.id, got, c.marked)
		}
		if tok.IsEOG(c.id) != slices.Contains(tok.EOG(), c.id) {
			t.Errorf("IsEOG(%d) = %v, EOG %v", c.id, tok.IsEOG(c.id), tok.EOG())
		}
	}
}

func TestStreamHoldsBackIncompleteText(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	byteID := func(b byte) int32 { return id(t, tok, string(alphabet().char[b])) }
	cases := []struct {
		name  string
		bytes string
		want  []string // per byte, then Flush
	}{
		{"ascii", "ab", []string{"a", "b", ""}},
		{"two bytes", "é", []string{"", "é", ""}},
		{"four bytes", "😀!", []string{"", "", "", "😀", "!", ""}},
		{"broken off by text", "\xe4\xbda", []string{"", "", "\uFFFDa", ""}},
		{"broken off by the end", "\xf0\x9f\x98", []string{"", "", "", "\uFFFD"}},
		{"stray continuation", "\xbda", []string{"\uFFFD", "a", ""}},
		{"lead after lead", "\xc3\xc3\xa9", []string{"", "\uFFFD", "é", ""}},
		{"surrogate", "\xed\xa0\x80", []string{"", "\uFFFD\uFFFD", "\uFFFD", ""}},
		{"overlong", "\xc0\xaf", []string{"\uFFFD", "\uFFFD", ""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := tok.NewStream(false)
			var got []string
			var ids []int32
			for i := range len(c.bytes) {
				ids = append(ids, byteID(c.bytes[i]))
				got = append(got, s.Push(ids[i]))
			}
			got = append(got, s.Flush())
			if !slices.Equal(got, c.want) {
				t.Errorf("stream %q, want %q", got, c.want)
			}
			if d := tok.Decode(ids, false); d != strings.Join(c.want, "") {
				t.Errorf("Decode %q, want %q", d, strings.Join(c.want, ""))
			}
		})
	}
}

func TestNewErrors(t *testing.T) {
	cases := []struct {
		name string
		set  func(*Vocab)
		want string
	}{
		{"no tokens", func(v *Vocab) { *v = NewVocab(ModelGPT2) }, "no tokens"},
		{"model", func(v *Vocab) { v.Model = "bert" }, `unknown model "bert" (known: gpt2, llama, gemma4, bpe)`},
		{"pre", func(v *Vocab) { v.Pre = "nope" }, `unknown pre-tokenizer "nope" (known: `},
		{"pre lists", func(v *Vocab) { v.Pre = "nope" }, "qwen35"},
		{"types", func(v *Vocab) { v.Types = v.Types[1:] }, "token types for"},
		{"type", func(v *Vocab) { v.Types[0] = 9 }, "unknown type 9"},
		{"byte token", func(v *Vocab) { v.Types[0] = Byte }, "not <0xXX>"},
		{"scores", func(v *Vocab) { v.Scores = []float32{1} }, "1 scores for"},
		{"no scores", func(v *Vocab) { v.Model = ModelLlama }, "needs scores"},
		{"nan", func(v *Vocab) {
			v.Scores = make([]float32, len(v.Tokens))
			v.Scores[3] = float32(math.NaN())
		}, "score NaN"},
		{"merge", func(v *Vocab) { v.Merges[2] = "abc" }, `merge 2 "abc"`},
		{"merge begins with space", func(v *Vocab) { v.Merges[2] = " a" }, "merge 2"},
		{"merge ends with space", func(v *Vocab) { v.Merges[2] = "a " }, "merge 2"},
		{"bos", func(v *Vocab) { v.BOS = 99999 }, "bos id 99999"},
		{"eos", func(v *Vocab) { v.EOS = -2 }, "eos id -2"},
		{"eog", func(v *Vocab) { v.ExtraEOG = []int32{-1} }, "end-of-generation id -1"},
		{"attr", func(v *Vocab) { v.Attrs = map[int32]Attr{-5: {}} }, "id -5"},
		{"token length", func(v *Vocab) { v.Tokens[0] = strings.Repeat("x", MaxTokenLength+1) }, "the limit is 65536"},
		{"pattern", func(v *Vocab) { v.Splits = []Split{{Pattern: "q*"}} }, `pattern "q*"`},
		{"normalizer", func(v *Vocab) { v.Normalizers = []Normalizer{{Kind: NormalizeReplace}} }, "empty text"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := toyVocab()
			c.set(&v)
			_, err := New(v)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// naiveMerge applies the definition: merge the leftmost pair of the lowest rank until there is none.
func naiveMerge(v Vocab, symbols []string) []string {
	for {
		best, at := len(v.Merges), -1
		for i := 0; i+1 < len(symbols); i++ {
			if r := slices.Index(v.Merges, symbols[i]+" "+symbols[i+1]); r >= 0 && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			return symbols
		}
		symbols = slices.Replace(symbols, at, at+2, symbols[at]+symbols[at+1])
	}
}

// TestMergesMatchDefinition compares both ways of merging, by scan and by heap, with the definition, on random
// vocabularies whose merges also name texts that are no tokens.
func TestMergesMatchDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		v := NewVocab(ModelRawBPE)
		v.Tokens = []string{"a", "b", "c"}
		texts := slices.Clone(v.Tokens)
		for range r.IntN(12) {
			a, b := texts[r.IntN(len(texts))], texts[r.IntN(len(texts))]
			if len(a+b) > 6 || slices.Contains(v.Merges, a+" "+b) {
				continue
			}
			v.Merges = append(v.Merges, a+" "+b)
			if !slices.Contains(texts, a+b) {
				texts = append(texts, a+b)
				if r.IntN(4) > 0 {
					v.Tokens = append(v.Tokens, a+b)
				}
			}
		}
		m, err := newMerges(&v)
		if err != nil {
			t.Fatal(err)
		}
		word := randomText(r, 1+r.IntN(40), "abc")
		want := naiveMerge(v, strings.Split(word, ""))
		for _, heap := range []bool{false, true} {
			g := &merger{}
			for _, c := range word {
				g.sym = append(g.sym, m.symbol(string(c)))
			}
			g.link()
			if heap {
				g.runHeap(m)
			} else {
				g.runScan(m)
			}
			var got []string
			for i := int32(0); i >= 0; i = g.next[i] {
				if s := int(g.sym[i]); s < m.tokens {
					got = append(got, v.Tokens[s])
				} else {
					got = append(got, m.extra[s-m.tokens])
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("merges %q, word %q, heap %v\n got %q\nwant %q", v.Merges, word, heap, got, want)
			}
		}
	}
}

// TestScoresMatchDefinition compares ModelLlama with its definition on random vocabularies.
func TestScoresMatchDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	no := false
	for range 2000 {
		v := NewVocab(ModelLlama)
		v.AddSpacePrefix = &no
		v.UNK, v.BOS, v.EOS = -1, -1, -1
		v.Tokens = []string{"a", "b"}
		for range r.IntN(12) {
			if s := randomText(r, 2+r.IntN(4), "abc"); !slices.Contains(v.Tokens, s) {
				v.Tokens = append(v.Tokens, s)
			}
		}
		for range v.Tokens {
			v.Scores = append(v.Scores, float32(r.IntN(9)-4)) // ties, both signs, zero
		}
		v.Tokens, v.Scores = append(v.Tokens, "<0x63>"), append(v.Scores, 0)
		v.Types = slices.Repeat([]TokenType{Normal}, len(v.Tokens))
		v.Types[len(v.Types)-1] = Byte
		word := randomText(r, 1+r.IntN(50), "abc")

		symbols := strings.Split(word, "")
		for {
			best, at := float32(math.Inf(-1)), -1
			for i := 0; i+1 < len(symbols); i++ {
				if k := slices.Index(v.Tokens, symbols[i]+symbols[i+1]); k >= 0 && v.Scores[k] > best {
					best, at = v.Scores[k], i
				}
			}
			if at < 0 {
				break
			}
			symbols = slices.Replace(symbols, at, at+2, symbols[at]+symbols[at+1])
		}
		for i, s := range symbols {
			if s == "c" {
				symbols[i] = "<0x63>"
			}
		}
		tok := newTokenizer(t, v)
		if got := pieces(tok, tok.Encode(word, Options{})); !slices.Equal(got, symbols) {
			t.Fatalf("tokens %q scores %v, word %q\n got %q\nwant %q", v.Tokens, v.Scores, word, got, symbols)
		}
	}
}

// TestScoresGiveHuggingFaceRows derives scores from the merges of a published SentencePiece vocabulary, which
// were made from scores, and demands the ids that its tokenizer.json gives by merges.
func TestScoresGiveHuggingFaceRows(t *testing.T) {
	v := hfVocab(t, "llama2")
	v.Scores = make([]float32, len(v.Tokens))
	ids := map[string]int{}
	for i, text := range v.Tokens {
		ids[text] = i
	}
	for rank, line := range v.Merges {
		a, b, _ := splitMerge(line)
		if i := ids[a+b]; v.Scores[i] == 0 {
			v.Scores[i] = -float32(rank + 1)
		}
	}
	v.Model, v.Merges, v.Normalizers, v.Splits, v.StripSpace, v.Prefix = ModelLlama, nil, nil, nil, nil, nil
	tok := newTokenizer(t, v)
	for _, r := range hfRows(t, "llama2") {
		if got := tok.Encode(r.Text, Options{ParseSpecial: true}); !slices.Equal(got, r.IDs) {
			t.Errorf("%q\n got %v\nwant %v", r.Text, got, r.IDs)
		}
		if got := tok.Decode(r.IDs, true); got != r.Decoded {
			t.Errorf("decoded %q, want %q", got, r.Decoded)
		}
	}
	if got := tok.Encode("x", Options{AddSpecial: true}); got[0] != 1 {
		t.Errorf("ids %v do not begin with BOS", got)
	}
	if got := tok.Encode("</s>", Options{}); slices.Contains(got, 2) {
		t.Errorf("text of a user gave the end of the sequence: %v", got)
	}
}

// TestGemma4GivesGemma3Rows reads Gemma 3's vocabulary, the same merges on raw UTF-8, as ModelGemma4. No merge
// of it crosses the border of a newline run, so the ids must be equal.
func TestGemma4GivesGemma3Rows(t *testing.T) {
	v := hfVocab(t, "gemma3")
	v.Model, v.Normalizers, v.Splits, v.Prefix = ModelGemma4, nil, nil, nil
	v.BOS = 2
	tok := newTokenizer(t, v)
	for _, r := range hfRows(t, "gemma3") {
		if got := tok.Encode(r.Text, Options{ParseSpecial: true}); !slices.Equal(got, r.IDs) {
			t.Errorf("%q\n got %v\nwant %v", r.Text, got, r.IDs)
		}
		if got := tok.Decode(r.IDs, true); got != r.Decoded {
			t.Errorf("decoded %q, want %q", got, r.Decoded)
		}
	}
}

// TestCutAtMarks compares encoding with and without the cuts before space marks, and checks that a vocabulary
// with a mark inside a token is not cut.
func TestCutAtMarks(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	no := false
	cut := 0
	for range 3000 {
		v := NewVocab([]string{ModelLlama, ModelRawBPE, ModelGemma4}[r.IntN(3)])
		v.AddSpacePrefix = &no
		v.UNK, v.BOS, v.EOS, v.FuseUnk = 0, -1, -1, true
		v.Tokens = []string{"<unk>", "a", "b", "▁", "\n"}
		for range r.IntN(8) {
			a, b := v.Tokens[1+r.IntN(len(v.Tokens)-1)], v.Tokens[1+r.IntN(len(v.Tokens)-1)]
			if inner := innerMark(a+b) >= 0; inner && r.IntN(4) > 0 || slices.Contains(v.Tokens, a+b) {
				continue
			}
			v.Tokens, v.Merges = append(v.Tokens, a+b), append(v.Merges, a+" "+b)
		}
		v.Types = slices.Repeat([]TokenType{Normal}, len(v.Tokens))
		v.Types[0] = Unknown
		for range v.Tokens {
			v.Scores = append(v.Scores, float32(r.IntN(5)))
		}
		text := randomText(r, 1+r.IntN(60), "ab  c\n")
		tok := newTokenizer(t, v)
		if tok.cutAtMarks {
			cut++
		}
		got := tok.Encode(text, Options{})
		tok.cutAtMarks = false
		if want := tok.Encode(text, Options{}); !slices.Equal(got, want) {
			t.Fatalf("%s, tokens %q, text %q\n got %v\nwant %v", v.Model, v.Tokens, text, got, want)
		}
	}
	if cut < 300 || cut > 2700 {
		t.Errorf("%d of 3000 vocabularies were cut", cut)
	}
}

func TestGemma4NewlineRuns(t *testing.T) {
	v := NewVocab(ModelGemma4)
	v.Tokens = []string{"a", "\n", "\n\n\n", "▁", "▁a", "<0xC3>", "<0xA9>", "<unk>"}
	v.Types = []TokenType{Normal, Normal, Normal, Normal, Normal, Byte, Byte, Unknown}
	v.Merges = []string{"▁ a", "a \n"}
	v.UNK = 7
	tok := newTokenizer(t, v)
	for _, c := range []struct {
		text string
		want []int32
	}{
		{"a\n\n\na", []int32{0, 2, 0}}, // a token, though no merge makes it
		{"\n\n", []int32{1, 1}},        // no token of this length
		{"a\na a", []int32{0, 1, 0, 4}},
		{"é", []int32{5, 6}},
		{"ü", []int32{7}}, // U+00FC is C3 BC, and BC has no token
	} {
		if got := tok.Encode(c.text, Options{}); !slices.Equal(got, c.want) {
			t.Errorf("%q gives %v, want %v", c.text, got, c.want)
		}
	}
	if got := tok.Decode([]int32{4, 5, 6}, false); got != " aé" {
		t.Errorf("decoded %q", got)
	}
}

func TestSpacePrefix(t *testing.T) {
	v := NewVocab(ModelLlama)
	v.Tokens = []string{"<unk>", "<s>", "</s>", "▁", "a", "▁a", "[X]"}
	v.Types = []TokenType{Unknown, Control, Control, Normal, Normal, Normal, UserDefined}
	v.Scores = make([]float32, len(v.Tokens))
	tok := newTokenizer(t, v)
	for _, c := range []struct {
		text string
		want []int32
	}{
		{"a", []int32{1, 5}},
		{" a", []int32{1, 3, 5}},
		{"a[X]a", []int32{1, 5, 6, 5}}, // the fragment after a special token too
		{"q", []int32{1, 3, 0}},
		{"", []int32{1}},
	} {
		if got := tok.Encode(c.text, Options{AddSpecial: true}); !slices.Equal(got, c.want) {
			t.Errorf("%q gives %v, want %v", c.text, got, c.want)
		}
	}
	for _, c := range []struct {
		special bool
		want    string
	}{{false, "a a"}, {true, "<s> a a"}} {
		if got := tok.Decode([]int32{1, 5, 5}, c.special); got != c.want {
			t.Errorf("special %v: decoded %q, want %q", c.special, got, c.want)
		}
	}
	if got := tok.NewContinuation(false).Push(5); got != " a" {
		t.Errorf("continuation %q", got)
	}
}

func TestEOG(t *testing.T) {
	cases := []struct {
		name   string
		tokens []string
		set    func(*Vocab)
		want   []int32
		eot    int32
	}{
		{"by key", []string{"a", "b", "c", "d"}, func(v *Vocab) { v.EOS, v.EOM, v.ExtraEOG = 1, 3, []int32{1, 0} }, []int32{0, 1, 3}, -1},
		{"qwen", []string{"a", "<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"}, func(v *Vocab) { v.EOS = 2 }, []int32{1, 2, 3, 4, 5}, 2},
		{"phi", []string{"a", "<|end|>", "<|endoftext|>"}, func(*Vocab) {}, []int32{1, 2}, 1},
		{"gpt-oss", []string{"<|endoftext|>", "<|return|>", "<|call|>", "<|end|>"}, func(v *Vocab) { v.EOS = 1 }, []int32{0, 1, 2}, 3},
		{"gemma4", []string{"<eos>", "</s>", "<turn|>", "<|tool_response>"}, func(*Vocab) {}, []int32{0, 2, 3}, 2},
		{"llama", []string{"<unk>", "<s>", "</s>"}, func(*Vocab) {}, []int32{2}, -1},
		{"html tag", []string{"<eos>", "<s>", "</s>"}, func(v *Vocab) { v.Types = []TokenType{Control, Normal, Normal} }, []int32{0}, -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := NewVocab(ModelRawBPE)
			v.Tokens = c.tokens
			c.set(&v)
			tok := newTokenizer(t, v)
			if got := tok.EOG(); !slices.Equal(got, c.want) {
				t.Errorf("EOG %v, want %v", got, c.want)
			}
			if got, _ := tok.EOT(); got != c.eot {
				t.Errorf("EOT %d, want %d", got, c.eot)
			}
		})
	}
}

// TestLongWords encodes one word of a megabyte with each model. Quadratic time would be hours.
func TestLongWords(t *testing.T) {
	gpt2 := toyVocab()
	raw := toyVocab()
	raw.Model = ModelRawBPE
	gemma := toyVocab()
	gemma.Model = ModelGemma4
	llama := toyVocab()
	llama.Model = ModelLlama
	for i := range llama.Tokens {
		llama.Scores = append(llama.Scores, -float32(i))
	}
	for _, v := range []Vocab{gpt2, raw, gemma, llama} {
		tok := newTokenizer(t, v)
		for _, word := range []string{"hello", "l", "文", "A", "'", " ", "\n", "é", "\u0301"} {
			text := strings.Repeat(word, 1<<20/len(word))
			start := time.Now()
			ids := tok.Encode(text, Options{ParseSpecial: true})
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: a megabyte of %q took %v", v.Model, word, d)
			}
			if word == "hello" && v.Model == ModelGPT2 && len(ids) != 1<<20/5 {
				t.Errorf("%d ids of %q", len(ids), word)
			}
		}
	}
}

func TestEncodeConcurrently(t *testing.T) {
	tok := newTokenizer(t, emberVocab(t))
	texts := []string{"Once upon a time there was an owl.", "What is 12 + 30?", "<|im_start|>user\nhi", "naïve 文字 😀"}
	var want [][]int32
	for _, s := range texts {
		want = append(want, tok.Encode(s, Options{}))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				k := (g + i) % len(texts)
				if got := tok.Encode(texts[k], Options{}); !slices.Equal(got, want[k]) {
					t.Errorf("%q gives %v, want %v", texts[k], got, want[k])
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestWordCache fills the cache past its limit.
func TestWordCache(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	for i := range 3 * maxCachedWords {
		text := fmt.Sprintf("w%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676)
		if got := tok.Decode(tok.Encode(text, Options{}), false); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
	}
}

// TestNormalForms compares the slow path with the library, which is right about few marks in a row.
func TestNormalForms(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	letters := []rune("aeoAcsſﬁ각가각éǆ½①\u0301\u0308\u0323\u0327\u0345\u0344\u0958\u093C\u0915\u1E9B\u212B\u2126文 ")
	for range 20000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		for _, f := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
			if got, want := normalSlow(f, b.String()), f.String(b.String()); got != want {
				t.Fatalf("form %d of %+q is %+q, want %+q", f, b.String(), got, want)
			}
		}
	}
	// Many marks: no U+034F comes in, and the first composes.
	marks := "e" + strings.Repeat("\u0301", 100)
	if got, want := normalForm(norm.NFC, marks), "é"+strings.Repeat("\u0301", 99); got != want {
		t.Errorf("many marks: %+q, want %+q", got, want)
	}
	if got := normalForm(norm.NFC, "abc文"); got != "abc文" {
		t.Errorf("normal text changed to %q", got)
	}
}

func TestAccessors(t *testing.T) {
	tok := newTokenizer(t, toyVocab())
	if s, typ := tok.Token(tok.v.EOS); s != "</s>" || typ != Control || typ.String() != "control" {
		t.Errorf("Token: %q %v", s, typ)
	}
	if s, typ := tok.Token(-1); s != "" || typ != Undefined {
		t.Errorf("Token(-1): %q %v", s, typ)
	}
	if got, ok := tok.BOS(); got != tok.v.BOS || !ok {
		t.Errorf("BOS %d %v", got, ok)
	}
	if got, ok := tok.EOS(); got != tok.v.EOS || !ok {
		t.Errorf("EOS %d %v", got, ok)
	}
	for name, f := range map[string]func() (int32, bool){"PAD": tok.PAD, "UNK": tok.UNK} {
		if got, ok := f(); got != -1 || ok {
			t.Errorf("%s %d %v", name, got, ok)
		}
	}
	if tok.AddsBOS() || !slices.IsSorted(PreTokenizers()) || len(PreTokenizers()) != len(slices.Collect(maps.Keys(preTokenizers))) {
		t.Error("AddsBOS or PreTokenizers")
	}
}

// fuzzTokenizers are a byte-level one without normalisation and ones of the other models with all byte tokens.
func fuzzTokenizers(f *testing.F) (byteLevel *Tokenizer, all []*Tokenizer) {
	byteLevel = newTokenizer(f, toyVocab())
	all = append(all, byteLevel, newTokenizer(f, emberVocab(f)))
	for _, model := range []string{ModelLlama, ModelGemma4, ModelRawBPE} {
		v := NewVocab(model)
		v.Tokens = []string{"<unk>", "<s>", "</s>", "a", "▁", "▁a", "aa", "\n\n", "é", "<t>"}
		v.Types = []TokenType{Unknown, Control, Control, Normal, Normal, Normal, Normal, Normal, Normal, UserDefined}
		for b := range 256 {
			v.Tokens, v.Types = append(v.Tokens, fmt.Sprintf("<0x%02X>", b)), append(v.Types, Byte)
		}
		v.Scores = make([]float32, len(v.Tokens))
		v.Merges = []string{"▁ a", "a a"}
		v.UNK, v.BOS, v.EOS = 0, 1, 2
		all = append(all, newTokenizer(f, v))
	}
	return byteLevel, all
}

var fuzzTexts = []string{"", " ", "hello world", "a a\n\n\n<s>a</s>", "I'll pay $12.50\r\n\t é 文字 😀", "\xff\xfe\xe4\xbd", "<|im_end|><tool><t>", "e\u0301\u0323" + strings.Repeat("\u0308", 40), "▁a▁"}

func FuzzEncode(f *testing.F) {
	byteLevel, all := fuzzTokenizers(f)
	var pre []*Tokenizer
	for _, name := range PreTokenizers() {
		v := toyVocab()
		v.Pre = name
		pre = append(pre, newTokenizer(f, v))
	}
	for i, s := range fuzzTexts {
		f.Add(s, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, text string, parse bool) {
		want := strings.ToValidUTF8(text, "")
		for _, tok := range append(pre, byteLevel) {
			ids := tok.Encode(want, Options{ParseSpecial: parse})
			if got := tok.Decode(ids, true); got != want {
				t.Errorf("pre-tokenizer %q: %q came back as %q by %v", tok.v.Pre, want, got, ids)
			}
		}
		for _, tok := range all {
			for _, id := range tok.Encode(text, Options{ParseSpecial: parse, AddSpecial: true}) {
				if id < 0 || int(id) >= tok.Len() {
					t.Errorf("id %d of %d", id, tok.Len())
				}
				if typ := tok.v.typeOf(id); !parse && typ == Control && id != tok.v.BOS {
					t.Errorf("%s: text %q formed control token %d", tok.v.Model, text, id)
				}
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	_, all := fuzzTokenizers(f)
	for i, s := range fuzzTexts {
		f.Add([]byte(s), i%2 == 0)
	}
	f.Add([]byte{0xC3, 0xC3, 0xA9, 0xF0, 0x9F, 0xE2, 0x82}, true)
	f.Fuzz(func(t *testing.T, data []byte, special bool) {
		for _, tok := range all {
			var ids []int32
			var bytes []byte
			for _, b := range data {
				id := int32(b)
				if tok.v.Model != ModelGPT2 {
					id += 10 - int32(b)%3*4 // byte tokens and those before them
				}
				ids = append(ids, id)
				bytes = append(bytes, tok.Piece(id, special)...)
			}
			s := tok.NewStream(special)
			var got strings.Builder
			for _, id := range ids {
				part := s.Push(id)
				if !utf8.ValidString(part) {
					t.Fatalf("%s: Push gave %q", tok.v.Model, part)
				}
				got.WriteString(part)
			}
			got.WriteString(s.Flush())
			if d := tok.Decode(ids, special); d != got.String() {
				t.Fatalf("%s: stream %q, Decode %q", tok.v.Model, got.String(), d)
			}
			if tok.strip && len(bytes) > 0 && bytes[0] == ' ' {
				bytes = bytes[1:]
			}
			if utf8.Valid(bytes) && string(bytes) != got.String() {
				t.Fatalf("%s: stream %q, pieces %q", tok.v.Model, got.String(), bytes)
			}
		}
	})
}
