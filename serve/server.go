package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hipengine/hipengine/engine/sample"
	"github.com/hipengine/hipengine/serve/metrics"
	"github.com/hipengine/hipengine/serve/openapi"
	"github.com/hipengine/hipengine/serve/web"
)

// Server answers requests. Its methods may be called from any goroutine.
type Server struct {
	c               Config
	keys, adminKeys keys
	metrics         *metrics.Metrics
	page            *web.Page // nil if there is none
	description     []byte    // of the endpoints
	routes          []string  // patterns of all endpoints
	handler         http.Handler
	mux             *http.ServeMux
	short           map[string]bool // patterns of endpoints that are below /v1 too
	http            *http.Server
	debug           *http.Server // of ServeDebug

	models    models
	stored    *storedResponses
	sealer    *sealer
	described sync.Map // openai.Props by the ID of the model
	details   sync.Map // Details by the ID of the model, of those that were loaded
	draining  atomic.Bool

	ctx    context.Context // of all requests; ended when the grace period is over
	cancel context.CancelCauseFunc
}

// errShutdown is the cause of the end of requests that outlive the grace period.
var errShutdown = errors.New("the server is shutting down")

// MaxHeaderBytes bounds the headers of a request, which net/http reads before anything can refuse it.
const MaxHeaderBytes = 64 << 10

// New returns a server. Without models, it reports that it is loading until SetModels or SetSource is called.
func New(c Config) (*Server, error) {
	s := &Server{c: c.WithDefaults()}
	if err := c.Sampling.Apply(sample.Defaults()).Validate(math.MaxInt32); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	s.stored = newStoredResponses(s.c.StoredBytes)
	var err error
	if s.sealer, err = newSealer(c.SealKey); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	if s.keys, err = newKeys(c.APIKeys); err != nil {
		return nil, fmt.Errorf("%w (API keys)", err)
	}
	if s.adminKeys, err = newKeys(c.AdminKeys); err != nil {
		return nil, fmt.Errorf("%w (admin keys)", err)
	}
	for _, part := range s.c.LlamaRoutes {
		if !slices.Contains(llamaParts, part) {
			return nil, fmt.Errorf("serve: %q is no part of llama.cpp's API that can be offered: %s", part,
				strings.Join(llamaParts, ", "))
		}
	}
	if err := checkReasoning(s.c.Reasoning); err != nil {
		return nil, err
	}
	s.metrics = metrics.New(s.c.Version, s.list)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if len(c.Models) > 0 {
		if err := s.SetModels(c.Models...); err != nil {
			return nil, err
		}
	}
	if !s.c.NoPage {
		s.page = web.New()
	}
	s.description = openapi.Document(s.c.Version)
	mux := http.NewServeMux()
	s.mux, s.short = mux, map[string]bool{}
	routes := map[string]http.Handler{
		"/v1/chat/completions":              method(http.MethodPost, s.guard(s.chat)),
		"/v1/completions":                   method(http.MethodPost, s.guard(s.completion)),
		"/v1/models":                        method(http.MethodGet, s.guard(s.listModels)),
		"/v1/models/{id...}":                method(http.MethodGet, s.guard(s.getModel)),
		"/v1/chat/completions/input_tokens": method(http.MethodPost, s.guard(s.chatTokens)),

		"/tokenize":       method(http.MethodPost, s.guard(s.tokenize)),
		"/detokenize":     method(http.MethodPost, s.guard(s.detokenize)),
		"/apply-template": method(http.MethodPost, s.guard(s.applyTemplate)),
		"/props":          method(http.MethodGet, s.guard(s.props)),
		"/admin/ps":       method(http.MethodGet, s.guardAdmin(s.ps)),
		"/admin/load":     method(http.MethodPost, s.guardAdmin(s.load)),
		"/admin/unload":   method(http.MethodPost, s.guardAdmin(s.unload)),
		"/admin/drain":    method(http.MethodPost, s.guardAdmin(s.drain)),
		"/livez":          method(http.MethodGet, http.HandlerFunc(s.live)),
		"/startupz":       method(http.MethodGet, http.HandlerFunc(s.started)),
		"/readyz":         method(http.MethodGet, http.HandlerFunc(s.ready)),
		"/health":         method(http.MethodGet, http.HandlerFunc(s.ready)),
		"/metrics":        method(http.MethodGet, s.within(s.metrics.Handler())),
		"/openapi.json":   method(http.MethodGet, http.HandlerFunc(s.openAPI)),
		"/{$}":            method(http.MethodGet, http.HandlerFunc(s.root)),
		"/":               http.HandlerFunc(s.notFound),
	}
	if s.c.NoMetrics {
		routes["/metrics"] = method(http.MethodGet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.fail(w, r, notSupported("this server does not offer its metrics; its owner has left them out"))
		}))
	}
	maps.Copy(routes, s.agentRoutes())
	maps.Copy(routes, s.embeddingRoutes())
	maps.Copy(routes, s.ollamaRoutes())
	s.llamaRoutes(routes)
	for path, h := range routes {
		mux.Handle(path, h)
		s.routes = append(s.routes, path)
		if short := strings.TrimPrefix(path, "/v1"); short != path && routes[short] == nil {
			mux.Handle(short, h) // for clients that are told an address without /v1
			s.short[short] = true
		}
	}
	s.handler = s.observe(s.sameSite(mux))
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.c.HeaderTimeout,
		IdleTimeout:       s.c.IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.c.Log.Handler(), slog.LevelWarn),
	}
	s.debug = &http.Server{Handler: s.debugHandler(), ReadHeaderTimeout: s.c.HeaderTimeout,
		MaxHeaderBytes: MaxHeaderBytes}
	return s, nil
}

// Handler returns the handler of all endpoints, for use in another server. That server's Shutdown must then come with
// Drain, and its timeouts are its own.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve accepts connections until Shutdown, and then returns nil. It refuses a listener that other machines can reach
// if no API key is set, unless Config.AllowPublic is.
func (s *Server) Serve(l net.Listener) error {
	if !IsLocal(l.Addr()) && s.keys.empty() && !s.c.AllowPublic {
		return fmt.Errorf("serve: %v can be reached from other machines: set an API key, or allow it without one",
			l.Addr())
	}
	if err := s.http.Serve(LimitConns(l, s.c.MaxConns)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Drain makes the readiness endpoints answer 503. Requests are still served.
func (s *Server) Drain() { s.draining.Store(true) }

// Shutdown drains the server: readiness goes to 503, after Config.DrainDelay no connection is accepted, and streams
// may finish until ctx is done, which ends the grace period. Then they end with an error event, and Shutdown returns
// an error. The engines are left to their owner.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	if s.c.DrainDelay > 0 {
		select {
		case <-time.After(s.c.DrainDelay):
		case <-ctx.Done():
		}
	}
	err := s.http.Shutdown(ctx)
	s.debug.Close()
	s.cancel(errShutdown)
	if err == nil {
		return nil
	}
	// The requests have been told to end; this is the time that they get to say so to their clients.
	last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if s.http.Shutdown(last) != nil {
		s.http.Close()
	}
	return fmt.Errorf("serve: requests were cut off at the end of the grace period: %w", context.Cause(ctx))
}
