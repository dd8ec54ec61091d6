// Command pack writes what ships of the whole set of fixtures to testdata. It is run at the root of the repository
// with the folder of the whole set as its argument.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/hipengine/hipengine/internal/safetensors"
	"github.com/hipengine/hipengine/internal/testfiles"
)

// The tiny models that are small enough, and what stands under the Apache License of what others published.
var (
	models = []string{"fixtures/gemma2", "fixtures/gemma3", "fixtures/gemma4", "fixtures/gptoss", "fixtures/llama",
		"fixtures/mistral", "fixtures/phi3", "fixtures/qwen2", "fixtures/qwen35", "fixtures/qwen3next",
		"fixtures2/apertus", "fixtures2/cohere2", "fixtures2/deepseek_v3", "fixtures2/exaone4", "fixtures2/glm4_moe",
		"fixtures2/hunyuan_dense", "fixtures2/lfm2", "fixtures2/mamba2", "fixtures2/minimax_m2", "fixtures2/nemotron_h",
		"fixtures2/qwen3_vl", "fixtures2/smollm3", "fixtures2/starcoder2"}
	tokenizers = []string{"gptoss", "qwen3"}
	templates  = []string{
		"Apertus-8B-Instruct", "ByteDance-Seed-OSS", "HuggingFaceTB-SmolLM3-3B", "Mistral-Small-3.2-24B-Instruct-2506",
		"Qwen-Qwen2.5-7B-Instruct", "Qwen-Qwen3-0.6B", "Qwen3-Coder", "Qwen3.5-4B",
		"ibm-granite-granite-3.3-2B-Instruct",
		"mistralai-Ministral-3-14B-Reasoning-2512", "mistralai-Mistral-Nemo-Instruct-2407", "openai-gpt-oss-120b",
		"unsloth-mistral-Devstral-Small-2507",
	}
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(from string) error {
	for _, name := range models {
		files := map[string][]byte{}
		entries, err := os.ReadDir(filepath.Join(from, name))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if files[e.Name()], err = os.ReadFile(filepath.Join(from, name, e.Name())); err != nil {
				return err
			}
		}
		if err := write(name, files); err != nil {
			return err
		}
	}
	for _, name := range tokenizers {
		files, err := cutTokenizer(filepath.Join(from, "tokenizers"), name)
		if err != nil {
			return err
		}
		if err := write("tokenizers/"+name, files); err != nil {
			return err
		}
	}
	if err := packTemplates(filepath.Join(from, "chat-templates")); err != nil {
		return err
	}
	if err := emberReference(filepath.Join(from, "builtin-model")); err != nil {
		return err
	}
	return emberDrafts(filepath.Join(from, "builtin-model"))
}

func write(name string, files map[string][]byte) error {
	b, err := testfiles.Pack(files)
	if err != nil {
		return err
	}
	path := filepath.Join("testdata", name+".zip")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// packTemplates packs templates and their rows of expected.json.
func packTemplates(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		return err
	}
	var doc, expected map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	if err := json.Unmarshal(doc["expected"], &expected); err != nil {
		return err
	}
	files := map[string][]byte{}
	for name := range expected {
		if !slices.Contains(templates, name) {
			delete(expected, name)
			continue
		}
		if files[name+".jinja"], err = os.ReadFile(filepath.Join(dir, name+".jinja")); err != nil {
			return err
		}
	}
	if len(expected) != len(templates) {
		return fmt.Errorf("%d templates of %d have rows", len(expected), len(templates))
	}
	if doc["expected"], err = json.Marshal(expected); err != nil {
		return err
	}
	if files["expected.json"], err = json.Marshal(doc); err != nil {
		return err
	}
	return write("chat-templates", files)
}

// emberReference stores PyTorch's logits of the first prompt of Ember.
func emberReference(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "reference.safetensors"))
	if err != nil {
		return err
	}
	tensors, err := safetensors.Decode(b)
	if err != nil {
		return err
	}
	return os.WriteFile("testdata/ember/pytorch.logits_0.f32", tensors["logits_0"].Data, 0o644)
}

// cutTokenizer returns a tokenizer of byte-level BPE with the tokens and merges that can occur in the texts of its
// rows. A merge acts only where its result is part of the text, so that the ids of these texts stay the same.
func cutTokenizer(dir, name string) (map[string][]byte, error) {
	raw, err := exec.Command("xz", "-dc", filepath.Join(dir, name+".json.xz")).Output()
	if err != nil {
		return nil, err
	}
	expected, err := os.ReadFile(filepath.Join(dir, name+".expected.json"))
	if err != nil {
		return nil, err
	}
	var rows []struct{ Text string }
	if err := json.Unmarshal(expected, &rows); err != nil {
		return nil, err
	}
	var texts strings.Builder
	for _, r := range rows {
		for _, s := range []string{r.Text, norm.NFC.String(r.Text)} {
			for i := range len(s) {
				texts.WriteRune(byteRune(s[i]))
			}
			texts.WriteByte(' ') // is no byte of the alphabet
		}
	}
	all := texts.String()
	kept := func(token string) bool { return len([]rune(token)) == 1 || strings.Contains(all, token) }

	var doc, model map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(doc["model"], &model); err != nil {
		return nil, err
	}
	var vocab map[string]int
	var merges []json.RawMessage
	if err := json.Unmarshal(model["vocab"], &vocab); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(model["merges"], &merges); err != nil {
		return nil, err
	}
	// A table with gaps may be four times as large as its tokens are many, and 65536 more. Names outside the alphabet
	// fill up to that.
	fillers := max(0, len(vocab)-1<<16) / 4
	for token, id := range vocab {
		if kept(token) {
			continue
		}
		delete(vocab, token)
		if id < fillers {
			vocab[fmt.Sprintf("‡%d", id)] = id
		}
	}
	merges = slices.DeleteFunc(merges, func(m json.RawMessage) bool {
		var pair []string
		if json.Unmarshal(m, &pair) != nil {
			var s string
			if json.Unmarshal(m, &s) != nil {
				return false // FromHF will say what is wrong
			}
			pair = strings.SplitN(s, " ", 2)
		}
		return !kept(strings.Join(pair, ""))
	})
	for key, v := range map[string]any{"vocab": vocab, "merges": merges} {
		if model[key], err = plainJSON(v); err != nil {
			return nil, err
		}
	}
	if doc["model"], err = plainJSON(model); err != nil {
		return nil, err
	}
	cut, err := plainJSON(doc)
	return map[string][]byte{name + ".json": cut, name + ".expected.json": expected}, err
}

// plainJSON is json.Marshal with <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// byteRune returns the character that stands for a byte in the vocabularies of GPT-2 and its kin.
func byteRune(b byte) rune {
	visible := func(b int) bool { return b > ' ' && b <= '~' || b >= 0xa1 && b != 0xad }
	if visible(int(b)) {
		return rune(b)
	}
	n := 0
	for i := range int(b) {
		if !visible(i) {
			n++
		}
	}
	return rune(256 + n)
}
