package serve

import (
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hipengine/hipengine/serve/tracing"
)

const (
	sampledTrace  = "0af7651916cd43dd8448eb211c80319c"
	sampledParent = "b7ad6b7169203331"
)

// sendSpan sends one span to a collector and returns why that failed, or nil.
func sendSpan(t *testing.T, endpoint string) (failed error) {
	t.Helper()
	tracer, err := tracing.New(t.Context(), endpoint, "v1", func(err error) { failed = errors.Join(failed, err) })
	if err != nil {
		return err
	}
	h := http.Header{"Traceparent": {"00-" + sampledTrace + "-" + sampledParent + "-01"}}
	tracer.Start(h, time.Now()).End(tracing.Outcome{Method: "POST", Route: "/v1/x", Status: 200})
	if err := tracer.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return failed
}

// TestTracesEnvironment sends a span as OpenTelemetry's environment variables say.
func TestTracesEnvironment(t *testing.T) {
	var header http.Header
	var body []byte
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "none=of these")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20a%3Db, x-scope = one ")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	if err := sendSpan(t, collector.URL); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"Authorization": "Bearer a=b", "X-Scope": "one", "None": "",
		"Content-Type": "application/json", "Content-Encoding": "gzip", "User-Agent": "hipengine/v1"} {
		if got := header.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	z, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	var sent struct {
		ResourceSpans []struct {
			ScopeSpans []struct {
				Spans []struct {
					TraceID, SpanID, ParentSpanID, Name, StartTimeUnixNano string
					Kind                                                   int
				}
			}
		}
	}
	if err := json.NewDecoder(z).Decode(&sent); err != nil {
		t.Fatal(err)
	}
	s := sent.ResourceSpans[0].ScopeSpans[0].Spans[0]
	if s.TraceID != sampledTrace || s.ParentSpanID != sampledParent || len(s.SpanID) != 16 || s.Name != "POST /v1/x" ||
		s.Kind != 2 || len(s.StartTimeUnixNano) != 19 {
		t.Errorf("%+v", s)
	}
}

// TestTracesBadEnvironment: each error names the variable.
func TestTracesBadEnvironment(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"COMPRESSION", "zstd", `OTEL_EXPORTER_OTLP_COMPRESSION is "zstd"`},
		{"TRACES_PROTOCOL", "grpc", `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "grpc"`},
		{"HEADERS", "secret", `OTEL_EXPORTER_OTLP_HEADERS: header "secret"`},
		{"HEADERS", "a b=c", `header "a b"`},
		{"HEADERS", "a=%zz", `header "a"`},
		{"CERTIFICATE", "/no/such.pem", "OTEL_EXPORTER_OTLP_CERTIFICATE: open /no/such.pem"},
		{"CERTIFICATE", empty, "has no certificate"},
		{"TRACES_CLIENT_KEY", empty, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY: "},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_"+c.name, c.value)
			if _, err := tracing.New(t.Context(), "https://localhost:4318", "", nil); err == nil ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestTracesCertificates sends to a collector whose certificate no system knows, with and without its authority.
func TestTracesCertificates(t *testing.T) {
	collector := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	collector.Config.ErrorLog = log.New(io.Discard, "", 0)
	collector.StartTLS()
	defer collector.Close()
	if err := sendSpan(t, collector.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without: %v", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	if err := sendSpan(t, collector.URL); err != nil {
		t.Errorf("with: %v", err)
	}
	if err := sendSpan(t, "http://localhost:4318"); err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("plain: %v", err)
	}
}

// TestTracesAnswers: what has no time is sent again when it says so, and spans that are not taken are told of.
func TestTracesAnswers(t *testing.T) {
	partial := protowire.AppendTag(nil, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, 3)
	partial = protowire.AppendTag(partial, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, "too old")
	message := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
	for name, c := range map[string]struct {
		busy, status int // how often it has no time; what it answers then
		kind, body   string
		want         string // of the error; none if empty
		sent         int
	}{
		"taken":            {status: 200, sent: 1},
		"busy once":        {busy: 1, status: 202, sent: 2},
		"refused":          {status: 401, body: " who are you?\n", want: `401 Unauthorized "who are you?"`, sent: 1},
		"partly":           {status: 200, kind: "application/x-protobuf", body: string(message), want: `rejects 3 spans: "too old"`, sent: 1},
		"partly, in JSON":  {status: 200, kind: "application/json; charset=utf-8", body: `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}`, want: `rejects 3 spans: "too old"`, sent: 1},
		"wholly, in JSON":  {status: 200, kind: "application/json", body: `{"partialSuccess":{}}`, sent: 1},
		"broken":           {status: 200, kind: "application/x-protobuf", body: string(message[:len(message)-1]), want: "the collector's answer", sent: 1},
		"broken, in JSON":  {status: 200, kind: "application/json", body: "{", want: "the collector's answer", sent: 1},
		"of an other type": {status: 200, kind: "text/plain", body: "thanks", sent: 1},
		"endless":          {status: 200, body: strings.Repeat(" ", 4<<20+1), want: "more than 4194304 bytes", sent: 1},
	} {
		t.Run(name, func(t *testing.T) {
			sent := 0
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if sent++; sent <= c.busy {
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer collector.Close()
			err := sendSpan(t, collector.URL)
			if c.want == "" && err != nil || c.want != "" && !strings.Contains(fmt.Sprint(err), c.want) || sent != c.sent {
				t.Errorf("sent %d times: %v; want %d times, %s", sent, err, c.sent, c.want)
			}
		})
	}
}

// TestTracesMuchLater: what is to be sent again later than spans are kept is dropped at once.
func TestTracesMuchLater(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer collector.Close()
	start := time.Now()
	if err := sendSpan(t, collector.URL); !strings.Contains(fmt.Sprint(err), "429 Too Many Requests") {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
