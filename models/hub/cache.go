package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Cache is a folder of fetched models in the layout of huggingface_hub. Its methods may be called from several
// goroutines, and several programs may use the folder.
type Cache struct{ Dir string }

// DefaultCache returns the cache that huggingface_hub uses: $HF_HUB_CACHE, $HF_HOME/hub, or huggingface/hub in the
// user's cache folder. Its Dir is empty if the system names none.
func DefaultCache() Cache {
	if dir := os.Getenv("HF_HUB_CACHE"); dir != "" {
		return Cache{dir}
	}
	if home := hubHome(); home != "" {
		return Cache{filepath.Join(home, "hub")}
	}
	return Cache{}
}

// hubHome returns the folder of what programs for the hub keep; empty if the system names none.
func hubHome() string {
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return dir
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "huggingface")
}

// NotCachedError says that a model is not in the cache.
type NotCachedError struct {
	Ref Ref
	Dir string
	Err error // what of the repository is there instead; may be nil
}

// Error names the cache.
func (e *NotCachedError) Error() string {
	s := fmt.Sprintf("%v is not in the cache of models, %s", e.Ref, e.Dir)
	if e.Err != nil {
		s += ": " + strings.TrimPrefix(e.Err.Error(), "hub: ")
	}
	return s
}

// Unwrap returns Err.
func (e *NotCachedError) Unwrap() error { return e.Err }

// repo returns the folder of a repository.
func (c Cache) repo(r Ref) string {
	return filepath.Join(c.Dir, "models--"+r.Owner+"--"+r.Name)
}

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// commit returns the commit that the revision of r meant when it was fetched.
func (c Cache) commit(r Ref) (string, bool) {
	if commitForm.MatchString(r.Revision) {
		return r.Revision, true
	}
	b, err := os.ReadFile(filepath.Join(c.repo(r), "refs", r.revision()))
	commit := strings.TrimSpace(string(b))
	return commit, err == nil && commitForm.MatchString(commit)
}

// Find returns the path of a model: the file, of a split one the first part, or the folder. The error is a
// *[NotCachedError].
func (c Cache) Find(r Ref) (string, error) {
	commit, ok := c.commit(r)
	if !ok || c.Dir == "" {
		return "", &NotCachedError{Ref: r, Dir: c.Dir}
	}
	dir := filepath.Join(c.repo(r), "snapshots", commit)
	files, err := snapshot(dir)
	if len(files) == 0 || err != nil {
		return "", &NotCachedError{r, c.Dir, err}
	}
	model, err := choose(r, files)
	if err != nil {
		return "", &NotCachedError{r, c.Dir, err}
	}
	if r.File == "" && slices.Contains(model, "config.json") {
		return dir, nil
	}
	return filepath.Join(dir, filepath.FromSlash(model[0])), nil
}

// snapshot lists the files of a commit that are there, by slashed paths.
func snapshot(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if st, err := os.Stat(p); err != nil || !st.Mode().IsRegular() {
			return nil // a link to nothing
		}
		rel, err := filepath.Rel(dir, p)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return files, err
}

// Cached is a model in a cache.
type Cached struct {
	Ref   Ref
	Path  string    // file or folder
	Bytes int64     // of its files
	Time  time.Time // of the newest
}

// List returns the models that are there whole, by name. Repositories without any, such as those of other programs'
// models, are left out.
func (c Cache) List() (models []Cached, err error) {
	repos, err := filepath.Glob(filepath.Join(c.Dir, "models--*--*"))
	if err != nil {
		return nil, fmt.Errorf("hub: %s: %w", c.Dir, err)
	}
	for _, dir := range repos {
		owner, name, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "models--"), "--")
		r, err := ParseRef(Scheme + owner + "/" + name)
		if err != nil {
			continue
		}
		for revision, commit := range c.revisions(r) {
			if r.Revision = revision; revision == DefaultRevision {
				r.Revision = ""
			}
			found, err := c.inSnapshot(r, filepath.Join(dir, "snapshots", commit))
			if err != nil {
				return nil, err
			}
			models = append(models, found...)
		}
	}
	slices.SortFunc(models, func(a, b Cached) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
	return models, nil
}

// Snapshot returns the repository, as OWNER/NAME, of which a path is a snapshot in a cache, or nothing.
func Snapshot(path string) string {
	snapshots, commit := filepath.Split(filepath.Clean(path))
	repo, folder := filepath.Split(filepath.Clean(snapshots))
	name, ok := strings.CutPrefix(filepath.Base(repo), "models--")
	if !ok || folder != "snapshots" || !commitForm.MatchString(commit) {
		return ""
	}
	return strings.Replace(name, "--", "/", 1)
}

// revisions returns the commits of the revisions that have a name, and the others under their own.
func (c Cache) revisions(r Ref) map[string]string {
	commits := map[string]string{}
	named := map[string]bool{}
	refs, _ := filepath.Glob(filepath.Join(c.repo(r), "refs", "*")) // the pattern is well formed
	for _, f := range refs {
		r.Revision = filepath.Base(f)
		if commit, ok := c.commit(r); ok && revisionForm.MatchString(r.Revision) {
			commits[r.Revision] = commit
			named[commit] = true
		}
	}
	snapshots, _ := filepath.Glob(filepath.Join(c.repo(r), "snapshots", "*"))
	for _, dir := range snapshots {
		if commit := filepath.Base(dir); commitForm.MatchString(commit) && !named[commit] {
			commits[commit] = commit
		}
	}
	return commits
}

// inSnapshot lists the models of a commit. r has its revision.
func (c Cache) inSnapshot(r Ref, dir string) (models []Cached, err error) {
	files, err := snapshot(dir)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	add := func(r Ref, path string, files []string) {
		m := Cached{Ref: r, Path: path}
		for _, f := range files {
			if st, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f))); err == nil {
				m.Bytes += st.Size()
				if st.ModTime().After(m.Time) {
					m.Time = st.ModTime()
				}
			}
		}
		models = append(models, m)
	}
	all := groups(files)
	for _, parts := range all {
		if _, err := whole(r, parts); err == nil {
			add(nameOf(r, parts, all), filepath.Join(dir, filepath.FromSlash(parts[0])), parts)
		}
	}
	if model, err := safetensors(r, files); err == nil {
		add(r, dir, model)
	}
	return models, nil
}
