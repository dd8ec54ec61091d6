package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/rawgguf"
	"github.com/hipengine/hipengine/internal/testfiles"
)

// verdict is what run does with a model.
type verdict int

const (
	answers verdict = iota
	silent          // loads it, and refuses a question
	refused
)

// TestInspectAgrees demands of inspect that it knows what run does: with files that are broken, with variants of a
// model, and with folders.
func TestInspectAgrees(t *testing.T) {
	t.Setenv("HIPENGINE_MODELS", t.TempDir())
	for i, c := range rawgguf.Broken() {
		t.Run("broken/"+c.Name, func(t *testing.T) {
			if testing.Short() && i%8 > 0 {
				t.Skip("SKIPPED: -short leaves seven of eight broken files to make long")
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, c.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			agree(t, path, 64, 0, refused)
		})
	}
	t.Run("small", func(t *testing.T) { // sound, and no model
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, rawgguf.Small(), 0o600); err != nil {
			t.Fatal(err)
		}
		agree(t, path, 64, 0, refused)
	})
	source, err := gguf.Open(testfiles.GGUF(t, "llama-Q4_K_M"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for i, c := range variants {
		t.Run("variant/"+c.name, func(t *testing.T) {
			if testing.Short() && i%4 > 0 {
				t.Skip("SKIPPED: -short leaves three of four variants to make long")
			}
			meta := source.Meta.Clone()
			for key, v := range c.set {
				meta.Delete(key)
				if v == nil {
					continue
				}
				if err := meta.Set(key, v); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			writeVariant(t, path, source, meta, c.drop)
			agree(t, path, cmp.Or(c.context, 64), c.memory, c.want)
		})
	}
	llama := testfiles.Model(t, "llama")
	for _, c := range folders {
		t.Run("folder/"+c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m")
			if err := os.CopyFS(path, os.DirFS(llama)); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(path, c.file)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, c.change(data), 0o600); err != nil {
				t.Fatal(err)
			}
			agree(t, path, 64, 0, c.want)
		})
	}
}

// agree compares what inspect and run say to a model on the CPU, with so much context and memory.
func agree(t *testing.T, path string, length int, memory int64, want verdict) {
	t.Helper()
	flags := modelFlags{deviceFlags: deviceFlags{Device: "cpu", memory: memory}, Context: length, KVType: "auto"}
	var out, log bytes.Buffer
	inspectErr := (&inspectCmd{modelFlags: flags, Model: path, JSON: true}).Run(t.Context(),
		stdio{strings.NewReader(""), &out, io.Discard})
	runErr := (&runCmd{modelFlags: flags, answerFlags: answerFlags{MaxTokens: 1}, Model: path,
		Prompt: []string{"Hi"}}).Run(t.Context(), stdio{strings.NewReader(""), io.Discard, &log})
	var in inspection
	if err := json.Unmarshal(out.Bytes(), &in); err != nil {
		t.Fatalf("inspect prints %q: %v", &out, err)
	}
	reason := ""
	if runErr != nil {
		reason = describe(runErr)
	}
	if (runErr == nil) != (want == answers) || in.Supported != (want != refused) {
		t.Errorf("run says %q; inspect says %v %q", reason, in.Supported, in.Problem)
	}
	switch want {
	case refused:
		if in.Problem != reason {
			t.Errorf("run says %q; inspect says %q", reason, in.Problem)
		}
		if inspectErr != nil && describe(inspectErr) != reason {
			t.Errorf("inspect ends with %v", inspectErr)
		}
		return
	case silent:
		if !slices.ContainsFunc(in.Notes, func(note string) bool { return strings.Contains(note, reason) }) {
			t.Errorf("run says %q; inspect notes %q", reason, in.Notes)
		}
	}
	const lead = "hipengine: m: "
	for _, note := range in.Notes {
		if !strings.Contains(log.String(), lead+note+"\n") {
			t.Errorf("inspect notes %q; run notes %q", note, &log)
		}
	}
	if n := strings.Count(log.String(), lead); n != len(in.Notes) {
		t.Errorf("inspect notes %q; run notes %q", in.Notes, &log)
	}
}

// variants are changes of a model's file.
var variants = []struct {
	name    string
	set     map[string]any // nil deletes
	drop    string         // a tensor
	context int            // 0 is 64 tokens
	memory  int64
	want    verdict
}{
	{name: "as it is"},
	{name: "padding", set: map[string]any{"tokenizer.ggml.padding_token_id": uint32(1 << 31)}},
	{name: "padding that is no number", set: map[string]any{"tokenizer.ggml.padding_token_id": "x"}},
	{name: "template that is no text", set: map[string]any{"tokenizer.chat_template": uint32(3)}},
	{name: "named template that is missing", set: map[string]any{"tokenizer.chat_templates": []string{"rag"}}},
	{name: "default among the named templates",
		set: map[string]any{"tokenizer.chat_template": nil, "tokenizer.chat_templates": []string{"default"},
			"tokenizer.chat_template.default": "{{ messages[0].content }}"}},
	{name: "sampling key of nobody", set: map[string]any{"general.sampling.nope": float32(1)}},
	{name: "steps", set: map[string]any{"hipengine.tokenizer.steps": `{"pre_tokenizer":{"type":"ByteLevel"}}`}},
	{name: "unknown steps", want: refused,
		set: map[string]any{"hipengine.tokenizer.steps": `{"normalizer":{"type":"nope"}}`}},
	{name: "BOS", set: map[string]any{"tokenizer.ggml.bos_token_id": uint32(1 << 31),
		"tokenizer.ggml.add_bos_token": true}, want: refused},
	{name: "BOS that begins nothing",
		set: map[string]any{"tokenizer.ggml.bos_token_id": uint32(1 << 31),
			"tokenizer.ggml.add_bos_token": false}},
	{name: "template", want: silent,
		set: map[string]any{"tokenizer.chat_template": "{{ bos_token }}{% trans %}x{% endtrans %}"}},
	{name: "no template", set: map[string]any{"tokenizer.chat_template": nil}},
	{name: "pre-tokenizer", set: map[string]any{"tokenizer.ggml.pre": "deepseek-llm"}},
	{name: "unknown pre-tokenizer", set: map[string]any{"tokenizer.ggml.pre": "nope"}, want: refused},
	{name: "tokenizer of no kind", set: map[string]any{"tokenizer.ggml.model": "rwkv"}, want: refused},
	{name: "no tokens", set: map[string]any{"tokenizer.ggml.tokens": nil}, want: refused},
	{name: "sampling", set: map[string]any{"general.sampling.temp": float32(2),
		"general.sampling.min_p": float32(1),
		"general.sampling.top_k": int32(-1)}},
	{name: "bad sampling", set: map[string]any{"general.sampling.temp": float32(-2)}, want: refused},
	{name: "sampling of another type", set: map[string]any{"general.sampling.top_p": "x"}, want: refused},
	{name: "architecture", set: map[string]any{"general.architecture": "nope"}, want: refused},
	{name: "heads", set: map[string]any{"llama.attention.head_count": uint32(7)}, want: refused},
	{name: "a tensor less", drop: "blk.0.ffn_down.weight", want: refused},
	{name: "file type that is no number", set: map[string]any{"general.file_type": "x"}},
	{name: "unknown samplers", want: refused, set: map[string]any{"general.sampling.sequence": "zzz"}},
	{name: "samplers that are no text", set: map[string]any{"general.sampling.sequence": uint32(1)}, want: refused},
	{name: "infinite temperature", set: map[string]any{
		"general.sampling.temp": float32(math.Inf(1))}, want: refused},
	{name: "pooling of another type", set: map[string]any{"llama.pooling_type": "x"}, want: refused},
	{name: "template that divides by zero", set: map[string]any{"tokenizer.chat_template": "{{ 1/0 }}"}, want: silent},
	{name: "template of blanks", set: map[string]any{"tokenizer.chat_template": "   "}, want: silent},
	{name: "template that counts", want: silent, set: map[string]any{
		"tokenizer.chat_template": "{% for i in range(100000000) %}x{% endfor %}"}},
	{name: "template without end", want: silent, set: map[string]any{
		"tokenizer.chat_template": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"}},
	{name: "template that raises", want: silent, set: map[string]any{
		"tokenizer.chat_template": "{{ raise_exception('a system message comes first') }}"}},
	{name: "template that is no UTF-8", set: map[string]any{"tokenizer.chat_template": "\xff\xfe"}, want: silent},
	{name: "templates by name alone", want: silent, set: map[string]any{"tokenizer.chat_template": nil,
		"tokenizer.chat_templates": []string{"tool_use"}, "tokenizer.chat_template.tool_use": "{{ tools }}"}},
	{name: "named template that is bad", set: map[string]any{"tokenizer.chat_templates": []string{"rag"},
		"tokenizer.chat_template.rag": "{% bad %}"}},
	{name: "template in a list", set: map[string]any{"tokenizer.chat_template": []string{"a"}}, want: silent},
	{name: "templates in a list", set: map[string]any{"tokenizer.chat_template": []string{"a", "b"}}},
	{name: "tool_use", set: map[string]any{"tokenizer.chat_templates": []string{"tool_use"},
		"tokenizer.chat_template.tool_use": "{{ tools | length }}{% for m in messages %}{{ m.content }}{% endfor %}"}},
	{name: "template that reads no tools", set: map[string]any{
		"tokenizer.chat_template": "{% for m in messages %}{{ m.role + m.content }}{% endfor %}"}},
	{name: "penalty", set: map[string]any{"general.sampling.penalty_repeat": float32(1.3)}},
	{name: "too little memory", memory: 1 << 12, want: refused}, // even with the weights left in the file,
	{name: "a context that does not fit", context: 4096, memory: 2 << 20, want: refused},
	{name: "a context that the model was not made for", context: 1 << 20, want: refused},
}

// folders are changes of a file in a model's folder.
var folders = []struct {
	name, file string
	change     func([]byte) []byte
	want       verdict
}{
	{"as it is", "config.json", func(b []byte) []byte { return b }, answers},
	{"infinity", "config.json", patched(map[string]any{"time_step_limit": []any{0.0, "INF"}}), answers},
	{"sampling", "generation_config.json",
		patched(map[string]any{"min_p": 0.05, "repetition_penalty": 1.1, "top_k": -1}), answers},
	{"bad sampling", "generation_config.json", patched(map[string]any{"temperature": -1}), refused},
	{"sampling of nobody", "generation_config.json", patched(map[string]any{"no_repeat_ngram_size": 3}), answers},
	{"template", "chat_template.jinja", func([]byte) []byte { return []byte("{{ 1/0 }}") }, silent},
	{"strip flags", "tokenizer.json", func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(`"rstrip": false`), []byte(`"rstrip": true`))
	}, answers},
	{"a weight beyond F16", "model.safetensors", overflow, answers},
	{"half of the weights", "model.safetensors", func(b []byte) []byte { return b[:len(b)/2] }, refused},
}

// patched sets fields of a JSON object. The text INF becomes a number that JSON has not.
func patched(fields map[string]any) func([]byte) []byte {
	return func(b []byte) []byte {
		var object map[string]any
		if err := json.Unmarshal(b, &object); err != nil {
			panic(err)
		}
		maps.Copy(object, fields)
		b, err := json.Marshal(object)
		if err != nil {
			panic(err)
		}
		return bytes.ReplaceAll(b, []byte(`"INF"`), []byte("Infinity"))
	}
}

// overflow sets a weight in BF16 to 131072, which F16 does not hold.
func overflow(b []byte) []byte {
	n := binary.LittleEndian.Uint64(b)
	var header map[string]struct {
		Offsets []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(b[8:8+n], &header); err != nil {
		panic(err)
	}
	binary.LittleEndian.PutUint16(b[8+int(n)+header["model.layers.0.mlp.down_proj.weight"].Offsets[0]:], 0x4800)
	return b
}

// writeVariant writes a model with other metadata, and without a tensor.
func writeVariant(t *testing.T, path string, source *gguf.File, meta *gguf.Meta, without string) {
	t.Helper()
	var tensors []gguf.TensorInfo
	for _, info := range source.Tensors {
		if info.Name != without {
			tensors = append(tensors, gguf.TensorInfo{Name: info.Name, DType: info.DType, Shape: info.Shape})
		}
	}
	w, err := gguf.Create(path, meta, tensors, gguf.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, info := range source.Tensors {
		if info.Name == without {
			continue
		}
		data := make([]byte, info.Size)
		if err := source.ReadTensor(info, data, 0); err != nil {
			t.Fatal(err)
		}
		if err := w.CopyTensor(info.Name, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
