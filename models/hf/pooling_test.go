package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/models"
)

// qwen3Folder writes a model folder of a class of Qwen 3, whose tensors lie below prefix.
func qwen3Folder(t *testing.T, class, prefix, more string, extra map[string]stTensor) string {
	ts := map[string]stTensor{}
	for name, shape := range map[string][]int{
		"embed_tokens": {512, 16}, "norm": {16},
		"layers.0.input_layernorm": {16}, "layers.0.post_attention_layernorm": {16},
		"layers.0.self_attn.q_norm": {4}, "layers.0.self_attn.k_norm": {4},
		"layers.0.self_attn.q_proj": {16, 16}, "layers.0.self_attn.k_proj": {8, 16},
		"layers.0.self_attn.v_proj": {8, 16}, "layers.0.self_attn.o_proj": {16, 16},
		"layers.0.mlp.gate_proj": {24, 16}, "layers.0.mlp.up_proj": {24, 16}, "layers.0.mlp.down_proj": {16, 24},
	} {
		ts[prefix+name+".weight"] = sampleTensor(t, name, shape...)
	}
	for name, x := range extra {
		ts[name] = x
	}
	return makeFolder(t, `{"architectures":["`+class+`"],`+sizes+
		`,"head_dim":4,"intermediate_size":24,"rope_theta":10000.0,`+
		`"tie_word_embeddings":true`+more+`}`, ts)
}

// TestPooling reads what a folder says about embeddings and ranking.
func TestPooling(t *testing.T) {
	modules := `[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},
		{"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
		{"idx":2,"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`
	card := "---\nlicense: mit\npipeline_tag: text-ranking\n---\n# A model\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  models.PoolingType
		err   string
	}{
		{"nothing", nil, models.PoolingUnspecified, ""},
		{"last", map[string]string{"modules.json": modules,
			"1_Pooling/config.json": `{"pooling_mode_cls_token":false,"pooling_mode_lasttoken":true,"include_prompt":true}`}, models.PoolingLast, ""},
		{"mean", map[string]string{"modules.json": modules,
			"1_Pooling/config.json": `{"pooling_mode_mean_tokens":true}`}, models.PoolingMean, ""},
		{"newer", map[string]string{"modules.json": modules, "1_Pooling/config.json": `{"pooling_mode":"cls"}`},
			models.PoolingCLS, ""},
		{"max", map[string]string{"modules.json": modules,
			"1_Pooling/config.json": `{"pooling_mode_max_tokens":true}`}, 0,
			`pooling "pooling_mode_max_tokens" is not read`},
		{"two", map[string]string{"modules.json": modules,
			"1_Pooling/config.json": `{"pooling_mode_max_tokens":true,"pooling_mode_lasttoken":true}`}, 0,
			"is not read (one of"},
		{"none", map[string]string{"modules.json": modules, "1_Pooling/config.json": `{}`}, 0,
			`pooling "" is not read`},
		{"not a boolean", map[string]string{"modules.json": modules,
			"1_Pooling/config.json": `{"pooling_mode_lasttoken":1}`}, 0, "not true or false"},
		{"missing", map[string]string{"modules.json": modules}, 0, "1_Pooling/config.json is missing"},
		{"dense", map[string]string{"modules.json": `[{"path":"2_Dense","type":"sentence_transformers.models.Dense"}]`}, 0, `module "2_Dense" stands in front of a pooling`},
		{"dense behind", map[string]string{"1_Pooling/config.json": `{"pooling_mode":"cls"}`, "modules.json": `[{"path":"1_Pooling","type":"a.Pooling"},
			{"path":"2_Dense","type":"a.Dense"}]`}, 0, `module "2_Dense" is not read in architecture "qwen3"`},
		{"outside", map[string]string{"modules.json": `[{"path":"../x","type":"a.Pooling"}]`}, 0,
			"leads out of the folder"},
		{"no list", map[string]string{"modules.json": `{}`}, 0, "modules.json"},
		{"no JSON", map[string]string{"modules.json": `[`}, 0, "modules.json: not valid JSON"},
		{"card", map[string]string{"README.md": card}, models.PoolingRank, ""},
		{"card of another", map[string]string{"README.md": "---\npipeline_tag: text-generation\n---\npipeline_tag: text-ranking\n"}, models.PoolingUnspecified, ""},
		{"card without metadata", map[string]string{"README.md": "pipeline_tag: text-ranking\n"},
			models.PoolingUnspecified, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := qwen3Folder(t, "Qwen3Model", "", "", nil)
			for name, text := range c.files {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
					t.Fatal(err)
				}
				writeFile(t, dir, name, []byte(text))
			}
			f, err := Open(dir)
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			defer f.Close()
			got, err := models.Pooling(f.Meta)
			if err != nil || c.err != "" || got != c.want {
				t.Errorf("pooling %v, %v; want %v, error %q", got, err, c.want, c.err)
			}
		})
	}
}

// TestScores reads the head of a model that scores.
func TestScores(t *testing.T) {
	score := func(shape ...int) map[string]stTensor {
		return map[string]stTensor{"score.weight": sampleTensor(t, "score", shape...)}
	}
	dir := qwen3Folder(t, "Qwen3ForSequenceClassification", "model.", `,"id2label":{"0":"no","1":"yes"}`, score(2, 16))
	f := openFolder(t, dir)
	if p, err := models.Pooling(f.Meta); err != nil || p != models.PoolingRank {
		t.Errorf("pooling %v, %v", p, err)
	}
	labels, err := f.Meta.Strings("qwen3.classifier.output_labels")
	if err != nil || len(labels) != 2 || labels[1] != "yes" {
		t.Errorf("labels %q, %v", labels, err)
	}
	rows, err := models.ReadRows(f, models.RankHead, 1, 1)
	if err != nil || len(rows) != 1 || rows[0][3] != sampleAt("score", 19) {
		t.Errorf("rows %v, %v", rows, err)
	}
	for _, c := range [][2]int{{-1, 1}, {2, 1}, {0, 3}} {
		if _, err := models.ReadRows(f, models.RankHead, c[0], c[1]); err == nil {
			t.Errorf("%d rows from %d on could be read", c[1], c[0])
		}
	}
	if _, err := models.ReadRows(f, "nothing", 0, 1); err == nil {
		t.Error("a tensor that is missing could be read")
	}
	dir = qwen3Folder(t, "Qwen3ForSequenceClassification", "model.", "", score(2, 8))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "want [labels, hidden_size 16]") {
		t.Errorf("error %v", err)
	}
}
