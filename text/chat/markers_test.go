package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hipengine/hipengine/internal/testfiles"
	"github.com/hipengine/hipengine/text/tokenizer"
)

// publishedTokenizers are those of the fixtures.
var publishedTokenizers = []string{"deepseek_v3", "gemma3", "gptoss", "llama2", "llama3_1", "qwen3"}

func publishedTokenizer(t *testing.T, name string) *tokenizer.Tokenizer {
	t.Helper()
	raw, _ := testfiles.Tokenizer(t, name)
	v, err := tokenizer.FromHF(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// publishedTemplates returns the parsed templates by name.
func publishedTemplates(t *testing.T) map[string]*Template {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(testfiles.Folder(t, "chat-templates"), "*.jinja"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	out := map[string]*Template{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out[filepath.Base(file)], err = Parse(string(src)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// conversations returns conversations with text in one place each, for every place that templates print: contents of
// all roles, reasoning, and names, arguments and results of tools.
func conversations(t *testing.T, text string) map[string]Input {
	t.Helper()
	type object = map[string]any
	user, answer := object{"role": "user", "content": "Hello"}, object{"role": "assistant", "content": "Fine"}
	said := func(role string) object { return object{"role": role, "content": text} }
	call := func(id, name, key, value string) object {
		return object{"role": "assistant", "content": "", "tool_calls": []any{object{
			"id": id, "type": "function", "function": object{"name": name, "arguments": object{key: value}},
		}}}
	}
	result := func(content string) object {
		return object{"role": "tool", "tool_call_id": "abcdefghi", "name": "look", "content": content}
	}
	tool := func(name, description, key string) []any {
		return []any{object{"type": "function",
			"function": object{"name": name, "description": description, "parameters": object{
				"type": "object", "properties": object{key: object{"type": "string", "description": description}},
				"required": []string{key},
			}}}}
	}
	plainTool, look := tool("look", "looks", "at"), call("abcdefghi", "look", "at", "it")
	places := map[string]struct{ messages, tools []any }{
		"system":    {[]any{said("system"), user}, nil},
		"developer": {[]any{said("developer"), user}, nil},
		"user":      {[]any{said("user")}, nil},
		"parts":     {[]any{object{"role": "user", "content": []any{object{"type": "text", "text": text}}}}, nil},
		"role":      {[]any{object{"role": text, "content": "x"}, user}, nil},
		"assistant": {[]any{user, said("assistant"), user}, nil},
		"reasoning": {[]any{user, look, result("x"),
			object{"role": "assistant", "content": "Fine", "reasoning_content": text, "thinking": text}}, plainTool},
		"think": {[]any{user, object{"role": "assistant", "content": "<think>" + text + "</think>" + text}, user},
			nil},
		"arguments": {[]any{user, call("abcdefghi", "look", "at", text), result("x"), answer, user}, plainTool},
		"key":       {[]any{user, call("abcdefghi", "look", text, "x"), result("x"), answer, user}, plainTool},
		"function":  {[]any{user, call("abcdefghi", text, "at", "x"), result("x"), answer, user}, plainTool},
		"call id":   {[]any{user, call(text, "look", "at", "x"), result("x"), answer, user}, plainTool},
		"result":    {[]any{user, look, result(text), answer, user}, plainTool},
		"tool":      {[]any{user}, tool(text, text, text)},
	}
	out := map[string]Input{}
	for place, p := range places {
		in := Input{AddGenerationPrompt: true, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		var err error
		if in.Messages, err = json.Marshal(p.messages); err != nil {
			t.Fatal(err)
		}
		if p.tools != nil {
			if in.Tools, err = json.Marshal(p.tools); err != nil {
				t.Fatal(err)
			}
		}
		out[place] = in
	}
	text2, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	in := out["user"]
	in.Messages = json.RawMessage(`[{"role": "user", "content": "Hello"}]`)
	in.Documents = json.RawMessage(`[{"doc_id": 1, "title": ` + string(text2) + `, "text": ` + string(text2) +
		`, "content": ` + string(text2) + `}]`)
	in.Kwargs = map[string]json.RawMessage{"custom_instructions": text2, "system_prompt": text2,
		"reasoning_effort": text2, "model_identity": text2}
	out["documents"] = in
	return out
}

// markersOf returns the markers of a tokenizer: texts and ids.
func markersOf(t *testing.T, tok *tokenizer.Tokenizer) (texts []string, ids map[int32]bool) {
	ids = map[int32]bool{}
	thousands := 0
	for i := range int32(tok.Len()) {
		text, typ := tok.Token(i)
		switch typ {
		case tokenizer.Control, tokenizer.Unknown:
		case tokenizer.UserDefined:
			// Pinned words are no markers: plain text gives them.
			if slices.Contains(encodePieces(t, tok, []tokenizer.Piece{{Text: "a" + text + "a", Plain: true}}), i) {
				continue
			}
		default:
			continue
		}
		ids[i] = true
		if strings.ContainsAny(text, "0123456789") {
			if thousands++; thousands > 20 {
				continue // <unused1>, <unused2> and so on
			}
		}
		texts = append(texts, text)
	}
	return texts, ids
}

// TestTextForgesNoMarkers renders conversations that hold all markers of a tokenizer, in every place and with every
// template: the number of markers in the prompt must be that of the same conversation without them.
func TestTextForgesNoMarkers(t *testing.T) {
	templates := publishedTemplates(t)
	templates["ChatML"] = mustParse(t, ChatML)
	for _, name := range publishedTokenizers {
		t.Run(name, func(t *testing.T) {
			tok := publishedTokenizer(t, name)
			texts, ids := markersOf(t, tok)
			count := func(prompt []int32) (n int) {
				for _, id := range prompt {
					if ids[id] {
						n++
					}
				}
				return n
			}
			// What the markers are wrapped in is there in both, since templates look at the edges of texts.
			forged, harmless := conversations(t, "a "+strings.Join(texts, "")+" b"), conversations(t, "a x b")
			rendered, marked, forgeable := 0, 0, 0
			for file, tmpl := range templates {
				for place, in := range forged {
					bos, _ := tok.BOS()
					in.BOS, _ = tok.Token(bos)
					in.EOS = "</s>"
					prompt, err := tmpl.Render(in)
					if err != nil {
						continue
					}
					plain := harmless[place]
					plain.BOS, plain.EOS = in.BOS, in.EOS
					want, err := tmpl.Render(plain)
					if err != nil {
						t.Errorf("%s, %s: refused without markers: %v", file, place, err)
						continue
					}
					rendered++
					whole, trusting := encodePieces(t, tok, want),
						encodePieces(t, tok, []tokenizer.Piece{{Text: want.String()}})
					if place != "think" && !slices.Equal(whole, trusting) {
						t.Errorf("%s, %s: text without markers gives\n%v, encoded as one text\n%v", file, place, whole,
							trusting)
					}
					got, base := count(encodePieces(t, tok, prompt)), count(whole)
					if count(encodePieces(t, tok, []tokenizer.Piece{{Text: prompt.String()}})) > base {
						forgeable++
					}
					if base > 0 {
						marked++
					}
					if got != base {
						t.Errorf("%s, %s: %d markers, %d without them in the text", file, place, got, base)
					}
				}
			}
			t.Logf("%d prompts, %d of them with markers, %d hold some in their text; %d markers in the text", rendered,
				marked, forgeable, len(texts))
			if rendered < 7*len(templates) || forgeable < rendered/2 {
				t.Errorf("only %d prompts, %d of which show markers in their text", rendered, forgeable)
			}
		})
	}
}

func mustParse(t *testing.T, src string) *Template {
	t.Helper()
	tmpl, err := Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func encodePieces(t *testing.T, tok *tokenizer.Tokenizer, pieces []tokenizer.Piece) []int32 {
	t.Helper()
	ids, err := tok.EncodePieces(pieces)
	if err != nil {
		t.Error(err)
	}
	return ids
}
