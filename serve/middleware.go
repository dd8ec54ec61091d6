package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hipengine/hipengine/serve/openai"
	"github.com/hipengine/hipengine/serve/tracing"
)

// method refuses other methods. GET includes HEAD.
func method(want string, next http.Handler) http.Handler {
	return byMethod(map[string]http.Handler{want: next})
}

// byMethod hands requests to the handler of their method. GET includes HEAD.
func byMethod(handlers map[string]http.Handler) http.Handler {
	allowed := slices.Sorted(maps.Keys(handlers))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Method
		if name == http.MethodHead {
			name = http.MethodGet
		}
		if h := handlers[name]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		respond(w, http.StatusMethodNotAllowed, recordOf(r.Context()).form(&openai.Error{
			Status: http.StatusMethodNotAllowed, Type: openai.TypeInvalidRequest, Code: "method_not_allowed",
			Message: "use the method " + strings.Join(allowed, " or "),
		}))
	})
}

// record is what the log line of a request says beyond HTTP.
type record struct {
	id                string
	start             time.Time
	model             string
	space             string // of kept states: the hash of the API key, empty without one
	prompt, generated int
	cached            int
	span              *tracing.Span // nil if the request is not traced
	err               error
	stack             []byte

	errorForm func(*openai.Error) any // of the request's dialect; nil is OpenAI's
}

// form returns an error as the request's dialect has it.
func (r *record) form(e *openai.Error) any {
	if r.errorForm != nil {
		return r.errorForm(e)
	}
	return e
}

type recordKey struct{}

// recordOf returns the record of the request that ctx belongs to.
func recordOf(ctx context.Context) *record {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		return r
	}
	return &record{}
}

// observe gives the request an id, bounds its time, turns panics into errors, and logs it.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &record{id: requestID(r), start: start}
		if s.generates(r) {
			rec.span = s.c.Tracer.Start(r.Header, start)
		}
		w.Header().Set("X-Request-Id", rec.id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), recordKey{}, rec))
		defer cancel(nil)
		defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
		limit, cause := s.c.RequestTimeout, errTimeout
		asked, badTimeout := timeoutOf(r)
		if asked > 0 && (limit == 0 || asked < limit) {
			limit, cause = asked, errDeadline
		}
		if limit > 0 {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeoutCause(ctx, limit, cause)
			defer stop()
		}
		// Also of requests whose body no handler reads: the server drains it before the connection's next request.
		http.NewResponseController(w).SetReadDeadline(start.Add(s.c.ReadTimeout))
		out := &responseWriter{ResponseWriter: w}
		r = r.WithContext(ctx)
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				rec.err, rec.stack = fmt.Errorf("panic: %v", p), debug.Stack()
				if out.status == 0 {
					respond(out, http.StatusInternalServerError, rec.form(&openai.Error{
						Status: http.StatusInternalServerError, Type: openai.TypeServer,
						Message: "internal error; the server's log has more under the request's id",
					}))
				} else {
					p = http.ErrAbortHandler // a broken connection tells the client that the response is incomplete
				}
			}
			took := time.Since(start)
			s.log(r, rec, out, took)
			s.count(r, out, took)
			s.trace(r, rec, out)
			if p == http.ErrAbortHandler {
				panic(p)
			}
		}()
		if badTimeout != nil {
			s.fail(out, r, badTimeout)
			return
		}
		next.ServeHTTP(out, r)
	})
}

// generates reports whether a request is for an endpoint that a client uses, and not for one of those that watch the
// server.
func (s *Server) generates(r *http.Request) bool {
	_, pattern := s.mux.Handler(r)
	return strings.HasPrefix(pattern, "/v1/") || s.short[pattern]
}

// timeoutHeader is how long a client wants to wait for a whole answer, in seconds. When the time is over, the request
// ends as one does that takes longer than the server allows: with status 504, or the error event of a stream. What
// was made so far would pass for an answer.
const timeoutHeader = "X-Request-Timeout"

// maxTimeout bounds it.
const maxTimeout = 24 * time.Hour

// timeoutOf returns what the client asks for, 0 if it does not.
func timeoutOf(r *http.Request) (time.Duration, error) {
	text := r.Header.Get(timeoutHeader)
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 0.001) || seconds > maxTimeout.Seconds() {
		return 0, &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Param: timeoutHeader,
			Code:    openai.CodeValue,
			Message: fmt.Sprintf("the header must say seconds, from 0.001 to %.0f", maxTimeout.Seconds())}
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// log writes the line of a request: no text of prompts or answers, no query, no headers.
func (s *Server) log(r *http.Request, rec *record, out *responseWriter, took time.Duration) {
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("id", rec.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", out.status),
		slog.Int64("bytes", out.bytes), slog.Duration("took", took),
	}
	if rec.model != "" {
		attrs = append(attrs, slog.String("model", rec.model), slog.Int("prompt_tokens", rec.prompt),
			slog.Int("completion_tokens", rec.generated))
	}
	if id := rec.span.TraceID(); id != "" {
		attrs = append(attrs, slog.String("trace_id", id))
	}
	if rec.err != nil {
		attrs = append(attrs, slog.String("error", rec.err.Error()))
		if out.status >= 500 && !errors.Is(rec.err, errLoading) && !errors.Is(rec.err, errDraining) {
			level = slog.LevelError
		}
	}
	if rec.stack != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("stack", string(rec.stack)))
	}
	s.c.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// trace ends the span of a request.
func (s *Server) trace(r *http.Request, rec *record, out *responseWriter) {
	if rec.span == nil {
		return
	}
	o := tracing.Outcome{Method: r.Method, Route: endpoint(r), Status: status(out), RequestID: rec.id,
		Model: rec.model, Prompt: rec.prompt,
		Cached: rec.cached, Generated: rec.generated}
	if rec.err != nil {
		o.Error = rec.err.Error()
	}
	rec.span.End(o)
}

// requestID returns the client's id if it is short and plain, else a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c)
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool { return !plain(c) }) {
		return rand.Text()
	}
	return id
}

// responseWriter notes the status and the bytes.
type responseWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
