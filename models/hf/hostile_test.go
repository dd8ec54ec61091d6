package hf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/gguf"
	"github.com/hipengine/hipengine/internal/strictjson"
)

// withHeader is a safetensors file with the given header and n bytes of data.
func withHeader(header string, n int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, n)...)
}

// TestBrokenSafetensors checks that files that are broken, or made to break readers, give errors that say what is
// wrong.
func TestBrokenSafetensors(t *testing.T) {
	entry := func(rest string) string { return `{"a":{` + rest + `}}` }
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "has 0 bytes"},
		{"seven bytes", make([]byte, 7), "has 7 bytes"},
		{"length of 2^64-1", bytes.Repeat([]byte{0xFF}, 16), "the limit is 100000000"},
		{"length over the limit", binary.LittleEndian.AppendUint64(nil, 100_000_001), "the limit is 100000000"},
		{"length beyond the file", append(binary.LittleEndian.AppendUint64(nil, 100), '{', '}'),
			"header of 100 bytes in a file of 10"},
		{"no header", withHeader("", 4), "unexpected EOF"},
		{"no JSON", withHeader("hello", 0), "invalid character"},
		{"a list", withHeader("[]", 0), "not a JSON object"},
		{"cut off", withHeader(`{"a":{"dtype"`, 0), "unexpected EOF"},
		{"more after the header", withHeader(`{} {}`, 0), "text after the JSON value"},
		{"same name twice", withHeader(
			`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), `key "a" comes twice`},
		{"same field twice", withHeader(entry(`"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]`), 1),
			`key "dtype" comes twice`},
		{"nested too deep", withHeader(`{"a":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`}`, 0),
			"deeper than 64"},
		{"entry is a number", withHeader(`{"a":5}`, 0), "not an object"},
		{"no dtype", withHeader(entry(`"shape":[1],"data_offsets":[0,1]`), 1), "no dtype"},
		{"unknown dtype", withHeader(entry(`"dtype":"F7","shape":[1],"data_offsets":[0,1]`), 1), `unknown dtype "F7"`},
		{"dtype is a number", withHeader(entry(`"dtype":7,"shape":[1],"data_offsets":[0,1]`), 1), "no dtype"},
		{"no shape", withHeader(entry(`"dtype":"U8","data_offsets":[0,1]`), 1), "no shape"},
		{"nine dimensions", withHeader(entry(`"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]`), 1),
			"9 dimensions, the limit is 8"},
		{"negative dimension", withHeader(entry(`"dtype":"U8","shape":[-1],"data_offsets":[0,1]`), 1), "dimension -1"},
		{"fraction as dimension", withHeader(entry(`"dtype":"U8","shape":[1.5],"data_offsets":[0,1]`), 1),
			"dimension 1.5"},
		{"text as dimension", withHeader(entry(`"dtype":"U8","shape":["1"],"data_offsets":[0,1]`), 1),
			"dimension 1 is not"},
		{"huge dimension", withHeader(entry(`"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]`), 1),
			"dimension 99999999999999999999"},
		{"size overflows", withHeader(
			entry(`"dtype":"F64","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,1]`), 1), "overflows"},
		{"product wraps to the right size",
			withHeader(entry(`"dtype":"U8","shape":[65536,65536,65536,65536],"data_offsets":[0,0]`), 0), "overflows"},
		{"no offsets", withHeader(entry(`"dtype":"U8","shape":[1]`), 1), "data_offsets"},
		{"three offsets", withHeader(entry(`"dtype":"U8","shape":[1],"data_offsets":[0,1,2]`), 1), "not two numbers"},
		{"offsets reversed", withHeader(entry(`"dtype":"U8","shape":[1],"data_offsets":[1,0]`), 1),
			"data_offsets 1 to 0"},
		{"negative offset", withHeader(entry(`"dtype":"U8","shape":[1],"data_offsets":[-1,0]`), 1),
			"data_offsets -1 to 0"},
		{"offset beyond the data", withHeader(entry(`"dtype":"U8","shape":[2],"data_offsets":[0,2]`), 1),
			"in 1 bytes of data"},
		{"wrong size", withHeader(entry(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), 4),
			"4 bytes of data for F32 [2], which takes 8"},
		{"hole in front", withHeader(entry(`"dtype":"U8","shape":[1],"data_offsets":[1,2]`), 2),
			"the one before it ends at 0"},
		{"hole at the end", withHeader(entry(`"dtype":"U8","shape":[1],"data_offsets":[0,1]`), 3),
			"tensors end at byte 1 of the data, which has 3"},
		{"overlap", withHeader(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "the one before it ends at 2"},
		{"same bytes twice", withHeader(
			`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), "the one before it ends at 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseSafetensors(&shard{name: "x", r: bytes.NewReader(c.file)}, int64(len(c.file)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	for name, file := range map[string][]byte{
		"padded with spaces": withHeader(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}      `, 1),
		"empty tensor": withHeader(
			`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1),
		"no tensors": withHeader(`{"__metadata__":{"format":"pt"}}`, 0),
	} {
		if _, err := parseSafetensors(&shard{name: "x", r: bytes.NewReader(file)}, int64(len(file))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// goodLlama is a model that opens, to be broken.
func goodLlama(t testing.TB) (config string, stored map[string]stTensor) {
	c := familyCases()[0]
	stored = map[string]stTensor{}
	for name, shape := range c.stored {
		stored[name] = sampleTensor(t, name, shape...)
	}
	return c.config, stored
}

// TestBrokenFolders breaks a good folder in one place at a time.
func TestBrokenFolders(t *testing.T) {
	set := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			config, _ := goodLlama(t)
			if !strings.Contains(config, old) {
				t.Fatalf("config has no %s", old)
			}
			writeFile(t, dir, "config.json", []byte(strings.Replace(config, old, new, 1)))
		}
	}
	file := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { writeFile(t, dir, name, []byte(text)) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	weights := func(change func(t *testing.T, m map[string]stTensor)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			_, stored := goodLlama(t)
			change(t, stored)
			writeFile(t, dir, "model.safetensors", encodeSafetensors(t, stored))
		}
	}
	q := layer0 + "self_attn.q_proj.weight"
	index := func(text string) func(*testing.T, string) { // in place of the one file
		return func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, singleFile), filepath.Join(dir, "shard.safetensors")); err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, indexFile, []byte(text))
		}
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want string
	}{
		{"no config", remove("config.json"), "config.json is missing"},
		{"config is no JSON", file("config.json", "{"), "config.json: not valid JSON at byte 1: unexpected EOF"},
		{"config is a list", file("config.json", "[1]"), "not a JSON object"},
		{"key twice", set(`"hidden_size":16`, `"hidden_size":16,"hidden_size":32`), `key "hidden_size" comes twice`},
		{"nested too deep", set(`"hidden_size":16`, `"x":`+strings.Repeat(`{"a":`, 100)+"1"+strings.Repeat("}", 100)),
			"deeper than 64"},
		{"no architectures", set(`"architectures":["LlamaForCausalLM"],`, ``), "architectures is missing"},
		{"architectures is a text", set(`["LlamaForCausalLM"]`, `"LlamaForCausalLM"`), "architectures is not a list"},
		{"unknown class", set(`LlamaForCausalLM`, `WombatForCausalLM`),
			`model class "WombatForCausalLM" is not known (known: `},
		{"size missing", set(`"hidden_size":16,`, ``), "hidden_size or n_embd is missing"},
		{"size is a text", set(`"hidden_size":16`, `"hidden_size":"16"`), `hidden_size is "16", not a whole number`},
		{"size is negative", set(`"hidden_size":16`, `"hidden_size":-16`), "hidden_size is -16"},
		{"size is a fraction", set(`"hidden_size":16`, `"hidden_size":16.5`), "hidden_size is 16.5"},
		{"size is huge", set(`"hidden_size":16`, `"hidden_size":1e300`),
			"hidden_size is 1e300, not a whole number from 1 to 1048576"},
		{"size is infinite", set(`"hidden_size":16`, `"hidden_size":1e999`), "hidden_size is 1e999"},
		{"too many layers", set(`"num_hidden_layers":1`, `"num_hidden_layers":1000000`),
			"num_hidden_layers is 1000000, not a whole number from 1 to 1024"},
		{"more layers than tensors", set(`"num_hidden_layers":1`, `"num_hidden_layers":2`),
			`tensor "model.layers.1.input_layernorm.weight" is missing`},
		{"heads do not group", set(`"num_key_value_heads":2`, `"num_key_value_heads":3`), "not a multiple"},
		{"no heads", set(`"num_attention_heads":4`, `"num_attention_heads":0`), "num_attention_heads is 0"},
		{"heads do not divide rows", set(`"num_attention_heads":4`, `"num_attention_heads":4,"head_dim":5`),
			"not heads of 5"},
		{"unknown rope scaling", set(`"llama3"`, `"warp"`), `rope scaling "warp" is not known`},
		{"rope factor of zero", set(`"factor":8.0`, `"factor":0`), "factor is 0, not above 0"},
		{"rope base of zero", set(`500000.0`, `0.5`), "rope_theta 0.5"},
		{"rope frequencies reversed", set(`"high_freq_factor":4.0`, `"high_freq_factor":0.5`),
			"high_freq_factor 0.5 is not above"},
		{"experts in a dense model",
			set(`"hidden_size":16`, `"hidden_size":16,"num_local_experts":2,"num_experts_per_tok":2`), "is missing"},
		{"more experts used than there are",
			set(`"hidden_size":16`, `"hidden_size":16,"num_local_experts":2,"num_experts_per_tok":3`),
			"num_experts_per_tok is 3"},
		{"rope_scaling is a text",
			set(`"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":32}`, `"rope_scaling":"yes"`), "rope_scaling is not an object"},

		{"no weights", remove("model.safetensors"), "neither model.safetensors nor model.safetensors.index.json"},
		{"pickled weights", func(t *testing.T, dir string) {
			remove("model.safetensors")(t, dir)
			file("pytorch_model.bin", "x")(t, dir)
		}, "pytorch_model.bin: pickled weights are not read"},
		{"GGUF in the folder", func(t *testing.T, dir string) {
			remove("model.safetensors")(t, dir)
			file("m.gguf", "x")(t, dir)
		}, "m.gguf: give that file's path"},
		{"weights are a folder", func(t *testing.T, dir string) {
			remove("model.safetensors")(t, dir)
			if err := os.Mkdir(filepath.Join(dir, "model.safetensors"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "is not a regular file"},
		{"weights cut off", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 5000); err != nil {
				t.Fatal(err)
			}
		}, "bytes of data"},
		{"index outside the folder", index(`{"weight_map":{"a":"../model.safetensors"}}`),
			"not the name of a file in the folder"},
		{"index with absolute path", index(`{"weight_map":{"a":"/etc/passwd"}}`),
			"not the name of a file in the folder"},
		{"index with a number", index(`{"weight_map":{"a":5}}`), "not the name of a file in the folder"},
		{"index without map", index(`{}`), "no weight_map"},
		{"index without files", index(`{"weight_map":{}}`), "lists 0 files"},
		{"missing shard", index(`{"weight_map":{"a":"model-00001-of-00002.safetensors"}}`), "is missing"},
		{"only GGUF", func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "config.json"), filepath.Join(dir, "m.gguf")); err != nil {
				t.Fatal(err)
			}
		}, "there is m.gguf"},
		{"missing tensor", weights(func(_ *testing.T, m map[string]stTensor) { delete(m, q) }),
			`tensor "` + q + `" is missing`},
		{"no embedding", weights(func(_ *testing.T, m map[string]stTensor) { delete(m, "model.embed_tokens.weight") }),
			`no tensor "model.embed_tokens.weight"`},
		{"tensor without place", weights(func(t *testing.T,
			m map[string]stTensor) {
			m["model.layers.0.extra"] = sampleTensor(t, "x", 1)
		}), `tensor "model.layers.0.extra" has no place`},
		{"integer weights", weights(func(_ *testing.T,
			m map[string]stTensor) {
			m[q] = stTensor{"I8", []int{16, 16}, make([]byte, 256)}
		}), "is I8; weights are"},
		{"FP8 without scales", weights(func(_ *testing.T, m map[string]stTensor) {
			m[q] = stTensor{"F8_E4M3", []int{16, 16}, make([]byte, 256)}
		}), "neither"},
		{"scales of another shape", weights(func(t *testing.T, m map[string]stTensor) {
			m[q] = stTensor{"F8_E4M3", []int{16, 16}, make([]byte, 256)}
			m[q+"_scale"] = sampleTensor(t, "s", 7)
		}), "does not fit"},
		{"empty scales", weights(func(_ *testing.T, m map[string]stTensor) {
			m[q] = stTensor{"F8_E4M3", []int{16, 16}, make([]byte, 256)}
			m[q+"_scale_inv"] = stTensor{"F32", []int{0}, nil}
		}), "_scale_inv\" is empty"},
		{"blocks without their size", weights(func(t *testing.T, m map[string]stTensor) {
			m[q] = stTensor{"F8_E4M3", []int{16, 16}, make([]byte, 256)}
			m[q+"_scale_inv"] = sampleTensor(t, "s", 2, 2)
		}), "in blocks of 0 by 0"},
		{"FP8 vector", weights(func(t *testing.T, m map[string]stTensor) {
			m["model.norm.weight"] = stTensor{"F8_E4M3", []int{16}, make([]byte, 16)}
			m["model.norm.weight_scale"] = sampleTensor(t, "s", 1)
		}), "is no matrix"},
		{"empty tensor", weights(
			func(_ *testing.T, m map[string]stTensor) { m[q] = stTensor{"BF16", []int{0, 16}, nil} }), "is empty"},
		{"scalar weight", weights(func(t *testing.T, m map[string]stTensor) { m[q] = sampleTensor(t, "x") }),
			"not heads of 4"},
		{"embedding of another width", weights(func(t *testing.T, m map[string]stTensor) {
			m["model.embed_tokens.weight"] = sampleTensor(t, "x", vocab, 8)
		}), "want [vocabulary of at most"},
		{"output of another size",
			weights(func(t *testing.T, m map[string]stTensor) { m["lm_head.weight"] = sampleTensor(t, "x", 100, 16) }),
			"the embedding [512 16]"},

		{"no tokenizer", remove("tokenizer.json"), "tokenizer.json is missing"},
		{"tokenizer is no JSON", file("tokenizer.json", "{"), "tokenizer.json"},
		{"tokenizer of another kind", file("tokenizer.json", `{"model":{"type":"WordLevel","vocab":{"a":0}}}`),
			`"WordLevel" is not BPE`},
		{"token id out of range",
			file("tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":2000000000},"merges":[]}}`), "2000000000"},
		{"merge of nothing", file("tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}}`),
			"merge 0"},
		{"special token beyond the embedding",
			file("tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[{"id":600,"content":"<|im_end|>","special":true},{"id":601,"content":"<|endoftext|>","special":true}]}`), "no row in the embedding"},
		{"template is a number", file("tokenizer_config.json", `{"chat_template":5}`), "neither a text nor a list"},
		{"template without name", file("tokenizer_config.json", `{"chat_template":[{"template":"x"}]}`),
			"no name and template"},
		{"eos out of range", file("generation_config.json", `{"eos_token_id":[512,600]}`), "eos_token_id is 512"},
		{"temperature out of range", file("generation_config.json", `{"temperature":-1}`), "temperature"},
		{"top_k is a text", file("generation_config.json", `{"top_k":"all"}`), "top_k"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, stored := goodLlama(t)
			dir := makeFolder(t, config, stored)
			openFolder(t, dir) // it is good until it is broken
			c.do(t, dir)
			f, err := Open(dir)
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestMissingFolder checks the message for a path that is not there.
func TestMissingFolder(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "nowhere")); err == nil ||
		!strings.Contains(err.Error(), "no such file") {
		t.Errorf("error %v", err)
	}
}

func FuzzSafetensors(f *testing.F) {
	_, stored := goodLlama(f)
	f.Add(encodeSafetensors(f, map[string]stTensor{"x": stored["model.norm.weight"]}))
	f.Add(withHeader(`{"a":{"dtype":"F8_E4M3","shape":[2,3],"data_offsets":[0,6]},"b":{"dtype":"F32","shape":[],"data_offsets":[6,10]},"__metadata__":{}}`, 10))
	f.Add(withHeader(`{"a":{"dtype":"U8","shape":[0,99],"data_offsets":[0,0]}}  `, 0))
	f.Add(withHeader(`{"a":[[[[{"b":1e9}]]]]}`, 3))
	f.Fuzz(func(t *testing.T, file []byte) {
		ts, err := parseSafetensors(&shard{name: "x", r: bytes.NewReader(file)}, int64(len(file)))
		if err != nil {
			return
		}
		total := int64(0)
		for _, s := range ts {
			b := make([]byte, s.size)
			if err := s.read(b, 0); err != nil {
				t.Errorf("%q passed the checks, but: %v", s.name, err)
			}
			total += s.size
		}
		if total > int64(len(file)) {
			t.Errorf("%d bytes of tensors in a file of %d", total, len(file))
		}
	})
}

// FuzzConfig reads arbitrary configurations of models whose tensors are there, and reads all of those that fit.
func FuzzConfig(f *testing.F) {
	var models []map[string]*stored
	for i, c := range familyCases() {
		m := map[string]stTensor{}
		for name, shape := range c.stored {
			m[name] = sampleTensor(f, name, shape...)
		}
		file := encodeSafetensors(f, m)
		ts, err := parseSafetensors(&shard{name: c.name, r: bytes.NewReader(file)}, int64(len(file)))
		if err != nil {
			f.Fatal(err)
		}
		byName := map[string]*stored{}
		for _, s := range ts {
			byName[s.name] = s
		}
		models = append(models, byName)
		f.Add(uint8(i), []byte(c.config))
	}
	f.Add(uint8(0), fmt.Appendf(nil, gptOSSConfig,
		`,"quantization_config":{"quant_method":"fp8","weight_block_size":[3,5]}`))
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		root, err := strictjson.Parse(data, limits)
		if err != nil {
			return
		}
		fam, err := findFamily(root)
		if err != nil {
			return
		}
		b := &builder{family: fam, cfg: newConfig("config.json", root), stored: models[int(i)%len(models)],
			used: map[string]bool{}, meta: &gguf.Meta{}, entries: map[string]*entry{}}
		if b.model() != nil {
			return
		}
		for name, e := range b.entries {
			p := make([]byte, e.info.Size)
			if err := readBytes(e.data, p, 0); err != nil {
				t.Errorf("%s %v: %v", name, e.info.Shape, err)
			}
		}
	})
}
