package chat

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/testfiles"
)

// conversation is one conversation of expected.json. Its remaining keys are template variables.
type conversation map[string]json.RawMessage

// input returns the conversation as an Input.
func (c conversation) input(t testing.TB) Input {
	t.Helper()
	in := Input{AddGenerationPrompt: true, Kwargs: map[string]json.RawMessage{}}
	for key, raw := range c {
		switch key {
		case "messages":
			in.Messages = raw
		case "tools":
			in.Tools = raw
		case "add_generation_prompt":
			if err := json.Unmarshal(raw, &in.AddGenerationPrompt); err != nil {
				t.Fatal(err)
			}
		default:
			in.Kwargs[key] = raw
		}
	}
	return in
}

// TestPublishedTemplates renders every published template and conversation, whose texts were made by
// Hugging Face's own renderer.
func TestPublishedTemplates(t *testing.T) {
	dir := testfiles.Folder(t, "chat-templates")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Conversations map[string]conversation
		BOS           string `json:"bos_token"`
		EOS           string `json:"eos_token"`
		Now           string
		Expected      map[string]map[string]struct {
			Output *string
			Error  *string
		}
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse("2006-01-02T15:04:05", all.Now)
	if err != nil {
		t.Fatal(err)
	}
	rows, passed := 0, 0
	for _, name := range slices.Sorted(maps.Keys(all.Expected)) {
		src, err := os.ReadFile(filepath.Join(dir, name+".jinja"))
		if err != nil {
			t.Fatal(err)
		}
		rows += len(all.Expected[name])
		tmpl, err := Parse(string(src))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, conv := range slices.Sorted(maps.Keys(all.Expected[name])) {
			want := all.Expected[name][conv]
			in := all.Conversations[conv].input(t)
			in.BOS, in.EOS, in.Now = all.BOS, all.EOS, now
			got, err := render(tmpl, in)
			switch {
			case want.Error != nil && err == nil:
				t.Errorf("%s, %s: no error, want %s", name, conv, *want.Error)
			case want.Error == nil && err != nil:
				t.Errorf("%s, %s: %v", name, conv, err)
			case want.Error == nil && got != *want.Output:
				t.Errorf("%s, %s:\ngot  %q\nwant %q", name, conv, got, *want.Output)
			default:
				passed++
			}
		}
	}
	if rows == 0 {
		t.Fatal("expected.json has no rows")
	}
	t.Logf("%d of %d rows", passed, rows)
}

// TestPublishedTemplatesLong renders a conversation of a million characters with each published template. Some refuse
// it, but none may run into a default limit.
func TestPublishedTemplatesLong(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testfiles.Folder(t, "chat-templates"), "*.jinja"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	in := Input{Messages: longConversation(400), AddGenerationPrompt: true}
	rendered := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := renderSource(string(src), in)
		var limit *LimitError
		if errors.As(err, &limit) {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		if len(got) > 500_000 {
			rendered++
		}
	}
	t.Logf("%d of %d templates took the conversation", rendered, len(files))
	if rendered < len(files)/2 {
		t.Errorf("only %d of %d templates took the conversation", rendered, len(files))
	}
}
