package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// vocabBuilder is a builder with an empty configuration.
func vocabBuilder(t testing.TB, arch string) *builder {
	t.Helper()
	return &builder{family: &family{arch: arch}, cfg: newConfig("config.json", object{}), meta: &gguf.Meta{}}
}

// TestVocabKeys writes published tokenizers to GGUF keys, reads them back and compares the ids with those of Hugging
// Face's library. One thing is meant to differ: a text that begins with BOS does not get another one.
func TestVocabKeys(t *testing.T) {
	for _, c := range []struct {
		name, arch, model, pre, config string
	}{
		{"llama3_1", "llama", "gpt2", "llama-bpe", ""},
		{"qwen3", "qwen3", "gpt2", "qwen2", ""},
		{"gptoss", "gpt-oss", "gpt2", "gpt-4o", ""},
		{"deepseek_v3", "deepseek2", "gpt2", "deepseek-v3", ""},
		{"llama2", "llama", "llama", "default", `{"eos_token":"</s>"}`},
		{"gemma3", "gemma3", "llama", "default", `{"eos_token":"<eos>"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "gptoss" && c.name != "llama2" {
				t.Skip("SKIPPED: -short leaves all but a vocabulary of each kind to make long")
			}
			data, expected := testfiles.Tokenizer(t, c.name)
			v, err := tokenizer.FromHF(data, []byte(c.config))
			if err != nil {
				t.Fatal(err)
			}
			b := vocabBuilder(t, c.arch)
			if err := b.vocabKeys(&v); err != nil || b.err != nil {
				t.Fatal(err, b.err)
			}
			for _, n := range b.notes {
				t.Log("note:", n)
			}
			checkKeys(t, b.meta, map[string]any{"tokenizer.ggml.model": c.model, "tokenizer.ggml.pre": c.pre})
			fromKeys, err := tokenizer.FromGGUF(b.meta)
			if err != nil {
				t.Fatal(err)
			}
			tok, err := tokenizer.New(fromKeys)
			if err != nil {
				t.Fatal(err)
			}
			var rows []struct {
				Text       string  `json:"text"`
				IDs        []int32 `json:"ids"`
				IDsSpecial []int32 `json:"ids_special"`
			}
			if err := json.Unmarshal(expected, &rows); err != nil {
				t.Fatal(err)
			}
			differ := 0
			for _, r := range rows {
				if r.IDsSpecial == nil {
					r.IDsSpecial = r.IDs
				}
				plain, err1 := tok.Encode(r.Text, tokenizer.Options{ParseSpecial: true})
				special, err2 := tok.Encode(r.Text, tokenizer.Options{ParseSpecial: true, AddSpecial: true})
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(plain, r.IDs) || !slices.Equal(special, r.IDsSpecial) {
					if differ++; differ <= 5 {
						t.Errorf("%q: %v, want %v; with special tokens %v, want %v", r.Text, plain, r.IDs, special,
							r.IDsSpecial)
					}
				}
			}
			if differ > 0 {
				t.Errorf("%d of %d texts give other ids", differ, len(rows))
			}
			if testing.Short() {
				return
			}
			if want, err := tokenizer.New(v); err != nil || !slices.Equal(want.EOG(), tok.EOG()) {
				t.Errorf("answers end at other tokens than the keys say, %v (%v)", tok.EOG(), err)
			}
		})
	}
}

// TestVocabFitsEmbedding pads a tokenizer that is smaller than the embedding and cuts one that is larger.
func TestVocabFitsEmbedding(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, "tiny/tokenizer.json", dir)
	copyFile(t, "tiny/tokenizer_config.json", dir)
	b := vocabBuilder(t, "llama")
	v, err := b.readVocab(dir, 515)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Tokens) != 515 || v.Tokens[513] != "[PAD513]" || v.Types[513] != tokenizer.Unused || len(b.notes) != 0 {
		t.Errorf("%d tokens, %q %v, notes %q", len(v.Tokens), v.Tokens[513], v.Types[513], b.notes)
	}
	if v, err = b.readVocab(dir, 500); err != nil {
		t.Fatal(err)
	}
	if len(v.Tokens) != 500 || len(v.Types) != 500 || len(b.notes) != 1 {
		t.Errorf("%d tokens, %d types, notes %q", len(v.Tokens), len(v.Types), b.notes)
	}
}

// TestPreName checks the names of pre-tokenizers, and what has none.
func TestPreName(t *testing.T) {
	yes, no := true, false
	split := func(patterns ...string) (out []tokenizer.Split) {
		for _, p := range patterns {
			out = append(out, tokenizer.Split{Kind: tokenizer.SplitRegex, Pattern: p})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		splits []tokenizer.Split
		ignore *bool
		want   string // empty: an error
		notes  int
	}{
		{"llama 3", split(splitLlama3), &yes, "llama-bpe", 0},
		{"llama 3 without ignore_merges", split(splitLlama3), &no, "smaug-bpe", 0},
		{"line breaks unescaped", split(strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(splitLlama3)), &yes,
			"llama-bpe", 0},
		{"gpt-2", split(splitGPT2), nil, "gpt-2", 0},
		{"gpt-2 in short spelling", split(`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`),
			nil, "gpt-2", 0},
		{"starcoder", split(`\p{N}`, splitGPT2), nil, "starcoder", 0},
		{"gpt-2 with ignore_merges", split(splitGPT2), &yes, "gpt-2", 0},
		{"unknown pattern", split(`\w+`), nil, "", 0},
		{"other step", []tokenizer.Split{{Kind: tokenizer.SplitPrefixSpace}}, nil, "", 0},
	} {
		b := vocabBuilder(t, "llama")
		got, err := b.preName(&tokenizer.Vocab{Splits: c.splits, IgnoreMerges: c.ignore})
		if got != c.want || (err == nil) != (c.want != "") || len(b.notes) != c.notes {
			t.Errorf("%s: %q, %v, notes %q; want %q", c.name, got, err, b.notes, c.want)
		}
	}
}

// TestStepsKey writes tokenizers that the keys of GGUF cannot express: one of our own keeps them, and a note says so.
func TestStepsKey(t *testing.T) {
	data, err := os.ReadFile("testdata/tiny/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	token := func(id int) m { return m{"SpecialToken": m{"id": fmt.Sprint(id)}} }
	around := func(single ...any) m {
		ids := m{}
		for i := range 4 {
			ids[fmt.Sprint(i)] = m{"ids": []int{i}}
		}
		return m{"type": "TemplateProcessing", "single": single, "special_tokens": ids}
	}
	text := m{"Sequence": m{"id": "A"}}
	split := func(pattern, behavior string, invert bool) m {
		return m{"type": "Split", "pattern": m{"Regex": pattern}, "behavior": behavior, "invert": invert}
	}
	bytes := m{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}
	steps := func(list ...any) m { return m{"type": "Sequence", "pretokenizers": append(list, bytes)} }
	qwen2 := split(preTokenizers[2].patterns[0], "Isolated", false)
	for name, change := range map[string]func(tok, model m){
		"two tokens before":  func(tok, _ m) { tok["post_processor"] = around(token(1), token(2), text) },
		"two tokens behind":  func(tok, _ m) { tok["post_processor"] = around(text, token(1), token(2)) },
		"other pattern":      func(tok, _ m) { tok["pre_tokenizer"] = steps(split(`\w+|\s`, "Isolated", false)) },
		"dropped spaces":     func(tok, _ m) { tok["pre_tokenizer"] = steps(split(`\s`, "Removed", false)) },
		"matches alone":      func(tok, _ m) { tok["pre_tokenizer"] = steps(split(`\p{N}`, "Removed", true)) },
		"merged with next":   func(tok, _ m) { tok["pre_tokenizer"] = steps(split(` `, "MergedWithNext", false)) },
		"digits":             func(tok, _ m) { tok["pre_tokenizer"] = steps(m{"type": "Digits"}) },
		"space in front":     func(tok, _ m) { tok["pre_tokenizer"] = m{"type": "ByteLevel", "add_prefix_space": true} },
		"no pre-tokenizer":   func(tok, _ m) { tok["pre_tokenizer"] = bytes },
		"NFKC":               func(tok, _ m) { tok["normalizer"] = m{"type": "NFKC"} },
		"replacement":        func(tok, _ m) { tok["normalizer"] = m{"type": "Replace", "pattern": m{"String": "l"}, "content": "h"} },
		"prefix":             func(tok, _ m) { tok["normalizer"] = m{"type": "Prepend", "prepend": "x"} },
		"Qwen 2 without NFC": func(tok, _ m) { tok["pre_tokenizer"], tok["normalizer"] = steps(qwen2), nil },
		"ignored merges":     func(tok, model m) { tok["pre_tokenizer"], model["ignore_merges"] = steps(qwen2), true },
		"raw":                func(tok, _ m) { tok["pre_tokenizer"], tok["decoder"] = nil, nil },
		"marks without EOS": func(tok, model m) {
			tok["normalizer"] = m{"type": "Replace", "pattern": m{"String": " "}, "content": "▁"}
			tok["pre_tokenizer"], tok["decoder"], model["unk_token"] = nil, nil, "a"
		},
		"raw words": func(tok, _ m) {
			tok["pre_tokenizer"], tok["decoder"] = split(`\s+`, "Isolated", false), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tok m
			if err := json.Unmarshal(data, &tok); err != nil {
				t.Fatal(err)
			}
			change(tok, tok["model"].(m))
			changed, err := json.Marshal(tok)
			if err != nil {
				t.Fatal(err)
			}
			v, err := tokenizer.FromHF(changed, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := vocabBuilder(t, "llama")
			if err := b.vocabKeys(&v); err != nil || b.err != nil {
				t.Fatal(err, b.err)
			}
			if !b.meta.Has(tokenizer.KeySteps) || len(b.notes) != 1 {
				t.Errorf("keys %q, notes %q", b.meta.Keys(), b.notes)
			}
			checkSameIDs(t, v, b.meta, []string{"Hello  world, it's 12345\n\n\tx", "e\u0301 \ufb01 l\u2082", " a", "",
				"<|im_start|>user\n hi<|im_end|> ", "DON'T 1 22"})
		})
	}
}

// checkSameIDs demands that keys give texts the ids of the vocabulary that they were written from, and end answers at
// the same tokens.
func checkSameIDs(t *testing.T, v tokenizer.Vocab, meta *gguf.Meta, texts []string) {
	t.Helper()
	fromKeys, err := tokenizer.FromGGUF(meta)
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := tokenizer.New(v)
	got, err2 := tokenizer.New(fromKeys)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(want.EOG(), got.EOG()) {
		t.Errorf("answers end at %v, of the keys at %v", want.EOG(), got.EOG())
	}
	for _, text := range texts {
		for _, o := range []tokenizer.Options{{}, {ParseSpecial: true}, {ParseSpecial: true, AddSpecial: true}} {
			a, err1 := want.Encode(text, o)
			b, err2 := got.Encode(text, o)
			if err := errors.Join(err1, err2); err != nil || !slices.Equal(a, b) {
				t.Errorf("%q with %+v: %v, of the keys %v (%v)", text, o, a, b, err)
			}
			if a, b := want.Decode(a, true), got.Decode(a, true); a != b {
				t.Errorf("%q is read back as %q, by the keys as %q", text, a, b)
			}
		}
	}
}

// TestText reads templates and generation defaults of all forms.
func TestText(t *testing.T) {
	for _, c := range []struct {
		name      string
		files     map[string]string
		template  string
		templates map[string]string
		eog       []int32
		params    sample.Params
	}{
		{name: "nothing", eog: nil, params: sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05}},
		{name: "jinja file first", template: "A",
			params: sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05},
			files: map[string]string{"chat_template.jinja": "A", "tokenizer_config.json": `{"chat_template":"B"}`,
				"chat_template.json": `{"chat_template":"C"}`}},
		{name: "tokenizer config", template: "B",
			params: sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05},
			files: map[string]string{"tokenizer_config.json": `{"chat_template":"B"}`,
				"chat_template.json": `{"chat_template":"C"}`}},
		{name: "list", template: "D", templates: map[string]string{"tool_use": "T"},
			params: sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05},
			files:  map[string]string{"tokenizer_config.json": `{"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]}`}},
		{name: "JSON file", template: "C", params: sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05},
			files: map[string]string{"chat_template.json": `{"chat_template":"C"}`}},
		{name: "generation", eog: []int32{7, 9},
			params: sample.Params{Temperature: 0.6, TopK: 20, TopP: 0.9, MinP: 0.02, TypicalP: 0.9,
				RepeatPenalty: 1.1},
			files: map[string]string{"generation_config.json": `{"eos_token_id":[7,9],"temperature":0.6,"top_k":20,"top_p":0.9,"min_p":0.02,"typical_p":0.9,"repetition_penalty":1.1,"do_sample":true}`}},
		{name: "greedy", eog: []int32{7}, params: sample.Params{TopK: 40, TopP: 0.95, MinP: 0.05},
			files: map[string]string{"generation_config.json": `{"eos_token_id":7,"temperature":0.6,"do_sample":false}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, stored := goodLlama(t)
			dir := makeFolder(t, config, stored)
			writeFile(t, dir, "tokenizer_config.json", []byte("{}"))
			for name, text := range c.files {
				writeFile(t, dir, name, []byte(text))
			}
			f := openFolder(t, dir)
			if f.Template != c.template || fmt.Sprint(f.Templates) != fmt.Sprint(c.templates) {
				t.Errorf("template %q, others %v", f.Template, f.Templates)
			}
			if got, err := f.Meta.StringOr("tokenizer.chat_template", ""); err != nil || got != c.template {
				t.Errorf("key has template %q (%v)", got, err)
			}
			if !slices.Equal(f.Vocab.ExtraEOG, c.eog) {
				t.Errorf("generations end at %v, want %v", f.Vocab.ExtraEOG, c.eog)
			}
			if got := f.Sampling.Apply(sample.Params{TopK: 40, TopP: 0.95, MinP: 0.05, Temperature: 0.8}); fmt.Sprint(
				got) != fmt.Sprint(c.params) {
				t.Errorf("sampling %+v, want %+v", got, c.params)
			}
		})
	}
}

// TestShards opens a model in several files.
func TestShards(t *testing.T) {
	config, stored := goodLlama(t)
	dir := makeFolder(t, config, stored)
	parts := []map[string]stTensor{{}, {}, {}}
	weightMap := map[string]string{}
	for i, name := range sortedKeys(stored) {
		parts[i%3][name] = stored[name]
		weightMap[name] = fmt.Sprintf("model-%05d-of-00003.safetensors", i%3+1)
	}
	for i, p := range parts {
		writeFile(t, dir, fmt.Sprintf("model-%05d-of-00003.safetensors", i+1), encodeSafetensors(t, p))
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": weightMap})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, indexFile, index)
	if err := os.Remove(dir + "/model.safetensors"); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, dir)
	c := familyCases()[0]
	for name, w := range c.want {
		checkTensor(t, f, name, w)
	}
	// The index says which of two is taken, and does not hide one that is elsewhere.
	twice := sortedKeys(parts[1])[0]
	parts[0][twice] = sampleTensor(t, "another", stored[twice].shape...)
	writeFile(t, dir, "model-00001-of-00003.safetensors", encodeSafetensors(t, parts[0]))
	weightMap["gone"] = weightMap[twice]
	elsewhere := sortedKeys(parts[2])[0]
	weightMap[elsewhere] = weightMap[twice]
	for _, known := range []bool{true, false} {
		if !known {
			delete(weightMap, twice)
		}
		if index, err = json.Marshal(map[string]any{"weight_map": weightMap}); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, indexFile, index)
		if known {
			f := openFolder(t, dir)
			for name, w := range c.want {
				checkTensor(t, f, name, w)
			}
		} else if _, err := Open(dir); err == nil ||
			!strings.Contains(err.Error(), "is in model-00001-of-00003.safetensors and in") {
			t.Errorf("a tensor in two shards: %v", err)
		}
	}
}

// TestUnknownModelError checks that callers can tell it apart.
func TestUnknownModelError(t *testing.T) {
	_, stored := goodLlama(t)
	var unknown *UnknownModelError
	if _, err := Open(makeFolder(t, `{"architectures":["Wombat"]}`, stored)); !errors.As(err, &unknown) ||
		unknown.Model != "Wombat" {
		t.Errorf("error %v", err)
	}
}
