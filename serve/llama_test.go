package serve

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/runner"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// openLlama starts a site with llama.cpp's own API.
func openLlama(t *testing.T, r *fake.Runner) *site {
	t.Helper()
	return open(t, r, func(c *Config) {
		c.LlamaRoutes = []string{LlamaCompletion, LlamaSlots}
		c.Models[0].Infill = InfillTokens{Prefix: 1, Suffix: 2, Middle: 3, Repo: 4, File: 5}
	})
}

// completion calls /completion and decodes the answer.
func (s *site) completion(t *testing.T, body string) openai.LlamaCompletion {
	t.Helper()
	status, _, text := s.call(t, http.MethodPost, "/completion", body)
	var c openai.LlamaCompletion
	if err := json.Unmarshal([]byte(text), &c); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s: %v", body, status, text, err)
	}
	return c
}

func TestLlamaCompletion(t *testing.T) {
	s := openLlama(t, &fake.Runner{Reply: "one\ntwo", Lim: runner.Limits{Context: 40}})
	for _, c := range []struct {
		name, body, content, stop, word string
		truncated                       bool
	}{
		{"to its end", `{"prompt":"x"}`, "one\ntwo", "eos", "", false},
		{"by number", `{"prompt":"x","n_predict":3}`, "one", "limit", "", false},
		{"by another name", `{"prompt":"x","max_tokens":2}`, "on", "limit", "", false},
		{"by both names", `{"prompt":"x","n_predict":3,"max_tokens":2}`, "one", "limit", "", false},
		{"by a word", `{"prompt":"x","stop":["\n"]}`, "one", "word", "\n", false},
		{"to the end of the context", `{"prompt":"0123456789012345678901234567890123456"}`, "on", "limit", "", true},
		{"as much as fits", `{"prompt":"0123456789012345678901234567890123456","n_predict":2}`, "on", "limit", "",
			false},
		{"of an object", `{"prompt":{"prompt_string":"x"}}`, "one\ntwo", "eos", "", false},
		{"of tokens and texts", `{"prompt":[1,2,"x",3]}`, "one\ntwo", "eos", "", false},
		{"with nothing of note", `{"prompt":"x","seed":-1,"stop":[],"cache_prompt":true,"id_slot":-1,"lora":[]}`,
			"one\ntwo", "eos", "", false},
	} {
		a := s.completion(t, c.body)
		if a.Content != c.content || a.StopType != c.stop || a.StopWord != c.word || a.Truncated != c.truncated ||
			!a.Stop ||
			a.HasNewLine != strings.Contains(c.content, "\n") || a.Timings.PredictedN != a.Predicted {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	a := s.completion(t, `{"prompt":"x","return_tokens":true,"n_predict":3,"temperature":0.5,"seed":7,"logit_bias":[["ab",1],[200,false]],"ignore_eos":true}`)
	if string(a.Prompt) != "<bos>x" || len(a.Tokens) != 3 || a.Tokens[0] != 'o' || a.Evaluated != 2 {
		t.Errorf("%+v", a)
	}
	set := a.Settings
	if set.NPredict != 3 || set.Seed != 7 || set.Temperature != 0.5 || len(set.LogitBias) != 4 ||
		set.LogitBias[0].Token != 'a' || set.LogitBias[3].Bias != nil {
		t.Errorf("settings %+v", set)
	}
	if a := s.completion(t, `{"prompt":"x"}`); a.Settings.NPredict != -1 || len(a.Settings.LogitBias) != 0 ||
		len(a.Tokens) != 0 {
		t.Errorf("%+v", a)
	}
	wantBodies(t, s, []struct {
		path, body string
		status     int
		want       string
	}{
		{"/completion", `{"prompt":"x","response_fields":["content","generation_settings/n_predict","none","content/none"],"n_predict":3}`, 200,
			`{"content":"one","generation_settings/n_predict":3}`},
		{"/completions", `{"prompt":["x","y"],"response_fields":["index","content"]}`, 200,
			`[{"content":"one\ntwo","index":0},{"content":"one\ntwo","index":1}]`},
		{"/completion", `{"prompt":[[1],"y"],"n_cmpl":2,"response_fields":["index"]}`, 200,
			`[{"index":0},{"index":1},{"index":2},{"index":3}]`},
		{"/completion", `{}`, 400, "prompt: is required"},
		{"/completion", `{"prompt":[]}`, 400, "must not be empty"},
		{"/completion", `{"prompt":[300]}`, 400, "ids 0 to 257"},
		{"/completion", `{"prompt":{"prompt_string":"x","multimodal_data":["a"]}}`, 400, "images"},
		{"/completion", `{"prompt":"x","n_predict":0}`, 400, "n_predict"},
		{"/completion", `{"prompt":"x","n_predict":-2}`, 400, "from -1"},
		{"/completion", `{"prompt":"x","n_discard":-5}`, 400, "n_discard"},
		{"/completion", `{"prompt":"x","lora":[{"id":0}]}`, 400, "adapters"},
		{"/completion", `{"prompt":"x","logit_bias":[["a"]]}`, 400, "logit_bias[0]"},
		{"/completion", `{"prompt":"x","logit_bias":[["a",true]]}`, 400, "logit_bias[0][1]"},
		{"/completion", `{"prompt":"x","n_prob":1}`, 400, "n_probs is known"},
		{"/completion", `{"prompt":"` + strings.Repeat("x", 40) + `"}`, 400, `"type":"exceed_context_size_error"`},
	})
}

func TestLlamaProbs(t *testing.T) {
	s := openLlama(t, &fake.Runner{Reply: "abc"})
	a := s.completion(t, `{"prompt":"x","n_probs":3,"stop":"c"}`)
	if len(a.Probs) != 2 || a.Probs[1].ID != 'b' || a.Probs[1].Token != "b" || len(a.Probs[1].Top) != 3 ||
		a.Probs[1].Bytes[0] != 'b' {
		t.Errorf("%+v", a.Probs)
	}
	// The fake likes one token more than any other, and top_k 2 leaves two.
	a = s.completion(t, `{"prompt":"x","n_probs":3,"post_sampling_probs":true,"top_k":2,"temperature":5,"samplers":["top_k","temperature"]}`)
	for _, p := range a.Probs {
		if len(p.TopProbs) != 2 || p.Top != nil || p.Logprob != nil || p.Prob == nil || *p.Prob <= 0 ||
			math.Abs(*p.TopProbs[0].Prob+*p.TopProbs[1].Prob-1) > 1e-6 || *p.TopProbs[0].Prob < *p.TopProbs[1].Prob {
			t.Errorf("%+v", p)
		}
	}
	if a := s.completion(t, `{"prompt":"x","n_probs":3,"post_sampling_probs":true,"temperature":0}`); len(a.Probs) == 0 ||
		*a.Probs[0].Prob != 1 || len(a.Probs[0].TopProbs) != 1 {
		t.Errorf("%+v", a.Probs)
	}
	if a := s.completion(t, `{"prompt":"x"}`); a.Probs != nil {
		t.Errorf("probabilities that nobody asked for: %+v", a.Probs)
	}
}

func TestLlamaStream(t *testing.T) {
	s := openLlama(t, &fake.Runner{Reply: "aöb"})
	status, h, body := s.call(t, http.MethodPost, "/completion",
		`{"prompt":"x","stream":true,"n_probs":1,"return_progress":true,"timings_per_token":true}`)
	if status != 200 || h.Get("Content-Type") != "text/event-stream" || strings.Contains(body, "[DONE]") {
		t.Fatalf("%d %v %s", status, h, body)
	}
	text, progress := "", 0
	var last openai.LlamaCompletion
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var c openai.LlamaChunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatal(err)
		}
		text += c.Content
		switch {
		case c.Stop:
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				t.Fatal(err)
			}
		case c.Progress != nil:
			progress++
		case len(c.Tokens) != 1 || len(c.Probs) != 1 || c.Timings == nil:
			t.Errorf("%s", data)
		}
	}
	if text != "aöb" || last.StopType != "eos" || last.Predicted != 5 || progress < 2 || last.Probs != nil {
		t.Errorf("%q, %d reports of progress, %+v", text, progress, last)
	}
}

func TestInfill(t *testing.T) {
	s := openLlama(t, &fake.Runner{Reply: "z"})
	wantBodies(t, s, []struct {
		path, body string
		status     int
		want       string
	}{
		{"/infill", `{"input_prefix":"a<bos>","input_suffix":"b","prompt":"c","response_fields":["prompt","content"]}`,
			200,
			"{\"content\":\"z\",\"prompt\":\"<bos>\\u0001a<bos>\\u0002b\\u0003c\"}"},
		{"/infill", `{"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"f","text":"t"}],"response_fields":["prompt"]}`, 200,
			"{\"prompt\":\"\\u0004project\\n\\u0005f\\nt\\u0005file\\n<bos>\\u0001a\\u0002b\\u0003\"}"},
		{"/infill", `{"input_prefix":"a"}`, 400, "input_suffix: is required"},
		{"/infill", `{"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":1,"text":"t"}]}`, 400,
			"input_extra[0].filename"},
		{"/infill", `{"input_prefix":"a","input_suffix":"b","input_extra":[{"filename":"f"}]}`, 400,
			"input_extra[0].text"},
	})
	s = open(t, &fake.Runner{}, func(c *Config) { c.LlamaRoutes = []string{LlamaCompletion} })
	wantBodies(t, s, []struct {
		path, body string
		status     int
		want       string
	}{
		{"/infill", `{"input_prefix":"a","input_suffix":"b"}`, 501, "no tokens for text between others"},
		{"/slots/0?action=save", `{}`, 501, "--llama-routes"},
	})
}

func TestSlots(t *testing.T) {
	r := &fake.Runner{Reply: "abc", Lim: runner.Limits{Seqs: 2}, Gate: make(chan struct{})}
	s := openLlama(t, r)
	slots := func() (busy int) {
		_, _, body := s.call(t, http.MethodGet, "/slots", "")
		var list []openai.Slot
		if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 2 || list[1].ID != 1 ||
			list[0].NCtx != 4096 {
			t.Fatalf("%s, %v", body, err)
		}
		for _, l := range list {
			if l.Processing {
				busy++
			}
		}
		return busy
	}
	if n := slots(); n != 0 {
		t.Errorf("%d busy slots", n)
	}
	lines, cancel := s.begin(t, "")
	defer cancel()
	wait(t, "a busy slot", func() bool { return slots() == 1 })
	close(r.Gate)
	for lines.Scan() {
	}
	wait(t, "an idle slot", func() bool { return slots() == 0 })
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/slots/0?action=erase", "", 501, "--cache-dir"},
		{"/slots/0?action=turn", "", 400, "action: must be save, restore or erase"},
	} {
		if status, _, body := s.call(t, http.MethodPost, c.path, c.body); status != c.status ||
			!strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s", c.path, status, body)
		}
	}
}

// TestLlamaRoutesAreOff: nothing of llama.cpp's own API is there unless somebody asks for it.
func TestLlamaRoutesAreOff(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "x"}, nil)
	for _, path := range []string{"/completion", "/infill", "/slots/1"} {
		if status, _, body := s.call(t, http.MethodPost, path, `{"prompt":"x"}`); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, err := New(Config{LlamaRoutes: []string{"lora"}}); err == nil || !strings.Contains(err.Error(), "lora") {
		t.Errorf("an unknown part: %v", err)
	}
}

// TestVerbose: a request, or the server's owner, lets chat completions tell their prompt and more.
func TestVerbose(t *testing.T) {
	for _, all := range []bool{false, true} {
		s := open(t, &fake.Runner{Reply: "abc"}, func(c *Config) {
			if all {
				c.LlamaRoutes = []string{LlamaVerbose}
			}
		})
		for fields, told := range map[string]bool{`}`: all, `,"verbose":true}`: true, `,"verbose":false}`: all} {
			_, _, body := s.call(t, http.MethodPost, "/v1/chat/completions", hi+fields)
			var a openai.ChatCompletion
			if err := json.Unmarshal([]byte(body), &a); err != nil || (a.Verbose != nil) != told {
				t.Fatalf("%s: %s, %v", fields, body, err)
			}
			if told && (a.Verbose.Content != "abc" || len(a.Verbose.Tokens) != 3 || a.Verbose.StopType != "eos" ||
				!strings.Contains(a.Verbose.Prompt, "user:hi")) {
				t.Errorf("%s: %+v", fields, a.Verbose)
			}
			_, _, body = s.call(t, http.MethodPost, "/v1/chat/completions",
				hi+`,"n":2,"stream":true,"stream_options":{"include_usage":true}`+fields)
			if n := strings.Count(body, `"__verbose":{`); told != (n == 1) {
				t.Errorf("%s: told %d times in %s", fields, n, body)
			}
		}
	}
}

// TestPrefill goes on with a last message that is the assistant's, where the owner wants it.
func TestPrefill(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) {
		c.LlamaRoutes = []string{LlamaPrefill}
		c.Models[0].Render = func(_, _ json.RawMessage, kwargs map[string]json.RawMessage) (string, error) {
			return "goes on: " + string(kwargs["continue_final_message"]), nil
		}
	})
	const user, text, call = `{"role":"user","content":"a"}`, `{"role":"assistant","content":"b"}`,
		`{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for _, c := range []struct {
		messages, fields string
		status           int
		want             string
	}{
		{user, ``, 200, `goes on: "`},
		{user + "," + text, ``, 200, "goes on: true"},
		{user + "," + text, `,"add_generation_prompt":true`, 200, `goes on: "`},
		{user + "," + call, ``, 200, `goes on: "`},
		{user + "," + text, `,"response_format":{"type":"json_object"}`, 200, `goes on: "`},
		{user + "," + text + "," + text, ``, 400, "two messages of the assistant"},
	} {
		status, _, body := s.call(t, http.MethodPost, "/apply-template", `{"messages":[`+c.messages+`]`+c.fields+`}`)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s%s: %d %s, want %s", c.messages, c.fields, status, body, c.want)
		}
	}
}
