package serve

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/internal/fake"
)

// fourLetters gives a, b, c and d the probabilities 0.50, 0.30, 0.18 and 0.02 of all tokens, whatever was said.
func fourLetters(logits []float32) {
	for i := range logits {
		logits[i] = -50
	}
	logits['a'], logits['b'], logits['c'], logits['d'] = 10, 9.5, 9, 7
}

// completionOf returns the text of a completion, and why it ended.
func completionOf(t *testing.T, s *site, members string) (text, finish string) {
	t.Helper()
	status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x",`+members+`}`)
	var a struct {
		Choices []struct {
			Text         string
			FinishReason string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		t.Fatalf("%s: %d %s", members, status, body)
	}
	return a.Choices[0].Text, a.Choices[0].FinishReason
}

// letters returns the letters of a text in order, each once.
func letters(text string) string {
	b := []byte(text)
	slices.Sort(b)
	return string(slices.Compact(b))
}

// free are parameters with which every token can come.
var free = sample.Overrides{Temperature: new(float32(1)), TopK: new(0), TopP: new(float32(1)), MinP: new(float32(0)),
	Seed: new(uint64(3))}

// TestSamplingFields asks for each field of the samplers and looks at what can be drawn then.
func TestSamplingFields(t *testing.T) {
	s := open(t, &fake.Runner{Alter: fourLetters}, func(c *Config) { c.Sampling = free })
	for members, want := range map[string]string{
		`"n":1`:                  "abcd",
		`"top_k":2`:              "ab",
		`"top_k":-1`:             "abcd",
		`"top_p":0.6`:            "ab",
		`"top_p":0`:              "a",
		`"min_p":0.5`:            "ab",
		`"typical_p":0.25`:       "b",
		`"typical_p":0.7`:        "ab",
		`"typical_p":1`:          "abcd",
		`"top_n_sigma":0.1`:      "ab",
		`"top_n_sigma":-1`:       "abcd",
		`"top_p":0,"min_keep":3`: "abc",
		`"xtc_probability":1,"xtc_threshold":0.1`: "cd",
		`"xtc_probability":1`:                     "cd",
		`"xtc_probability":1,"xtc_threshold":0.4`: "abcd",
		`"xtc_probability":0`:                     "abcd",
		`"mirostat":2,"mirostat_tau":0`:           "a", `"mirostat":1,"mirostat_tau":0`: "a",
		`"mirostat":2,"mirostat_tau":50`:                   "abcd",
		`"mirostat":2,"mirostat_tau":1.5,"mirostat_eta":0`: "abc", // a surprise of at most 3 bits
		`"samplers":["min_p"],"top_k":1,"min_p":0.5`:       "ab", `"samplers":"kt","top_k":3,"min_p":1`: "abc",
		`"samplers":"top_p;top_k","top_p":0.6,"top_k":1`: "a", `"samplers":[],"top_k":1`: "abcd",
		`"logit_bias":{"97":-100}`:               "bcd",
		`"logit_bias":[[97,false],["bd",false]]`: "c",
		`"logit_bias":{"ab":-100,"99":false}`:    "d",
		`"logit_bias":[[100,50],[100,-50]]`:      "abcd",
		`"logit_bias":[["d",100]]`:               "d",
		`"bad_words":["a"]`:                      "bcd",
		`"bad_words":["aa","bb","cc"]`:           "abcd",
	} {
		text, _ := completionOf(t, s, `"max_tokens":400,`+members)
		if got := letters(text); got != want || len(text) != 400 {
			t.Errorf("%s: letters %s in %d tokens, want %s", members, got, len(text), want)
		}
		if strings.Contains(members, `"aa"`) &&
			(strings.Contains(text, "aa") || strings.Contains(text, "bb") || strings.Contains(text, "cc")) {
			t.Errorf("%s: a bad word in %s", members, text)
		}
	}
	const greedy = `"temperature":0,"max_tokens":12,`
	for members, want := range map[string]string{
		`"n":1`:                                "aaaaaaaaaaaa",
		`"repeat_penalty":2,"repeat_last_n":1`: "abababababab",
		`"repetition_penalty":10,"repeat_last_n":3`:                          "abcdabcdabcd",
		`"presence_penalty":2,"repeat_last_n":2`:                             "abcabcabcabc",
		`"presence_penalty":0.6,"repeat_last_n":-1`:                          "abaaaaaaaaaa",
		`"repeat_penalty":2,"repeat_last_n":0`:                               "aaaaaaaaaaaa",
		`"frequency_penalty":0.6`:                                            "abacbacbacba",
		`"dry_multiplier":100,"dry_allowed_length":1`:                        "aabacada\x00a\x01a",
		`"dry_multiplier":100`:                                               "aaabaacaadaa",
		`"dry_multiplier":0.1,"dry_base":2`:                                  "aaaaaabaaaaa",
		`"dry_multiplier":0.1,"dry_base":1`:                                  "aaaaaaaaaaaa",
		`"dry_multiplier":100,"dry_penalty_last_n":0`:                        "aaaaaaaaaaaa",
		`"dry_multiplier":100,"dry_allowed_length":1,"dry_penalty_last_n":2`: "aabaabaabaab",
		`"dry_multiplier":100,"dry_sequence_breakers":["a"]`:                 "aaaaaaaaaaaa",
		`"xtc_probability":1,"xtc_threshold":0.1`:                            "cccccccccccc",
		`"typical_p":0.2`:                                                    "bbbbbbbbbbbb",
	} {
		if text, _ := completionOf(t, s, greedy+members); text != want {
			t.Errorf("%s: %q, want %q", members, text, want)
		}
	}
	// A temperature of 0 that follows the entropy is none.
	if text, _ := completionOf(t, s, `"max_tokens":400,"temperature":0,"dynatemp_range":3`); letters(text) == "a" {
		t.Errorf("dynatemp_range: %s", text)
	}
	if text, _ := completionOf(t, s,
		`"max_tokens":400,"temperature":0,"dynatemp_range":3,"dynatemp_exponent":10`); letters(text) != "a" {
		t.Errorf("dynatemp_exponent: %s", text)
	}
	one, _ := completionOf(t, s, `"temperature":1,"seed":5,"max_tokens":60`)
	if two, _ := completionOf(t, s, `"temperature":1,"seed":5,"max_tokens":60`); one != two {
		t.Errorf("one seed gave %s and %s", one, two)
	}
	for _, seed := range []string{`"seed":6,`, `"seed":-1,`, ""} { // of which the server's is 3
		if other, _ := completionOf(t, s, seed+`"temperature":1,"max_tokens":60`); other == one {
			t.Errorf("%s gave %s too", seed, one)
		}
	}
}

// TestEndFields asks for the fields that say where a text ends.
func TestEndFields(t *testing.T) {
	s := open(t, &fake.Runner{Reply: "abc"}, func(c *Config) { c.Sampling = free })
	for members, want := range map[string]string{
		`"max_tokens":20`:                        "abc stop",
		`"max_tokens":2`:                         "ab length",
		`"stop":"c"`:                             "ab stop",
		`"stop_token_ids":[99]`:                  "ab stop",
		`"stop_token_ids":[7,98],"max_tokens":1`: "a length",
	} {
		if text, finish := completionOf(t, s, members); text+" "+finish != want {
			t.Errorf("%s: %s %s, want %s", members, text, finish, want)
		}
	}
	const most = `"max_tokens":12,`
	for _, members := range []string{`"min_tokens":9`, `"min_tokens":9,"stop":["a","b","c"]`,
		`"min_tokens":9,"stop_token_ids":[97,98,99,120]`} {
		if text, _ := completionOf(t, s, most+members); len(text) < 8 || !strings.Contains(members, "stop") &&
			!strings.HasPrefix(text, "abc") {
			t.Errorf("%s: %q", members, text)
		}
	}
	if text, finish := completionOf(t, s, most+`"ignore_eos":true`); finish != "length" ||
		!strings.HasPrefix(text, "abc") {
		t.Errorf("ignore_eos: %q, %s", text, finish)
	}
	for _, c := range []struct{ members, param string }{
		{`"stop_token_ids":[258]`, "stop_token_ids"},
		{`"logit_bias":{"258":1}`, "logit_bias"},
		{`"min_tokens":7,"max_tokens":6`, ""},
	} {
		status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x",`+c.members+`}`)
		var e struct {
			Error struct{ Param, Message string }
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != 400 || e.Error.Param != c.param {
			t.Errorf("%s: %d %s", c.members, status, body)
		}
	}
}

// TestServerSampling puts the server's parameters between those of requests and of models.
func TestServerSampling(t *testing.T) {
	s := open(t, &fake.Runner{Alter: fourLetters}, func(c *Config) {
		c.Sampling = sample.Overrides{TopK: new(2), Temperature: new(float32(1))}
		c.Models[0].Defaults = sample.Overrides{TopK: new(1), MinP: new(float32(0)), TopP: new(float32(1))}
	})
	for members, want := range map[string]string{`"n":1`: "ab", `"top_k":3`: "abc", `"temperature":0`: "a"} {
		if text, _ := completionOf(t, s, `"max_tokens":300,"seed":1,`+members); letters(text) != want {
			t.Errorf("%s: %s, want letters %s", members, text, want)
		}
	}
	if _, err := New(Config{Sampling: sample.Overrides{TopP: new(float32(2))}}); err == nil ||
		!strings.Contains(err.Error(), "top_p 2") {
		t.Errorf("top_p 2: %v", err)
	}
}
