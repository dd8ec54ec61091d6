package gguf

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Keys of split models. The number counts from 0, in file names from 1.
const (
	keySplitNo      = "split.no"
	keySplitCount   = "split.count"
	keySplitTensors = "split.tensors.count"
)

// maxParts is what split.count, a 16-bit number, can say.
const maxParts = 1<<16 - 1

// split says which part of a model a file is; count is 0 or 1 for a model in one file.
type split struct {
	no, count int
	tensors   uint64 // of all parts together
}

func splitOf(m *Meta) (split, error) {
	count, err := m.UintOr(keySplitCount, 0)
	if err != nil || count <= 1 {
		return split{}, err
	}
	if count > maxParts {
		return split{}, fmt.Errorf("%s is %d, the limit is %d", keySplitCount, count, maxParts)
	}
	no, err := m.Uint(keySplitNo)
	if err != nil {
		return split{}, err
	}
	if no >= count {
		return split{}, fmt.Errorf("%s is %d with %s %d", keySplitNo, no, keySplitCount, count)
	}
	tensors, err := m.Uint(keySplitTensors)
	return split{no: int(no), count: int(count), tensors: tensors}, err
}

// SplitPath returns the name of part no, counted from 0, of count parts: prefix-00001-of-00003.gguf.
func SplitPath(prefix string, no, count int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, no+1, count)
}

// ParseSplitPath is the inverse of [SplitPath]; ok is false for a name that is not of its form.
func ParseSplitPath(path string) (prefix string, no, count int, ok bool) {
	const tail = len("-00001-of-00003.gguf")
	if len(path) <= tail {
		return "", 0, 0, false
	}
	prefix, s := path[:len(path)-tail], path[len(path)-tail:]
	if s[0] != '-' || s[6:10] != "-of-" || s[15:] != ".gguf" {
		return "", 0, 0, false
	}
	a, errA := strconv.ParseUint(s[1:6], 10, 32)
	b, errB := strconv.ParseUint(s[10:15], 10, 32)
	if errA != nil || errB != nil || a < 1 || a > b {
		return "", 0, 0, false
	}
	return prefix, int(a) - 1, int(b), true
}

// openAll opens the part at path and, if it is the first of several, the others.
func (f *File) openAll(path string) error {
	h, err := f.open(path)
	if err != nil {
		return err
	}
	broken := func(path, format string, args ...any) error {
		return &FormatError{Path: path, Offset: -1, Err: fmt.Errorf(format, args...)}
	}
	first, err := splitOf(&h.meta)
	if err != nil {
		return broken(path, "%w", err)
	}
	if first.count <= 1 {
		return nil
	}
	prefix, no, count, ok := ParseSplitPath(path)
	if ok && count != first.count {
		return broken(path, "%s is %d, the file name says %d", keySplitCount, first.count, count)
	}
	if first.no != 0 {
		name := SplitPath("*", 0, first.count)
		if ok {
			name = SplitPath(prefix, 0, first.count)
		}
		return broken(path, "part %d of a model split into %d; open the first part, %s", first.no+1, first.count, name)
	}
	if !ok || no != 0 {
		return broken(path, "first part of a model split into %d must be named like %s", first.count,
			filepath.Base(SplitPath("NAME", 0, first.count)))
	}
	for i := 1; i < first.count; i++ {
		path := SplitPath(prefix, i, first.count)
		h, err := f.open(path)
		if err != nil {
			return err
		}
		sp, err := splitOf(&h.meta)
		if err != nil {
			return broken(path, "%w", err)
		}
		if sp.no != i || sp.count != first.count {
			return broken(path, "%s %d and %s %d, want %d and %d", keySplitNo, sp.no, keySplitCount, sp.count, i,
				first.count)
		}
	}
	if n := uint64(len(f.Tensors)); n != first.tensors {
		return broken(path, "all parts together have %d tensors, %s says %d", n, keySplitTensors, first.tensors)
	}
	return nil
}

// open opens one part.
func (f *File) open(path string) (*header, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	s := &source{r: file, path: path, file: file}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err == nil {
		s.size = info.Size()
		var h *header
		if h, err = f.add(s); err == nil {
			return h, nil
		}
	} else {
		err = fmt.Errorf("gguf: %w", err)
	}
	if len(f.parts) == 0 || f.parts[len(f.parts)-1] != s {
		file.Close() // otherwise f owns it
	}
	return nil, err
}
