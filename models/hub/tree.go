package hub

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// entry is a file of a repository, as the hub lists it.
type entry struct {
	path string
	size int64
	hash string // SHA-256 of large files, else Git's hash of a blob; in hexadecimal
}

// isSHA256 tells the two kinds of hashes apart.
func (e entry) isSHA256() bool { return len(e.hash) == 64 }

// Bounds of what a hub may say about a repository.
const (
	maxListing = 64 << 20
	maxPages   = 1000
	maxFiles   = 200_000
	maxFile    = 1 << 44
)

// url returns that of a path of the hub, whose parts are escaped.
func (c *Client) url(parts ...string) (*url.URL, error) {
	u, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		segments := strings.Split(p, "/")
		for k, s := range segments {
			segments[k] = url.PathEscape(s)
		}
		parts[i] = strings.Join(segments, "/")
	}
	u, err = u.Parse(u.EscapedPath() + "/" + strings.Join(parts, "/"))
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	return u, nil
}

// commit asks which commit the revision of r is.
func (c *Client) commit(ctx context.Context, r Ref) (string, error) {
	u, err := c.url("api/models", r.Repo(), "revision", r.revision())
	if err != nil {
		return "", err
	}
	body, _, err := c.read(ctx, u, maxListing)
	if err != nil {
		return "", err
	}
	var answer struct{ SHA string }
	if err := json.Unmarshal(body, &answer); err != nil || !commitForm.MatchString(answer.SHA) {
		return "", fmt.Errorf("hub: %s: no commit in the answer: is this a hub?", bare(u))
	}
	return answer.SHA, nil
}

var nextPage = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

// tree lists the files of a commit.
func (c *Client) tree(ctx context.Context, r Ref, commit string) (files []entry, err error) {
	u, err := c.url("api/models", r.Repo(), "tree", commit)
	if err != nil {
		return nil, err
	}
	u.RawQuery = "recursive=true"
	for range maxPages {
		body, header, err := c.read(ctx, u, maxListing)
		if err != nil {
			return nil, err
		}
		var page []struct {
			Type, OID, Path string
			Size            int64
			LFS             *struct {
				OID  string
				Size int64
			}
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("hub: %s: the list of files: %w", bare(u), err)
		}
		for _, f := range page {
			if f.Type != "file" {
				continue
			}
			e := entry{f.Path, f.Size, f.OID}
			if f.LFS != nil {
				e.size, e.hash = f.LFS.Size, strings.TrimPrefix(f.LFS.OID, "sha256:")
			}
			if err := e.check(); err != nil {
				return nil, fmt.Errorf("hub: %s: %w", bare(u), err)
			}
			files = append(files, e)
		}
		if len(files) > maxFiles {
			return nil, fmt.Errorf("hub: %s: more than %d files", bare(u), maxFiles)
		}
		next := nextPage.FindStringSubmatch(header.Get("Link"))
		if next == nil {
			return files, nil
		}
		to, err := u.Parse(next[1])
		if err != nil || to.Host != u.Host || to.Scheme != u.Scheme {
			return nil, fmt.Errorf("hub: %s: the next page is elsewhere", bare(u))
		}
		u = to
	}
	return nil, fmt.Errorf("hub: %s: more than %d pages", bare(u), maxPages)
}

// check refuses what a repository cannot have, and paths that lead out of a folder.
func (e entry) check() error {
	_, err := hex.DecodeString(e.hash)
	switch {
	case !goodPath(e.path):
		return fmt.Errorf("file %q: no path inside a repository", e.path)
	case err != nil || len(e.hash) != 40 && len(e.hash) != 64 || e.hash != strings.ToLower(e.hash):
		return fmt.Errorf("file %q: %q is no hash", e.path, e.hash)
	case e.size < 0 || e.size > maxFile:
		return fmt.Errorf("file %q: size %d", e.path, e.size)
	}
	return nil
}
