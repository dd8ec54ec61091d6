package tokenizer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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
			if got := strings.Join(pieces(tok, encode(t, tok, c.text, c.o)), " "); got != c.want {
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
		{"bos and eos", func(v *Vocab) { v.AddBOS, v.AddEOS = &yes, &yes }, "he", Options{AddSpecial: true},
			"<s> he </s>"},
		{"not asked for", func(v *Vocab) { v.AddBOS, v.AddEOS = &yes, &yes }, "he", Options{}, "he"},
		{"bos twice", func(v *Vocab) { v.AddBOS = &yes }, "<s>he", Options{AddSpecial: true, ParseSpecial: true},
			"<s> <s> he"},
		{"bos text of a user", func(v *Vocab) { v.AddBOS = &yes }, "<s>he", Options{AddSpecial: true}, "<s> < s > he"},
		{"bos alone", func(v *Vocab) { v.AddBOS = &yes }, "", Options{AddSpecial: true}, "<s>"},
		{"gemma4 whatever the key says", func(v *Vocab) { v.Model, v.AddBOS = ModelGemma4, &no }, "h",
			Options{AddSpecial: true}, "<s> h"},
		{"absent bos", func(v *Vocab) { v.AddBOS, v.BOS = &yes, -1 }, "he", Options{AddSpecial: true}, "he"},
		{"prefix and suffix", func(v *Vocab) { v.Prefix, v.Suffix = []int32{v.EOS, v.BOS}, []int32{v.EOS} }, "he",
			Options{AddSpecial: true}, "</s> <s> he </s>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := toyVocab()
			c.set(&v)
			tok := newTokenizer(t, v)
			if got := strings.Join(pieces(tok, encode(t, tok, c.text, c.o)), " "); got != c.want {
				t.Errorf("%q gives %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestEncodePrompt(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name string
		set  func(*Vocab)
		text string
		want string
	}{
		{"bos", func(v *Vocab) { v.AddBOS = &yes }, "he", "<s> he"},
		{"bos that the template printed", func(v *Vocab) { v.AddBOS = &yes }, "<s>he<|im_end|>", "<s> he <|im_end|>"},
		{"bos alone", func(v *Vocab) { v.AddBOS = &yes }, "", "<s>"},
		{"no bos", func(v *Vocab) { v.AddBOS = &no }, "he", "he"},
		{"no eos", func(v *Vocab) { v.AddBOS, v.AddEOS = &yes, &yes }, "he", "<s> he"},
		{"longer prefix", func(v *Vocab) { v.Prefix = []int32{v.EOS, v.BOS} }, "</s>he", "</s> <s> </s> he"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := toyVocab()
			c.set(&v)
			tok := newTokenizer(t, v)
			if got := strings.Join(pieces(tok, encodePrompt(t, tok, c.text)), " "); got != c.want {
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
		{"model", func(v *Vocab) { v.Model = "nope" }, `unknown model "nope" (known: gpt2, llama, gemma4, bpe, bert, t5)`},
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
		{"pattern", func(v *Vocab) { v.Splits = []Split{{Pattern: "q(*"}} }, `pattern "q(*"`},
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

func TestEOG(t *testing.T) {
	cases := []struct {
		name   string
		tokens []string
		set    func(*Vocab)
		want   []int32
		eot    int32
	}{
		{"by key", []string{"a", "b", "c", "d"}, func(v *Vocab) { v.EOS, v.EOM, v.ExtraEOG = 1, 3, []int32{1, 0} },
			[]int32{0, 1, 3}, -1},
		{"qwen", []string{"a", "<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"},
			func(v *Vocab) { v.EOS = 2 }, []int32{1, 2, 3, 4, 5}, 2},
		{"phi", []string{"a", "<|end|>", "<|endoftext|>"}, func(*Vocab) {}, []int32{1, 2}, 1},
		{"gpt-oss", []string{"<|endoftext|>", "<|return|>", "<|call|>", "<|end|>"}, func(v *Vocab) { v.EOS = 1 },
			[]int32{0, 1, 2}, 3},
		{"gemma4", []string{"<eos>", "</s>", "<turn|>", "<|tool_response>"}, func(*Vocab) {}, []int32{0, 2, 3}, 2},
		{"llama", []string{"<unk>", "<s>", "</s>"}, func(*Vocab) {}, []int32{2}, -1},
		{"html tag", []string{"<eos>", "<s>", "</s>"},
			func(v *Vocab) { v.Types = []TokenType{Control, Normal, Normal} }, []int32{0}, -1},
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
	size := 1 << 20
	if testing.Short() {
		size = 1 << 18 // of which quadratic work would take longer than it may, too
	}
	for _, v := range []Vocab{gpt2, raw, gemma, llama} {
		tok := newTokenizer(t, v)
		for _, word := range []string{"hello", "l", "文", "A", "'", " ", "\n", "é", "\u0301"} {
			text := strings.Repeat(word, size/len(word))
			start := time.Now()
			ids := encode(t, tok, text, Options{ParseSpecial: true})
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s: %d bytes of %q took %v", v.Model, size, word, d)
			}
			if word == "hello" && v.Model == ModelGPT2 && len(ids) != size/5 {
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
		want = append(want, encode(t, tok, s, Options{}))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				k := (g + i) % len(texts)
				if got := encode(t, tok, texts[k], Options{}); !slices.Equal(got, want[k]) {
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
		if got := tok.Decode(encode(t, tok, text, Options{}), false); got != text {
			t.Fatalf("%q came back as %q", text, got)
		}
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
	if tok.AddsBOS() || !slices.IsSorted(PreTokenizers()) ||
		len(PreTokenizers()) != len(slices.Collect(maps.Keys(preTokenizers))) {
		t.Error("AddsBOS or PreTokenizers")
	}
}
