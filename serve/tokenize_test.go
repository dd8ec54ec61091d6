package serve

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/fake"
)

// wantBodies calls endpoints and compares status and body. What an error says is found in it.
func wantBodies(t *testing.T, s *site, cases []struct {
	path, body string
	status     int
	want       string
}) {
	t.Helper()
	for _, c := range cases {
		status, _, body := s.call(t, http.MethodPost, c.path, c.body)
		ok := body == c.want+"\n"
		if c.status != http.StatusOK {
			ok = strings.Contains(body, c.want)
		}
		if status != c.status || !ok {
			t.Errorf("%s %s: %d %s, want %d %s", c.path, c.body, status, body, c.status, c.want)
		}
	}
}

func TestTokenize(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	wantBodies(t, s, []struct {
		path, body string
		status     int
		want       string
	}{
		{"/tokenize", `{"content":"ab"}`, 200, `{"tokens":[97,98]}`},
		{"/tokenize", `{"content":""}`, 200, `{"tokens":[]}`},
		{"/tokenize", `{"content":"a","add_special":true}`, 200, `{"tokens":[257,97]}`},
		{"/tokenize", `{"content":"<eog>a"}`, 200, `{"tokens":[256,97]}`},
		{"/tokenize", `{"content":"<e","parse_special":false}`, 200, `{"tokens":[60,101]}`},
		{"/tokenize", `{"content":["a",98,99,"d"],"add_special":true}`, 200, `{"tokens":[257,97,98,99,100]}`},
		{"/tokenize", `{"content":"aö","with_pieces":true}`, 200,
			`{"tokens":[{"id":97,"piece":"a"},{"id":195,"piece":[195]},{"id":182,"piece":[182]}]}`},
		{"/tokenize", `{}`, 400, "content: is required"},
		{"/tokenize", `{"content":[300]}`, 400, "ids 0 to 257"},
		{"/tokenize", `{"content":[-1]}`, 400, "content[0]"},
		{"/tokenize", `{"content":7}`, 400, "a string, or an array"},
		{"/tokenize", `{"content":"a","with_peaces":true}`, 400, "unknown field; with_pieces is known"},
		{"/detokenize", `{"tokens":[97,195,182,256]}`, 200, `{"content":"aö<eog>"}`},
		{"/detokenize", `{"tokens":[195]}`, 200, "{\"content\":\"\uFFFD\"}"},
		{"/detokenize", `{"tokens":[]}`, 200, `{"content":""}`},
		{"/detokenize", `{"tokens":[258]}`, 400, "tokens: token 258"},
		{"/detokenize", `{"tokens":["a"]}`, 400, "tokens[0]"},
		{"/detokenize", `{}`, 400, "tokens: is required"},
		{"/v1/chat/completions/input_tokens", hi + `}`, 200, `{"input_tokens":19}`},
		{"/apply-template", hi + `}`, 200, `{"prompt":"<bos>user:hi\nassistant:"}`},
		{"/apply-template", hi + `,"add_generation_prompt":false}`, 200, `{"prompt":"<bos>user:hi\n"}`},
		{"/apply-template", hi + `,"add_generation_prompt":0}`, 400, "add_generation_prompt"},
		{"/apply-template", `{"messages":[{"role":"user","content":"refuse"}]}`, 400, "roles must alternate"},
	})
}

func TestProps(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.Version = "v7"; c.Models[0].Defaults.Temperature = new(float32) })
	status, _, body := s.call(t, http.MethodGet, "/props", "")
	var p struct {
		Defaults struct {
			NCtx   int `json:"n_ctx"`
			Params map[string]any
		} `json:"default_generation_settings"`
		Slots         int      `json:"total_slots"`
		Path          string   `json:"model_path"`
		Template      string   `json:"chat_template"`
		BOS           string   `json:"bos_token"`
		Build         string   `json:"build_info"`
		WithoutEffect []string `json:"fields_without_effect"`
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if p.Defaults.NCtx != 4096 || p.Slots != 4 || p.Path != "fake.gguf" || p.Template != "a template" ||
		p.BOS != "<bos>" || p.Build != "build-v7" {
		t.Errorf("%+v", p)
	}
	if temperature, seed := p.Defaults.Params["temperature"], p.Defaults.Params["seed"]; temperature != 0. ||
		seed != -1. {
		t.Errorf("temperature %v and seed %v by default", temperature, seed)
	}
	// What is listed is accepted, whatever it holds.
	for _, field := range p.WithoutEffect {
		if status, _, body := s.call(t, http.MethodPost, "/v1/chat/completions",
			hi+`,"max_tokens":1,"`+field+`":{"a":[1]}}`); status != 200 {
			t.Errorf("%s: %d %s", field, status, body)
		}
	}
	if status, _, body := s.call(t, http.MethodGet, "/props?model=other", ""); status != 404 ||
		!strings.Contains(body, "model_not_found") {
		t.Errorf("props of another model: %d %s", status, body)
	}
}

func TestAliases(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"},
		func(c *Config) {
			c.Aliases = map[string]string{"twin": "fake", "none": "other"}
			c.Tags = map[string][]string{"fake": {"small", "quick"}}
		})
	_, _, body := s.call(t, http.MethodGet, "/models", "")
	if !strings.Contains(body, `"id":"fake"`) || !strings.Contains(body, `"aliases":["fake","twin"],"tags":["small","quick"]`) {
		t.Errorf("models: %s", body)
	}
	for model, want := range map[string]int{"fake": 200, "twin": 200, "none": 404, "some": 404} {
		status, _, body := s.call(t, http.MethodPost, "/chat/completions", strings.Replace(hi, "fake", model, 1)+`}`)
		if status != want || want == 200 && !strings.Contains(body, `"model":"fake"`) {
			t.Errorf("model %s: %d %s, want %d", model, status, body, want)
		}
	}
	if status, _, body := s.call(t, http.MethodGet, "/v1/models/twin", ""); status != 200 ||
		!strings.Contains(body, `"id":"fake"`) {
		t.Errorf("model by its alias: %d %s", status, body)
	}
}

func TestAnyName(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.AnyName = true })
	status, _, body := s.call(t, http.MethodPost, "/v1/completions", `{"model":"gpt-9","prompt":"a"}`)
	if status != 200 || !strings.Contains(body, `"model":"fake"`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestUnversioned: what lies below /v1 is there without it too.
func TestUnversioned(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/chat/completions", hi + `}`}, {"POST", "/completions", `{"prompt":"a"}`}, {"GET", "/models", ""},
		{"GET", "/models/fake", ""},
	} {
		if status, _, body := s.call(t, c.method, c.path, c.body); status != 200 {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}

// TestProbesAnswerAnyHost: what watches a server may call it by any name, others may not.
func TestProbesAnswerAnyHost(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.AllowedHosts = []string{"proxy.example"} })
	for _, c := range []struct {
		path, host string
		status     int
	}{
		{"/health", "any.example", 200}, {"/livez", "any.example", 200}, {"/v1/models", "any.example", 403},
		{"/v1/models", "proxy.example", 200}, {"/v1/models", "proxy.example:8080", 200},
	} {
		if status, _, body := s.call(t, "GET", c.path, "", "Host", c.host); status != c.status {
			t.Errorf("%s of %s: %d %s, want %d", c.path, c.host, status, body, c.status)
		}
	}
}
