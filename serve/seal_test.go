package serve

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

// thinker is a site whose model thinks, and what its template saw last.
func thinker(t *testing.T, change func(*Config)) (s *site, messages func() string) {
	t.Helper()
	var mu sync.Mutex
	var seen string
	s = open(t, &fake.Runner{Reply: "<think>\nseven\n</think>\n\nb"}, func(c *Config) {
		withFormat(t, "hermes")(c)
		template := c.Models[0].Prompt
		c.Models[0].Prompt = func(m, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
			mu.Lock()
			seen = string(m)
			mu.Unlock()
			return template(m, tools, kwargs)
		}
		if change != nil {
			change(c)
		}
	})
	return s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
}

// sealed asks for thoughts and returns them as they come sealed, in a response that is not stored.
func sealed(t *testing.T, s *site, members string, headers ...string) string {
	t.Helper()
	_, _, body := s.call(t, "POST", "/v1/responses", `{"input":"hi","temperature":0,"store":false,`+
		`"include":["reasoning.encrypted_content"]`+members+`}`, headers...)
	if i := strings.Index(body, "event: response.completed\ndata: "); i >= 0 {
		body = body[i+len("event: response.completed\ndata: "):]
		body = strings.TrimSuffix(strings.TrimPrefix(body, `{"type":"response.completed"`), "\n")
		body = body[strings.Index(body, `"output"`):]
		body = "{" + body[:strings.Index(body, `,"error"`)] + "}"
	}
	var r struct {
		Output []struct {
			Type      string
			Encrypted *string `json:"encrypted_content"`
		}
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil || len(r.Output) != 2 || r.Output[0].Type != "reasoning" ||
		r.Output[0].Encrypted == nil || !strings.HasPrefix(*r.Output[0].Encrypted, sealPrefix) ||
		strings.Contains(*r.Output[0].Encrypted, "seven") {
		t.Fatalf("%v in %s", err, body)
	}
	return *r.Output[0].Encrypted
}

// replay sends thoughts back between a question and its answer.
func replay(thoughts string) string {
	return `{"input":[{"role":"user","content":"hi"},{"type":"web_search_call"},{"type":"reasoning","summary":[],` +
		`"encrypted_content":"` + thoughts + `"},{"role":"assistant","content":"b"},{"role":"user","content":"go on"}]}`
}

// TestSealedThoughts sends thoughts back as they came, without their text, to servers that can open them.
func TestSealedThoughts(t *testing.T) {
	withKey := func(c *Config) { c.SealKey = "0123456789abcdef" }
	first, _ := thinker(t, withKey)
	second, seen := thinker(t, withKey)
	for _, members := range []string{"", `,"stream":true`, `,"reasoning":{"summary":"auto"}`} {
		thoughts := sealed(t, first, members)
		if again := sealed(t, first, members); again == thoughts {
			t.Errorf("%s: the same text is sealed alike twice: %s", members, again)
		}
		status, _, body := second.call(t, "POST", "/v1/responses", replay(thoughts))
		if status != 200 || !strings.Contains(seen(), `"content":"b","reasoning_content":"seven"`) {
			t.Errorf("%s: status %d, the template saw %s; %s", members, status, seen(), body)
		}
	}
	if _, _, body := first.call(t, "POST", "/v1/responses", `{"input":"hi","temperature":0}`); !strings.Contains(body,
		`"encrypted_content":null`) {
		t.Errorf("nobody asked: %s", body)
	}
	// What an item says goes behind what is sealed in it, which is what the model said.
	thoughts := sealed(t, first, "")
	body := strings.Replace(replay(thoughts), `"summary":[]`,
		`"summary":[],"content":[{"type":"reasoning_text","text":"eight"}]`, 1)
	if status, _, _ := second.call(t, "POST", "/v1/responses", body); status != 200 ||
		!strings.Contains(seen(), `"reasoning_content":"seven"`) {
		t.Errorf("status %d, the template saw %s", status, seen())
	}
}

// TestForeignThoughts refuses what this server has not sealed, or not for this key, or what was changed since.
func TestForeignThoughts(t *testing.T) {
	s, _ := thinker(t, func(c *Config) { c.APIKeys = []string{"one", "two"} })
	other, _ := thinker(t, nil)
	one := []string{"Authorization", "Bearer one"}
	mine := sealed(t, s, "", one...)
	changed := []byte(mine)
	changed[len(changed)-5] ^= 1
	for name, c := range map[string]struct {
		thoughts, says string
		key            string
		status         int
	}{
		"mine":            {mine, `"object":"response"`, "one", 200},
		"of another key":  {mine, "cannot be opened", "two", 400},
		"changed":         {string(changed), "cannot be opened", "one", 400},
		"cut":             {mine[:20], "cannot be opened", "one", 400},
		"empty":           {sealPrefix, "cannot be opened", "one", 400},
		"no base64":       {sealPrefix + "?", "cannot be opened", "one", 400},
		"another secret":  {sealed(t, other, ""), "cannot be opened", "one", 400},
		"another program": {"gAAAAABo", "is not of this server", "one", 400},
		"nothing":         {"", "is not of this server", "one", 400},
	} {
		for _, path := range []string{"/v1/responses", "/v1/responses/input_tokens"} {
			status, _, body := s.call(t, "POST", path, replay(c.thoughts), "Authorization", "Bearer "+c.key)
			if status == 200 && c.status == 200 {
				continue
			}
			if status != c.status || !strings.Contains(body, c.says) || !strings.Contains(body,
				`"param":"input[2].encrypted_content","code":"invalid_encrypted_content"`) {
				t.Errorf("%s, %s: status %d, %s", path, name, status, body)
			}
		}
	}
}
