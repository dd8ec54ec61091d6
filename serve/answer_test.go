package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/grammar"
	"github.com/hipengine/hipengine/text/toolcall"
)

const oneTool = `"tools":[{"type":"function","function":{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}}}]`

// TestNoForms refuses what a model without a vocabulary or a form for calls cannot do, and takes what it can.
func TestNoForms(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "<tool_call>"}, nil)
	hello := `{"messages":[{"role":"user","content":"x"}],`
	for members, param := range map[string]string{
		`"response_format":{"type":"json_object"}`:      "response_format",
		`"grammar":"root ::= \"a\""`:                    "grammar",
		oneTool + `,"tool_choice":"required"`:           "tool_choice",
		oneTool + `,"structured_outputs":{"regex":"a"}`: "structured_outputs.regex",
	} {
		status, _, body := s.call(t, "POST", "/v1/chat/completions", hello+members+"}")
		var e struct{ Error struct{ Param, Code string } }
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != 400 || e.Error.Param != param ||
			e.Error.Code != "unsupported" {
			t.Errorf("%s: %d %s", members, status, body)
		}
	}
	// What looks like a call is text.
	status, _, body := s.call(t, "POST", "/v1/chat/completions", hello+oneTool+"}")
	if status != 200 || !strings.Contains(body, `"content":"<tool_call>"`) || strings.Contains(body, "tool_calls") {
		t.Errorf("%d %s", status, body)
	}
}

// fakeVocabulary are the tokens of fake models.
func fakeVocabulary() (*grammar.Vocabulary, error) {
	tokens := make([]grammar.Token, fake.Vocab)
	for i := range 256 {
		tokens[i].Bytes = []byte{byte(i)}
	}
	return grammar.NewVocabulary(tokens, grammar.VocabularyOptions{EOG: []int32{fake.EOG}})
}

// TestCallsOfChoices gives each choice its calls, with ids of their own, and holds them to the tool.
func TestCallsOfChoices(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) {
		format, err := toolcall.ByName("hermes")
		if err != nil {
			t.Fatal(err)
		}
		c.Models[0].Vocabulary, c.Models[0].Format = fakeVocabulary, format
	})
	body := `{"messages":[{"role":"user","content":"x"}],"n":3,"temperature":1,"tool_choice":"required","parallel_tool_calls":false,` + oneTool + "}"
	status, _, text := s.call(t, "POST", "/v1/chat/completions", body)
	var a struct {
		Choices []struct {
			Message struct {
				Content   *string
				ToolCalls []struct {
					ID       string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
			FinishReason string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil || status != 200 || len(a.Choices) != 3 {
		t.Fatalf("%d %s: %v", status, text, err)
	}
	ids := map[string]bool{}
	for _, c := range a.Choices {
		if len(c.Message.ToolCalls) != 1 || c.FinishReason != "tool_calls" || c.Message.Content != nil {
			t.Fatalf("%s", text)
		}
		call := c.Message.ToolCalls[0]
		ids[call.ID] = true
		var args struct{ A *int64 }
		if err := json.Unmarshal([]byte(call.Function.Arguments), &args); err != nil || args.A == nil ||
			call.Function.Name != "add" {
			t.Errorf("%+v: %v", call, err)
		}
	}
	if len(ids) != 3 {
		t.Errorf("%d ids of 3 calls", len(ids))
	}
}
