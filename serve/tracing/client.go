package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	sendTime    = 10 * time.Second // that a collector has for an answer
	firstWait   = time.Second      // before what it had no time for is sent again; each wait is longer
	longestWait = 5 * time.Second
	retryTime   = 20 * time.Second // after which it is dropped
	maxAnswer   = 4 << 20          // bytes
)

// client implements otlptrace.Client: OTLP over HTTP. OpenTelemetry's own client for that does the same, and links all
// of gRPC, a hundred packages that nothing here calls.
type client struct {
	settings
	url     *url.URL
	http    http.Client
	stopped context.Context
	stop    context.CancelFunc
}

func newClient(u *url.URL, version string) (*client, error) {
	s, err := environment()
	if err != nil {
		return nil, err
	}
	if s.tls != nil && u.Scheme != "https" {
		return nil, fmt.Errorf("certificates are given for %s, which is not https", u.Redacted())
	}
	if s.header.Get("User-Agent") == "" {
		s.header.Set("User-Agent", "hipengine/"+version)
	}
	s.header.Set("Content-Type", "application/x-protobuf")
	if s.json {
		s.header.Set("Content-Type", "application/json")
	}
	if s.gzip {
		s.header.Set("Content-Encoding", "gzip")
	}
	c := &client{settings: s, url: u, http: http.Client{Timeout: sendTime, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: s.tls, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}}}
	c.stopped, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// Start implements otlptrace.Client: there is nothing to connect to before there are spans.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client. It ends what is being sent.
func (c *client) Stop(ctx context.Context) error {
	c.stop()
	c.http.CloseIdleConnections()
	return ctx.Err()
}

// UploadTraces implements otlptrace.Client. It takes spans over. What a collector has no time for is sent again a few
// times.
func (c *client) UploadTraces(ctx context.Context, spans []*otlp.ResourceSpans) error {
	body, err := c.encode(&otlp.TracesData{ResourceSpans: spans}) // on the wire as ExportTraceServiceRequest
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.stopped, cancel)()
	var last error
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		last = c.send(ctx, body)
		return struct{}{}, last
	}, backoff.WithMaxElapsedTime(retryTime), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval:     firstWait,
		MaxInterval:         longestWait,
		Multiplier:          backoff.DefaultMultiplier,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}))
	if err != nil && !errors.Is(last, err) { // the end of ctx says nothing of why it was sent again
		err = fmt.Errorf("%w: %w", err, last)
	}
	return err
}

func (c *client) encode(t *otlp.TracesData) (body []byte, err error) {
	if c.json {
		hexIDs(t)
		body, err = protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(t)
	} else {
		body, err = proto.Marshal(t)
	}
	if err != nil || !c.gzip {
		return body, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// hexIDs replaces ids by bytes whose base64, in which protojson writes bytes, is their hexadecimal form, in which OTLP
// has ids in JSON.
func hexIDs(t *otlp.TracesData) {
	replace := func(id *[]byte) {
		*id, _ = base64.StdEncoding.DecodeString(hex.EncodeToString(*id)) // 16 and 8 bytes are whole groups of 3
	}
	for _, r := range t.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				replace(&span.TraceId)
				replace(&span.SpanId)
				replace(&span.ParentSpanId)
				for _, l := range span.Links {
					replace(&l.TraceId)
					replace(&l.SpanId)
				}
			}
		}
	}
}

// send sends a body once. Errors are permanent (backoff.Permanent) unless another attempt may help.
func (c *client) send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.String(), bytes.NewReader(body))
	if err != nil {
		return backoff.Permanent(err)
	}
	req.Header = c.header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) && u.Temporary() {
			return err
		}
		return backoff.Permanent(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("%s answers more than %d bytes", c.url.Redacted(), maxAnswer)
	}
	if err != nil {
		return backoff.Permanent(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return backoff.Permanent(rejected(resp.Header.Get("Content-Type"), answer))
	}
	err = fmt.Errorf("%s answers %s %q", c.url.Redacted(), resp.Status, bytes.TrimSpace(answer))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if wait := retryAfter(resp.Header.Get("Retry-After")); wait > 0 {
			err = fmt.Errorf("%w (%w)", err, &backoff.RetryAfterError{Duration: wait})
		}
		return err
	}
	return backoff.Permanent(err)
}

// retryAfter returns how long to wait at a header's word, which is seconds or a date, and 0 without one.
func retryAfter(header string) time.Duration {
	if s, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return time.Until(date)
	}
	return 0
}

// rejected returns what a collector says, in an answer that is otherwise good (ExportTraceServiceResponse), about
// spans that it does not take; nil if it says nothing.
func rejected(contentType string, answer []byte) error {
	if len(answer) == 0 {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	count, message := "0", ""
	var err error
	switch kind {
	case "application/x-protobuf":
		count, message, err = partialSuccess(answer)
	case "application/json":
		var a struct {
			PartialSuccess struct {
				RejectedSpans json.Number // a string, as protobuf writes 64 bits
				ErrorMessage  string
			}
		}
		a.PartialSuccess.RejectedSpans = "0"
		err = json.Unmarshal(answer, &a)
		count, message = a.PartialSuccess.RejectedSpans.String(), a.PartialSuccess.ErrorMessage
	}
	if err != nil {
		return fmt.Errorf("the collector's answer: %w", err)
	}
	if count == "0" && message == "" {
		return nil
	}
	return fmt.Errorf("the collector rejects %s spans: %q", count, message)
}

// partialSuccess reads field 1 of ExportTraceServiceResponse: how many spans are rejected (1), and why (2). What
// package reads such messages links gRPC.
func partialSuccess(b []byte) (count, message string, err error) {
	count = "0"
	err = fields(b, func(n protowire.Number, _ uint64, partial []byte) error {
		if n != 1 {
			return nil
		}
		return fields(partial, func(n protowire.Number, number uint64, text []byte) error {
			switch n {
			case 1:
				count = strconv.FormatInt(int64(number), 10)
			case 2:
				message = string(text)
			}
			return nil
		})
	})
	return count, message, err
}

// fields calls f for each field of a message, with its number or bytes, until that returns an error.
func fields(b []byte, f func(n protowire.Number, number uint64, text []byte) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var number uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			text, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(n, number, text); err != nil {
			return err
		}
	}
	return nil
}
