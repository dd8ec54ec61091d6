package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DefaultEndpoint is the hub where nobody names another.
const DefaultEndpoint = "https://huggingface.co"

// Client speaks with a hub. The zero value of a field is what DefaultClient has there. Its methods may be called from
// several goroutines.
type Client struct {
	Endpoint string // URL of the hub
	Token    string // sent to the hub alone, never to where it redirects; empty is none
	Agent    string // User-Agent

	// Connections is how many parts of a file are fetched at the same time, at most 16; 0 is 4. Each takes 8 MiB.
	Connections int

	Verify bool // read again what is in the cache, and fetch it anew if it is damaged

	// Log is told, one sentence at a time, what a user may want to know. Nil discards.
	Log func(message string)

	// Progress is told how many bytes of a Pull came, of those that were missing, by one goroutine. Nil is nobody.
	Progress func(done, total int64)

	wait func(ctx context.Context, d time.Duration) error // between tries; tests do not wait
	// after which a silent connection is given up; 0 is a minute
	stall time.Duration
	chunk int64                           // bytes of a part; 0 is chunkBytes
	free  func(dir string) (int64, error) // of the disk
}

// DefaultClient returns a client of the hub $HF_ENDPOINT, with the token that programs for the hub share: $HF_TOKEN,
// else that in the file $HF_TOKEN_PATH, $HF_HOME/token or huggingface/token in the user's cache folder.
func DefaultClient() (*Client, error) {
	c := &Client{Endpoint: os.Getenv("HF_ENDPOINT")}
	if c.Token = strings.TrimSpace(os.Getenv("HF_TOKEN")); c.Token != "" {
		return c, checkToken(c.Token, "$HF_TOKEN")
	}
	path := os.Getenv("HF_TOKEN_PATH")
	asked := path != ""
	if !asked {
		home := hubHome()
		if home == "" {
			return c, nil
		}
		path = filepath.Join(home, "token")
	}
	b, err := os.ReadFile(path)
	if err != nil && (asked || !errors.Is(err, os.ErrNotExist)) {
		return nil, fmt.Errorf("hub: the token: %w", err)
	}
	c.Token = strings.TrimSpace(string(b))
	return c, checkToken(c.Token, path)
}

// checkToken refuses what cannot be sent, without showing it.
func checkToken(token, from string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("hub: the token in %s has spaces or signs that no token has", from)
	}
	return nil
}

// StatusError is the answer of a hub that does not have, or does not give, what was asked for.
type StatusError struct {
	URL     string // without what follows a question mark, which may be a signature
	Status  int
	Message string // the hub's own words, if it sent any
	hint    string
}

// Error says what the status means for a user.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("hub: %s: %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.hint != "" {
		s += ": " + e.hint
	}
	return s
}

// maxRedirects bounds how often a hub may send us on.
const maxRedirects = 8

// tries bounds how often in a row a request may fail without a byte of progress.
const tries = 8

// transport is that of all clients: connections are shared.
var transport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	t.MaxIdleConnsPerHost = 16
	t.DisableCompression = true // hashes are of the files as they are
	return t
}()

func (c *Client) endpoint() (*url.URL, error) {
	text := c.Endpoint
	if text == "" {
		text = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		err = errors.New("want http://HOST or https://HOST")
	}
	if err != nil {
		return nil, fmt.Errorf("hub: endpoint %q: %w", text, err)
	}
	return u, nil
}

// get asks for a URL, with the given bytes of what it names if last is not negative, and follows redirects. The token
// goes to the endpoint alone. It tries once. The caller closes the body.
func (c *Client) get(ctx context.Context, target *url.URL, first, last int64) (*http.Response, error) {
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("hub: %w", err)
		}
		if c.Agent != "" {
			req.Header.Set("User-Agent", c.Agent)
		}
		if last >= 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
		}
		if c.Token != "" && target.Scheme == endpoint.Scheme && target.Host == endpoint.Host {
			req.Header.Set("Authorization", "Bearer "+c.Token)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			err = fmt.Errorf("hub: %s: %w", bare(target), err)
			var name *net.DNSError
			if errors.As(err, &name) && name.IsNotFound || errors.As(err, new(*tls.CertificateVerificationError)) {
				return nil, err // will not be better soon
			}
			return nil, &transientError{err: err}
		}
		if resp.StatusCode < 300 {
			return resp, nil
		}
		if resp.StatusCode >= 400 || resp.Header.Get("Location") == "" {
			defer resp.Body.Close()
			return nil, c.refused(target, resp)
		}
		resp.Body.Close()
		next, err := target.Parse(resp.Header.Get("Location"))
		if err != nil {
			return nil, fmt.Errorf("hub: %s: redirect: %w", bare(target), err)
		}
		if next.Scheme != "https" && next.Scheme != target.Scheme || next.Host == "" {
			return nil, fmt.Errorf("hub: %s: redirect to %s, which is not safe", bare(target), bare(next))
		}
		target = next
	}
	return nil, fmt.Errorf("hub: %s: more than %d redirects", bare(target), maxRedirects)
}

// bare returns a URL without its query, which may hold a signature.
func bare(u *url.URL) string {
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// refused is the error of an answer without what was asked for.
func (c *Client) refused(target *url.URL, resp *http.Response) error {
	e := &StatusError{URL: bare(target), Status: resp.StatusCode, Message: resp.Header.Get("X-Error-Message")}
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.hint = "there is no such repository, or it is closed to the owner of the token: ask for access on its page"
		if c.Token == "" {
			e.hint = "there is no such repository, or it needs a token: put one into $HF_TOKEN or the file of " +
				"$HF_TOKEN_PATH"
		}
	case http.StatusNotFound:
		e.hint = "there is no such repository, revision or file"
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &transientError{err: e, after: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	}
	return e
}

// transientError is one that may be gone at the next try.
type transientError struct {
	err   error
	after time.Duration // for which the server asks to wait
}

func (e *transientError) Error() string { return e.err.Error() }

func (e *transientError) Unwrap() error { return e.err }

// maxWait bounds how long a server may ask to wait.
const maxWait = 5 * time.Minute

// retryAfter reads the header of this name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, maxWait)
	}
	if t, err := http.ParseTime(text); err == nil && t.After(now) {
		return min(t.Sub(now), maxWait)
	}
	return 0
}

// retry calls f until it succeeds, fails for good, or fails too often in a row without progress, which f reports.
func (c *Client) retry(ctx context.Context, f func() (progress bool, err error)) error {
	for failed := 0; ; {
		progress, err := f()
		var transient *transientError
		if err == nil || ctx.Err() != nil || !errors.As(err, &transient) {
			return errors.Join(err, ctx.Err())
		}
		if failed++; progress {
			failed = 1
		}
		if failed == tries {
			return fmt.Errorf("%w (given up after %d tries)", err, tries)
		}
		wait := max(transient.after, time.Second/2<<(failed-1))
		if wait >= time.Second {
			c.log(fmt.Sprintf("%v; next try in %v", err, wait.Round(time.Second)))
		}
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.wait != nil {
		return c.wait(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (c *Client) log(message string) {
	if c.Log != nil {
		c.Log(message)
	}
}

// read asks for a URL with tries, and returns its body of at most limit bytes.
func (c *Client) read(ctx context.Context, target *url.URL, limit int64) (body []byte, header http.Header, err error) {
	err = c.retry(ctx, func() (bool, error) {
		resp, err := c.get(ctx, target, 0, -1)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		header = resp.Header
		if body, err = io.ReadAll(io.LimitReader(c.watched(resp.Body), limit+1)); err != nil {
			return false, &transientError{err: fmt.Errorf("hub: %s: %w", bare(target), err)}
		}
		if int64(len(body)) > limit {
			return false, fmt.Errorf("hub: %s has more than %d bytes", bare(target), limit)
		}
		return false, nil
	})
	return body, header, err
}

// watched returns a reader that fails when nothing comes for a while.
func (c *Client) watched(body io.ReadCloser) io.Reader {
	stall := c.stall
	if stall == 0 {
		stall = time.Minute
	}
	return &watched{body: body, stall: stall}
}

type watched struct {
	body  io.ReadCloser
	stall time.Duration
}

// Read closes the body of a connection that stands still, so that its Read returns.
func (w *watched) Read(p []byte) (int, error) {
	t := time.AfterFunc(w.stall, func() { w.body.Close() })
	n, err := w.body.Read(p)
	if !t.Stop() && err != nil {
		err = fmt.Errorf("nothing came for %v", w.stall)
	}
	return n, err
}
