package hipengine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hipengine/hipengine/gguf"
)

// Installation is a model in a folder of models.
type Installation struct {
	Name     string // by which [Find] finds it
	Path     string
	Files    []string // its file, all parts of a split one, or its folder
	Bytes    int64
	Modified time.Time
}

// Installed lists the models of a folder by name: GGUF files and Hugging Face folders. An empty folder is
// [ModelFolder]; one that does not exist holds none.
func Installed(folder string) (models []Installation, err error) {
	if folder == "" {
		folder = ModelFolder()
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("hipengine: the folder of models: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		st, err := os.Stat(path) // entries may be links
		if err != nil || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		m := Installation{Name: e.Name(), Path: path, Files: []string{path}, Modified: st.ModTime()}
		if st.IsDir() {
			if !isModel(path) {
				continue
			}
		} else {
			if !strings.HasSuffix(path, ".gguf") {
				continue
			}
			m.Name = ModelID(path)
			if prefix, no, count, ok := gguf.ParseSplitPath(path); ok {
				if no != 0 {
					continue
				}
				for i := 1; i < count; i++ {
					m.Files = append(m.Files, gguf.SplitPath(prefix, i, count))
				}
			}
		}
		for _, f := range m.Files {
			m.Bytes += treeBytes(f)
		}
		models = append(models, m)
	}
	return models, nil
}

// treeBytes adds up the sizes of the files at and below a path, as far as they can be seen.
func treeBytes(path string) (bytes int64) {
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			bytes += st.Size()
		}
		return nil
	})
	return bytes
}
