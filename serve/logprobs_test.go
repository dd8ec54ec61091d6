package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// logprobAnswer is an answer, or an event of one, of both kinds.
type logprobAnswer struct {
	Choices []struct {
		Text           string
		Message, Delta struct{ Content string }
		Logprobs       *struct {
			Content []struct {
				Bytes       []byte
				TopLogprobs []any `json:"top_logprobs"`
			}
			Tokens        []string
			TokenLogprobs []float64        `json:"token_logprobs"`
			TopLogprobs   []map[string]any `json:"top_logprobs"`
			TextOffset    []int            `json:"text_offset"`
		}
	}
}

// listed returns the text of an answer's tokens and how long the lists of their log-probabilities are.
func (a logprobAnswer) listed() (tokens string, n []int) {
	for _, c := range a.Choices {
		if c.Logprobs == nil {
			continue
		}
		for _, t := range c.Logprobs.Content {
			tokens += string(t.Bytes)
		}
		for _, t := range c.Logprobs.Tokens {
			if hex, ok := strings.CutPrefix(t, `bytes:\x`); ok {
				var b byte
				fmt.Sscanf(hex, "%x", &b)
				t = string([]byte{b})
			}
			tokens += t
		}
		n = append(n, len(c.Logprobs.Tokens), len(c.Logprobs.TokenLogprobs), len(c.Logprobs.TopLogprobs),
			len(c.Logprobs.TextOffset))
	}
	return tokens, n
}

// TestLogprobsEndWithTheText checks that answers and streams list the tokens of their text and no others, however much
// a stop string cuts off. Tokens of the fake are bytes, so that they spell the text.
func TestLogprobsEndWithTheText(t *testing.T) {
	const reply = "one tö STOPPED"
	s := open(t, &fake.Runner{Reply: reply}, nil)
	for _, c := range []struct{ stop, want string }{
		{"", reply}, {"STOP", "one tö "}, {"STOPPED!", reply}, {"ö STOPPED", "one t"}, {"on", ""},
		{"D", "one tö STOPPE"},
	} {
		for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
			request := `{"prompt":"x","max_tokens":64,"logprobs":2`
			if path == "/v1/chat/completions" {
				request = hi + `,"logprobs":true,"top_logprobs":2`
			}
			if c.stop != "" {
				request += `,"stop":"` + c.stop + `"`
			}
			_, _, body := s.call(t, "POST", path, request+"}")
			var whole logprobAnswer
			if err := json.Unmarshal([]byte(body), &whole); err != nil {
				t.Fatal(err)
			}
			text := whole.Choices[0].Text + whole.Choices[0].Message.Content
			if got, _ := whole.listed(); text != c.want || got != text {
				t.Errorf("%s, stop %q: text %q, tokens %q, want %q", path, c.stop, text, got, c.want)
			}
			if strings.Contains(body, "[]") != (c.want == "") ||
				strings.Count(body, "null") != strings.Count(body, `"refusal":null`) {
				t.Errorf("%s, stop %q: a list is null, or empty beside text: %s", path, c.stop, body)
			}
			_, _, body = s.call(t, "POST", path, request+`,"stream":true}`)
			said, listed := "", ""
			for line := range strings.Lines(body) {
				var e logprobAnswer
				data, ok := strings.CutPrefix(line, "data: {")
				if !ok {
					continue
				}
				if err := json.Unmarshal([]byte("{"+data), &e); err != nil {
					t.Fatal(err)
				}
				tokens, _ := e.listed()
				listed += tokens
				said += e.Choices[0].Text + e.Choices[0].Delta.Content
				if said != listed {
					t.Errorf("%s, stop %q: the stream said %q, its tokens are %q", path, c.stop, said, listed)
				}
			}
			if said != c.want {
				t.Errorf("%s, stop %q: streamed %q, want %q", path, c.stop, said, c.want)
			}
		}
	}
}

// TestLogprobLists checks that the lists of completions are parallel and offsets count characters.
func TestLogprobLists(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "aöb"}, nil)
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x","logprobs":0}`)
	var a logprobAnswer
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	l := a.Choices[0].Logprobs
	if _, n := a.listed(); fmt.Sprint(n) != "[4 4 4 4]" || fmt.Sprint(l.TextOffset) != "[0 1 1 2]" {
		t.Errorf("lists of %v, offsets %v: %s", n, l.TextOffset, body)
	}
	for i, top := range l.TopLogprobs { // with logprobs 0 the token alone
		if top[l.Tokens[i]] != l.TokenLogprobs[i] || len(top) != 1 {
			t.Errorf("token %d: top_logprobs %v", i, top)
		}
	}
}

// TestLogprobQueue feeds tokens of several bytes, of which a stop string cuts one in two.
func TestLogprobQueue(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []engine.Token
		want   string // ids that each token releases
	}{
		{"free", []engine.Token{{ID: 1, Text: "ab"}, {ID: 2, Start: 2, Text: "c", Finish: engine.FinishLength}},
			"[1] [2]"},
		{"cut in two", []engine.Token{{ID: 1, Text: "ab"}, {ID: 2, Start: 2}, {ID: 3, Start: 3},
			{ID: 4, Start: 5, Text: "c", Finish: engine.FinishStop, StopString: "de"}},
			"[1] [] [] [2]"},
		{"held, then free", []engine.Token{{ID: 1}, {ID: 2, Start: 1}, {ID: 3, Start: 2, Text: "abc"}},
			"[] [] [1 2 3]"},
		{"end of generation", []engine.Token{{ID: 1},
			{ID: 2, Start: 1, Text: "a", EOG: true, Finish: engine.FinishStop}}, "[] [1]"},
		{"without text", []engine.Token{{ID: 1}, {ID: 2, Text: "a"}, {ID: 3, Start: 1},
			{ID: 4, Start: 1, Finish: engine.FinishLength}}, "[] [1 2] [] [3 4]"},
	} {
		var q logprobQueue
		var got []string
		for _, tok := range c.tokens {
			ids := []int32{}
			for _, r := range q.add(tok) {
				ids = append(ids, r.ID)
			}
			got = append(got, fmt.Sprint(ids))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: released %s, want %s", c.name, s, c.want)
		}
	}
}

// TestEcho repeats prompts before their answers, with log-probabilities of both, at once and streamed.
func TestEcho(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	for _, c := range []struct{ prompt, echo, tokens, offsets string }{
		{`"öx"`, "öx", `["<bos>" "bytes:\\xc3" "bytes:\\xb6" "x"]`, "[0 0 0 1]"},
		{`[97,98]`, "ab", `["a" "b"]`, "[0 1]"},
		{`["a","b"]`, "a", `["<bos>" "a"]`, "[0 0]"},
	} {
		request := `{"prompt":` + c.prompt + `,"max_tokens":3,"temperature":0,"n":2`
		var plain, got logprobAnswer
		_, _, body := s.call(t, "POST", "/v1/completions", request+"}")
		if err := json.Unmarshal([]byte(body), &plain); err != nil {
			t.Fatal(err)
		}
		answer := plain.Choices[0].Text
		_, _, body = s.call(t, "POST", "/v1/completions", request+`,"echo":true}`)
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Choices[1].Text != c.echo+answer ||
			got.Choices[1].Logprobs != nil {
			t.Errorf("%s: %s, want %q before %q", c.prompt, body, c.echo, answer)
		}
		_, _, body = s.call(t, "POST", "/v1/completions", request+`,"echo":true,"logprobs":1}`)
		got = logprobAnswer{}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		for _, choice := range got.Choices[:2] {
			l := choice.Logprobs
			n := len(l.Tokens) - 3
			last := len([]rune(c.echo))
			want := strings.TrimSuffix(c.offsets, "]") + fmt.Sprintf(" %d %d %d]", last, last+1, last+2)
			if fmt.Sprintf("%q", l.Tokens[:n]) != c.tokens || strings.Join(l.Tokens[n:], "") != answer ||
				fmt.Sprint(l.TextOffset) != want ||
				l.TopLogprobs[0] != nil || l.TopLogprobs[1] == nil || len(l.TokenLogprobs) != n+3 {
				t.Errorf("%s: %q, offsets %v: %s", c.prompt, l.Tokens, l.TextOffset, body)
			}
		}
		if !strings.Contains(body, `"token_logprobs":[null,-`) {
			t.Errorf("%s: the first token has a log-probability: %s", c.prompt, body)
		}
		_, _, body = s.call(t, "POST", "/v1/completions", strings.Replace(request, `"n":2`, `"n":1`, 1)+
			`,"echo":true,"logprobs":1,"stream":true}`)
		text, listed := "", 0
		for line := range strings.Lines(body) {
			var e logprobAnswer
			if data, ok := strings.CutPrefix(line, "data: {"); ok {
				if err := json.Unmarshal([]byte("{"+data), &e); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(line, `"index":0`) {
					text += e.Choices[0].Text
					if l := e.Choices[0].Logprobs; l != nil {
						listed += len(l.Tokens)
					}
				}
			}
		}
		if text != c.echo+answer || listed != len(strings.Fields(c.offsets))+3 {
			t.Errorf("%s: streamed %q with %d tokens: %s", c.prompt, text, listed, body)
		}
	}
}

// TestNoAnswer reads prompts and draws nothing: what is said of a prompt is what is said of it before an answer.
func TestNoAnswer(t *testing.T) {
	s := open(t, &fake.Runner{}, nil)
	type completion struct {
		Choices []openai.CompletionChoice
		Usage   openai.Usage
	}
	ask := func(members string) (c completion) {
		t.Helper()
		status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":["some text","é"],`+members+`}`)
		if err := json.Unmarshal([]byte(body), &c); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", members, status, body)
		}
		return c
	}
	all := ask(`"max_tokens":3,"echo":true,"logprobs":2`)
	none := ask(`"max_tokens":0,"echo":true,"logprobs":2,"n_predict":0`)
	for i, prompt := range []string{"some text", "é"} {
		got, want := none.Choices[i], *all.Choices[i].Logprobs
		n := len(want.Tokens) - 3
		want.Tokens, want.TokenLogprobs, want.TopLogprobs, want.TextOffset = want.Tokens[:n], want.TokenLogprobs[:n],
			want.TopLogprobs[:n], want.TextOffset[:n]
		if diff := cmp.Diff(&want, got.Logprobs); diff != "" || got.Text != prompt || *got.FinishReason != "length" {
			t.Errorf("%q: %q, %s", prompt, got.Text, diff)
		}
	}
	if u := none.Usage; u.CompletionTokens != 0 || u.PromptTokens != all.Usage.PromptTokens {
		t.Errorf("usage %+v", u)
	}
	if c := ask(`"max_tokens":0`).Choices[0]; c.Text != "" || c.Logprobs != nil || *c.FinishReason != "length" {
		t.Errorf("without echo: %+v", c)
	}
	_, _, stream := s.call(t, "POST", "/v1/completions",
		`{"prompt":"some text","max_tokens":0,"echo":true,"logprobs":1,"stream":true}`)
	if strings.Count(stream, "data: ") != 2 || !strings.Contains(stream, `"text":"some text"`) ||
		!strings.Contains(stream, `"finish_reason":"length"`) {
		t.Errorf("stream %s", stream)
	}
	for members, param := range map[string]string{
		`"max_tokens":0,"n_predict":1`: "max_tokens", `"max_tokens":0,"n_predict":-1`: "max_tokens",
		`"max_tokens":0,"min_tokens":1`: "min_tokens", `"max_tokens":0.5`: "max_tokens",
	} {
		status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x",`+members+`}`)
		if status != 400 || !strings.Contains(body, `"param":"`+param+`"`) {
			t.Errorf("%s: %d %s", members, status, body)
		}
	}
	for path, body := range map[string]string{
		"/v1/chat/completions": hi + `,"max_tokens":0}`, "/v1/responses": `{"input":"x","max_output_tokens":0}`,
	} {
		if status, _, answer := s.call(t, "POST", path, body); status != 400 || !strings.Contains(answer, "from 1 to") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}
