package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
)

const (
	incomplete   = ".incomplete" // ends the name of a blob of which a beginning is there
	chunkBytes   = 8 << 20
	maxConnected = 16
)

// HashError says that what came is not what the hub lists. It was thrown away.
type HashError struct{ Path, Want, Got string }

// Error names both hashes.
func (e *HashError) Error() string {
	return fmt.Sprintf("hub: %s came damaged: its hash is %s, the hub lists %s", e.Path, e.Got, e.Want)
}

// hasher returns what computes the hash that the hub lists of e.
func (e entry) hasher() hash.Hash {
	if e.isSHA256() {
		return sha256.New()
	}
	h := sha1.New() // Git's hash of a blob, of files that are small enough to be kept in Git itself
	fmt.Fprintf(h, "blob %d\x00", e.size)
	return h
}

// fetch makes the file blob with the contents of e, and reports bytes that come. What is in blob.incomplete is kept:
// it is a beginning of the contents, which is all that is ever written there, by huggingface_hub too.
func (c *Client) fetch(ctx context.Context, source *location, e entry, blob string, came func(int64)) error {
	for {
		resumed, err := c.fetchOnce(ctx, source, e, blob, came)
		var wrong *HashError
		if !resumed || !errors.As(err, &wrong) {
			return err
		}
		// The beginning may be another file's, or that of a disk that lost writes.
		c.log(fmt.Sprintf("%s: what was there of it was damaged; starting again", e.path))
	}
}

func (c *Client) fetchOnce(ctx context.Context, source *location, e entry, blob string,
	came func(int64)) (resumed bool, err error) {
	f, err := os.OpenFile(blob+incomplete, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return false, fmt.Errorf("hub: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && st.Size() > e.size {
		err = f.Truncate(0)
	}
	if err != nil {
		return false, fmt.Errorf("hub: %w", err)
	}
	h := e.hasher()
	have, err := io.Copy(h, f) // leaves the file at its end
	if err != nil {
		return false, fmt.Errorf("hub: %w", err)
	}
	resumed = have > 0
	if have < e.size {
		switch err = c.chunks(ctx, source, e, have, io.MultiWriter(f, h), came); {
		case errors.Is(err, errNoRanges):
			h.Reset()
			h = e.hasher()
			resumed = false
			if _, err = f.Seek(0, io.SeekStart); err == nil {
				if err = f.Truncate(0); err == nil {
					err = c.stream(ctx, source, e, io.MultiWriter(f, h), came)
				}
			}
		}
		if err != nil {
			return resumed, err
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != e.hash {
		return resumed, errors.Join(&HashError{e.path, e.hash, got}, os.Remove(blob+incomplete))
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return resumed, fmt.Errorf("hub: %w", err)
	}
	if err := os.Rename(blob+incomplete, blob); err != nil {
		return resumed, fmt.Errorf("hub: %w", err)
	}
	return resumed, nil
}

// location is where a file is: what the hub redirected to is asked directly, since hubs bound how often they are
// asked, until that refuses, as it does when its signature expires.
type location struct {
	client *Client
	source *url.URL

	mu sync.Mutex
	at *url.URL // nil as long as it is not known
}

// get asks once for bytes of the file, as Client.get does.
func (l *location) get(ctx context.Context, first, last int64) (*http.Response, error) {
	l.mu.Lock()
	at := l.at
	l.mu.Unlock()
	if at == nil {
		at = l.source
	}
	resp, err := l.client.get(ctx, at, first, last)
	var status *StatusError
	if at != l.source && errors.As(err, &status) {
		at = nil
		resp, err = l.client.get(ctx, l.source, first, last)
	}
	if err == nil {
		at = resp.Request.URL
	}
	l.mu.Lock()
	l.at = at
	l.mu.Unlock()
	return resp, err
}

// errNoRanges says that a server sends whole files alone.
var errNoRanges = errors.New("hub: the server does not send parts of files")

// piece is a part of a file that is being fetched.
type piece struct {
	data []byte
	err  error
}

// chunks writes the bytes of e from offset have on, in order, while several parts of them are fetched at the same
// time.
func (c *Client) chunks(ctx context.Context, source *location, e entry, have int64, w io.Writer,
	came func(int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := c.chunk
	if size == 0 {
		size = chunkBytes
	}
	connections := c.Connections
	if connections == 0 {
		connections = 4
	}
	order := make(chan chan piece, min(max(connections, 1), maxConnected)-1) // with the one that is being written
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		defer close(order)
		for at := have; at < e.size; at += size {
			next := make(chan piece, 1)
			select {
			case order <- next:
			case <-ctx.Done():
				return
			}
			all.Go(func() {
				data, err := c.part(ctx, source, e, at, min(size, e.size-at))
				next <- piece{data, err}
			})
		}
	})
	for next := range order {
		p := <-next
		if p.err != nil {
			return p.err
		}
		if _, err := w.Write(p.data); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
		came(int64(len(p.data)))
	}
	return ctx.Err()
}

// part returns n bytes of e at an offset, in as many tries as it takes as long as some come.
func (c *Client) part(ctx context.Context, source *location, e entry, at, n int64) ([]byte, error) {
	data := make([]byte, 0, n)
	err := c.retry(ctx, func() (progress bool, err error) {
		before := len(data)
		resp, err := source.get(ctx, at+int64(before), at+n-1)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusPartialContent {
			return false, errNoRanges
		}
		want := fmt.Sprintf("bytes %d-%d/%d", at+int64(before), at+n-1, e.size)
		if got := resp.Header.Get("Content-Range"); got != want {
			return false, fmt.Errorf("hub: %s: the server sent %q, wanted %q", e.path, got, want)
		}
		k, err := io.ReadFull(c.watched(resp.Body), data[before:n])
		data = data[:before+k]
		if err != nil {
			err = &transientError{err: fmt.Errorf("hub: %s: %w", e.path, err)}
		}
		return k > 0, err
	})
	return data, err
}

// stream writes all of e from a server that does not send parts. A failure starts from the beginning, at the next
// Pull.
func (c *Client) stream(ctx context.Context, source *location, e entry, w io.Writer, came func(int64)) error {
	var resp *http.Response
	if err := c.retry(ctx, func() (_ bool, err error) {
		resp, err = source.get(ctx, 0, -1)
		return false, err
	}); err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, &counted{io.LimitReader(c.watched(resp.Body), e.size+1), came})
	if err == nil && n != e.size {
		err = fmt.Errorf("%d bytes came of %d", n, e.size)
	}
	if err != nil {
		return fmt.Errorf("hub: %s: %w", e.path, err)
	}
	return nil
}

// counted reports what is read.
type counted struct {
	io.Reader
	came func(int64)
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.came(int64(n))
	return n, err
}
