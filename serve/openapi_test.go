//go:build openapi

package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	pathpkg "path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	verrors "github.com/pb33f/libopenapi-validator/errors"

	"github.com/hipengine/hipengine/internal/fake"
	"github.com/hipengine/hipengine/serve/openapi"
)

// description is the server's document, with what validates by it.
type description struct {
	mu        sync.Mutex // the validator builds its schemas when they are used first
	validator validator.Validator
	paths     map[string]map[string]json.RawMessage // methods and more of each path
}

var describedBy = sync.OnceValues(func() (*description, error) {
	text := openapi.Document("test")
	d := new(description)
	if err := json.Unmarshal(text, &struct {
		Paths *map[string]map[string]json.RawMessage `json:"paths"`
	}{&d.paths}); err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	var errs []error
	// The schema of a stream is that of an event's data.
	event := content.DecoderFunc(func(in *content.DecodeInput) (v any, err error) {
		err = json.NewDecoder(in.Body).Decode(&v)
		return v, err
	})
	d.validator, errs = validator.NewValidator(document, config.WithoutSecurityValidation(),
		config.WithBodyDecoder("text/event-stream", event),
		config.WithBodyDecoder("application/x-ndjson", event))
	if errs != nil {
		return nil, errs[0]
	}
	return d, nil
})

// find returns the path under which the document describes a request, and the request's own as it is validated. short
// are the paths that stand for others below /v1.
func (d *description) find(r *http.Request, short map[string]bool) (template, path string) {
	path = r.URL.Path
	if short[path] || strings.HasPrefix(path, "/models/") {
		path = "/v1" + path
	}
	if id, ok := strings.CutPrefix(path, "/v1/models/"); ok && id != "" {
		return "/v1/models/{id}", "/v1/models/" + url.PathEscape(id) // the document knows no parameters with slashes
	}
	if d.paths[path] != nil {
		return path, path
	}
	for template := range d.paths {
		if ok, err := pathpkg.Match(parameter.ReplaceAllString(template, "*"), path); err == nil && ok {
			return template, path
		}
	}
	return path, path
}

// parameter is a part of a path in the document.
var parameter = regexp.MustCompile(`\{\w+\}`)

// exchange is a request with its answer.
type exchange struct {
	request  *http.Request
	short    map[string]bool // paths without /v1
	body     bytes.Buffer    // of the request, as far as it was read
	status   int
	header   http.Header
	response bytes.Buffer
}

// checked validates everything that passes through a server by the document.
func checked(t *testing.T, s *Server) http.Handler {
	t.Helper()
	d, err := describedBy()
	if err != nil {
		t.Fatalf("the document cannot be used: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &exchange{request: r, short: s.short}
		seen := r.Clone(r.Context())
		seen.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &e.body), r.Body}
		defer func() {
			if problems := d.check(e); problems != nil { // the first event tells enough
				t.Errorf("openapi: %s %s: %s\nrequest  %.500s\nstatus   %d\nresponse %.1500s", r.Method, r.URL,
					problems[0], e.body.String(),
					e.status, e.response.String())
			}
		}()
		s.handler.ServeHTTP(&recorder{w, e}, seen)
	})
}

// recorder keeps an answer for the check.
type recorder struct {
	http.ResponseWriter
	e *exchange
}

func (r *recorder) WriteHeader(status int) {
	if r.e.status == 0 {
		r.e.status, r.e.header = status, r.Header().Clone()
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.e.status == 0 {
		r.e.status, r.e.header = http.StatusOK, r.Header().Clone()
	}
	r.e.response.Write(b)
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// beside returns an endpoint whose errors are those of a path or method that is not there.
func (d *description) beside(template, path string) (string, string) {
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if d.paths[template][strings.ToLower(method)] != nil {
			return path, method
		}
	}
	if strings.HasPrefix(path, "/api/") {
		return "/api/tags", http.MethodGet
	}
	return "/health", http.MethodGet
}

// check returns what of an exchange the document does not allow.
func (d *description) check(e *exchange) (problems []string) {
	if e.status == 0 || e.request.Method == http.MethodOptions {
		return nil // nobody was there any more, or a browser asks whether it may ask
	}
	template, path := d.find(e.request, e.short)
	method := e.request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if d.paths[template][strings.ToLower(method)] == nil {
		if e.status < 400 {
			return []string{"the endpoint is not described"}
		}
		path, method = d.beside(template, path)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	report := func(what string, errs []*verrors.ValidationError) {
		for _, err := range errs {
			problem := what + ": " + err.Message
			for _, s := range err.SchemaValidationErrors {
				problem += "\n  " + s.FieldPath + " " + s.Reason
			}
			problems = append(problems, problem)
		}
	}
	request := func() *http.Request {
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: e.request.URL.RawQuery},
			Header: http.Header{}}
		if unescaped, err := url.PathUnescape(path); err == nil && unescaped != path {
			r.URL.Path, r.URL.RawPath = unescaped, path
		}
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		r.Body = io.NopCloser(bytes.NewReader(e.body.Bytes()))
		return r
	}
	if e.status < 300 {
		_, errs := d.validator.ValidateHttpRequestSync(request())
		report("request", errs)
	}
	kind, _, _ := strings.Cut(e.header.Get("Content-Type"), ";")
	response := func(body []byte) {
		_, errs := d.validator.ValidateHttpResponse(request(), &http.Response{
			StatusCode: e.status, Header: http.Header{"Content-Type": {kind}},
			Body: io.NopCloser(bytes.NewReader(body)),
		})
		report("response", errs)
	}
	switch {
	case e.request.Method == http.MethodHead:
	case kind == "application/x-ndjson":
		for line := range strings.Lines(e.response.String()) {
			if strings.HasSuffix(line, "\n") {
				response([]byte(line))
			}
		}
	case kind != "text/event-stream":
		response(e.response.Bytes())
	default:
		events := e.response.String()
		events = events[:strings.LastIndex(events, "\n\n")+1] // the last may be cut off
		for line := range strings.Lines(events) {
			if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]\n" {
				response([]byte(data))
			}
		}
	}
	return problems
}

// TestDescription checks the document itself, and that it has every endpoint of the server and no other.
func TestDescription(t *testing.T) {
	s := open(t, &fake.Runner{}, func(c *Config) { c.LlamaRoutes = []string{LlamaCompletion, LlamaSlots} })
	d, err := describedBy()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := d.validator.ValidateDocument(); !ok {
		t.Errorf("the document is not OpenAPI: %v", errs)
	}
	status, h, body := s.call(t, "GET", "/openapi.json", "")
	var served struct{ OpenAPI string }
	if err := json.Unmarshal([]byte(body), &served); err != nil || status != 200 ||
		served.OpenAPI != openapi.Version ||
		h.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, headers %v, body %.100s", status, h, body)
	}
	var described []string
	for _, route := range s.routes {
		path := strings.NewReplacer("{$}", "", "...}", "}").Replace(route)
		if strings.HasSuffix(route, "/") {
			continue // what is not there
		}
		if described = append(described, path); d.paths[path] == nil {
			t.Errorf("%s is not described", route)
		}
	}
	for path := range d.paths {
		if !slices.Contains(described, path) {
			t.Errorf("%s is described, and the server has nothing there", path)
		}
	}
}

// TestDescriptionIsStrict checks that what the document does not allow is noticed.
func TestDescriptionIsStrict(t *testing.T) {
	d, err := describedBy()
	if err != nil {
		t.Fatal(err)
	}
	const chunk = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"b","choices":[]`
	for name, c := range map[string]struct {
		method, path, body, kind, response string
		status                             int
		ok                                 bool
	}{
		"good":             {"GET", "/health", "", "application/json", `{"status":"ok"}`, 200, true},
		"another field":    {"GET", "/health", "", "application/json", `{"status":"ok","more":1}`, 200, false},
		"another value":    {"GET", "/health", "", "application/json", `{"status":"fine"}`, 200, false},
		"a missing field":  {"GET", "/health", "", "application/json", `{}`, 200, false},
		"another kind":     {"GET", "/health", "", "text/html", `ok`, 200, false},
		"another endpoint": {"GET", "/unknown", "", "application/json", `{}`, 200, false},
		"another method":   {"PUT", "/health", "", "application/json", `{"status":"ok"}`, 200, false},
		"an error": {"GET", "/health", "", "application/json",
			`{"error":{"message":"m","type":"server_error","param":null,"code":null}}`, 503, true},
		"a bare error": {"GET", "/health", "", "application/json", `{"error":"m"}`, 503, false},
		"a request": {"POST", "/admin/load", `{"model":"x"}`, "application/json", `{"id":"x","state":"loaded"}`,
			200, true},
		"a field of it": {"POST", "/admin/load", `{"model":"x","y":1}`, "application/json",
			`{"id":"x","state":"loaded"}`, 200, false},
		"a shared field": {"POST", "/v1/chat/completions", hi + `,"seed":1}`, "text/event-stream",
			"data: " + chunk + "}\n\n", 200, true},
		"an unknown field": {"POST", "/v1/chat/completions", hi + `,"tempo":1}`, "text/event-stream",
			"data: " + chunk + "}\n\n", 200, false},
		"an event": {"POST", "/v1/chat/completions", hi + `}`, "text/event-stream",
			"data: " + chunk + `,"more":1}` + "\n\n", 200, false},
		"a typed event": {"POST", "/v1/responses", `{"input":"x"}`, "text/event-stream",
			`data: {"type":"response.reasoning_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"x"}` + "\n\n", 200, true},
		"of another type": {"POST", "/v1/responses", `{"input":"x"}`, "text/event-stream",
			`data: {"type":"response.reasoning_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"text":"x"}` + "\n\n", 200, false},
		"with another field": {"POST", "/v1/responses", `{"input":"x"}`, "text/event-stream",
			`data: {"type":"response.reasoning_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"x","x":1}` + "\n\n", 200, false},
		"a parameter": {"GET", "/v1/responses/resp_1/input_items", "", "application/json",
			`{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}`, 200, true},
		"a model": {"GET", "/v1/models/a/b", "", "application/json",
			`{"id":"a/b","object":"model","created":1,"owned_by":"me"}`, 200, false},
	} {
		e := &exchange{request: &http.Request{Method: c.method, URL: &url.URL{Path: c.path}}, status: c.status,
			header: http.Header{"Content-Type": {c.kind}}}
		e.body.WriteString(c.body)
		e.response.WriteString(c.response)
		if problems := d.check(e); (len(problems) == 0) != c.ok {
			t.Errorf("%s: %q", name, problems)
		}
	}
}
