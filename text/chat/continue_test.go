package chat

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// TestContinueFinal continues the last message in every published template: the prompt ends with its text as the
// client wrote it, and is how the whole conversation begins.
func TestContinueFinal(t *testing.T) {
	const text = "The <answer> \"is\" \\ 4 "
	raw, err := json.Marshal([]map[string]string{{"role": "user", "content": "2+2?"},
		{"role": "assistant", "content": text}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(testfiles.Folder(t, "chat-templates"), "*.jinja"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d templates: %v", len(files), err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := Parse(string(src))
		if err != nil {
			t.Fatal(err)
		}
		in := Input{Messages: raw, BOS: "<s>", EOS: "</s>", Now: time.Unix(1e9, 0)}
		whole, err := render(tmpl, in)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		in.ContinueFinal = true
		got, err := render(tmpl, in)
		if err != nil || !strings.HasSuffix(got, text) || !strings.HasPrefix(whole, strings.TrimRight(got, " ")) {
			t.Errorf("%s: %v\ngot   %q\nwhole %q", filepath.Base(file), err, got, whole)
		}
	}
}

func TestContinueFinalErrors(t *testing.T) {
	for name, c := range map[string]struct{ src, messages string }{
		"nobody":         {ChatML, `[]`},
		"the user":       {ChatML, `[{"role":"user","content":"x"}]`},
		"no text":        {ChatML, `[{"role":"assistant","content":""}]`},
		"no content":     {ChatML, `[{"role":"assistant"}]`},
		"parts":          {ChatML, `[{"role":"assistant","content":[{"type":"text","text":"x"}]}]`},
		"not shown":      {`{{ messages | length }}`, `[{"role":"assistant","content":"x"}]`},
		"shown as else":  {`{{ messages[0].content[:1] }}`, `[{"role":"assistant","content":"x"}]`},
		"shown in lower": {`{{ messages[0].content | lower }}`, `[{"role":"assistant","content":"x"}]`},
	} {
		tmpl, err := Parse(c.src)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := render(tmpl, Input{Messages: json.RawMessage(c.messages), ContinueFinal: true}); !errors.Is(err,
			ErrContinue) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	tmpl, err := Parse(`{{ messages[0].content }}{{ messages[0].content }}<end>`)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Messages: json.RawMessage(`[{"role":"assistant","content":"x"}]`), ContinueFinal: true}
	if got, err := render(tmpl, in); err != nil || got != "xx" {
		t.Errorf("said twice: %q, %v", got, err)
	}
	in.AddGenerationPrompt = true
	if _, err := render(tmpl, in); !errors.Is(err, ErrContinue) {
		t.Errorf("continued and begun: %v", err)
	}
}
