package tokenizer

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
)

// wordPieceJSON is a small tokenizer in the form of BERT's.
const wordPieceJSON = `{"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
	"pre_tokenizer":{"type":"BertPreTokenizer"},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
	"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"[CLS]"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"[SEP]"}}],
	"pair":[{"SpecialToken":{"id":"[CLS]"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"[SEP]"}},{"Sequence":{"id":"B"}},{"SpecialToken":{"id":"[SEP]"}}],
	"special_tokens":{"[CLS]":{"ids":[2]},"[SEP]":{"ids":[3]}}},
	"added_tokens":[{"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[UNK]","special":true},
	{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],
	"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
	"vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"un":4,"##aff":5,"##able":6,"hello":7,"world":8,"!":9,"cafe":10,"的":11,"##s":12,",":13,"h":14,"##h":15}}}`

// TestWordPiece encodes by hand-checked steps of BERT's tokenizer, from a tokenizer.json and from the keys of a GGUF file.
func TestWordPiece(t *testing.T) {
	v, err := FromHF([]byte(wordPieceJSON), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := &gguf.Meta{}
	types := make([]int32, len(v.Types))
	for i, typ := range v.Types {
		types[i] = int32(typ)
	}
	for key, x := range map[string]any{"model": "bert", "tokens": v.Tokens, "token_type": types,
		"cls_token_id": uint32(2), "seperator_token_id": uint32(3), "unknown_token_id": uint32(1)} {
		if err := meta.Set("tokenizer.ggml."+key, x); err != nil {
			t.Fatal(err)
		}
	}
	w, err := FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Vocab{"hf": v, "gguf": w} {
		tok, err := New(v)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string][]int32{
			"Hello, unaffable WÖRLDs!":  {2, 7, 13, 4, 5, 6, 8, 12, 9, 3},
			"café的的x":                   {2, 10, 11, 11, 1, 3}, // accents go, ideographs are words, x is unknown
			" he\u00adllo\u0000\tun\n ": {2, 7, 4, 3},          // format and control characters go, spaces separate
			"unaffablex un!un":          {2, 1, 4, 9, 4, 3},    // a word with an end that is no token is unknown as a whole
			"[SEP]":                     {2, 1, 1, 1, 3},       // text never forms a marker
			"":                          {2, 3},                // nothing
			strings.Repeat("h", 100):    append(append([]int32{2, 14}, slices.Repeat([]int32{15}, 99)...), 3),
			strings.Repeat("h", 101):    {2, 1, 3},
		} {
			if got, err := tok.Encode(text, Options{AddSpecial: true}); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %.30q: ids %v, want %v, %v", name, text, got, want, err)
			}
		}
		if got, second, err := tok.EncodePair("un", "hello [SEP]"); err != nil || second != 3 ||
			!slices.Equal(got, []int32{2, 4, 3, 7, 1, 1, 1, 3}) {
			t.Errorf("%s: pair %v from %d, %v", name, got, second, err)
		}
		if got := tok.Decode([]int32{2, 7, 13, 4, 5, 6, 3}, false); got != "hello , unaffable" {
			t.Errorf("%s: text %q", name, got)
		}
	}
	for _, c := range [][3]string{
		{`continuing_subword_prefix":"##`, `continuing_subword_prefix":"#`, "which must be"},
		{`"unk_token":"[UNK]",`, "", "no unk_token"},
		{"BertPreTokenizer", "ByteLevel", "ByteLevel stands before"},
		{"TemplateProcessing", "BertProcessing", "no token with its id"},
	} {
		text := strings.Replace(wordPieceJSON, c[0], c[1], 1)
		if _, err := FromHF([]byte(text), nil); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%q for %q: %v, want %q", c[1], c[0], err, c[2])
		}
	}
}

// charsmapOf compiles a table as SentencePiece lays it out: node k has its children from 256·k on.
func charsmapOf(table map[string]string) []byte {
	type node struct {
		at    int
		value int
		next  map[byte]*node
	}
	root := &node{value: -1, next: map[byte]*node{}}
	nodes := []*node{root}
	var texts []byte
	for key, text := range table {
		n := root
		for _, c := range []byte(key) {
			if n.next[c] == nil {
				n.next[c] = &node{value: -1, next: map[byte]*node{}}
				nodes = append(nodes, n.next[c])
			}
			n = n.next[c]
		}
		n.value = len(texts)
		texts = append(append(texts, text...), 0)
	}
	units := make([]uint32, 256*(len(nodes)+1))
	base := map[*node]int{}
	for i, n := range nodes {
		base[n] = 256 * (i + 1)
	}
	for _, n := range nodes {
		for c, child := range n.next {
			child.at = base[n] ^ int(c)
			units[child.at] |= uint32(c)
		}
	}
	for _, n := range nodes {
		units[n.at] |= uint32(n.at^base[n]) << 10
		if n.value >= 0 {
			units[n.at] |= 1 << 8
			units[base[n]] = 1<<31 | uint32(n.value)
		}
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return append(out, texts...)
}

// TestCharsmap replaces the longest keys, and reads hostile tables without harm.
func TestCharsmap(t *testing.T) {
	raw := charsmapOf(map[string]string{"ﬁ": "fi", "\u3000": " ", "e\u0301": "é", "ab": "X", "abc": "Y", "\u00ad": ""})
	m, err := newCharsmap(raw)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"ﬁ\u3000e\u0301x": "fi éx", "abcabxaab": "YXxaX", "e": "e", "": "", "a\u00adb": "ab"} {
		if got := m.apply(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	for _, b := range [][]byte{nil, {1, 2}, {8, 0, 0, 0, 1}, {3, 0, 0, 0, 1, 2, 3}, {0, 0, 0, 0}} {
		if _, err := newCharsmap(b); err == nil {
			t.Errorf("table %v was read", b)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := slices.Clone(raw)
		for range 20 {
			b[4+r.IntN(len(b)-4)] = byte(r.IntN(256))
		}
		if m, err := newCharsmap(b); err == nil {
			m.apply("ﬁ\u3000e\u0301xabc\u00ad")
		}
	}
}

// unigramJSON is a small tokenizer in the form of XLM-RoBERTa's.
func unigramJSON() string {
	return fmt.Sprintf(`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":%q}]},
	"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","add_prefix_space":true}]},
	"decoder":{"type":"Metaspace","replacement":"▁","add_prefix_space":true},
	"post_processor":{"type":"RobertaProcessing","cls":["<s>",0],"sep":["</s>",2]},
	"added_tokens":[{"id":0,"content":"<s>","special":true},{"id":1,"content":"<pad>","special":true},{"id":2,"content":"</s>","special":true},
	{"id":3,"content":"<unk>","special":true},{"id":11,"content":"<mask>","special":true,"lstrip":true}],
	"model":{"type":"Unigram","unk_id":3,"vocab":[["<s>",0],["<pad>",0],["</s>",0],["<unk>",0],["▁",-3],["▁a",-2],["b",-3],["ab",-2.5],["▁ab",-4.2],["c",-5],["bc",-3.5]]}}`,
		base64.StdEncoding.EncodeToString(charsmapOf(map[string]string{"ⓐ": "a", "\u3000": " "})))
}

// TestUnigram encodes by hand-checked sums of scores, from a tokenizer.json and from the keys of a GGUF file.
func TestUnigram(t *testing.T) {
	v, err := FromHF([]byte(unigramJSON()), nil)
	if err != nil {
		t.Fatal(err)
	}
	meta := &gguf.Meta{}
	types := make([]int32, len(v.Types))
	for i, typ := range v.Types {
		types[i] = int32(typ)
	}
	for key, x := range map[string]any{"model": "t5", "tokens": v.Tokens, "token_type": types, "scores": v.Scores,
		"bos_token_id": uint32(0), "eos_token_id": uint32(2), "unknown_token_id": uint32(3), "add_space_prefix": true,
		"precompiled_charsmap": v.Normalizers[0].Charsmap()} {
		if err := meta.Set("tokenizer.ggml."+key, x); err != nil {
			t.Fatal(err)
		}
	}
	w, err := FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]Vocab{"hf": v, "gguf": w} {
		tok, err := New(v)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string][]int32{
			"abc":           {0, 5, 10, 2},    // -5.5; ▁ab c is -9.2, ▁ ab c -10.5
			"abz":           {0, 8, 3, 2},     // ▁ab and an unknown one: -19.2; ▁a b -20
			"zz a":          {0, 4, 3, 5, 2},  // unknown neighbours are one
			"  ⓐ\u3000bc  ": {0, 5, 4, 10, 2}, // the table makes a letter and a space
			"</s>":          {0, 4, 3, 2},     // text never forms a marker
			"":              {0, 2},           // nothing
			"cab":           {0, 4, 9, 7, 2},  // ▁ c ab: -10.5
		} {
			if got, err := tok.Encode(text, Options{AddSpecial: true}); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q: ids %v, want %v, %v", name, text, got, want, err)
			}
		}
		if got, second, err := tok.EncodePair("a", "abc"); err != nil || second != 4 ||
			!slices.Equal(got, []int32{0, 5, 2, 2, 5, 10, 2}) {
			t.Errorf("%s: pair %v from %d, %v", name, got, second, err)
		}
		if got := tok.Decode([]int32{0, 5, 10, 8, 2}, false); got != "abc ab" {
			t.Errorf("%s: text %q", name, got)
		}
	}
}

// TestUnigramIsBest compares with all ways to cut a word.
func TestUnigramIsBest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	v := NewVocab(ModelUnigram)
	v.Tokens, v.UNK = []string{"<unk>", "a", "b", "ab", "ba", "aab", "bab", "abba"}, 0
	v.Types = []TokenType{Unknown, Normal, Normal, Normal, Normal, Normal, Normal, Normal}
	for range v.Tokens {
		v.Scores = append(v.Scores, float32(-r.IntN(40))/4)
	}
	m := newUnigram(&v)
	var most func(s string) float64
	most = func(s string) float64 {
		if s == "" {
			return 0
		}
		top := -1e30
		for i := 1; i < len(v.Tokens); i++ {
			if rest, ok := strings.CutPrefix(s, v.Tokens[i]); ok {
				top = max(top, float64(v.Scores[i])+most(rest))
			}
		}
		return top
	}
	for range 300 {
		b := make([]byte, 1+r.IntN(9))
		for i := range b {
			b[i] = "ab"[r.IntN(2)]
		}
		ids := m.encode(nil, string(b), nil)
		sum, text := 0.0, ""
		for _, id := range ids {
			sum += float64(v.Scores[id])
			text += v.Tokens[id]
		}
		if text != string(b) || sum != most(string(b)) {
			t.Errorf("%q: ids %v with %v, the best is %v", b, ids, sum, most(string(b)))
		}
	}
}
