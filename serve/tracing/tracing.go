package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes traces. Its methods may be called from any goroutine.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// New returns a tracer that sends to a collector, such as http://localhost:4318; without a path in it, to /v1/traces
// there. Traces are sent in the background, and those that a collector does not take are dropped; failed, which may be
// nil, is told why. Headers, compression, encoding and certificates are those of OpenTelemetry's environment
// variables (OTEL_EXPORTER_OTLP_HEADERS, _COMPRESSION, _PROTOCOL, _CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY,
// and the same with _TRACES for traces alone).
func New(ctx context.Context, endpoint, version string, failed func(error)) (*Tracer, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("tracing: %q is no address such as http://localhost:4318", endpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	c, err := newClient(u, version)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	e, err := otlptrace.New(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	if failed == nil {
		failed = func(error) {}
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter{e, failed}), sdk.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "hipengine"), attribute.String("service.version", version))))
	return &Tracer{provider: p, tracer: p.Tracer("github.com/hipengine/hipengine/serve")}, nil
}

// exporter keeps errors from OpenTelemetry's global handler.
type exporter struct {
	sdk.SpanExporter
	failed func(error)
}

// ExportSpans implements sdk.SpanExporter.
func (e exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.failed(fmt.Errorf("tracing: %d spans are lost: %w", len(spans), err))
	}
	return nil
}

// Close sends what is left, as long as ctx lasts.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	return nil
}

// Span is the time of a request.
type Span struct {
	tracer *Tracer
	ctx    context.Context // that its parts belong to; it carries nothing but the span
	span   trace.Span
}

// Start begins the span of a request, or returns nil if none is to be sampled.
func (t *Tracer) Start(h http.Header, start time.Time) *Span {
	if t == nil {
		return nil
	}
	ctx := t.context.Extract(context.Background(), propagation.HeaderCarrier(h))
	ctx, span := t.tracer.Start(ctx, "request", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return nil
	}
	return &Span{t, ctx, span}
}

// TraceID returns the id of the trace in hexadecimal, empty of none.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Part adds a part of the request's time, of which start and end are known.
func (s *Span) Part(name string, start, end time.Time, attributes ...attribute.KeyValue) {
	if s == nil {
		return
	}
	_, span := s.tracer.tracer.Start(s.ctx, name, trace.WithTimestamp(start), trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(end))
}

// Outcome is what became of a request.
type Outcome struct {
	Method, Route             string
	Status                    int
	RequestID                 string
	Model                     string // empty if it came to none
	Prompt, Cached, Generated int    // tokens
	Error                     string // without text of the request
}

// End ends the span.
func (s *Span) End(o Outcome) {
	if s == nil {
		return
	}
	s.span.SetName(o.Method + " " + o.Route)
	s.span.SetAttributes(attribute.String("http.request.method", o.Method), attribute.String("http.route", o.Route),
		attribute.Int("http.response.status_code", o.Status), attribute.String("hipengine.request_id", o.RequestID))
	if o.Model != "" {
		s.span.SetAttributes(attribute.String("gen_ai.request.model", o.Model),
			attribute.Int("gen_ai.usage.input_tokens", o.Prompt),
			attribute.Int("gen_ai.usage.cache_read.input_tokens", o.Cached),
			attribute.Int("gen_ai.usage.output_tokens", o.Generated))
	}
	if o.Error != "" {
		s.span.SetAttributes(attribute.String("error.type", o.Error))
	}
	if o.Status >= 500 {
		s.span.SetStatus(codes.Error, o.Error)
	}
	s.span.End()
}
