package hipengine

import (
	"os"
	"path/filepath"
	"strings"
)

// Ember is the name of the built-in model.
const Ember = "ember"

// ModelFolder returns the folder in which models are found by name where nobody says otherwise: hipengine/models in the
// XDG data folder. It is empty if the system names no home.
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
// a path, a file name, or the name of a model in folder with or without .gguf. An empty folder is [ModelFolder].
func Find(name, folder string) (path string, ok bool) {
	if name == Ember {
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

// ModelID returns the name under which a model is known that was opened as name: the base of its path, without .gguf.
func ModelID(name string) string {
	if name == "" {
		return Ember
	}
	return strings.TrimSuffix(filepath.Base(name), ".gguf")
}
