package serve

import (
	"bytes"
	"net/http"
	"time"
)

// stream writes server-sent events, or lines of JSON. Each write has a deadline of its own, so that a client that
// does not read is cut off. The first error of a write sticks.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
	buf     bytes.Buffer
	err     error
}

// newStream sends the headers, so that the client knows that its request is being worked on.
func newStream(w http.ResponseWriter, timeout time.Duration) *stream {
	return streamOf(w, timeout, "text/event-stream")
}

// newLines is newStream for a stream of lines of JSON.
func newLines(w http.ResponseWriter, timeout time.Duration) *stream {
	return streamOf(w, timeout, "application/x-ndjson")
}

func streamOf(w http.ResponseWriter, timeout time.Duration, contentType string) *stream {
	s := &stream{w: w, rc: http.NewResponseController(w), timeout: timeout}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx passes events on at once
	w.WriteHeader(http.StatusOK)
	return s
}

// event sends a value as JSON.
func (s *stream) event(v any) {
	s.buf.Reset()
	s.buf.WriteString("data: ")
	encode(&s.buf, v) // with a line end
	s.buf.WriteByte('\n')
	s.send()
}

// named sends a value as JSON, as an event of a name.
func (s *stream) named(name string, v any) {
	s.buf.Reset()
	s.buf.WriteString("event: " + name + "\ndata: ")
	encode(&s.buf, v)
	s.buf.WriteByte('\n')
	s.send()
}

// json sends a value as a line.
func (s *stream) json(v any) {
	s.buf.Reset()
	encode(&s.buf, v)
	s.send()
}

// ping sends a comment, which clients skip.
func (s *stream) ping() { s.line(": ping") }

// done sends OpenAI's mark of a complete stream.
func (s *stream) done() { s.line("data: [DONE]") }

// close removes the deadline, for the next request of the connection.
func (s *stream) close() { s.rc.SetWriteDeadline(time.Time{}) }

func (s *stream) line(text string) {
	s.buf.Reset()
	s.buf.WriteString(text + "\n\n")
	s.send()
}

func (s *stream) send() {
	if s.err != nil {
		return
	}
	s.rc.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, s.err = s.w.Write(s.buf.Bytes()); s.err == nil {
		s.err = s.rc.Flush()
	}
}
