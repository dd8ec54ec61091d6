package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// site is a server on a loopback port with one model, "fake".
type site struct {
	*Server
	url    string
	engine *engine.Engine
	log    *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// prompt encodes roles and contents, and refuses or breaks on demand.
func prompt(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) ([]int32, error) {
	var list []struct{ Role, Content string }
	if err := json.Unmarshal(messages, &list); err != nil {
		return nil, err
	}
	text := "<bos>"
	for _, m := range list {
		switch m.Content {
		case "refuse":
			return nil, fmt.Errorf("%w: roles must alternate", ErrConversation)
		case "panic":
			panic("secret prompt text in a panic is the template's fault")
		case "break":
			return nil, fmt.Errorf("template: no filter %q", "x")
		}
		text += m.Role + ":" + m.Content + "\n"
	}
	if tools != nil {
		text += "tools:" + string(tools) + "\n"
	}
	if kwargs["enable_thinking"] != nil {
		text += "thinking:" + string(kwargs["enable_thinking"]) + "\n"
	}
	return fake.Tokenizer{}.EncodePrompt(text + "assistant:")
}

// render is the text of prompt.
func render(messages, tools json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
	ids, err := prompt(messages, tools, kwargs)
	text := fake.Tokenizer{}.Decode(ids, true)
	if string(kwargs["add_generation_prompt"]) == "false" {
		text = strings.TrimSuffix(text, "assistant:")
	}
	return text, err
}

// open starts a site. At the test's end, it checks that no slot and no goroutine is left.
func open(t *testing.T, r *fake.Runner, change func(*Config)) *site {
	t.Helper()
	return openEngine(t, engine.Config{Runner: r, Checkpoints: r.Checkpoints}, change)
}

// openEngine is open with an engine on a fake.
func openEngine(t *testing.T, ec engine.Config, change func(*Config)) *site {
	t.Helper()
	before, r := runtime.NumGoroutine(), ec.Runner.(*fake.Runner)
	ec.EOG, ec.MaxQueue = func(id int32) bool { return id == fake.EOG }, 64
	e, err := engine.New(ec)
	if err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	c := Config{
		Models: []Model{{ID: "fake", Created: time.Unix(7, 0), Engine: e, Tokenizer: fake.Tokenizer{}, Prompt: prompt,
			Render:   render,
			Template: "a template", File: "fake.gguf"}},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.http.Handler = checked(t, s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := e.Close(ctx); err != nil {
			t.Errorf("engine's Close: %v", err)
		}
		if n := r.OpenSeqs(); n != 0 {
			t.Errorf("%d sequences were left open", n)
		}
		for end := time.Now().Add(3 * time.Second); runtime.NumGoroutine() > before; time.Sleep(
			10 * time.Millisecond) {
			if time.Now().After(end) {
				stack := make([]byte, 1<<16)
				t.Fatalf("goroutines were left:\n%s", stack[:runtime.Stack(stack, true)])
			}
		}
	})
	return &site{Server: s, url: "http://" + l.Addr().String(), engine: e, log: log}
}

// call sends a request and returns the status, the headers and the body.
func (s *site) call(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("body %q: %v", b, err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// wait polls until ok is true.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen in 5 s", what)
		}
	}
}

var variable = regexp.MustCompile(`(cmpl-)[A-Z2-7]{26}|("created":)[0-9]{9,}`)

var timings = regexp.MustCompile(`,"timings":\{"cache_n":[^}]*\}`)

// fixed replaces ids and times by constants, and takes timings out.
func fixed(s string) string {
	return timings.ReplaceAllString(variable.ReplaceAllString(s, "${1}${2}0"), "")
}

const hi = `{"model":"fake","messages":[{"role":"user","content":"hi"}]`

func TestChat(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "Hellö <b>"}, nil)
	status, h, body := s.call(t, "POST", "/v1/chat/completions", hi+`}`)
	want := `{"id":"chatcmpl-0","object":"chat.completion","created":0,"model":"fake","system_fingerprint":"build-unknown","choices":[{"index":0,"message":{"role":"assistant",` +
		`"content":"Hellö <b>","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":11,"total_tokens":30}}` + "\n"
	if status != 200 || fixed(body) != want || h.Get("Content-Type") != "application/json" ||
		h.Get("X-Request-Id") == "" {
		t.Errorf("status %d, headers %v, body\n%s, want\n%s", status, h, fixed(body), want)
	}
}

func TestChatStream(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "aö STOP"}, nil)
	status, h, body := s.call(t, "POST", "/v1/chat/completions",
		hi+`,"stop":["STOP"],"stream":true,"stream_options":{"include_usage":true}}`)
	const head = `data: {"id":"chatcmpl-0","object":"chat.completion.chunk","created":0,"model":"fake","system_fingerprint":"build-unknown","choices":[`
	const null = `"logprobs":null,"finish_reason":`
	want := head + `{"index":0,"delta":{"role":"assistant","content":null},` + null + "null}]}\n\n" +
		head + `{"index":0,"delta":{"content":"a"},` + null + "null}]}\n\n" +
		head + `{"index":0,"delta":{"content":"ö"},` + null + "null}]}\n\n" +
		head + `{"index":0,"delta":{"content":" "},` + null + "null}]}\n\n" +
		head + `{"index":0,"delta":{},` + null + `"stop"}]}` + "\n\n" +
		head + `],"usage":{"prompt_tokens":19,"completion_tokens":8,"total_tokens":27}}` + "\n\n" +
		"data: [DONE]\n\n"
	if status != 200 || h.Get("Content-Type") != "text/event-stream" || fixed(body) != want {
		t.Errorf("status %d, headers %v, body\n%s\nwant\n%s", status, h, fixed(body), want)
	}
}

func TestCompletion(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc"}, nil)
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":["x",  "yz"],"n":2}`)
	choice := func(i int) string {
		return fmt.Sprintf(`{"index":%d,"text":"abc","logprobs":null,"finish_reason":"stop"}`, i)
	}
	want := `{"id":"cmpl-0","object":"text_completion","created":0,"model":"fake","system_fingerprint":"build-unknown","choices":[` + choice(0) + "," + choice(1) + "," + choice(2) +
		"," + choice(3) + `],"usage":{"prompt_tokens":5,"completion_tokens":16,"total_tokens":21}}` + "\n"
	if fixed(body) != want {
		t.Errorf("body\n%s, want\n%s", fixed(body), want)
	}
	if n := s.engine.Stats().PromptTokens; n != 5 {
		t.Errorf("%d tokens of prompts were read for four choices of prompts with 5 in all", n)
	}
	_, _, body = s.call(t, "POST", "/v1/completions", `{"prompt":[120,121],"stream":true,"max_tokens":2}`)
	const head = `data: {"id":"cmpl-0","object":"text_completion","created":0,"model":"fake","system_fingerprint":"build-unknown","choices":[{"index":0,"text":`
	want = head + `"a","logprobs":null,"finish_reason":null}]}` + "\n\n" + head +
		`"b","logprobs":null,"finish_reason":"length"}]}` + "\n\ndata: [DONE]\n\n"
	if fixed(body) != want {
		t.Errorf("body\n%s, want\n%s", fixed(body), want)
	}
}

func TestLogprobs(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "aö"}, nil)
	type entry struct {
		Token   string
		Logprob float64
		Bytes   []int
	}
	var chat struct {
		Choices []struct {
			Logprobs struct {
				Content []struct {
					entry
					TopLogprobs []entry `json:"top_logprobs"`
				}
			}
		}
	}
	_, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"logprobs":true,"top_logprobs":2}`)
	if err := json.Unmarshal([]byte(body), &chat); err != nil {
		t.Fatal(err)
	}
	content := chat.Choices[0].Logprobs.Content
	if len(content) != 3 || content[1].Token != "\uFFFD" || content[1].Bytes[0] != 0xc3 ||
		len(content[0].TopLogprobs) != 2 ||
		content[0].TopLogprobs[0].Token != "a" || !(content[0].Logprob > -1e-3 && content[0].Logprob <= 0) {
		t.Errorf("logprobs %+v", content)
	}
	var completion struct {
		Choices []struct {
			Logprobs struct {
				Tokens        []string
				TokenLogprobs []float64            `json:"token_logprobs"`
				TopLogprobs   []map[string]float64 `json:"top_logprobs"`
				TextOffset    []int                `json:"text_offset"`
			}
		}
	}
	_, _, body = s.call(t, "POST", "/v1/completions", `{"prompt":"x","logprobs":3}`)
	if err := json.Unmarshal([]byte(body), &completion); err != nil {
		t.Fatal(err)
	}
	l := completion.Choices[0].Logprobs
	if fmt.Sprint(l.TextOffset) != "[0 1 1]" || len(l.Tokens) != 3 || len(l.TokenLogprobs) != 3 ||
		len(l.TopLogprobs[0]) != 3 {
		t.Errorf("logprobs %+v", l)
	}
	_, _, body = s.call(t, "POST", "/v1/chat/completions", hi+`,"logprobs":true,"stream":true}`)
	if n := strings.Count(body, `"bytes":[`); n != 3 {
		t.Errorf("%d logprobs in the stream, want 3:\n%s", n, body)
	}
	_, _, body = s.call(t, "POST", "/v1/completions", `{"prompt":"x","logprobs":0,"stream":true}`)
	if n := strings.Count(body, `"token_logprobs":[`); n != 2 {
		t.Errorf("%d pieces with logprobs in the stream, want 2, of a and of ö:\n%s", n, body)
	}
	if !strings.Contains(body, `"tokens":["bytes:\\xc3","bytes:\\xb6"]`) {
		t.Errorf("the halves of ö are not named by their bytes:\n%s", body)
	}
}

func TestTemplateGetsToolsAndKwargs(t *testing.T) {
	r := &fake.Runner{Reply: "x"}
	s := open(t, r, nil)
	status, _, body := s.call(t, "POST", "/v1/chat/completions",
		hi+`,"tools":[{"type":"function","function":{"name":"f"}}],"chat_template_kwargs":{"enable_thinking":false}}`)
	if status != 200 {
		t.Fatal(body)
	}
	var prompt []int32
	for _, step := range r.Steps() {
		prompt = append(prompt, step[0].Tokens...)
	}
	got := fake.Tokenizer{}.Decode(prompt, true)
	want := "<bos>user:hi\ntools:" + `[{"type":"function","function":{"name":"f"}}]` + "\nthinking:false\nassistant:"
	if !strings.HasPrefix(got, want) {
		t.Errorf("prompt %q, want %q", got, want)
	}
}

func TestModels(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) {
		m := c.Models[0]
		m.ID, m.Prompt = "org/plain", nil
		c.Models = append(c.Models, m)
	})
	fakeModel := `{"id":"fake","object":"model","created":7,"owned_by":"hipengine","aliases":["fake"],"tags":[],"loaded":true}`
	plain := `{"id":"org/plain","object":"model","created":7,"owned_by":"hipengine","aliases":["org/plain"],"tags":[],"loaded":true}`
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/v1/models", "", 200, `{"object":"list","data":[` + fakeModel + "," + plain +
			`],"models":[{"slug":"fake",`},
		{"GET", "/v1/models/fake", "", 200, fakeModel + "\n"},
		{"GET", "/v1/models/org/plain", "", 200, plain + "\n"},
		{"GET", "/v1/models/other", "", 404, `"code":"model_not_found"`},
		{"GET", "/v1/models/", "", 404, `"code":"not_found"`},
		{"POST", "/v1/completions", `{"prompt":"x"}`, 400,
			`this server has 2 models","type":"invalid_request_error","param":"model"`},
		{"POST", "/v1/completions", `{"prompt":"x","model":"gpt-4"}`, 404, `"param":"model"`},
		{"POST", "/v1/chat/completions", `{"model":"org/plain","messages":[{"role":"user","content":"x"}]}`, 400,
			"no chat template"},
		{"GET", "/nothing", "", 404, `"code":"not_found"`},
		{"GET", "/v1/completions", "", 405, `use the method POST`},
		{"DELETE", "/v1/models", "", 405, `use the method GET`},
	} {
		status, h, body := s.call(t, c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.path, status, body, c.status, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := open(t, &fake.Runner{Lim: runner.Limits{Context: 100}}, func(c *Config) { c.Limits.BodyBytes = 5000 })
	for _, c := range []struct {
		name, path, body string
		status           int
		param, say       string
	}{
		{"wrong type", "chat/completions", hi + `,"temperature":"hot"}`, 400, "temperature", "a number, not a string"},
		{"unknown field", "chat/completions", hi + `,"n_discard":-1}`, 400, "n_discard", "unknown field"},
		{"not JSON", "chat/completions", `{`, 400, "", "not valid JSON"},
		{"template refuses", "chat/completions", `{"messages":[{"role":"user","content":"refuse"}]}`, 400, "messages",
			"roles must alternate"},
		{"template breaks", "chat/completions", `{"messages":[{"role":"user","content":"break"}]}`, 500, "",
			"no filter"},
		{"prompt too long", "completions", `{"prompt":"` + strings.Repeat("x", 100) + `"}`, 400, "",
			"the prompt of 101 tokens exceeds"},
		{"logit_bias beyond vocabulary", "completions", `{"prompt":"x","logit_bias":{"258":1}}`, 400, "logit_bias",
			"ids 0 to 257"},
		{"prompt token beyond vocabulary", "completions", `{"prompt":[1,258]}`, 400, "prompt", "ids 0 to 257"},
		{"body too long", "completions", `{"prompt":"` + strings.Repeat("x", 5000) + `"}`, 413, "", "5000 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, h, body := s.call(t, "POST", "/v1/"+c.path, c.body, "X-Request-Id", "my-id.1")
			var e struct {
				Error struct {
					Message, Type string
					Param, Code   *string
				}
			}
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			param := ""
			if e.Error.Param != nil {
				param = *e.Error.Param
			}
			if status != c.status || param != c.param || !strings.Contains(e.Error.Message, c.say) ||
				e.Error.Type == "" || h.Get("X-Request-Id") != "my-id.1" {
				t.Errorf("%d %s, want %d for %q with %q", status, body, c.status, c.param, c.say)
			}
		})
	}
	if status, _, body := s.call(t, "POST", "/v1/completions", "x", "Content-Encoding", "gzip"); status != 415 {
		t.Errorf("compressed body: %d %s", status, body)
	}
	if st := s.engine.Stats(); st.Steps != 0 {
		t.Errorf("bad requests made the engine work: %+v", st)
	}
}

func TestSeed(t *testing.T) {
	s := open(t, &fake.Runner{},
		func(c *Config) { c.Models[0].Defaults = sample.Overrides{Temperature: new(float32(2))} })
	texts := func(members string) [2]string {
		_, _, body := s.call(t, "POST", "/v1/chat/completions", hi+`,"max_tokens":20,"n":2`+members+`}`)
		var c struct {
			Choices [2]struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return [2]string{c.Choices[0].Message.Content, c.Choices[1].Message.Content}
	}
	a, b, next, free, free2 := texts(`,"seed":5`), texts(`,"seed":5`), texts(`,"seed":6`), texts(``), texts(``)
	switch {
	case a != b:
		t.Errorf("seed 5 gave %q, then %q", a, b)
	case a[0] == a[1]:
		t.Errorf("two choices are both %q", a[0])
	case a[1] != next[0]:
		t.Errorf("choice 1 of seed 5 is %q, choice 0 of seed 6 %q", a[1], next[0])
	case free == free2:
		t.Errorf("without a seed, two requests gave %q", free)
	}
	if g := texts(`,"temperature":0`); g[0] != g[1] {
		t.Errorf("greedy choices differ: %q", g)
	}
}

func TestDefaultsOfModelApply(t *testing.T) {
	s := open(t, &fake.Runner{},
		func(c *Config) { c.Models[0].Defaults = sample.Overrides{Temperature: new(float32(0))} })
	_, _, a := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`)
	_, _, b := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`)
	if fixed(a) != fixed(b) {
		t.Errorf("a greedy model gave\n%s, then\n%s", a, b)
	}
	if _, err := New(Config{Models: []Model{{ID: "x", Engine: s.engine, Tokenizer: fake.Tokenizer{},
		Defaults: sample.Overrides{TopP: new(float32(7))}}}}); err == nil {
		t.Error("defaults out of range: no error")
	}
}
