package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hipengine/hipengine/serve/openai"
)

// front is what clients speak with.
type front struct {
	worker     func() *process      // that is up, or nil
	retryAfter func() time.Duration // until there may be one
	proxy      *httputil.ReverseProxy

	readTimeout, writeTimeout time.Duration // of a request's body, and of one write of a response
}

// errDown is the error of requests for which there is no worker.
var errDown = errors.New("there is no worker")

type addressKey struct{}

func newFront(worker func() *process, retryAfter func() time.Duration) *front {
	f := &front{worker: worker, retryAfter: retryAfter}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "worker"})
			r.Out.Host, r.Out.URL.RawQuery = r.In.Host, r.In.URL.RawQuery
			r.Out.Header["User-Agent"] = r.In.Header["User-Agent"] // none is none
		},
		Transport: &http.Transport{
			DialContext:            f.dial,
			DisableKeepAlives:      true, // the addresses of a connection are those of one client
			DisableCompression:     true,
			MaxResponseHeaderBytes: 1 << 20,
		},
		ModifyResponse: func(r *http.Response) error {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
				r.Body = &events{src: r.Body, last: f.lastEvent}
			}
			return nil
		},
		ErrorHandler: f.fail,
		ErrorLog:     log.New(quiet{}, "", 0), // of the ends of clients and of workers, which are told of elsewhere
	}
	return f
}

// quiet discards.
type quiet struct{}

func (quiet) Write(b []byte) (int, error) { return len(b), nil }

// dial connects with the worker.
func (f *front) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p := f.worker()
	if p == nil {
		return nil, errDown
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte(ctx.Value(addressKey{}).(string))); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &timedWriter{w, http.NewResponseController(w), f.writeTimeout}
	defer out.rc.SetWriteDeadline(time.Time{}) // the next request of the connection has its own
	if r.URL.Path == "/livez" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		out.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(out, `{"status":"ok"}`)
		return
	}
	if f.readTimeout > 0 && r.Body != http.NoBody {
		out.rc.SetReadDeadline(time.Now().Add(f.readTimeout))
		r.Body = &timedBody{r.Body, out.rc}
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	ctx := context.WithValue(r.Context(), addressKey{}, preamble(r.RemoteAddr, local.String()))
	f.proxy.ServeHTTP(out, r.WithContext(ctx))
}

// failure is what clients are told of a worker that died or is not there.
func (f *front) failure() *openai.Error {
	return &openai.Error{Status: http.StatusServiceUnavailable, Type: openai.TypeUnavailable, Code: "worker_down",
		Message: "the process that computes has ended, or is starting; try again"}
}

// fail answers a request to which the worker gave no answer.
func (f *front) fail(w http.ResponseWriter, r *http.Request, _ error) {
	if r.Context().Err() != nil {
		return // the client is gone
	}
	body, err := json.Marshal(f.failure())
	if err != nil {
		panic(err) // it always marshals
	}
	seconds := max(1, math.Ceil(f.retryAfter().Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusServiceUnavailable)
	w.Write(append(body, '\n')) // an error means that nobody reads the answer
}

// lastEvent is what a stream ends with whose worker died.
func (f *front) lastEvent(error) []byte {
	var b bytes.Buffer
	b.WriteString("data: ")
	if err := json.NewEncoder(&b).Encode(f.failure()); err != nil {
		panic(err) // it always marshals
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// timedWriter gives each write a deadline of its own, so that a client that does not read is cut off.
type timedWriter struct {
	http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// Write implements http.ResponseWriter.
func (w *timedWriter) Write(b []byte) (int, error) {
	if w.timeout > 0 {
		w.rc.SetWriteDeadline(time.Now().Add(w.timeout))
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// timedBody is a request's body that has to arrive within a deadline, which goes when it has: a client that waits for
// its answer sends nothing.
type timedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
