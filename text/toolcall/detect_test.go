package toolcall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// TestDetect tells the formats of published templates.
func TestDetect(t *testing.T) {
	want := map[string]string{
		"GLM-4.6": "glm", "GLM-5.2": "glm", "Mistral-Small-3.2-24B-Instruct-2506": "mistral",
		"NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes",
		"Qwen-Qwen2.5-7B-Instruct":                    "hermes", "Qwen-Qwen3-0.6B": "hermes",
		"Qwen3-Coder": "qwen-xml",
		"Qwen3.5-4B":  "qwen-xml",
		"deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-fenced", "deepseek-ai-DeepSeek-V3.2": "deepseek-dsml",
		"deepseek-ai-DeepSeek-V4": "deepseek-dsml",
		"google-gemma-4-31B-it":   "gemma4", "google-gemma-2-2b-it": "plain",
		"ibm-granite-granite-3.3-2B-Instruct": "granite",
		"meta-llama-Llama-3.1-8B-Instruct":    "llama3", "meta-llama-Llama-3.3-70B-Instruct": "llama3",
		"mistralai-Ministral-3-14B-Reasoning-2512": "mistral",
		"mistralai-Mistral-Nemo-Instruct-2407":     "mistral-list", "openai-gpt-oss-120b": "harmony",
		"unsloth-mistral-Devstral-Small-2507": "mistral",
		"HuggingFaceTB-SmolLM3-3B":            "plain",
	}
	files, err := filepath.Glob(filepath.Join(testfiles.Folder(t, "chat-templates"), "*.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, file := range files {
		format, ok := want[strings.TrimSuffix(filepath.Base(file), ".jinja")]
		if !ok {
			continue
		}
		known++
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := Detect(string(src)).Name(); got != format {
			t.Errorf("%s: %s, want %s", file, got, format)
		}
	}
	if known < 10 {
		t.Errorf("only %d templates were there", known)
	}
}

func TestOpens(t *testing.T) {
	f := hermes()
	for tail, want := range map[string]bool{
		"<|im_start|>assistant\n<think>\n": true, "<|im_start|>assistant\n": false, "<think>\n\n</think>\n\n": false,
		"": false,
	} {
		if f.Opens(tail) != want {
			t.Errorf("%q: %v", tail, !want)
		}
	}
	for _, f := range []*Format{mistral(), hermes()} {
		if id := f.NewID(strings.Repeat("A", 26)); f.name == "mistral" && len(id) != 9 || f.name == "hermes" &&
			id != "call_"+strings.Repeat("A", 26) {
			t.Errorf("%s: id %q", f.name, id)
		}
	}
}
