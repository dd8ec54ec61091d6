package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hipengine/hipengine/engine/pool"
	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/tracing"
)

// collected is what a collector was sent.
type collected struct {
	mu    sync.Mutex
	raw   bytes.Buffer
	spans []*otlp.Span
	path  string
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	var req otlp.TracesData
	if err == nil {
		err = proto.Unmarshal(b, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.path = r.URL.Path
	c.raw.Write(b)
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
}

// attribute returns the value of an attribute.
func attribute(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// TestTraces sends requests with and without a trace of their own to a server with a collector, and looks at what that
// gets: the stations of each sequence within the span of its request, and no text.
func TestTraces(t *testing.T) {
	got := &collected{}
	server := httptest.NewServer(got)
	defer server.Close()
	tracer, err := tracing.New(t.Context(), server.URL, "v1", func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, room: 1}
	s, _ := openPool(t, pool.Config[*swapped]{Specs: []pool.Spec[*swapped]{
		h.spec("red", 20*time.Millisecond, &fake.Runner{Reply: "confidential answer", Delay: time.Millisecond})}},
		func(c *Config) { c.Tracer = tracer })
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	post := func(flags, body string) int {
		status, _, _ := s.call(t, "POST", "/v1/completions", body, "traceparent", "00-"+id+"-"+parent+"-"+flags,
			"X-Request-Id", "mine")
		return status
	}
	const question = `{"model":"red","prompt":"confidential question","n":2,"max_tokens":5}`
	if status := post("01", question); status != 200 {
		t.Errorf("status %d", status)
	}
	if status := post("00", question); status != 200 { // the caller does not sample
		t.Errorf("status %d", status)
	}
	s.call(t, "POST", "/v1/completions", `{"model":"blue","prompt":"confidential question"}`)
	s.call(t, "GET", "/readyz", "")
	wait(t, "the log lines", func() bool { return strings.Count(s.log.String(), "msg=request") == 4 })
	if n := strings.Count(s.log.String(), "trace_id="); n != 2 || !strings.Contains(s.log.String(), "trace_id="+id) {
		t.Errorf("%d trace ids in the log:\n%s", n, s.log)
	}
	wait(t, "the ends of the sequences",
		func() bool { return s.scrape(t)["hipengine_request_seconds_count{model_name=red}"] == 4 })
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	if strings.Contains(got.raw.String(), "confidential") || got.path != "/v1/traces" {
		t.Errorf("%s was sent %q", got.path, got.raw.String())
	}
	var mine, others []string
	var root *otlp.Span
	for _, span := range got.spans {
		if hex.EncodeToString(span.TraceId) != id {
			others = append(others, span.Name+" "+attribute(span, "http.response.status_code"))
			continue
		}
		mine = append(mine, span.Name)
		if hex.EncodeToString(span.ParentSpanId) == parent {
			root = span
		}
	}
	slices.Sort(mine)
	if want := "[POST /v1/completions decode decode load prefill prefill queue queue]"; fmt.Sprint(mine) != want ||
		root == nil {
		t.Fatalf("spans of the request's trace: %v, want %s", mine, want)
	}
	if fmt.Sprint(others) != "[POST /v1/completions 404]" {
		t.Errorf("other spans: %v", others)
	}
	for key, want := range map[string]string{"http.response.status_code": "200", "hipengine.request_id": "mine",
		"gen_ai.request.model":       "red",
		"gen_ai.usage.output_tokens": "10", "gen_ai.usage.input_tokens": "22"} {
		if v := attribute(root, key); v != want {
			t.Errorf("%s is %q, want %q", key, v, want)
		}
	}
	for _, span := range got.spans {
		if hex.EncodeToString(span.TraceId) == id && span != root {
			if !bytes.Equal(span.ParentSpanId, root.SpanId) || span.StartTimeUnixNano < root.StartTimeUnixNano ||
				span.EndTimeUnixNano < span.StartTimeUnixNano {
				t.Errorf("%v is not within %v", span, root)
			}
		}
	}
}

// TestTracesWithoutCollector: requests do not notice a collector that is not there, and the end does not wait for it.
func TestTracesWithoutCollector(t *testing.T) {
	var mu sync.Mutex
	var failed []error
	tracer, err := tracing.New(t.Context(), "http://127.0.0.1:1", "v1", func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, &fake.Runner{Reply: "x"}, func(c *Config) { c.Tracer = tracer })
	for range 20 {
		if status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"x"}`); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	tracer.Close(ctx)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("the end took %v", took)
	}
	wait(t, "the error", func() bool { mu.Lock(); defer mu.Unlock(); return len(failed) > 0 })
	if !strings.Contains(failed[0].Error(), "spans are lost") {
		t.Errorf("%v", failed[0])
	}
	for _, bad := range []string{"", "localhost:4318", "ftp://x", "http://"} {
		if _, err := tracing.New(t.Context(), bad, "", nil); err == nil ||
			!strings.Contains(err.Error(), "no address") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
