package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestEmbeddingErrorsNameTheField(t *testing.T) {
	parse := func(b []byte) error { _, err := ParseEmbedding(b, Limits{}); return err }
	checkFieldErrors(t, `{"input":"x",%s}`, parse, []struct{ members, param, say string }{
		{`"encoding_format":"int8"`, "encoding_format", "float or base64"},
		{`"encoding_format":1`, "encoding_format", "a string, not a number"},
		{`"dimensions":0`, "dimensions", "from 1"},
		{`"dimensions":1.5`, "dimensions", "an integer"},
		{`"model":7`, "model", "a string, not a number"},
		{`"content":"x"`, "content", "unknown field"},
		{`"embd_normalize":2`, "embd_normalize", "unknown field"},
		{`"truncate_prompt_tokens":3`, "truncate_prompt_tokens", "not offered"},
	})
	checkFieldErrors(t, `{%s}`, parse, []struct{ members, param, say string }{
		{``, "input", "required"},
		{`"input":null`, "input", "required"},
		{`"input":7`, "input", "a string, or an array"},
		{`"input":[]`, "input", "empty"},
		{`"input":[[]]`, "input[0]", "empty"},
		{`"input":[1,-1]`, "input[1]", "from 0"},
		{`"input":["a",-1]`, "input[1]", "from 0"},
		{`"input":["a",["b",-1]]`, "input[1][1]", "from 0"},
		{`"input":["a",{}]`, "input[1]", "a string, or an array"},
		{`"input":[` + strings.Repeat(`"a",`, 2048) + `"a"]`, "input", "2049 inputs, at most 2048"},
	})
	parse = func(b []byte) error { _, err := ParseNativeEmbedding(b, Limits{}); return err }
	checkFieldErrors(t, `{"input":"x",%s}`, parse, []struct{ members, param, say string }{
		{`"content":"x"`, "content", "another name of input"},
		{`"embd_normalize":-2`, "embd_normalize", "from -1 to 64"},
		{`"dimensions":1`, "dimensions", "unknown field"},
	})
	checkFieldErrors(t, `{%s}`, parse, []struct{ members, param, say string }{
		{`"content":7`, "content", "a string, or an array"},
		{``, "input", "required"},
	})
}

func TestRerankErrorsNameTheField(t *testing.T) {
	parse := func(b []byte) error { _, err := ParseRerank(b, Limits{}); return err }
	checkFieldErrors(t, `{"query":"q","documents":["x"],%s}`, parse, []struct{ members, param, say string }{
		{`"top_n":0`, "top_n", "from 1"},
		{`"top_n":"x"`, "top_n", "an integer, not a string"},
		{`"return_documents":1`, "return_documents", "a boolean"},
		{`"return_text":true`, "return_text", "unknown field"},
		{`"texts":["x"]`, "texts", "another name of documents"},
		{`"truncate":true`, "truncate", "not offered"},
		{`"raw_scores":true`, "raw_scores", "not offered"},
		{`"rank_fields":["x"]`, "rank_fields", "not offered"},
		{`"max_chunks_per_doc":1`, "max_chunks_per_doc", "not offered"},
		{`"max_tokens_per_doc":1`, "max_tokens_per_doc", "not offered"},
		{`"truncation_direction":"Left"`, "truncation_direction", "not offered"},
	})
	checkFieldErrors(t, `{%s}`, parse, []struct{ members, param, say string }{
		{`"documents":["x"]`, "query", "required"},
		{`"query":1,"documents":["x"]`, "query", "a string"},
		{`"query":"q"`, "documents", "required"},
		{`"query":"q","documents":"x"`, "documents", "an array"},
		{`"query":"q","documents":[]`, "documents", "empty"},
		{`"query":"q","documents":[1]`, "documents[0]", "a string, or an object"},
		{`"query":"q","documents":[{}]`, "documents[0].text", "required"},
		{`"query":"q","documents":[{"text":1}]`, "documents[0].text", "a string"},
		{`"query":"q","documents":[{"text":"a","x":1}]`, "documents[0].x", "unknown field"},
		{`"query":"q","texts":[null]`, "texts[0]", "not null"},
		{`"query":"q","documents":[` + strings.Repeat(`"a",`, 2048) + `"a"]`, "documents", "2049 elements"},
	})
}

// TestVector is the wire form of numbers.
func TestVector(t *testing.T) {
	for want, v := range map[string]Vector{
		`[1.5,-2,1e-20]`: {Numbers: []float32{1.5, -2, 1e-20}}, `[]`: {},
		`"AADAPwAAAMA="`: {Numbers: []float32{1.5, -2}, Base64: true}, `""`: {Base64: true},
	} {
		if got, err := json.Marshal(v); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

func FuzzEmbeddingRequest(f *testing.F) {
	for _, c := range []string{`"input":"x"`, `"input":["a","b"],"encoding_format":"base64"`,
		`"input":[[1],[2]],"dimensions":3`,
		`"content":[1,2],"embd_normalize":-1`, `"query":"q","documents":["a",{"text":"b"}],"top_n":1`,
		`"query":"q","texts":["a"],"truncate":false`} {
		f.Add([]byte(fmt.Sprintf(`{%s}`, c)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte, Limits) (*EmbeddingRequest, error){ParseEmbedding, ParseNativeEmbedding} {
			e, err := parse(body, Limits{})
			if err != nil {
				checkError(t, err)
				continue
			}
			if n := len(e.Inputs); n < 1 || n > DefaultLimits().Inputs || e.Dimensions < 0 || e.Norm < -1 {
				t.Errorf("%+v", e)
			}
		}
		q, err := ParseRerank(body, Limits{})
		if err != nil {
			checkError(t, err)
		} else if n := len(q.Documents); n < 1 || n > DefaultLimits().Inputs || q.TopN < 0 {
			t.Errorf("%+v", q)
		}
	})
}
