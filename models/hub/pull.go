package hub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// SpaceError says that a disk has too little room for a model. Nothing was fetched.
type SpaceError struct {
	Dir        string
	Need, Free int64 // bytes
}

// Error names both.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("hub: %s: %.2f GB are missing of the model, and the disk has %.2f GB: %.2f GB too little",
		e.Dir,
		float64(e.Need)/1e9, float64(e.Free)/1e9, float64(e.Need-e.Free)/1e9)
}

// spare is what a pull leaves free on the disk.
const spare = 64 << 20

// Pull fetches the model that r means into a cache, as far as it is not there, and returns its path as [Cache.Find]
// does. It can be stopped at any time: the next one goes on from what came. Two of them, in one program or several, do
// not disturb each other. Errors that callers branch on are *[StatusError], *[SelectionError], *[SpaceError] and
// *[HashError].
func (c *Client) Pull(ctx context.Context, cache Cache, r Ref) (path string, err error) {
	if cache.Dir == "" {
		return "", errors.New("hub: the system names no folder for a cache: set HF_HUB_CACHE")
	}
	commit := r.Revision
	if !commitForm.MatchString(commit) {
		if commit, err = c.commit(ctx, r); err != nil {
			return "", err
		}
	}
	files, err := c.chosen(ctx, r, commit)
	if err != nil {
		return "", err
	}
	repo := cache.repo(r)
	for _, dir := range []string{"blobs", "refs", filepath.Join("snapshots", commit)} {
		if err := os.MkdirAll(filepath.Join(repo, dir), 0o755); err != nil {
			return "", fmt.Errorf("hub: %w", err)
		}
	}
	came, err := c.room(repo, files)
	if err != nil {
		return "", err
	}
	for _, e := range files {
		if err := c.blob(ctx, cache, r, commit, e, came); err != nil {
			return "", err
		}
	}
	for _, e := range files {
		if err := link(repo, commit, e); err != nil {
			return "", fmt.Errorf("hub: %w", err)
		}
	}
	if r.revision() != commit {
		if err := replace(filepath.Join(repo, "refs", r.revision()), []byte(commit)); err != nil {
			return "", fmt.Errorf("hub: %w", err)
		}
	}
	return cache.Find(r)
}

// chosen returns the files of a model as the hub lists them.
func (c *Client) chosen(ctx context.Context, r Ref, commit string) (files []entry, err error) {
	all, err := c.tree(ctx, r, commit)
	if err != nil {
		return nil, err
	}
	at := map[string]entry{}
	var paths []string
	for _, e := range all {
		at[e.path] = e
		paths = append(paths, e.path)
	}
	model, err := choose(r, paths)
	if err != nil {
		return nil, err
	}
	for _, p := range model {
		files = append(files, at[p])
	}
	return files, nil
}

// room checks that the disk holds what is missing, and returns what is to be told of bytes that came.
func (c *Client) room(repo string, files []entry) (came func(int64), err error) {
	var missing, done int64
	for _, e := range files {
		blob := filepath.Join(repo, "blobs", e.hash)
		if _, err := os.Stat(blob); err == nil {
			continue
		}
		missing += e.size
		if st, err := os.Stat(blob + incomplete); err == nil {
			missing -= min(st.Size(), e.size)
		}
	}
	free := c.free
	if free == nil {
		free = diskFree
	}
	if n, err := free(repo); err == nil && missing > 0 && missing+spare > n { // who cannot tell may try
		return nil, &SpaceError{repo, missing, max(0, n-spare)}
	}
	tell := c.Progress
	if tell == nil || missing == 0 {
		return func(int64) {}, nil
	}
	tell(0, missing)
	return func(n int64) {
		done += n
		tell(done, max(done, missing))
	}, nil
}

// blob makes the blob of e, unless it is there. Programs take turns, by the lock that huggingface_hub takes.
func (c *Client) blob(ctx context.Context, cache Cache, r Ref, commit string, e entry, came func(int64)) error {
	blob := filepath.Join(cache.repo(r), "blobs", e.hash)
	if there, err := c.there(blob, e); there || err != nil {
		return err
	}
	locks := filepath.Join(cache.Dir, ".locks", filepath.Base(cache.repo(r)))
	if err := os.MkdirAll(locks, 0o755); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	unlock, err := c.lock(ctx, filepath.Join(locks, e.hash+".lock"), e.path)
	if err != nil {
		return err
	}
	defer unlock()
	if st, err := os.Stat(blob); err == nil && st.Size() == e.size {
		return nil // another program fetched it meanwhile
	}
	source, err := c.url(r.Repo(), "resolve", commit, e.path)
	if err != nil {
		return err
	}
	if st, err := os.Stat(blob + incomplete); err == nil && st.Size() > 0 {
		c.log(fmt.Sprintf("%s: going on after %.2f of %.2f GB", e.path, float64(st.Size())/1e9, float64(e.size)/1e9))
	}
	return c.fetch(ctx, &location{client: c, source: source}, e, blob, came)
}

// there reports whether the blob of e is. With Verify it reads the blob, and removes one that is damaged.
func (c *Client) there(blob string, e entry) (bool, error) {
	f, err := os.Open(blob)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("hub: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && st.Size() == e.size && !c.Verify {
		return true, nil
	}
	h := e.hasher()
	if err == nil {
		_, err = io.Copy(h, f)
	}
	if err == nil && hex.EncodeToString(h.Sum(nil)) == e.hash {
		return true, nil
	}
	if err == nil {
		c.log(fmt.Sprintf("%s is damaged in the cache; fetching it again", e.path))
		err = os.Remove(blob)
	}
	if err != nil {
		return false, fmt.Errorf("hub: %w", err)
	}
	return false, nil
}

// lock waits for a file to be this program's alone.
func (c *Client) lock(ctx context.Context, path, what string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	for told := false; ; told = true {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("hub: locking %s: %w", path, err)
		}
		if ok {
			return func() { f.Close() }, nil
		}
		if !told {
			c.log(fmt.Sprintf("%s: another program fetches it; waiting", what))
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(time.Second / 5):
		}
	}
}

// link makes a file of a snapshot, which is a link to its blob.
func link(repo, commit string, e entry) error {
	file := filepath.Join(repo, "snapshots", commit, filepath.FromSlash(e.path))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	to, err := filepath.Rel(filepath.Dir(file), filepath.Join(repo, "blobs", e.hash))
	if err != nil {
		return err
	}
	if was, err := os.Readlink(file); err == nil && was == to {
		return nil
	}
	temp := file + incomplete
	if err := errors.Join(os.RemoveAll(temp), os.Symlink(to, temp)); err != nil {
		return err
	}
	return os.Rename(temp, file)
}

// replace writes a small file at once.
func replace(path string, text []byte) error {
	if was, err := os.ReadFile(path); err == nil && slices.Equal(was, text) {
		return nil
	}
	temp := path + incomplete
	if err := os.WriteFile(temp, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
