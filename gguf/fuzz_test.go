package gguf

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzNew demands an error or a sound file for any bytes.
func FuzzNew(f *testing.F) {
	f.Add(handmade())
	dir := f.TempDir()
	for _, o := range []WriterOptions{{}, {Version: 2}, {MaxPartSize: 1}} {
		w := write(f, filepath.Join(dir, "m.gguf"), smallMeta(f), smallTensors(), o)
		for _, path := range w.Paths() {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
			f.Add(data[:len(data)/2])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		n := allocated(func() { file, err = NewBytes(data) })
		// The densest input is a list of empty strings: 16 bytes in memory for 8 in the file, doubled as it grows.
		if limit := maxWaste + 64*uint64(len(data)); n > limit {
			t.Errorf("allocated %d bytes for a file of %d", n, len(data))
		}
		if err != nil {
			if file != nil {
				t.Error("file and error")
			}
			return
		}
		checkSound(t, file, int64(len(data)))
	})
}

// FuzzMeta reads every key through every getter: lenient conversions must neither panic nor invent values.
func FuzzMeta(f *testing.F) {
	f.Add(appendHeader(nil, 3, smallMeta(f), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := NewBytes(data)
		if err != nil {
			return
		}
		m := file.Meta
		for _, k := range m.Keys() {
			if x, err := m.Uint(k); err == nil {
				if y, err := m.Int(k); err == nil && (y < 0 || uint64(y) != x) {
					t.Errorf("%q: Uint %d, Int %d", k, x, y)
				}
			}
			if x, err := m.Int(k); err == nil {
				if y, err := m.Float(k); err == nil && int64(y) != x {
					t.Errorf("%q: Int %d, Float %g", k, x, y)
				}
			}
			s, err := m.String(k)
			list, listErr := m.Strings(k)
			if err == nil && (listErr != nil || len(list) == 0 || list[0] != s) {
				t.Errorf("%q: String %q, Strings %q, %v", k, s, list, listErr)
			}
			if b, err := m.Bool(k); err == nil {
				if bs, err := m.Bools(k); err != nil || bs[0] != b {
					t.Errorf("%q: Bool %v, Bools %v, %v", k, b, bs, err)
				}
			}
			if v, ok := m.Value(k); !ok || !bytes.Contains(data, []byte(k)) {
				t.Errorf("%q: value %v, %v", k, v, ok)
			}
		}
	})
}
