package hipengine

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/text/chat"
)

func emberText(t *testing.T) *Tokenizer {
	t.Helper()
	text, err := OpenText(Ember, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	tok, err := text.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestRender: the text of a conversation is what its ids spell, and whether it ends with the answer's start is the
// caller's choice. What a template cannot take is the conversation's fault.
func TestRender(t *testing.T) {
	tok := emberText(t)
	p, err := newPrompter(tok.tok, "")
	if err != nil || p.source != chat.ChatML {
		t.Fatalf("template %q, %v", p.source, err)
	}
	hi := json.RawMessage(`[{"role":"user","content":"Hi"}]`)
	ids, err := p.prompt(hi, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for generate, want := range map[bool]string{
		true: "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", false: "<|im_start|>user\nHi<|im_end|>\n",
	} {
		text, err := p.render(hi, nil, map[string]json.RawMessage{"add_generation_prompt": json.RawMessage(strconv.FormatBool(generate))})
		if err != nil || text.String() != want {
			t.Errorf("%q, %v, want %q", text.String(), err, want)
		}
		if generate && tok.Decode(ids, true) != want {
			t.Errorf("ids spell %q, want %q", tok.Decode(ids, true), want)
		}
	}
	for template, want := range map[string]string{
		`{{ raise_exception("no") }}`: "no", `{{ messages[0].content.x.y }}`: "it fails on this conversation",
	} {
		if p, err = newPrompter(tok.tok, template); err != nil {
			t.Fatal(err)
		}
		_, err := p.prompt(hi, nil, nil)
		var refused *ConversationError
		if !errors.As(err, &refused) || !strings.Contains(refused.Refused(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
}

func TestEncodeText(t *testing.T) {
	tok := emberText(t)
	plain, err := tok.EncodeText("<|im_end|>", false, false)
	if err != nil {
		t.Fatal(err)
	}
	marker, err := tok.EncodeText("<|im_end|>", false, true)
	if err != nil || len(marker) != 1 || len(plain) < 2 || string(tok.Piece(marker[0], true)) != "<|im_end|>" {
		t.Errorf("plain %v, as a marker %v, %v", plain, marker, err)
	}
	var text []byte
	for _, id := range plain {
		text = append(text, tok.Piece(id, true)...)
	}
	if string(text) != "<|im_end|>" {
		t.Errorf("pieces %q", text)
	}
	special, err := tok.EncodeText("a", true, false)
	prompt, err2 := tok.EncodePrompt("a")
	if err != nil || err2 != nil || !slices.Equal(special, prompt) {
		t.Errorf("%v, %v and %v, %v", special, err, prompt, err2)
	}
	if tok.EOSText() == "" {
		t.Error("no text of EOS")
	}
}
