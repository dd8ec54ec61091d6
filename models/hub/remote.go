package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// RemoteFile is a file on a hub, of which as much is fetched as is read, in blocks that are kept.
type RemoteFile struct {
	Path string // in the repository
	Size int64

	ctx    context.Context
	client *Client
	entry  entry
	from   *location

	mu     sync.Mutex
	blocks map[int64][]byte
}

// remoteBlock is how much of a file is fetched at once.
const remoteBlock = 1 << 20

// maxRemote bounds what is fetched of a file: headers are smaller, and who wants more wants Pull.
const maxRemote = 512 << 20

// Remote returns the files of the model that r means, in the order of Pull, to look into without fetching them. They
// can be read until ctx is done. Errors are those of Pull.
func (c *Client) Remote(ctx context.Context, r Ref) ([]*RemoteFile, error) {
	commit := r.Revision
	if !commitForm.MatchString(commit) {
		var err error
		if commit, err = c.commit(ctx, r); err != nil {
			return nil, err
		}
	}
	chosen, err := c.chosen(ctx, r, commit)
	if err != nil {
		return nil, err
	}
	var files []*RemoteFile
	for _, e := range chosen {
		source, err := c.url(r.Repo(), "resolve", commit, e.path)
		if err != nil {
			return nil, err
		}
		files = append(files, &RemoteFile{Path: e.path, Size: e.size, ctx: ctx, client: c, entry: e,
			from: &location{client: c, source: source}, blocks: map[int64][]byte{}})
	}
	return files, nil
}

// ReadAt implements io.ReaderAt.
func (f *RemoteFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("hub: %s: negative offset %d", f.Path, off)
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= f.Size {
			return n, io.EOF
		}
		b, err := f.block(at / remoteBlock)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[at%remoteBlock:])
	}
	return n, nil
}

// block returns a block of the file.
func (f *RemoteFile) block(i int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.blocks[i]; ok {
		return b, nil
	}
	if int64(len(f.blocks)) >= maxRemote/remoteBlock {
		return nil, fmt.Errorf("hub: %s: more than %d bytes of it are wanted", f.Path, maxRemote)
	}
	at := i * remoteBlock
	n := min(remoteBlock, f.Size-at)
	b, err := f.client.part(f.ctx, f.from, f.entry, at, n)
	if errors.Is(err, errNoRanges) {
		b, err = f.whole(at, n)
	}
	if err != nil {
		return nil, err
	}
	f.blocks[i] = b
	return b, nil
}

// whole reads a block of a file that the hub only sends from its beginning on.
func (f *RemoteFile) whole(at, n int64) (b []byte, err error) {
	var resp *http.Response
	if err := f.client.retry(f.ctx, func() (_ bool, err error) {
		resp, err = f.from.get(f.ctx, 0, -1)
		return false, err
	}); err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body := f.client.watched(resp.Body)
	if _, err = io.CopyN(io.Discard, body, at); err == nil {
		b = make([]byte, n)
		_, err = io.ReadFull(body, b)
	}
	if err != nil {
		return nil, fmt.Errorf("hub: %s: %w", f.Path, err)
	}
	return b, nil
}
