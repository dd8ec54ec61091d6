package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/text/toolcall"
)

// ollamaLine is a line of a stream, or a whole answer.
type ollamaLine struct {
	Model     string
	CreatedAt string `json:"created_at"`
	Message   struct {
		Role, Content, Thinking string
		ToolCalls               []struct {
			ID       string
			Function struct {
				Index     int
				Name      string
				Arguments map[string]any
			}
		} `json:"tool_calls"`
	}
	Response, Thinking string
	Logprobs           []struct {
		Token       string
		TopLogprobs []json.RawMessage `json:"top_logprobs"`
	}
	Done       bool
	DoneReason string `json:"done_reason"`

	TotalDuration      int64 `json:"total_duration"`
	LoadDuration       int64 `json:"load_duration"`
	PromptEvalCount    int   `json:"prompt_eval_count"`
	PromptEvalDuration int64 `json:"prompt_eval_duration"`
	EvalCount          int   `json:"eval_count"`
	EvalDuration       int64 `json:"eval_duration"`
	Error              string
}

// ollamaCall posts a body and returns the lines of the answer. It checks what all lines have in common.
func ollamaCall(t *testing.T, s *site, path, body string) (lines []ollamaLine) {
	t.Helper()
	status, h, text := s.call(t, "POST", path, body)
	if status != 200 {
		t.Fatalf("%s: %d %s", body, status, text)
	}
	want := "application/x-ndjson"
	if strings.Contains(body, `"stream":false`) {
		want = "application/json"
	}
	if got := h.Get("Content-Type"); got != want {
		t.Errorf("%s: content type %q", body, got)
	}
	for raw := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		var l ollamaLine
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			t.Fatalf("line %q: %v", raw, err)
		}
		if l.Model != "fake" || !strings.HasSuffix(l.CreatedAt, "Z") || strings.Contains(path, "chat") &&
			l.Message.Role != "assistant" {
			t.Errorf("line %s", raw)
		}
		lines = append(lines, l)
	}
	for i, l := range lines {
		if l.Done != (i == len(lines)-1) || l.Done && l.DoneReason == "" {
			t.Errorf("line %d of %d: %+v", i, len(lines), l)
		}
	}
	return lines
}

// joined is what lines come to.
func joined(lines []ollamaLine) string {
	var text, thinking strings.Builder
	calls, tokens := []string{}, ""
	for _, l := range lines {
		text.WriteString(l.Response + l.Message.Content)
		thinking.WriteString(l.Thinking + l.Message.Thinking)
		for _, c := range l.Message.ToolCalls {
			calls = append(calls, fmt.Sprint(c.Function.Index, c.Function.Name, c.Function.Arguments))
		}
		for _, p := range l.Logprobs {
			tokens += fmt.Sprintf("%s/%d ", p.Token, len(p.TopLogprobs))
		}
	}
	last := lines[len(lines)-1]
	return fmt.Sprintf("%q %q %v %q %s %d+%d", thinking.String(), text.String(), calls, tokens, last.DoneReason,
		last.PromptEvalCount, last.EvalCount)
}

// openThinker is a site whose model thinks and calls, in the form hermes.
func openThinker(t *testing.T, r *fake.Runner) *site {
	return open(t, r, func(c *Config) {
		format, err := toolcall.ByName("hermes")
		if err != nil {
			t.Fatal(err)
		}
		c.Models[0].Format, c.Models[0].Template = format, "{{ enable_thinking }}"
	})
}

// TestOllamaStreams compares streams with whole answers, of each kind.
func TestOllamaStreams(t *testing.T) {
	const ask = `"messages":[{"role":"user","content":"hi"}]`
	const call = "<think>hm, add</think>Let me.<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 7}}</tool_call>"
	for _, c := range []struct{ path, reply, members, want string }{
		{"/api/chat", "Hellö <b>", ask, `"" "Hellö <b>" [] "" stop 19+11`},
		{"/api/chat", call, ask + "," + oneTool, `"hm, add" "Let me." [0addmap[a:7]] "" stop 159+91`},
		{"/api/chat", "Hellö", ask + `,"options":{"num_predict":3}`, `"" "Hel" [] "" length 19+3`},
		{"/api/chat", "Hellö", ask + `,"options":{"stop":["l"]}`, `"" "He" [] "" stop 19+3`},
		{"/api/chat", "Hi", ask + `,"logprobs":true,"top_logprobs":2`, `"" "Hi" [] "H/2 i/2 " stop 19+3`},
		{"/api/chat", call, ask + "," + oneTool + `,"options":{"num_predict":70}`,
			`"hm, add" "Let me." [] "" length 159+70`},
		{"/api/generate", "<think>a</think>b", `"prompt":"hi"`, `"a" "b" [] "" stop 19+18`},
		{"/api/generate", "Hi", `"prompt":"hi","system":"be"`, `"" "Hi" [] "" stop 29+3`},
		{"/api/generate", "<think>a</think>b", `"prompt":"hi","raw":true`, `"" "<think>a</think>b" [] "" stop 3+18`},
		{"/api/generate", "Hi", `"prompt":"hi","logprobs":true`, `"" "Hi" [] "H/0 i/0 " stop 19+3`},
		{"/api/generate", "abcdef", `"prompt":"hi","options":{"num_ctx":22}`, `"" "abc" [] "" length 19+3`},
	} {
		s := openThinker(t, &fake.Runner{Reply: c.reply})
		stream := ollamaCall(t, s, c.path, `{"model":"fake",`+c.members+`}`)
		whole := ollamaCall(t, s, c.path, `{"model":"fake:latest","stream":false,`+c.members+`}`)
		if got := joined(stream); got != c.want || len(stream) < 2 {
			t.Errorf("%s: the stream of %d lines is\n%s, want\n%s", c.members, len(stream), got, c.want)
		}
		if got := joined(whole); got != c.want || len(whole) != 1 {
			t.Errorf("%s: the answer is\n%s, want\n%s", c.members, got, c.want)
		}
		for _, l := range []ollamaLine{stream[len(stream)-1], whole[0]} {
			if l.TotalDuration <= 0 || l.LoadDuration <= 0 || l.PromptEvalDuration <= 0 || l.EvalDuration <= 0 ||
				l.PromptEvalDuration+l.EvalDuration > l.TotalDuration+int64(1e6) {
				t.Errorf("%s: durations %+v", c.members, l)
			}
		}
	}
}

// TestOllamaFields checks the effect of fields that package ollama alone does not show.
func TestOllamaFields(t *testing.T) {
	s := openThinker(t, &fake.Runner{})
	ask := func(members string) string {
		t.Helper()
		l := ollamaCall(t, s, "/api/chat",
			`{"stream":false,"messages":[{"role":"user","content":"hi"}],"options":{"num_predict":12`+members+`}`)
		return fmt.Sprint(l[0].Message.Content, l[0].PromptEvalCount)
	}
	plain := ask(`,"temperature":0}`)
	for members, same := range map[string]bool{
		`,"temperature":0,"num_gpu":1}`: true, `,"temperature":0},"keep_alive":"5m"`: true,
		`,"temperature":0},"think":true`:                             false,
		`,"temperature":0,"repeat_penalty":10,"presence_penalty":2}`: false,
		`,"temperature":5,"seed":1,"top_k":0,"top_p":1,"min_p":0}`:   false,
	} {
		if got := ask(members); (got == plain) != same {
			t.Errorf("%s: %q, plain %q", members, got, plain)
		}
	}
	if a, b := ask(`,"temperature":2,"seed":7}`), ask(`,"temperature":2,"seed":7}`); a != b {
		t.Errorf("one seed gives %q and %q", a, b)
	}
	// What holds the text to a form needs a vocabulary, which this model lacks.
	for members, param := range map[string]string{`"format":"json"`: "format",
		`"format":{"type":"object"}`: "format"} {
		status, _, body := s.call(t, "POST", "/api/chat", `{"messages":[{"role":"user","content":"hi"}],`+members+`}`)
		if status != 400 || !strings.HasPrefix(body, `{"error":"`+param+`: `) {
			t.Errorf("%s: %d %s", members, status, body)
		}
	}
	for body, reason := range map[string]string{`{"stream":false}`: "load",
		`{"stream":false,"keep_alive":"5m"}`: "load"} {
		for _, path := range []string{"/api/chat", "/api/generate"} {
			if l := ollamaCall(t, s, path, body); l[0].DoneReason != reason || l[0].EvalCount != 0 {
				t.Errorf("%s %s: %+v", path, body, l)
			}
		}
	}
	if l := ollamaCall(t, s, "/api/chat", `{}`); len(l) != 1 || l[0].DoneReason != "load" {
		t.Errorf("%+v", l)
	}
}

// TestOllamaSuffix puts a text between two others, which are read without a template.
func TestOllamaSuffix(t *testing.T) {
	r := &fake.Runner{Reply: "mid"}
	s := open(t, r, func(c *Config) {
		c.Models[0].Infill = InfillTokens{Prefix: 1, Suffix: 2, Middle: 3, Repo: -1, File: -1}
	})
	l := ollamaCall(t, s, "/api/generate", `{"stream":false,"prompt":"ab","suffix":"c"}`)
	want := []int32{fake.BOS, 1, 'a', 'b', 2, 'c', 3}
	if got := r.Steps()[0][0].Tokens; l[0].Response != "mid" || !slices.Equal(got, want) {
		t.Errorf("%q behind %v, want %v", l[0].Response, got, want)
	}
	if got := fmt.Sprint((&Model{Infill: InfillTokens{Prefix: 1, Suffix: 2, Middle: 3}}).
		capabilities()); got != "[completion insert]" {
		t.Error(got)
	}
}

// TestOllamaForm holds answers to a form.
func TestOllamaForm(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.Models[0].Vocabulary = fakeVocabulary })
	for _, path := range []string{"/api/chat", "/api/generate"} {
		for _, raw := range []string{"", `,"raw":true`} {
			if path == "/api/chat" && raw != "" {
				continue
			}
			body := `{"stream":false,"messages":[{"role":"user","content":"hi"}],"format":{"type":"boolean"}}`
			if path == "/api/generate" {
				body = `{"stream":false,"prompt":"hi","format":{"type":"boolean"}` + raw + `}`
			}
			l := ollamaCall(t, s, path, body)
			if text := strings.TrimSpace(l[0].Response + l[0].Message.Content); text != "true" && text != "false" {
				t.Errorf("%s: %q", body, text)
			}
		}
	}
}

// TestOllamaErrors checks the form of errors and their statuses.
func TestOllamaErrors(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		say                string
	}{
		{"POST", "/api/chat", `{"model":"other","messages":[{"role":"user","content":"x"}]}`, 404,
			`model not found: model \"other\"`},
		{"POST", "/api/chat", `{"model":"fake","options":{"num_ctx":5000},"messages":[{"role":"user","content":"x"}]}`,
			400, "loaded with 4096"},
		{"POST", "/api/chat", `{"options":{"num_ctx":10},"messages":[{"role":"user","content":"x"}]}`, 400,
			"context size of 10 tokens"},
		{"POST", "/api/chat", `{"messages":[{"role":"user","content":"refuse"}]}`, 400, "roles must alternate"},
		{"POST", "/api/chat", `{"messages":`, 400, "not valid JSON"},
		{"POST", "/api/generate", `{"prompt":"x","images":["aGk="]}`, 400, "images are not offered"},
		{"POST", "/api/generate", `{"prompt":"x","suffix":"y"}`, 501, "no tokens for text between others"},
		{"POST", "/api/embed", `{"input":"a","dimensions":7}`, 400, "from 1 to 6"},
		{"POST", "/api/embed", `{"input":"a","options":{"num_ctx":5000}}`, 400, "loaded with 4096"},
		{"POST", "/api/embed", `{"input":"abcd","truncate":false,"options":{"num_ctx":3}}`, 400, "5 tokens"},
		{"POST", "/api/embed", `{"input":"abcd","options":{"num_ctx":1}}`, 400, "leaves no room"},
		{"POST", "/api/show", `{"model":"other"}`, 404, "model not found"},
		{"GET", "/api/chat", ``, 405, "use the method POST"},
		{"POST", "/api/tags", ``, 405, "use the method GET"},
		{"GET", "/api/nothing", ``, 404, "there is nothing at"},
		{"POST", "/api/pull", `{"model":"x"}`, 501, "hipengine pull"},
		{"POST", "/api/push", `{"model":"x"}`, 501, "publishes no models"},
		{"POST", "/api/create", `{"model":"x"}`, 501, "hipengine convert"},
		{"POST", "/api/copy", `{"source":"x"}`, 501, "--alias"},
		{"DELETE", "/api/delete", `{"model":"x"}`, 501, "hipengine rm"},
		{"HEAD", "/api/blobs/sha256:29", ``, 501, ""},
		{"POST", "/api/blobs/sha256:29", `x`, 501, "hipengine convert"},
	} {
		status, _, body := s.call(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.say) || c.say != "" &&
			!strings.HasPrefix(body, `{"error":"`) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
	locked := open(t, &fake.Runner{}, func(c *Config) { c.APIKeys = []string{"k"} })
	for _, path := range []string{"/api/chat", "/api/tags", "/api/pull", "/api/version"} {
		if status, _, body := locked.call(t,
			map[bool]string{true: "GET", false: "POST"}[strings.HasSuffix(path, "s") || strings.HasSuffix(path, "n")],
			path, `{}`); status != 401 ||
			!strings.HasPrefix(body, `{"error":"`) {
			t.Errorf("%s without a key: %d %s", path, status, body)
		}
	}
}

// TestOllamaStreamError: an error ends a stream as its last line.
func TestOllamaStreamError(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc", Alter: func(row []float32) {
		if row['b'] == 40 {
			row['b'] = row[0] / 0 * 0
		}
	}}, nil)
	_, _, body := s.call(t, "POST", "/api/generate", `{"prompt":"hi","raw":true}`)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"response":"a"`) ||
		!strings.HasPrefix(lines[1], `{"error":"the model failed`) {
		t.Errorf("%s", body)
	}
}

// TestOllamaEmbed checks the effect of every field of both endpoints.
func TestOllamaEmbed(t *testing.T) {
	s := openEmbedding(t, nil)
	for members, want := range map[string][][]float32{
		`"input":"cat"`: {vector("cat", fake.Embd)},
		`"input":["cat","a dog"],"keep_alive":"1m"`:     {vector("cat", fake.Embd), vector("a dog", fake.Embd)},
		`"input":"cat","dimensions":2`:                  {vector("cat", 2)},
		`"input":"cat","dimensions":0,"truncate":false`: {vector("cat", fake.Embd)},
		`"input":"category","options":{"num_ctx":4}`:    {vector("cat", fake.Embd)},
		`"input":"` + strings.Repeat("x", 5000) + `"`:   {vector(strings.Repeat("x", 4095), fake.Embd)},
		`"input":[]`: {},
		`"input":"cat","options":{"temperature":0,"num_gpu":99}`: {vector("cat", fake.Embd)},
	} {
		status, _, body := s.call(t, "POST", "/api/embed", `{"model":"fake",`+members+`}`)
		var a struct {
			Model           string
			Embeddings      [][]float32
			TotalDuration   int64 `json:"total_duration"`
			PromptEvalCount int   `json:"prompt_eval_count"`
		}
		err := json.Unmarshal([]byte(body), &a)
		if err != nil || status != 200 || a.Model != "fake" || a.TotalDuration <= 0 ||
			(a.PromptEvalCount > 0) != (len(want) > 0) ||
			a.Embeddings == nil || !slices.EqualFunc(a.Embeddings, want, slices.Equal[[]float32]) {
			t.Errorf("%.60s: %d %.200s", members, status, body)
		}
	}
	status, _, body := s.call(t, "POST", "/api/embeddings", `{"model":"fake","prompt":"cat"}`)
	var old struct{ Embedding []float32 }
	if err := json.Unmarshal([]byte(body), &old); err != nil || status != 200 ||
		!slices.Equal(old.Embedding, state("cat")) {
		t.Errorf("%d %s", status, body)
	}
}

// TestOllamaModels checks what is said of models.
func TestOllamaModels(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) {
		m := &c.Models[0]
		m.Details = Details{Architecture: "llama", Parameters: 7_240_000_000, Quantization: "q4_k_m"}
		m.File, m.Template, m.Defaults = "fake.gguf", "template",
			sample.Overrides{Temperature: new(float32(0.5)), TopK: new(9)}
		c.Version = "1.2.3"
	})
	get := func(path string) (a map[string]any) {
		t.Helper()
		status, _, body := s.call(t, "GET", path, "")
		if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		return a
	}
	details := map[string]any{"parent_model": "", "format": "gguf", "family": "llama", "families": []any{"llama"},
		"parameter_size": "7.2B", "quantization_level": "Q4_K_M"}
	for _, path := range []string{"/api/tags", "/api/ps"} {
		list := get(path)["models"].([]any)
		m := list[0].(map[string]any)
		if len(list) != 1 || m["name"] != "fake" || m["model"] != "fake" ||
			fmt.Sprint(m["details"]) != fmt.Sprint(details) {
			t.Errorf("%s: %v", path, list)
		}
		if path == "/api/ps" && (m["context_length"] != 4096.0 || m["expires_at"] == nil || m["size_vram"] == nil) {
			t.Errorf("%s: %v", path, m)
		}
		if path == "/api/tags" && m["modified_at"] != "1970-01-01T00:00:07Z" {
			t.Errorf("%s: %v", path, m)
		}
	}
	if v := get("/api/version"); v["version"] != "0.13.0" || v["hipengine"] != "1.2.3" {
		t.Errorf("%v", v)
	}
	for _, body := range []string{`{"model":"fake"}`, `{"name":"fake:latest","verbose":true}`} {
		status, _, text := s.call(t, "POST", "/api/show", body)
		var a map[string]any
		if err := json.Unmarshal([]byte(text), &a); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		info := a["model_info"].(map[string]any)
		if fmt.Sprint(a["details"]) != fmt.Sprint(details) || a["template"] != "template" ||
			a["modelfile"] != "FROM fake.gguf\n" ||
			a["parameters"] != "temperature 0.5\ntop_k 9\n" || info["llama.context_length"] != 4096.0 ||
			info["general.architecture"] != "llama" ||
			fmt.Sprint(a["capabilities"]) != "[completion]" {
			t.Errorf("%s: %s", body, text)
		}
	}
	for want, m := range map[string]Model{
		"[embedding]":                 {Details: Details{Embeds: true}},
		"[completion tools thinking]": {Format: format(t, "hermes"), Template: "<think>"},
		"[completion tools]":          {Format: format(t, "hermes")}, "[completion]": {Template: "think"},
	} {
		if got := fmt.Sprint(m.capabilities()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for n, want := range map[int64]string{0: "", 1500: "1.5K", 10_100_000: "10.1M", 405e9: "405.0B"} {
		if got := (Details{Parameters: n}).ollama().ParameterSize; got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// format returns a format of calls.
func format(t *testing.T, name string) *toolcall.Format {
	t.Helper()
	f, err := toolcall.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestOllamaPing: while nothing comes, a line says so that adds nothing.
func TestOllamaPing(t *testing.T) {
	gate := make(chan struct{})
	s := open(t, &fake.Runner{Reply: "a", Gate: gate}, func(c *Config) { c.PingInterval = 1e6 })
	resp, err := http.Post(s.url+"/api/generate", "application/json", strings.NewReader(`{"prompt":"hi"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	var first map[string]any
	if err := d.Decode(&first); err != nil || first["response"] != "" || first["done"] != false {
		t.Errorf("%v, %v", first, err)
	}
	keys := slices.Sorted(maps.Keys(first))
	if fmt.Sprint(keys) != "[created_at done model response]" {
		t.Errorf("%v", keys)
	}
	close(gate)
	for d.More() {
		if err := d.Decode(&first); err != nil {
			t.Fatal(err)
		}
	}
}
