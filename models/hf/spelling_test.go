package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// fixture is a model folder in memory, to be written differently.
type fixture struct {
	dir    string
	config map[string]any
	stored map[string]stTensor
}

func readFixture(t *testing.T, name string) fixture {
	t.Helper()
	x := fixture{dir: testfiles.Model(t, name), stored: map[string]stTensor{}}
	b, err := os.ReadFile(filepath.Join(x.dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &x.config); err != nil {
		t.Fatal(err)
	}
	ts, err := openTensors(x.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ts.close()
	for name, s := range ts.byName {
		data := make([]byte, s.size)
		if err := s.read(data, 0); err != nil {
			t.Fatal(err)
		}
		x.stored[name] = stTensor{s.dtype, s.shape, data}
	}
	return x
}

// write makes a folder of the weights in n files.
func (x fixture) write(t *testing.T, config map[string]any, n int) *Folder {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json",
		"chat_template.jinja"} {
		b, err := os.ReadFile(filepath.Join(x.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, name, b)
	}
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "config.json", b)
	if n == 1 {
		writeFile(t, dir, singleFile, encodeSafetensors(t, x.stored))
		return openFolder(t, dir)
	}
	weights, files := map[string]string{}, make([]map[string]stTensor, n)
	for i, name := range sortedKeys(x.stored) {
		if files[i%n] == nil {
			files[i%n] = map[string]stTensor{}
		}
		files[i%n][name] = x.stored[name]
		weights[name] = fmt.Sprintf("model-%05d-of-%05d.safetensors", i%n+1, n)
	}
	for i, f := range files {
		writeFile(t, dir, fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n), encodeSafetensors(t, f))
	}
	if b, err = json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1},
		"weight_map": weights}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, indexFile, b)
	return openFolder(t, dir)
}

// sameModel compares keys but for the name, which is the folder's, and all tensors.
func sameModel(t *testing.T, want, got *Folder) {
	t.Helper()
	for _, key := range want.Meta.Keys() {
		w, _ := want.Meta.Value(key)
		if g, _ := got.Meta.Value(key); key != "general.name" && !reflect.DeepEqual(w, g) {
			t.Errorf("key %s is %v, want %v", key, g, w)
		}
	}
	if a, b := want.Meta.Keys(), got.Meta.Keys(); !slices.Equal(a, b) {
		t.Errorf("keys %q, want %q", b, a)
	}
	if a, b := len(want.Tensors()), len(got.Tensors()); a != b {
		t.Errorf("%d tensors, want %d", b, a)
	}
	for _, info := range want.Tensors() {
		g, ok := got.Tensor(info.Name)
		if !ok || g.DType != info.DType || !g.Shape.Equal(info.Shape) {
			t.Errorf("%s: %v %v (%t), want %v %v", info.Name, g.DType, g.Shape, ok, info.DType, info.Shape)
			continue
		}
		a, b := make([]byte, info.Size), make([]byte, info.Size)
		if err := want.ReadTensor(info, a, 0); err != nil {
			t.Fatal(err)
		}
		if err := got.ReadTensor(g, b, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: contents differ", info.Name)
		}
	}
}

// TestOlderSpelling writes the configurations of the fixtures, which are those of transformers 5, as versions before
// wrote them: torch_dtype, rope_theta, rope_scaling with type or rope_type, and Gemma 3's second base. Gemma 4 never
// had another spelling of rope_parameters.
func TestOlderSpelling(t *testing.T) {
	for i, name := range []string{"gemma2", "gemma3", "gemma4", "gptoss", "llama", "mistral", "phi3", "qwen2", "qwen3",
		"qwen35", "qwen35moe", "qwen3moe", "qwen3next"} {
		for j, kind := range []string{"type", "rope_type"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				if testing.Short() && (i+j)%2 > 0 {
					t.Skip("SKIPPED: -short takes either spelling by turns; make long takes both")
				}
				x := readFixture(t, name)
				want := x.write(t, x.config, 1)
				c := x.config
				c["torch_dtype"] = c["dtype"]
				delete(c, "dtype")
				rope, ok := c["rope_parameters"].(map[string]any)
				if !ok {
					t.Fatal("the fixture has no rope_parameters")
				}
				if _, ok := rope["partial_rotary_factor"]; ok {
					c["partial_rotary_factor"] = rope["partial_rotary_factor"]
				}
				switch full, _ := rope["full_attention"].(map[string]any); {
				case name == "gemma4":
				case full != nil:
					c["rope_theta"], c["rope_local_base_freq"] = full["rope_theta"],
						rope["sliding_attention"].(map[string]any)["rope_theta"]
					delete(c, "rope_parameters")
				default:
					c["rope_theta"] = rope["rope_theta"]
					delete(c, "rope_parameters")
					scaling := map[string]any{}
					for k, v := range rope {
						if k != "rope_theta" && k != "partial_rotary_factor" && k != "rope_type" {
							scaling[k] = v
						}
					}
					if c["rope_scaling"] = nil; len(scaling) > 0 {
						scaling[kind] = rope["rope_type"]
						c["rope_scaling"] = scaling
					}
				}
				sameModel(t, want, x.write(t, c, 1))
			})
		}
	}
}

// TestNested writes fixtures as checkpoints of models that also see: the configuration of the language model under
// text_config, its tensors under another prefix, and a vision tower, which a note names. Weights are in three files.
func TestNested(t *testing.T) {
	for _, c := range []struct{ name, class, prefix, tower string }{
		{"qwen35", "Qwen3_5ForConditionalGeneration", "model.language_model.", "model.visual."},
		{"qwen35moe", "Qwen3_5MoeForConditionalGeneration", "model.language_model.", "model.visual."},
		{"gemma3", "Gemma3ForConditionalGeneration", "model.language_model.", "model.vision_tower."},
		{"gemma3", "Gemma3ForConditionalGeneration", "language_model.model.", "vision_tower."},
		{"gemma4", "Gemma4ForConditionalGeneration", "model.language_model.", "model.vision_tower."},
		{"gemma4moe", "Gemma4ForConditionalGeneration", "model.language_model.", "model.vision_tower."},
	} {
		t.Run(c.name+"/"+c.prefix, func(t *testing.T) {
			x := readFixture(t, c.name)
			want := x.write(t, x.config, 1)
			text := map[string]any{}
			for k, v := range x.config {
				if k != "architectures" {
					text[k] = v
				}
			}
			config := map[string]any{"architectures": []string{c.class}, "model_type": "x", "dtype": text["dtype"],
				"text_config": text,
				"vision_config": map[string]any{"hidden_size": 7, "num_hidden_layers": 99,
					"rope_parameters": map[string]any{"rope_theta": 5}}, "image_token_id": 3}
			if _, ok := text["tie_word_embeddings"]; ok {
				config["tie_word_embeddings"] = text["tie_word_embeddings"]
			}
			for _, name := range sortedKeys(x.stored) {
				if rest, ok := strings.CutPrefix(name, "model."); ok {
					x.stored[c.prefix+rest] = x.stored[name]
					delete(x.stored, name)
				}
			}
			for i := range 3 {
				x.stored[fmt.Sprintf("%sblocks.%d.attn.qkv.weight", c.tower, i)] = sampleTensor(t, "tower", 4, 4)
			}
			got := x.write(t, config, 3)
			sameModel(t, want, got)
			note := fmt.Sprintf("skipped 3 tensors %s*", c.tower)
			if len(got.Notes) != len(want.Notes)+1 ||
				!slices.ContainsFunc(got.Notes, func(s string) bool { return strings.Contains(s, note) }) {
				t.Errorf("notes %q, want %q and one with %q", got.Notes, want.Notes, note)
			}
		})
	}
}
