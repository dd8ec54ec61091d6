package openai

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"max_tokens", "top_k", "top_p", "temperature", "n", "stop"}
	for name, want := range map[string]string{
		"max_token": "max_tokens", "maxTokens": "max_tokens", "Temperature": "temperature",
		"temprature": "temperature",
		"top-k":      "top_k", "topp": "top_p", "stops": "stop", "x": "", "n_discard": "", "tools": "", "N": "n",
		"": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestUnknownFields(t *testing.T) {
	parse := func(b []byte) error { _, err := ParseChat(b, Limits{}); return err }
	checkFieldErrors(t, `{"messages":[{"role":"user","content":"x"}],%s}`, parse,
		[]struct{ members, param, say string }{
			{`"max_token":1`, "max_token", "unknown field; max_tokens is known"},
			{`"a":null,"b":1`, "b", "unknown field"},
			{`"messages ":null,"tools":[{"type":"function","function":{"name":"f","strikt":true}}]`,
				"tools[0].function.strikt", "strict is known"},
		})
	if err := parse([]byte(`{"messages":[{"role":"user","content":"x","y":null}],"z":null}`)); err != nil {
		t.Errorf("unknown fields that are null: %v", err)
	}
}
