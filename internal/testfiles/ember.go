package testfiles

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// EmberPrompt is a prompt with the answer that Ember's reference, in PyTorch, takes for the most likely.
type EmberPrompt struct {
	Prompt, Reply string  // with special tokens
	IDs, Greedy   []int32 // their tokens
}

// EmberPrompts returns all prompts with a known answer. There is one at least.
func EmberPrompts(t testing.TB) []EmberPrompt {
	t.Helper()
	var ps []EmberPrompt
	err := json.Unmarshal(read(t, filepath.Join(Root(t), "testdata", "ember", "prompts.json")), &ps)
	if err != nil || len(ps) == 0 {
		t.Fatalf("testfiles: %d prompts of Ember: %v", len(ps), err)
	}
	return ps
}
