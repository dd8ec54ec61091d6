package hipengine

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hipengine/hipengine/models/hub"
)

// Ember is the name of the built-in model.
const Ember = "ember"

// ModelFolder returns the folder in which models are found by name where nobody says otherwise: hipengine/models in
// the XDG data folder. It is empty if the system names no home.
func ModelFolder() string {
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "hipengine", "models")
}

// Find returns the file or folder that name means, and whether name means a model at all, be it there or not: [Ember],
// a path, a file name, the name of a model in folder with or without .gguf, or hf:OWNER/NAME[:QUANT] of a hub, which
// is found in the cache that package models/hub fetches into. An empty folder is [ModelFolder].
func Find(name, folder string) (path string, ok bool) {
	if name == Ember {
		return name, true
	}
	if hub.IsRef(name) {
		if path, err := cached(name); err == nil {
			return path, true
		}
		return name, true
	}
	if isModel(name) {
		return name, true
	}
	if folder == "" {
		folder = ModelFolder()
	}
	if folder != "" && name != "" && filepath.Base(name) == name {
		for _, p := range []string{filepath.Join(folder, name+".gguf"), filepath.Join(folder, name)} {
			if isModel(p) {
				return p, true
			}
		}
	}
	// A sentence may hold a slash; a path to a model has no spaces worth guessing about.
	pathLike := strings.ContainsRune(name, os.PathSeparator) && !strings.ContainsAny(name, " \t\n")
	return name, pathLike || strings.HasSuffix(name, ".gguf")
}

// Locate is Find for a model that must be there. The error is a *[NotFoundError].
func Locate(name, folder string) (path string, err error) {
	path, ok := Find(name, folder)
	switch {
	case hub.IsRef(name):
		if path, err = cached(name); err != nil {
			return "", &NotFoundError{Name: name, Err: err}
		}
	case !ok:
		if folder == "" {
			folder = ModelFolder()
		}
		return "", &NotFoundError{Name: name, Folder: folder, Similar: Similar(name, folder)}
	case path == Ember:
		return path, nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", &NotFoundError{Name: name}
	}
	return path, nil
}

// cached returns the path of a model of a hub.
func cached(name string) (string, error) {
	r, err := hub.ParseRef(name)
	if err != nil {
		return "", err
	}
	return hub.DefaultCache().Find(r)
}

// Similar returns the names of models in folder, which is [ModelFolder] if it is empty, and in the cache of package
// models/hub, for which name may be a slip: the most similar first, at most three.
func Similar(name, folder string) []string {
	if folder == "" {
		folder = ModelFolder()
	}
	type match struct {
		name string
		far  int
	}
	var found []match
	try := func(known, short string) {
		far := distance(strings.ToLower(name), strings.ToLower(short))
		if far <= max(1, min(len(name), len(short))/5) {
			found = append(found, match{known, far})
		}
	}
	try(Ember, Ember)
	entries, _ := os.ReadDir(folder) // without one, nothing in it is similar
	for _, e := range entries {
		if id := ModelID(e.Name()); isModel(filepath.Join(folder, e.Name())) {
			try(id, id)
		}
	}
	list, _ := hub.DefaultCache().List()
	for _, m := range list {
		known := m.Ref.String()
		try(known, known)
		try(known, m.Ref.Name)
		try(known, m.Ref.Repo())
	}
	slices.SortStableFunc(found, func(a, b match) int { return cmp.Compare(a.far, b.far) })
	var names []string
	for _, m := range found {
		if len(names) < 3 && !slices.Contains(names, m.name) {
			names = append(names, m.name)
		}
	}
	return names
}

// distance returns how many bytes of a must be changed, added or removed to get b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for k := range len(b) {
			change := diagonal
			if a[i] != b[k] {
				change++
			}
			diagonal = row[k+1]
			row[k+1] = min(change, row[k]+1, row[k+1]+1)
		}
	}
	return row[len(b)]
}

// isModel reports whether path is a file, or a folder that holds a Hugging Face model.
func isModel(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		return err == nil
	}
	_, err = os.Stat(filepath.Join(path, "config.json"))
	return err == nil
}

// id returns the name under which the model that was opened as name is served.
func (o Options) id(name string) string {
	if o.ID != "" {
		return o.ID
	}
	return ModelID(name)
}

// ModelID returns the name under which a model is known that was opened as name: the base of its path, without .gguf, and
// for a snapshot of a hub's cache the name of its repository.
func ModelID(name string) string {
	if name == "" {
		return Ember
	}
	if path, err := filepath.Abs(name); err == nil {
		if repo := hub.Snapshot(path); repo != "" {
			return filepath.Base(repo)
		}
		if strings.HasSuffix(name, ".") { // "." and ".."
			name = path
		}
	}
	return strings.TrimSuffix(filepath.Base(name), ".gguf")
}
