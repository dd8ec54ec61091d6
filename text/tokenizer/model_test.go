package tokenizer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

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
		if got := pieces(tok, encode(t, tok, word, Options{})); !slices.Equal(got, symbols) {
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
		if got := encode(t, tok, r.Text, Options{ParseSpecial: true}); !slices.Equal(got, r.IDs) {
			t.Errorf("%q\n got %v\nwant %v", r.Text, got, r.IDs)
		}
		if got := tok.Decode(r.IDs, true); got != r.Decoded {
			t.Errorf("decoded %q, want %q", got, r.Decoded)
		}
	}
	if got := encode(t, tok, "x", Options{AddSpecial: true}); got[0] != 1 {
		t.Errorf("ids %v do not begin with BOS", got)
	}
	if got := encode(t, tok, "</s>", Options{}); slices.Contains(got, 2) {
		t.Errorf("text of a user gave the end of the sequence: %v", got)
	}
}

// TestGemma4GivesGemma3Rows reads Gemma 3's vocabulary, the same merges on raw UTF-8, as ModelGemma4. No merge
// of it crosses the border of a newline run, so the ids must be equal.
func TestGemma4GivesGemma3Rows(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the other way to the same rows to make long")
	}
	v := hfVocab(t, "gemma3")
	v.Model, v.Normalizers, v.Splits, v.Prefix = ModelGemma4, nil, nil, nil
	v.BOS = 2
	tok := newTokenizer(t, v)
	for _, r := range hfRows(t, "gemma3") {
		if got := encode(t, tok, r.Text, Options{ParseSpecial: true}); !slices.Equal(got, r.IDs) {
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
		got := encode(t, tok, text, Options{})
		tok.cutAtMarks = false
		if want := encode(t, tok, text, Options{}); !slices.Equal(got, want) {
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
		if got := encode(t, tok, c.text, Options{}); !slices.Equal(got, c.want) {
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
		if got := encode(t, tok, c.text, Options{AddSpecial: true}); !slices.Equal(got, c.want) {
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
