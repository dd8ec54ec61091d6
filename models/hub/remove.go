package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Remove removes the models that r means, with those of their blobs that no other snapshot links to, and returns the
// bytes that became free. A name without quantization or file means all of the repository, or of the revision that it
// names. The error is a *[NotCachedError] if there is none.
func (c Cache) Remove(r Ref) (freed int64, err error) {
	dir := c.repo(r)
	if r.Quant == "" && r.File == "" && r.Revision == "" {
		return c.removeRepo(r)
	}
	commit, ok := c.commit(r)
	if !ok {
		return 0, &NotCachedError{Ref: r, Dir: c.Dir}
	}
	snap := filepath.Join(dir, "snapshots", commit)
	files, err := snapshot(snap)
	if err != nil || len(files) == 0 {
		return 0, &NotCachedError{r, c.Dir, err}
	}
	if r.Quant != "" || r.File != "" {
		if files, err = choose(r, files); err != nil {
			return 0, &NotCachedError{r, c.Dir, err}
		}
	}
	for _, f := range files {
		if err := os.Remove(filepath.Join(snap, filepath.FromSlash(f))); err != nil {
			return 0, fmt.Errorf("hub: %w", err)
		}
		for up := filepath.Dir(filepath.FromSlash(f)); up != "."; up = filepath.Dir(up) {
			os.Remove(filepath.Join(snap, up)) // if it is empty
		}
	}
	if os.Remove(snap) == nil {
		c.forget(r, commit)
	}
	return c.collect(dir)
}

// forget removes the names of a commit that is gone.
func (c Cache) forget(r Ref, commit string) {
	for name, is := range c.revisions(r) {
		if is == commit {
			os.Remove(filepath.Join(c.repo(r), "refs", name)) // else it names nothing
		}
	}
}

func (c Cache) removeRepo(r Ref) (freed int64, err error) {
	dir := c.repo(r)
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if st, err := d.Info(); err == nil {
				freed += st.Size()
			}
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &NotCachedError{Ref: r, Dir: c.Dir}
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return 0, fmt.Errorf("hub: %w", err)
	}
	return freed, nil
}

// collect removes blobs that no snapshot links to. Those that are being fetched are left alone.
func (c Cache) collect(dir string) (freed int64, err error) {
	var used []string
	err = filepath.WalkDir(filepath.Join(dir, "snapshots"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSymlink {
			if to, err := os.Readlink(p); err == nil {
				used = append(used, filepath.Base(to))
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("hub: %w", err)
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("hub: %w", err)
	}
	left := false
	for _, b := range blobs {
		if slices.Contains(used, b.Name()) || strings.HasSuffix(b.Name(), incomplete) {
			left = true
			continue
		}
		st, err := b.Info()
		if err == nil {
			err = os.Remove(filepath.Join(dir, "blobs", b.Name()))
		}
		if err != nil {
			return freed, fmt.Errorf("hub: %w", err)
		}
		freed += st.Size()
	}
	if !left {
		if rest, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*")); len(rest) == 0 {
			return freed, os.RemoveAll(dir)
		}
	}
	return freed, nil
}
