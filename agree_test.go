package hipengine_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/hipengine/hipengine"
	"github.com/hipengine/hipengine/gguf"
)

// TestCheckAgrees opens variants of a model, and demands that those load that File.Check finds nothing wrong with,
// and no others.
func TestCheckAgrees(t *testing.T) {
	source, err := gguf.Open("testdata/gguf/llama-Q4_K_M.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	h, err := hipengine.NewHost(hipengine.HostOptions{Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, c := range []struct {
		name   string
		set    map[string]any // nil deletes
		drop   string
		loads  bool
		refuse bool // conversations
	}{
		{name: "as it is", loads: true},
		{name: "padding", set: map[string]any{"tokenizer.ggml.padding_token_id": uint32(1 << 31)}, loads: true},
		{name: "padding that is no number", set: map[string]any{"tokenizer.ggml.padding_token_id": "x"}, loads: true},
		{name: "template that is no text", set: map[string]any{"tokenizer.chat_template": uint32(3)}, loads: true},
		{name: "named template that is missing", set: map[string]any{"tokenizer.chat_templates": []string{"rag"}},
			loads: true},
		{name: "default among the named templates",
			set: map[string]any{"tokenizer.chat_template": nil, "tokenizer.chat_templates": []string{"default"},
				"tokenizer.chat_template.default": "{{ messages[0].content }}"}, loads: true},
		{name: "sampling key of nobody", set: map[string]any{"general.sampling.nope": float32(1)}, loads: true},
		{name: "steps", set: map[string]any{"hipengine.tokenizer.steps": `{"pre_tokenizer":{"type":"ByteLevel"}}`},
			loads: true},
		{name: "unknown steps", set: map[string]any{"hipengine.tokenizer.steps": `{"normalizer":{"type":"nope"}}`}},
		{name: "BOS", set: map[string]any{"tokenizer.ggml.bos_token_id": uint32(1 << 31),
			"tokenizer.ggml.add_bos_token": true}},
		{name: "BOS that begins nothing",
			set: map[string]any{"tokenizer.ggml.bos_token_id": uint32(1 << 31),
				"tokenizer.ggml.add_bos_token": false},
			loads: true},
		{name: "template", set: map[string]any{"tokenizer.chat_template": "{% trans %}"}, loads: true, refuse: true},
		{name: "no template", set: map[string]any{"tokenizer.chat_template": nil}, loads: true},
		{name: "pre-tokenizer", set: map[string]any{"tokenizer.ggml.pre": "deepseek-llm"}, loads: true},
		{name: "unknown pre-tokenizer", set: map[string]any{"tokenizer.ggml.pre": "nope"}},
		{name: "tokenizer of encoders", set: map[string]any{"tokenizer.ggml.model": "bert"}},
		{name: "no tokens", set: map[string]any{"tokenizer.ggml.tokens": nil}},
		{name: "sampling", set: map[string]any{"general.sampling.temp": float32(2),
			"general.sampling.min_p": float32(1),
			"general.sampling.top_k": int32(-1)}, loads: true},
		{name: "bad sampling", set: map[string]any{"general.sampling.temp": float32(-2)}},
		{name: "sampling of another type", set: map[string]any{"general.sampling.top_p": "x"}},
		{name: "architecture", set: map[string]any{"general.architecture": "nope"}},
		{name: "heads", set: map[string]any{"llama.attention.head_count": uint32(7)}},
		{name: "a tensor less", drop: "blk.0.ffn_down.weight"},
	} {
		t.Run(c.name, func(t *testing.T) {
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
			f, err := hipengine.OpenFile(path, hipengine.Options{})
			if err == nil {
				err = f.Check()
				f.Close()
			}
			m, openErr := h.Open(t.Context(), path, hipengine.Options{Context: 64})
			if (err == nil) != c.loads || (openErr == nil) != c.loads {
				t.Errorf("the check says %v, loading %v", err, openErr)
			}
			if openErr != nil {
				return
			}
			defer m.Close()
			var answerErr error
			for _, err := range m.Chat(t.Context(), []hipengine.Message{{Role: "user", Content: "hi"}},
				hipengine.Params{MaxTokens: 1}) {
				answerErr = err
			}
			if (answerErr != nil) != c.refuse {
				t.Errorf("a conversation: %v", answerErr)
			}
		})
	}
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
