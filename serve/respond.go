package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/hipengine/hipengine/engine"
	"github.com/hipengine/hipengine/serve/openai"
)

// errTimeout is the cause of the end of requests that outlive Config.RequestTimeout.
var errTimeout = errors.New("the request took longer than this server allows")

// errDeadline is that of requests that outlive their own header.
var errDeadline = fmt.Errorf("the request took longer than its header %s allows", timeoutHeader)

// statusClientGone is the status in the log of a request whose client closed the connection, as nginx has it.
const statusClientGone = 499

// respond writes a JSON response.
func respond(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	encode(&body, v)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body.Bytes()) // an error means that nobody reads the answer
}

// encode appends a value of package openai as a line of JSON, with "<" and the like as they are.
func encode(b *bytes.Buffer, v any) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // our own types always marshal
	}
}

// reply writes a JSON response within the write timeout.
func (s *Server) reply(w http.ResponseWriter, status int, v any) {
	rc := http.NewResponseController(w)
	rc.SetWriteDeadline(time.Now().Add(s.c.WriteTimeout))
	respond(w, status, v)
	rc.Flush()
	rc.SetWriteDeadline(time.Time{})
}

// fail writes an error response and notes the error for the log.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := s.wireError(r.Context(), err)
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	s.reply(w, e.Status, recordOf(r.Context()).form(e))
}

// wireError notes an error in the request's record and returns it in OpenAI's form.
func (s *Server) wireError(ctx context.Context, err error) *openai.Error {
	rec := recordOf(ctx)
	e := translate(err, rec)
	if e.ContextTokens > 0 && len(s.c.LlamaRoutes) > 0 {
		e.Type = openai.TypeExceedsContext
	}
	if rec.err = err; e.Status < 500 {
		rec.err = refusal{e}
	}
	return e
}

// refusal is an error of a request as the log has it. The client's error quotes the request, and so may hold a part
// of a prompt.
type refusal struct{ e *openai.Error }

// Error implements error. It names the field, unless its name is the client's.
func (r refusal) Error() string {
	if r.e.Param == "" || r.e.Code == openai.CodeUnknown {
		return r.e.Code
	}
	return r.e.Code + " in " + r.e.Param
}

// translate returns an error in OpenAI's form, and leaves the stack of a panic in the record.
func translate(err error, rec *record) *openai.Error {
	var wire *openai.Error
	var length *engine.ContextLengthError
	var panicked *engine.PanicError
	var device interface{ DeviceFailed() string }
	invalid := func(code, message string) *openai.Error {
		return &openai.Error{Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Code: code,
			Message: message}
	}
	switch {
	case errors.As(err, &wire):
		return wire
	case loadError(err) != nil:
		if errors.As(err, &panicked) {
			rec.stack = panicked.Stack
		}
		return loadError(err)
	case errors.As(err, &length):
		e := invalid("context_length_exceeded", plainMessage(err))
		e.PromptTokens, e.ContextTokens = length.Prompt, length.Limit
		return e
	case errors.Is(err, engine.ErrBadRequest):
		return invalid(openai.CodeValue, plainMessage(err))
	case errors.Is(err, ErrConversation):
		e := invalid("conversation_refused", plainMessage(err))
		e.Param = "messages"
		return e
	case errors.Is(err, engine.ErrQueueFull):
		return &openai.Error{Status: http.StatusTooManyRequests, Type: openai.TypeRateLimit, Code: "queue_full",
			Message: "too many requests are waiting; try again"}
	case errors.Is(err, engine.ErrClosed), errors.Is(err, errShutdown):
		return unavailable(errShutdown.Error())
	case errors.Is(err, errTimeout), errors.Is(err, errDeadline):
		return &openai.Error{Status: http.StatusGatewayTimeout, Type: openai.TypeServer, Code: "timeout",
			Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &openai.Error{Status: statusClientGone, Type: openai.TypeInvalidRequest, Code: "client_gone",
			Message: "the client closed the connection"}
	case errors.As(err, &panicked):
		rec.stack = panicked.Stack
	case errors.As(err, &device): // one of several, of which the others go on
		return unavailable(fmt.Sprintf("the device %s failed: try again", device.DeviceFailed()))
	}
	return &openai.Error{Status: http.StatusInternalServerError, Type: openai.TypeServer,
		Message: "the model failed: " + plainMessage(err)}
}

// Answers of a server that does what it should: before it has its models, and while it drains.
var (
	errLoading  = unavailable("the model is loading")
	errDraining = unavailable(errShutdown.Error())
)

// plainMessage returns the text of an error without the names of packages that it came through, which tell a client
// nothing.
func plainMessage(err error) string { return packageNames.ReplaceAllString(err.Error(), "$1") }

var packageNames = regexp.MustCompile(
	`(^|: )(?:engine: bad request: |(?:chat|engine|grammar|hipengine|jinja|kv|ops|openai|` +
		`pool|runner|sample|serve|tokenizer|toolcall): )+`)

func unavailable(message string) *openai.Error {
	return &openai.Error{Status: http.StatusServiceUnavailable, Type: openai.TypeUnavailable, Code: "unavailable",
		Message: message}
}

// body reads a request's body within the limits of size and time.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &openai.Error{
			Status: http.StatusUnsupportedMediaType, Type: openai.TypeInvalidRequest, Code: "content_encoding",
			Message: "compressed requests are not accepted",
		}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.c.Limits.BodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, openai.TooLarge(tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &openai.Error{
			Status: http.StatusRequestTimeout, Type: openai.TypeInvalidRequest, Code: "body_timeout",
			Message: "the request's body did not arrive in time",
		}
	case err != nil:
		return nil, &openai.Error{
			Status: http.StatusBadRequest, Type: openai.TypeInvalidRequest, Code: "body_incomplete",
			Message: "the request's body cannot be read",
		}
	}
	// From here on, the deadline that observe has set would take a client that waits for one that is gone.
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return b, nil
}
