package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// hfVocab reads a published tokenizer.
func hfVocab(t testing.TB, name string) Vocab {
	t.Helper()
	file, _ := testfiles.Tokenizer(t, name)
	v, err := FromHF(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// hfTokenizer returns the tokenizer of a file of Hugging Face. Tests that run one after the other share it.
func hfTokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok := hfTokenizers[name]
	if tok == nil {
		tok = newTokenizer(t, hfVocab(t, name))
		hfTokenizers[name] = tok
	}
	return tok
}

var hfTokenizers = map[string]*Tokenizer{}

func newTokenizer(t testing.TB, v Vocab) *Tokenizer {
	t.Helper()
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// hfRow is one text with what Hugging Face tokenizers makes of it.
type hfRow struct {
	Text       string  `json:"text"`
	IDs        []int32 `json:"ids"`
	IDsSpecial []int32 `json:"ids_special"` // nil: equal to IDs
	Decoded    string  `json:"decoded"`
}

func hfRows(t testing.TB, name string) []hfRow {
	t.Helper()
	_, b := testfiles.Tokenizer(t, name)
	var rows []hfRow
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 100 {
		t.Fatalf("only %d rows", len(rows))
	}
	return rows
}

// TestHuggingFaceRows demands what Hugging Face tokenizers gives: ids, ids with special tokens added, and the
// decoded text. The ids that end a generation are those of the models' generation_config.json and their
// fill-in-the-middle separators.
func TestHuggingFaceRows(t *testing.T) {
	for name, eog := range map[string][]int32{
		"deepseek_v3": {1},
		"gemma3":      {1, 106},
		"gptoss":      {199999, 200002, 200012},
		"llama2":      {2},
		"llama3_1":    {128001, 128009}, // the file is of Llama 3.0, which has no <|eom_id|>
		"qwen3":       {151643, 151645, 151662, 151663, 151664},
	} {
		t.Run(name, func(t *testing.T) {
			tok := hfTokenizer(t, name)
			if got := tok.EOG(); !slices.Equal(got, eog) {
				t.Errorf("EOG %v, want %v", got, eog)
			}
			for _, r := range hfRows(t, name) {
				if got := encode(t, tok, r.Text, Options{ParseSpecial: true}); !slices.Equal(got, r.IDs) {
					t.Errorf("%q\n got %v\nwant %v", r.Text, got, r.IDs)
				}
				want := r.IDsSpecial
				if want == nil {
					want = r.IDs
				}
				if got := encode(t, tok, r.Text, Options{ParseSpecial: true, AddSpecial: true}); !slices.Equal(got,
					want) {
					t.Errorf("%q with special tokens\n got %v\nwant %v", r.Text, got, want)
				}
				if got := tok.Decode(r.IDs, true); got != r.Decoded {
					t.Errorf("%v\ndecoded %q\n   want %q", r.IDs, got, r.Decoded)
				}
			}
		})
	}
}

// emberVocab reads the vocabulary in testdata.
func emberVocab(t testing.TB) Vocab {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "ember.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := FromHF(b, []byte(`{"eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>"}}`))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEmberReference compares with the prompts and replies that Ember's reference run stored as ids.
func TestEmberReference(t *testing.T) {
	tok := newTokenizer(t, emberVocab(t))
	for i, r := range testfiles.EmberPrompts(t) {
		if got := encode(t, tok, r.Prompt, Options{ParseSpecial: true, AddSpecial: true}); !slices.Equal(got, r.IDs) {
			t.Errorf("prompt %d\n got %v\nwant %v", i, got, r.IDs)
		}
		if got := tok.Decode(r.IDs, true); got != r.Prompt {
			t.Errorf("prompt %d decoded %q, want %q", i, got, r.Prompt)
		}
		if got := tok.Decode(r.Greedy, true); got != r.Reply {
			t.Errorf("reply %d decoded %q, want %q", i, got, r.Reply)
		}
	}
}

func TestFromHFErrors(t *testing.T) {
	const vocab = `"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`
	cases := []struct{ name, json, config, want string }{
		{"no json", `{`, ``, "unexpected end"},
		{"wordpiece", `{"model":{"type":"WordLevel",` + vocab + `}}`, ``, `model type "WordLevel"`},
		{"wordpiece", `{"model":{"type":"WordPiece",` + vocab + `}}`, ``, `continuing_subword_prefix ""`},
		{"no vocab", `{"model":{"type":"BPE"}}`, ``, "no vocab"},
		{"unigram vocab", `{"model":{"type":"BPE","vocab":[["a",0]]}}`, ``, "vocab"},
		{"negative id", `{"model":{"type":"BPE","vocab":{"a":-1}}}`, ``, "id -1"},
		{"huge id", `{"model":{"type":"BPE","vocab":{"a":4000000}}}`, ``, "id 4000000"},
		{"huge added id", `{"added_tokens":[{"id":9000000000,"content":"x"}],"model":{"type":"BPE",` + vocab + `}}`,
			``, "id 9000000000"},
		{"same id", `{"model":{"type":"BPE","vocab":{"a":0,"b":0}}}`, ``, "same id 0"},
		{"added conflict", `{"added_tokens":[{"id":0,"content":"x"}],"model":{"type":"BPE",` + vocab + `}}`, ``,
			`of token "a"`},
		{"subword prefix", `{"model":{"type":"BPE","continuing_subword_prefix":"##",` + vocab + `}}`, ``, "##"},
		{"merge of three", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a","b","c"]]}}`, ``, "3 parts"},
		{"merge with space", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a b","c"]]}}`, ``, "space"},
		{"normalizer", `{"normalizer":{"type":"Nmt"},"model":{"type":"BPE",` + vocab + `}}`, ``, `"Nmt"`},
		{"charsmap", `{"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"},"model":{"type":"BPE",` + vocab +
			`}}`, ``, "cut short"},
		{"charsmap text", `{"normalizer":{"type":"Precompiled","precompiled_charsmap":"*"},"model":{"type":"BPE",` + vocab +
			`}}`, ``, "base64"},
		{"unigram", `{"model":{"type":"Unigram","vocab":[["a",1],["a",2]]}}`, ``, "there twice"},
		{"unigram score", `{"model":{"type":"Unigram","vocab":[["a","b"]]}}`, ``, "no text with its score"},
		{"unigram bytes", `{"model":{"type":"Unigram","byte_fallback":true,"vocab":[["a",1]]}}`, ``, "byte_fallback"},
		{"replace regex", `{"normalizer":{"type":"Replace","pattern":{"Regex":"x+"}},"model":{"type":"BPE",` + vocab +
			`}}`, ``, `"x+"`},
		{"pre-tokenizer", `{"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE",` + vocab + `}}`, ``,
			`"Whitespace"`},
		{"pattern", `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"x{7}+"},"behavior":"Isolated"},"model":{"type":"BPE",` + vocab + `}}`, ``, `"x{7}+"`},
		{"behavior", `{"pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"Odd"},"model":{"type":"BPE",` + vocab + `}}`, ``, `"Odd"`},
		{"decoder", `{"decoder":{"type":"CTC"},"model":{"type":"BPE",` + vocab + `}}`, ``, `"CTC"`},
		{"decoder disagrees", `{"decoder":{"type":"ByteLevel"},"model":{"type":"BPE",` + vocab + `}}`, ``, "disagree"},
		{"post-processor", `{"post_processor":{"type":"SpanProcessing"},"model":{"type":"BPE",` + vocab + `}}`, ``,
			`"SpanProcessing"`},
		{"template token", `{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]},"model":{"type":"BPE",` + vocab + `}}`, ``, `"<s>"`},
		{"template id", `{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[7]}}},"model":{"type":"BPE",` + vocab + `}}`, ``, "id 7"},
		{"config token", `{"model":{"type":"BPE",` + vocab + `}}`, `{"bos_token":"<s>","add_bos_token":true}`,
			`bos_token "<s>"`},
		{"config key", `{"model":{"type":"BPE",` + vocab + `}}`, `{"added_tokens_decoder":{"x":{"content":"y"}}}`,
			`"x"`},
		{"merge without space", `{"model":{"type":"BPE","vocab":{"a":0},"merges":["ab"]}}`, ``, "merge 0"},
		{"steps", `{"normalizer":{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"NFC"},`, 70) +
			`{"type":"NFC"}]},"model":{"type":"BPE",` + vocab + `}}`, ``, "more than 64 steps"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := FromHF([]byte(c.json), []byte(c.config))
			if err == nil {
				_, err = New(v)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestFromHFSteps checks steps that the six published tokenizers do not use, on a small vocabulary. The expected
// pieces follow from the definitions in the documentation of Hugging Face tokenizers.
func TestFromHFSteps(t *testing.T) {
	vocab := map[string]int{}
	for i, s := range strings.Split("a b c 1 2 ▁ Ġ ab <x> <y> <unk> Ċ", " ") {
		vocab[s] = i
	}
	vj, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	file := func(parts string) []byte {
		return fmt.Appendf(nil, `{%s "model":{"type":"BPE","vocab":%s,"merges":[["a","b"]],"unk_token":"<unk>","fuse_unk":true}}`, parts, vj)
	}
	cases := []struct{ name, parts, text, want string }{
		{"metaspace first", `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},`, "ab a", "▁ ab ▁ a"},
		{"metaspace never", `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"never"},`, "ab a",
			"ab ▁ a"},
		{"metaspace has prefix", `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},`,
			" ab", "▁ ab"},
		{"metaspace first after special",
			`"added_tokens":[{"id":8,"content":"<x>","special":true}],"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},`, "<x>a", "<x> a"},
		{"metaspace always after special",
			`"added_tokens":[{"id":8,"content":"<x>","special":true}],"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},`, "<x>a", "<x> ▁ a"},
		{"removed", `"pre_tokenizer":{"type":"Split","pattern":{"String":"c"},"behavior":"Removed"},`, "acbab",
			"a b ab"},
		{"merged with previous", `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"MergedWithPrevious"},`, "cab", "c a b"},
		{"merged with next", `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"MergedWithNext"},`,
			"cab", "c ab"},
		{"isolated", `"pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Isolated"},`, "cab",
			"c a b"},
		{"byte level prefix", `"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},`, "ab\n", "Ġ ab Ċ"},
		{"digits", `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]},`, "ab12", "ab 1 2"},
		{"strips", `"added_tokens":[{"id":8,"content":"<x>","lstrip":true,"rstrip":true},{"id":9,"content":"<y>"}],"pre_tokenizer":{"type":"ByteLevel"},`, "a <x> b <y> a", "a <x> b Ġ <y> Ġ a"},
		{"strips only space", `"added_tokens":[{"id":8,"content":"<x>","lstrip":true,"rstrip":true}],"pre_tokenizer":{"type":"ByteLevel"},`, " <x>  <x> ", "<x> <x>"},
		{"single word", `"added_tokens":[{"id":2,"content":"c","single_word":true}],"normalizer":{"type":"Replace","pattern":{"String":"c"},"content":"b"},`, "ac c", "ab <unk> c"},
		{"what words have", `"added_tokens":[{"id":8,"content":"<x>","single_word":true}],"pre_tokenizer":{"type":"ByteLevel"},`,
			"²<x>²ab‿<x>Ⅳ<x>", "<x> ab"},
		{"normalized", `"added_tokens":[{"id":9,"content":"<y>","normalized":true}],"normalizer":{"type":"Replace","pattern":{"String":"q"},"content":"y"},`, "a<q>", "a <y>"},
		{"not normalized", `"added_tokens":[{"id":9,"content":"<y>"}],"normalizer":{"type":"Replace","pattern":{"String":"q"},"content":"y"},`, "a<q>b", "a <unk> b"},
		{"fused unknown", ``, "aéüb", "a <unk> b"},
		{"leftmost", `"added_tokens":[{"id":7,"content":"ab"},{"id":8,"content":"<x>"}],"pre_tokenizer":{"type":"ByteLevel"},`, "a<x>b", "a <x> b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := FromHF(file(c.parts), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, id := range encode(t, newTokenizer(t, v), c.text, Options{ParseSpecial: true}) {
				got = append(got, v.Tokens[id])
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%q gives %q, want %q", c.text, s, c.want)
			}
		})
	}
}

// TestFromHFConfig checks the ids and flags that tokenizer_config.json sets.
func TestFromHFConfig(t *testing.T) {
	const file = `{"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[1]}}},
		"added_tokens":[{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}],
		"model":{"type":"BPE","vocab":{"a":0}}}`
	for _, c := range []struct {
		config string
		want   []int32
	}{
		{`{}`, []int32{1, 0}},
		{`{"bos_token":"<s>","add_bos_token":false}`, []int32{0}},
		{`{"bos_token":{"content":"<s>"},"eos_token":"</s>","add_bos_token":true,"add_eos_token":true}`,
			[]int32{1, 0, 2}},
		{`{"bos_token":null,"eos_token":"</s>"}`, []int32{1, 0}},
		{`{"added_tokens_decoder":{"1":{"content":"<s>","special":true},"3":{"content":"<new>","special":true}}}`,
			[]int32{1, 0}},
	} {
		v, err := FromHF([]byte(file), []byte(c.config))
		if err != nil {
			t.Fatal(err)
		}
		if got := encode(t, newTokenizer(t, v), "a", Options{AddSpecial: true}); !slices.Equal(got, c.want) {
			t.Errorf("%s: ids %v, want %v", c.config, got, c.want)
		}
		if strings.Contains(c.config, "<new>") && (len(v.Tokens) != 4 || v.Types[3] != Control) {
			t.Errorf("%s: tokens %q", c.config, v.Tokens)
		}
	}
}

func FuzzFromHF(f *testing.F) {
	ember, err := os.ReadFile(filepath.Join("testdata", "ember.json"))
	if err != nil {
		f.Fatal(err)
	}
	// The whole file would make mutation slow; its frame with a small model does.
	i, j := bytes.Index(ember, []byte(`"vocab"`)), bytes.LastIndexByte(ember[:len(ember)-1], '}')
	if i < 0 || j < i {
		f.Fatal("testdata/ember.json has no vocab")
	}
	small := append(append(slices.Clone(ember[:i]), `"vocab":{"a":9,"b":10,"ab":11},"merges":[["a","b"]]}`...), '}')
	f.Add(small, []byte(`{"eos_token":"<|im_end|>","add_eos_token":true}`))
	f.Add([]byte(`{"model":{"type":"BPE","byte_fallback":true,"vocab":{"<0x0A>":0,"▁":1},"merges":[]},"decoder":{"type":"Metaspace","replacement":"▁"}}`), []byte(nil))
	f.Add([]byte(`{"pre_tokenizer":{"type":"Metaspace","replacement":"▁"},"model":{"vocab":{"a":0},"merges":["a a"]}}`), []byte(`{"bos_token":1}`))
	f.Fuzz(func(t *testing.T, file, config []byte) {
		v, err := FromHF(file, config)
		if err != nil {
			return
		}
		tok, err := New(v)
		if err != nil {
			return
		}
		ids := encode(t, tok, "a b <|im_end|>\n 12é", Options{ParseSpecial: true, AddSpecial: true})
		for _, id := range ids {
			if id < 0 || int(id) >= tok.Len() {
				t.Fatalf("id %d of %d", id, tok.Len())
			}
		}
		tok.Decode(ids, true)
	})
}
