package hf

import (
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/strictjson"
)

// TestNearest compares folders of each family under a class that nobody knows: nothing may differ from one of the
// families.
func TestNearest(t *testing.T) {
	for _, c := range familyCases() {
		root, err := strictjson.Parse([]byte(c.config), limits)
		if err != nil {
			t.Fatal(err)
		}
		class := newConfig("config.json", root).strs("architectures")[0]
		stored := map[string]stTensor{}
		for name, shape := range c.stored {
			stored[name] = sampleTensor(t, name, shape...)
		}
		l, err := Nearest(makeFolder(t, strings.Replace(c.config, class, "UnheardOfForCausalLM", 1), stored))
		if err != nil {
			t.Fatal(err)
		}
		if l == nil || len(l.Keys)+len(l.Missing)+len(l.Shapes)+len(l.Extra) > 0 || l.Known != l.Kinds ||
			len(l.Ops) == 0 && c.name != "qwen3next" { // whose case has no experts, which the architecture needs
			t.Errorf("%s: %+v", c.name, l)
		}
	}
}

// TestNearestDiffers changes a Llama here and there.
func TestNearestDiffers(t *testing.T) {
	config, stored := goodLlama(t)
	config = strings.Replace(config, "LlamaForCausalLM", "UnheardOfForCausalLM", 1)
	delete(stored, layer0+"post_attention_layernorm.weight")
	stored[layer0+"mixer.A_log"] = sampleTensor(t, "a", 8)
	stored[layer0+"mixer.time_decay"] = sampleTensor(t, "b", 3, 5)
	l, err := Nearest(makeFolder(t, config, stored))
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	if !slices.Contains(append(l.Also, l.Arch), "llama") || !slices.Contains(l.Ops, "ssm_scan") ||
		!slices.Equal(l.Extra, []string{"model.layers.*.mixer.A_log [8]: for ssm_scan",
			"model.layers.*.mixer.time_decay [3 5]: for no op of this program"}) ||
		!slices.Equal(l.Missing, []string{"model.layers.*.post_attention_layernorm.weight"}) {
		t.Errorf("%+v", l)
	}
	if _, err := Nearest(t.TempDir()); err == nil {
		t.Error("an empty folder is like a model")
	}
}
