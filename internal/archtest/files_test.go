package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxLines is what a reader is asked to take in at once.
const maxLines = 650

// root is the module's root, seen from this package.
var root = filepath.Join("..", "..")

// goFiles calls f with every Go file that a person wrote.
func goFiles(t *testing.T, f func(path string, src []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err == nil && !regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`).Match(src) {
			f(path, src)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFileSize(t *testing.T) {
	goFiles(t, func(path string, src []byte) {
		if n := bytes.Count(src, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines, more than %d", path, n, maxLines)
		}
	})
}

// TestProductOnly keeps what only a machine or a work in progress knows out of the sources.
func TestProductOnly(t *testing.T) {
	words := []string{"/" + "work/", "/" + "root/", "TO" + "DO", "FIX" + "ME", "X" + "XX", "not " + "implemented"}
	goFiles(t, func(path string, src []byte) {
		for _, w := range words {
			for i, line := range strings.Split(string(src), "\n") {
				if strings.Contains(line, w) {
					t.Errorf("%s:%d contains %q", path, i+1, w)
				}
			}
		}
	})
}
