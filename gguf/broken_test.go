package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/internal/rawgguf"
)

// maxWaste bounds what reading a small broken file may allocate, in bytes: the read buffer, a chunk for strings and
// the first steps of lists, and nothing in proportion to the numbers that the file claims.
const maxWaste = 1 << 20

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestBrokenFiles(t *testing.T) {
	for _, c := range rawgguf.Broken() {
		t.Run(c.Name, func(t *testing.T) {
			var err error
			if n := allocated(func() { _, err = New(bytes.NewReader(c.Data), int64(len(c.Data))) }); n > maxWaste {
				t.Errorf("allocated %d bytes", n)
			}
			if want := "gguf: " + c.Want; err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
			var format *FormatError
			if err != nil && !errors.As(err, &format) {
				t.Errorf("%T is no FormatError", err)
			}
			path := filepath.Join(t.TempDir(), "broken.gguf")
			if err := os.WriteFile(path, c.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.HasPrefix(err.Error(), "gguf: "+path+": ") {
				t.Errorf("Open: error %v does not name the file", err)
			}
		})
	}
}

// TestHugeFiles checks the limits that only large files reach: here the bytes do exist.
func TestHugeFiles(t *testing.T) {
	const size = 1 << 40
	for _, c := range []struct {
		name string
		head []byte
		want string
	}{
		{"tensors", head(1<<30, 0),
			"header: 1073741824 tensors of at least 25 bytes each exceed the metadata limit of 268435456 bytes (at byte 8)"},
		{"keys", head(0, 1<<30), "header: 1073741824 key-value pairs of at least 14 bytes each exceed the metadata limit of 268435456 bytes (at byte 16)"},
		{"string", raw(head(0, 1), "a", u32(8), u64(300<<20)),
			`key 1 of 1: "a": string of 314572800 bytes, the limit is 268435456 (at byte 37)`},
		{"string that ends beyond", raw(head(0, 1), "a", u32(8), u64(256<<20)),
			`key 1 of 1: "a": metadata section exceeds the limit of 268435456 bytes (at byte 37)`},
		{"array", raw(head(0, 1), "a", u32(9), u32(4), u64(1<<30)),
			`key 1 of 1: "a": 1073741824 uint32 array elements of at least 4 bytes each exceed the metadata limit of 268435456 bytes (at byte 41)`},
		{"array that ends beyond", raw(head(0, 1), "a", u32(9), u32(4), u64(1<<26)),
			`key 1 of 1: "a": metadata section exceeds the limit of 268435456 bytes (at byte 41)`},
		{"key", raw(head(0, 1), u64(1<<20)), "key 1 of 1: string of 1048576 bytes, the limit is 65535 (at byte 24)"},
		{"strings after some", raw(head(0, 1), "a", u32(9), u32(8), u64(1<<24), "x", u64(1<<30)),
			`key 1 of 1: "a": string 1: string of 1073741824 bytes, the limit is 268435456 (at byte 58)`},
		{"infos after some", raw(head(1<<22, 0), info("a", 1, 0, 1)),
			"tensor 2 of 4194304: empty tensor name (at byte 57)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			// Lists grow in steps of 65536 strings or 4096 infos.
			if n := allocated(func() { _, err = New(zeros{c.head}, size) }); n > 4*maxWaste {
				t.Errorf("allocated %d bytes", n)
			}
			if want := "gguf: " + c.want; err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
		})
	}
}

// TestMutatedHeader changes every byte of the metadata section to every value: the result is an error or a sound
// file, and never a panic.
func TestMutatedHeader(t *testing.T) {
	good := handmade()
	data := bytes.Clone(good)
	var valid int
	for i := range len(good) - 160 {
		for v := range 256 {
			data[i] = byte(v)
			f, err := NewBytes(data)
			if err != nil {
				var format *FormatError
				if !errors.As(err, &format) {
					t.Fatalf("byte %d = %d: %v is no FormatError", i, v, err)
				}
				continue
			}
			valid++
			checkSound(t, f, int64(len(data)))
			if t.Failed() {
				t.Fatalf("byte %d = %d", i, v)
			}
		}
		data[i] = good[i]
	}
	if valid < 1000 { // changed names and values are valid
		t.Errorf("only %d valid files", valid)
	}
}

// TestTruncatedAnywhere cuts a valid file at every length.
func TestTruncatedAnywhere(t *testing.T) {
	good := handmade()
	needed := len(good) - 22 // the last tensor has 10 bytes of 32
	for n := range len(good) {
		if f, err := NewBytes(good[:n]); (err == nil) != (n >= needed) {
			t.Errorf("%d of %d bytes: %v, %v", n, len(good), f, err)
		}
	}
}

// checkSound demands what every accepted file promises.
func checkSound(t *testing.T, f *File, size int64) {
	t.Helper()
	for _, info := range f.Tensors {
		want, err := sizeOf(info.DType, info.Shape)
		if err != nil || info.Size != want {
			t.Errorf("tensor %q: size %d, want %d, %v", info.Name, info.Size, want, err)
		}
		if info.Offset < 0 || info.Offset > size-info.Size {
			t.Errorf("tensor %q: bytes %d to %d of %d", info.Name, info.Offset, info.Offset+info.Size, size)
		}
		if info.Offset-f.Parts[0].Data < 0 || (info.Offset-f.Parts[0].Data)%f.Alignment != 0 {
			t.Errorf("tensor %q: offset %d is not aligned", info.Name, info.Offset)
		}
		if got, ok := f.Tensor(info.Name); !ok || got.Offset != info.Offset {
			t.Errorf("tensor %q is not found by name", info.Name)
		}
		if p, err := f.Map(info); err != nil || int64(len(p)) != info.Size {
			t.Errorf("tensor %q: Map: %d bytes, %v", info.Name, len(p), err)
		}
	}
	// What was read can be written, and reads the same.
	// The tensors stay out: where their data lies depends on the length of the keys.
	header := appendHeader(nil, f.Version, f.Meta, nil)
	again, err := parse(bytes.NewReader(header), int64(len(header)), "")
	if err != nil {
		t.Errorf("written again: %v", err)
		return
	}
	if !bytes.Equal(header, appendHeader(nil, again.version, &again.meta, nil)) {
		t.Error("written again, the metadata differ")
	}
}
