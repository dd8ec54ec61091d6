package hf

import (
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/text/tokenizer"
)

// TestHarmless opens folders with oddities that nothing depends on, each said in a note if it is a fault.
func TestHarmless(t *testing.T) {
	config, stored := goodLlama(t)
	for _, c := range []struct {
		name, file, text string
		note             string
	}{
		{"numbers of Python", "config.json",
			strings.Replace(config, "{", `{"time_step_limit":[0.0,Infinity,-Infinity,NaN],"s":"NaN, \\\"Infinity",`,
				1), ""},
		{"index of an older model", indexFile, `{"weight_map":{"gone":"model-00001-of-00002.safetensors"}}`, ""},
		{"padding that is no token", "tokenizer_config.json", `{"pad_token":"<nope>"}`, `pad_token "<nope>"`},
		{"EOS that is no token", "tokenizer_config.json", `{"eos_token":"<nope>"}`, `eos_token "<nope>"`},
		{"one EOS outside the vocabulary", "generation_config.json", `{"eos_token_id":[2,512]}`,
			"eos_token_id [2 512]"},
		{"keys of generation that are not kept", "generation_config.json",
			`{"temperature":0.5,"no_repeat_ngram_size":3,"num_beams":4,"stop_strings":["x"],"max_new_tokens":9,
			"pad_token_id":0,"use_cache":true,"watermarking_config":{"x":1},"length_penalty":1.0,"penalty_alpha":null,
			"early_stopping":false,"bad_words_ids":[]}`,
			"not kept: max_new_tokens, no_repeat_ngram_size, num_beams, stop_strings, watermarking_config"},
		{"infinite length", "tokenizer_config.json", `{"model_max_length":Infinity}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := makeFolder(t, config, stored)
			writeFile(t, dir, c.file, []byte(c.text))
			f := openFolder(t, dir)
			found := slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, c.note) })
			if c.note != "" && !found || c.note == "" && len(f.Notes) > 0 {
				t.Errorf("notes %q, want one with %q", f.Notes, c.note)
			}
		})
	}
}

// TestNonFinite refuses what Python writes and JSON has not where a number matters.
func TestNonFinite(t *testing.T) {
	config, stored := goodLlama(t)
	dir := makeFolder(t, config, stored)
	writeFile(t, dir, "generation_config.json", []byte(`{"temperature":Infinity}`))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "temperature") {
		t.Errorf("error %v, want one about the temperature", err)
	}
}

// TestAttrKeys writes the rules of special tokens, and further ids that end a generation, to keys and reads them back.
func TestAttrKeys(t *testing.T) {
	config, stored := goodLlama(t)
	dir := makeFolder(t, config, stored)
	data, err := readFile(dir, "tokenizer.json", tokenizer.MaxTokenizerJSON)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), `"rstrip": false`, `"rstrip": true`)
	text = strings.Replace(text, `"single_word": false`, `"single_word": true`, 1)
	if text == string(data) {
		t.Fatal("the tokenizer has no added tokens to change")
	}
	writeFile(t, dir, "tokenizer.json", []byte(text))
	writeFile(t, dir, "generation_config.json", []byte(`{"eos_token_id":[2,7,9]}`))
	f := openFolder(t, dir)
	v, err := tokenizer.FromGGUF(f.Meta)
	if err != nil {
		t.Fatal(err)
	}
	if want := f.Vocab.ExtraEOG; len(want) != 3 || v.EOS < 0 {
		t.Errorf("the folder has %v", want)
	} else {
		for _, id := range want {
			if id != v.EOS && !slices.Contains(v.ExtraEOG, id) {
				t.Errorf("id %d ends a generation, the keys have %v", id, v.ExtraEOG)
			}
		}
	}
	if len(v.Attrs) == 0 {
		t.Error("no attributes came back")
	}
	for id, want := range f.Vocab.Attrs {
		if got := v.Attrs[id]; got != want {
			t.Errorf("token %d: %+v, want %+v", id, got, want)
		}
	}
}
