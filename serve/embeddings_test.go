package serve

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openai"
)

// state is the fake's hidden state behind a text and what stands before it.
func state(text string) []float32 {
	return fake.Hidden(append([]int32{fake.BOS}, fake.Tokenizer{}.Encode(text)...))
}

// vector is the embedding of a text by the fake: the first numbers of its state, at length 1.
func vector(text string, dimensions int) []float32 {
	v := state(text)[:dimensions]
	engine.Normalize(v)
	return v
}

// openEmbedding starts a site whose model encodes texts byte by byte.
func openEmbedding(t *testing.T, change func(m *Model)) *site {
	t.Helper()
	return open(t, &fake.Runner{}, func(c *Config) {
		if change != nil {
			change(&c.Models[0])
		}
	})
}

// embeddingList is the answer of /v1/embeddings.
type embeddingList struct {
	Object, Model string
	Data          []struct {
		Object    string
		Index     int
		Embedding json.RawMessage
	}
	Usage openai.InputUsage
}

// embed posts to /v1/embeddings.
func embed(t *testing.T, s *site, members string) (a embeddingList) {
	t.Helper()
	status, _, body := s.call(t, "POST", "/v1/embeddings", `{"model":"fake",`+members+`}`)
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
		t.Fatalf("%s: %d %s, %v", members, status, body, err)
	}
	return a
}

// floats reads a vector in either form.
func floats(t *testing.T, raw json.RawMessage) (v []float32) {
	t.Helper()
	if raw[0] != '"' {
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	b, err := base64.StdEncoding.DecodeString(strings.Trim(string(raw), `"`))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; b = b[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return v
}

// TestEmbeddings checks the effect of every field.
func TestEmbeddings(t *testing.T) {
	s := openEmbedding(t, nil)
	for _, c := range []struct {
		members    string
		texts      []string
		dimensions int
		tokens     int
	}{
		{`"input":"cat"`, []string{"cat"}, fake.Embd, 4},
		{`"input":["cat","a dog"]`, []string{"cat", "a dog"}, fake.Embd, 10},
		{`"input":[257,99,97,116]`, []string{"cat"}, fake.Embd, 4},
		{`"input":[[257,99,97,116],[257,97]]`, []string{"cat", "a"}, fake.Embd, 6},
		{`"input":"cat","encoding_format":"float"`, []string{"cat"}, fake.Embd, 4},
		{`"input":["cat","a"],"encoding_format":"base64"`, []string{"cat", "a"}, fake.Embd, 6},
		{`"input":"cat","dimensions":2`, []string{"cat"}, 2, 4},
		{`"input":"cat","dimensions":6,"encoding_format":"base64","user":"u"`, []string{"cat"}, fake.Embd, 4},
	} {
		a := embed(t, s, c.members)
		if a.Object != "list" || a.Model != "fake" || len(a.Data) != len(c.texts) ||
			a.Usage.PromptTokens != c.tokens || a.Usage.TotalTokens != c.tokens {
			t.Fatalf("%s: %+v", c.members, a)
		}
		for i, d := range a.Data {
			if base64 := strings.Contains(c.members, "base64"); d.Object != "embedding" || d.Index != i ||
				(d.Embedding[0] == '"') != base64 {
				t.Errorf("%s: %+v", c.members, d)
			}
			if got, want := floats(t, d.Embedding), vector(c.texts[i], c.dimensions); !slices.Equal(got, want) {
				t.Errorf("%s: vector %d is %v, want %v", c.members, i, got, want)
			}
		}
	}
	many := embed(t, s, `"input":[`+strings.Repeat(`"x",`, 2047)+`"x"]`)
	if len(many.Data) != 2048 {
		t.Errorf("%d vectors of 2048 inputs", len(many.Data))
	}
	if log := s.log.String(); !strings.Contains(log, "prompt_tokens=4096 completion_tokens=0") {
		t.Error("the log does not count the tokens")
	}
	_, _, metrics := s.call(t, "GET", "/metrics", "")
	if want := fmt.Sprintf(`hipengine_prompts_embedded_total{model_name="fake"} %d`,
		2048+11); !strings.Contains(metrics, want) {
		t.Errorf("metrics lack %q", want)
	}
}

// wireErrorOf posts a body and returns the error of the answer.
func wireErrorOf(t *testing.T, s *site, path, body string) (status int, param, message string) {
	t.Helper()
	status, _, text := s.call(t, "POST", path, body)
	var e struct {
		Error struct{ Param, Message string }
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%s: %d %s", body, status, text)
	}
	return status, e.Error.Param, e.Error.Message
}

// TestEmbeddingErrors checks what is refused, for the model's part; package openai has the rest.
// TestMixedInputs embeds ids and texts that follow on each other.
func TestMixedInputs(t *testing.T) {
	s := openEmbedding(t, nil)
	bare := fake.Hidden([]int32{'a', 'b'})
	engine.Normalize(bare)
	a := embed(t, s, `"input":["ab",["a",98],[97,"b"],[97,98]]`)
	for i, want := range [][]float32{vector("ab", len(bare)), vector("ab", len(bare)), bare, bare} {
		if got := floats(t, a.Data[i].Embedding); !slices.Equal(got, want) {
			t.Errorf("input %d is %v, want %v", i, got, want)
		}
	}
	if got := floats(t, embed(t, s, `"input":[97,"b"]`).Data[0].Embedding); !slices.Equal(got, bare) {
		t.Errorf("one input is %v, want %v", got, bare)
	}
}

func TestEmbeddingErrors(t *testing.T) {
	s := openEmbedding(t, nil)
	for _, c := range []struct{ path, body, param, say string }{
		{"/v1/embeddings", `{"input":[258]}`, "input", "ids 0 to 257"},
		{"/v1/embeddings", `{"input":"a","dimensions":7}`, "dimensions", "from 1 to 6"},
		{"/v1/embeddings", `{"input":"` + strings.Repeat("x", 5000) + `"}`, "", "5001 tokens"},
		{"/v1/embeddings", `{}`, "input", "required"},
		{"/embedding", `{"content":"a","dimensions":2}`, "dimensions", "unknown field"},
		{"/embedding", `{}`, "input", "required"},
		{"/v1/rerank", `{"query":"a","documents":["b"]}`, "model", "was not made to rank"},
	} {
		status, param, message := wireErrorOf(t, s, c.path, c.body)
		if status != 400 || param != c.param || !strings.Contains(message, c.say) {
			t.Errorf("%.80s: %d %q %q, want %q and %q", c.body, status, param, message, c.param, c.say)
		}
	}
	if status, param, _ := wireErrorOf(t, s, "/v1/embeddings", `{"model":"other","input":"a"}`); status != 404 ||
		param != "model" {
		t.Errorf("%d %q", status, param)
	}
	if status, _, _ := s.call(t, "GET", "/v1/embeddings", ""); status != 405 {
		t.Errorf("GET: %d", status)
	}
}

// TestNativeEmbeddings checks llama.cpp's own form: every input has a list of vectors, and embd_normalize scales them.
func TestNativeEmbeddings(t *testing.T) {
	type entry struct {
		Index     int
		Embedding [][]float32
	}
	post := func(s *site, path, body string) (list []entry) {
		t.Helper()
		status, _, text := s.call(t, "POST", path, body)
		if err := json.Unmarshal([]byte(text), &list); err != nil || status != 200 {
			t.Fatalf("%s: %d %s", body, status, text)
		}
		return list
	}
	raw := state("cat")
	var one, cubes, most float64
	for _, x := range raw {
		a := math.Abs(float64(x))
		one, cubes, most = one+a, cubes+a*a*a, max(most, a)
	}
	s := openEmbedding(t, nil)
	for body, size := range map[string]float64{
		`"embd_normalize":-1`: 1, `"embd_normalize":1`: one, `"embd_normalize":3`: math.Cbrt(cubes),
		`"embd_normalize":0`: most / 32760,
	} {
		got := post(s, "/embedding", `{"content":"cat",`+body+`}`)
		for i, x := range got[0].Embedding[0] {
			if want := float64(raw[i]) / size; math.Abs(float64(x)-want) > 1e-6*max(1, math.Abs(want)) {
				t.Errorf("%s: number %d is %v, want %v", body, i, x, want)
			}
		}
	}
	got := post(s, "/embeddings", `{"input":["cat","a"]}`)
	if len(got) != 2 || got[1].Index != 1 || len(got[0].Embedding) != 1 ||
		!slices.Equal(got[0].Embedding[0], vector("cat", fake.Embd)) {
		t.Errorf("%+v", got)
	}

	s = openEmbedding(t, func(m *Model) { m.Pooling = engine.PoolNone })
	got = post(s, "/embedding", `{"content":"cat"}`)
	if len(got) != 1 || len(got[0].Embedding) != 4 || !slices.Equal(got[0].Embedding[3], raw) {
		t.Errorf("%+v", got)
	}
	status, param, message := wireErrorOf(t, s, "/v1/embeddings", `{"input":"cat"}`)
	if status != 400 || param != "model" || !strings.Contains(message, "pooling none") {
		t.Errorf("%d %q %q", status, param, message)
	}
}

// bare is a tokenizer that puts nothing before a text.
type bare struct{ fake.Tokenizer }

func (t bare) EncodeText(text string, _, _ bool) ([]int32, error) { return t.Encode(text), nil }

// TestEmptyInputs: where a text has no token, there is nothing to embed.
func TestEmptyInputs(t *testing.T) {
	s := openEmbedding(t, func(m *Model) { m.Tokenizer = bare{} })
	for input, param := range map[string]string{`""`: "input", `["a",""]`: "input[1]"} {
		status, got, message := wireErrorOf(t, s, "/v1/embeddings", `{"input":`+input+`}`)
		if status != 400 || got != param || !strings.Contains(message, "is empty") {
			t.Errorf("%s: %d %q %q", input, status, got, message)
		}
	}
}

// length ranks documents by how near their length is to the query's.
type length struct{}

func (length) Pooling() engine.Pooling { return engine.PoolLast }

func (length) Prompt(query, document string) (ids, types []int32, err error) {
	return fake.Tokenizer{}.Encode(query + "|" + document), nil, nil
}

// Score finds the document by the state that the fake has behind its prompt.
func (length) Score(state []float32) float64 {
	for doc, score := range map[string]float64{"far": 0.1, "near": 0.9, "mid": 0.5, "mid too": 0.5} {
		if slices.Equal(state, fake.Hidden(fake.Tokenizer{}.Encode("q|"+doc))) {
			return score
		}
	}
	return math.NaN()
}

// typed is a ranker whose documents are of a type that the fake does not have.
type typed struct{ length }

func (r typed) Prompt(query, document string) (ids, types []int32, err error) {
	ids, _, err = r.length.Prompt(query, document)
	types = make([]int32, len(ids))
	types[len(ids)-1] = 1
	return ids, types, err
}

// TestRerankTypes: the types of tokens reach the engine, which says what is wrong with them.
func TestRerankTypes(t *testing.T) {
	s := openEmbedding(t, func(m *Model) { m.Ranker = typed{} })
	status, _, body := s.call(t, "POST", "/v1/rerank", `{"model":"fake","query":"q","documents":["far"]}`)
	if want := "token 4 is of type 1, of which the model has 1"; status != 400 || !strings.Contains(body, want) {
		t.Errorf("%d %s, want an error with %q", status, body, want)
	}
}

// TestRerank checks the order of results and the effect of every field, in each form.
func TestRerank(t *testing.T) {
	s := openEmbedding(t, func(m *Model) { m.Ranker = length{} })
	const docs = `"documents":["far","mid",{"text":"near"},"mid too"]`
	for _, path := range []string{"/v1/rerank", "/rerank", "/reranking", "/v1/reranking", "/v2/rerank"} {
		status, _, body := s.call(t, "POST", path, `{"model":"fake","query":"q",`+docs+`}`)
		want := `{"object":"list","model":"fake","usage":{"prompt_tokens":25,"total_tokens":25},"results":[{"index":2,"relevance_score":0.9},` +
			`{"index":1,"relevance_score":0.5},{"index":3,"relevance_score":0.5},{"index":0,"relevance_score":0.1}]}` +
			"\n"
		if status != 200 || body != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for members, want := range map[string]string{
		docs + `,"top_n":1`: `"results":[{"index":2,"relevance_score":0.9}]}`,
		docs + `,"top_n":2,"return_documents":true`: `"results":[{"index":2,"relevance_score":0.9,"document":{"text":"near"}},` +
			`{"index":1,"relevance_score":0.5,"document":{"text":"mid"}}]}`,
		docs + `,"top_n":9,"user":"u"`:                               `{"index":0,"relevance_score":0.1}]}`,
		`"texts":["far","near"],"raw_scores":false,"truncate":false`: `[{"index":1,"score":0.9},{"index":0,"score":0.1}]`,
		`"texts":["far"],"return_text":true`:                         `[{"index":0,"score":0.1,"text":"far"}]`,
	} {
		status, _, body := s.call(t, "POST", "/rerank", `{"query":"q",`+members+`}`)
		if status != 200 || !strings.HasSuffix(strings.TrimSpace(body), want) {
			t.Errorf("%s: %d %s", members, status, body)
		}
	}
}
