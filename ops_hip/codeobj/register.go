package codeobj

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// EnvDir names the environment variable that points to a folder of objects, DIR/TARGET/OBJECT.co, which then
// replace the linked ones.
const EnvDir = "HIPENGINE_CODEOBJ"

// ErrNone is wrapped by the error for a target or object that is not there.
var ErrNone = errors.New("no such code object")

var targets = map[string]fs.FS{}

// Register adds the objects of a target: files OBJECT.co for AMD targets ("gfx1100"), OBJECT.ptx for NVIDIA ones
// ("sm_90"). Packages call it from init; it panics on a duplicate.
func Register(target string, objects fs.FS) {
	if targets[target] != nil {
		panic("codeobj: duplicate target " + target)
	}
	targets[target] = objects
}

// RegisterZip is Register for objects in a zip file; it panics if data is none.
func RegisterZip(target string, data []byte) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		panic(fmt.Sprintf("codeobj: objects of %s: %v", target, err))
	}
	Register(target, r)
}

// Targets returns the registered targets in alphabetical order.
func Targets() []string { return slices.Sorted(maps.Keys(targets)) }

// Set is the objects of one target.
type Set struct {
	Target string
	files  fs.FS
}

// For returns the objects to use on a device of the given target: those of the same name for AMD; for NVIDIA,
// whose objects are compiled on the device, those of the highest capability that the device has. dir, if not
// empty, is a folder that replaces the registered targets. The error wraps ErrNone.
func For(device, dir string) (Set, error) {
	have := Targets()
	if dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return Set{}, fmt.Errorf("codeobj: %s: %w", EnvDir, err)
		}
		have = nil
		for _, e := range entries {
			have = append(have, e.Name())
		}
	}
	best := ""
	for _, t := range have {
		switch {
		case t == device:
			best = t
		case capability(t) > 0 && capability(t) <= capability(device) && capability(t) > capability(best):
			best = t
		}
	}
	if best == "" {
		return Set{}, fmt.Errorf("codeobj: no kernels for %s, only for %s: %w", device, strings.Join(have, ", "), ErrNone)
	}
	if dir != "" {
		return Set{best, os.DirFS(filepath.Join(dir, best))}, nil
	}
	return Set{best, targets[best]}, nil
}

// capability returns 90 for "sm_90", 0 for anything else.
func capability(target string) int {
	s, ok := strings.CutPrefix(target, "sm_")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// Ext returns the file extension of a target's objects.
func Ext(target string) string {
	if capability(target) > 0 {
		return ".ptx"
	}
	return ".co"
}

// Names returns the objects in alphabetical order, without extension.
func (s Set) Names() ([]string, error) {
	files, err := fs.Glob(s.files, "*"+Ext(s.Target))
	if err != nil {
		return nil, fmt.Errorf("codeobj: %s: %w", s.Target, err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, Ext(s.Target))
	}
	slices.Sort(files)
	return files, nil
}

// Read returns the contents of an object. The error wraps ErrNone if there is no such object.
func (s Set) Read(object string) ([]byte, error) {
	b, err := fs.ReadFile(s.files, object+Ext(s.Target))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("codeobj: %s for %s: %w", object, s.Target, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("codeobj: %s for %s: %w", object, s.Target, err)
	}
	return b, nil
}
