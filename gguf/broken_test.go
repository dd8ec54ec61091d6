package gguf

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
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

// info is a tensor info with sound fields; the tests break one at a time.
func info(name string, id u32, off u64, dims ...u64) []byte {
	return raw(name, u32(len(dims)), dims, id, off)
}

func TestBrokenFiles(t *testing.T) {
	noise := make([]byte, 1000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	noise[0] = 'N' // never the magic
	const q8, f16 = 8, 1
	const huge = u64(1) << 60
	join := func(bs ...[]byte) []byte { return bytes.Join(bs, nil) }
	good := handmade()
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		// The whole file.
		{"empty", nil, "empty file (at byte 0)"},
		{"two bytes", []byte("GG"), "file of 2 bytes is too short to be GGUF (at byte 0)"},
		{"text", []byte("Hello, this is a text and no model.\n"),
			`no GGUF file: it starts with "Hell", want "GGUF" (at byte 0)`},
		{"random", noise, `no GGUF file: it starts with "N\xad\x05\xdc", want "GGUF" (at byte 0)`},
		{"big-endian magic", []byte("FUGG\x00\x00\x00\x03"),
			`no GGUF file: it starts with "FUGG", want "GGUF" (at byte 0)`},
		{"truncated in magic", good[:4], "version: truncated: 4 bytes needed, 0 left in the file (at byte 4)"},
		{"truncated in header", good[:20],
			"header: 2 tensors need at least 25 bytes each, 4 left in the file (at byte 8)"},
		{"truncated in keys", good[:90], "key 2 of 3: string of 17 bytes, 13 left in the file (at byte 69)"},
		{"truncated in infos", good[:170], `tensor "w": truncated: 8 bytes needed, 0 left in the file (at byte 170)`},
		{"truncated in data", good[:300],
			`tensor "w": data of 102 bytes at offset 0 of the data section, which has 76 bytes (at byte 170)`},
		{"truncated in last tensor", good[:len(good)-25],
			`tensor "bias": data of 10 bytes at offset 128 of the data section, which has 135 bytes (at byte 206)`},
		{"truncated before data", good[:220],
			`tensor "w": data of 102 bytes at offset 0 of the data section, which has 0 bytes (at byte 170)`},

		// Versions.
		{"version 0", raw([]byte("GGUF"), u32(0), u64(0), u64(0)), "version 0, want 2 or 3 (at byte 4)"},
		{"version 1", raw([]byte("GGUF"), u32(1), u32(0), u32(0)),
			"version 1, with 32-bit lengths, is not supported; convert the model again (at byte 4)"},
		{"version 4", raw([]byte("GGUF"), u32(4), u64(0), u64(0)), "version 4, want 2 or 3 (at byte 4)"},
		{"big-endian", raw([]byte("GGUF"), u32(3<<24), u64(0), u64(0)),
			"big-endian file, version 3; only little-endian files are supported (at byte 4)"},

		// Counts.
		{"huge tensor count", head(huge, 0),
			"header: 1152921504606846976 tensors need at least 25 bytes each, 8 left in the file (at byte 8)"},
		{"negative tensor count", head(1<<64-1, 0),
			"header: 18446744073709551615 tensors need at least 25 bytes each, 8 left in the file (at byte 8)"},
		{"huge key count", head(0, huge),
			"header: 1152921504606846976 key-value pairs need at least 14 bytes each, 0 left in the file (at byte 16)"},
		{"negative key count", head(0, 1<<63),
			"header: 9223372036854775808 key-value pairs need at least 14 bytes each, 0 left in the file (at byte 16)"},
		{"one tensor too many", join(head(2, 0), info("a", f16, 0, 1), make([]byte, 17)),
			"tensor 2 of 2: empty tensor name (at byte 57)"},

		// Keys.
		{"huge key length", raw(head(0, 1), huge, make([]byte, 20)),
			"key 1 of 1: string of 1152921504606846976 bytes, 20 left in the file (at byte 24)"},
		{"key length wraps", raw(head(0, 1), u64(1<<64-8), make([]byte, 20)),
			"key 1 of 1: string of 18446744073709551608 bytes, 20 left in the file (at byte 24)"},
		{"key too long", raw(head(0, 1), strings.Repeat("k", 65536), u32(0), u8(0)),
			"key 1 of 1: string of 65536 bytes, the limit is 65535 (at byte 24)"},
		{"empty key", raw(head(0, 1), "", u32(0), u8(0), u8(0)), "key 1 of 1: empty key (at byte 24)"},
		{"duplicate key", raw(head(0, 2), "a", u32(0), u8(0), "a", u32(0), u8(0)),
			`key 2 of 2: duplicate key "a" (at byte 38)`},
		{"value type 13", raw(head(0, 1), "a", u32(13), u64(0)),
			`key 1 of 1: "a": unknown value type 13 (at byte 33)`},
		{"negative value type", raw(head(0, 1), "a", i32(-1), u64(0)),
			`key 1 of 1: "a": unknown value type 4294967295 (at byte 33)`},
		{"truncated value", raw(head(0, 1), "a", u32(10), u32(0)),
			`key 1 of 1: "a": truncated: 8 bytes needed, 4 left in the file (at byte 37)`},
		{"truncated string", raw(head(0, 1), "a", u32(8), u64(9), []byte("12345678")),
			`key 1 of 1: "a": string of 9 bytes, 8 left in the file (at byte 37)`},

		// Arrays.
		{"array of arrays", raw(head(0, 1), "a", u32(9), u32(9), u64(1), u32(0), u64(0)),
			`key 1 of 1: "a": array of arrays (at byte 37)`},
		{"element type", raw(head(0, 1), "a", u32(9), u32(99), u64(1)),
			`key 1 of 1: "a": unknown array element type 99 (at byte 37)`},
		{"huge array", raw(head(0, 1), "a", u32(9), u32(4), u64(1<<30)),
			`key 1 of 1: "a": 1073741824 uint32 array elements need at least 4 bytes each, 0 left in the file (at byte 41)`},
		{"huge array of strings", raw(head(0, 1), "a", u32(9), u32(8), u64(1<<62)),
			`key 1 of 1: "a": 4611686018427387904 string array elements need at least 8 bytes each, 0 left in the file (at byte 41)`},
		{"array size wraps", raw(head(0, 1), "a", u32(9), u32(10), u64(1<<61), u64(0)),
			`key 1 of 1: "a": 2305843009213693952 uint64 array elements need at least 8 bytes each, 8 left in the file (at byte 41)`},
		{"string in array too long", raw(head(0, 1), "a", u32(9), u32(8), u64(2), "x", u64(1<<40)),
			`key 1 of 1: "a": string 1: string of 1099511627776 bytes, 0 left in the file (at byte 58)`},

		// Alignment.
		{"alignment 0", raw(head(0, 1), keyAlignment, u32(4), u32(0)),
			"general.alignment is 0, want a power of two below 2^32"},
		{"alignment 48", raw(head(0, 1), keyAlignment, u32(4), u32(48)),
			"general.alignment is 48, want a power of two below 2^32"},
		{"alignment 2^40", raw(head(0, 1), keyAlignment, u32(10), u64(1<<40)),
			"general.alignment is 1099511627776, want a power of two below 2^32"},
		{"alignment of text", raw(head(0, 1), keyAlignment, u32(8), "32"),
			`key "general.alignment": found string, want an unsigned integer`},
		{"alignment beyond the file",
			join(head(1, 1), raw(keyAlignment, u32(4), u32(1<<31)), info("a", f16, 0, 1), make([]byte, 99)),
			`tensor "a": data of 2 bytes at offset 0 of the data section, which has 0 bytes (at byte 82)`},

		// Tensor infos.
		{"empty name", join(head(1, 0), info("", f16, 0, 1), make([]byte, 64)),
			"tensor 1 of 1: empty tensor name (at byte 24)"},
		{"name of 64 bytes", join(head(1, 0), info(strings.Repeat("n", 64), f16, 0, 1), make([]byte, 64)),
			"tensor 1 of 1: tensor name of 64 bytes, the limit is 63 (at byte 24)"},
		{"huge name", join(head(1, 0), raw(huge), make([]byte, 64)),
			"tensor 1 of 1: string of 1152921504606846976 bytes, 64 left in the file (at byte 24)"},
		{"duplicate name", join(head(2, 0), info("a", f16, 0, 1), info("a", f16, 32, 1), make([]byte, 96)),
			`tensor "a": duplicate name`},
		{"5 dimensions", join(head(1, 0), info("a", f16, 0, 1, 1, 1, 1, 1), make([]byte, 64)),
			`tensor "a": 5 dimensions, the limit is 4 (at byte 33)`},
		{"2^32-1 dimensions", join(head(1, 0), raw("a", u32(1<<32-1)), make([]byte, 64)),
			`tensor "a": 4294967295 dimensions, the limit is 4 (at byte 33)`},
		{"dimension 0", join(head(1, 0), info("a", f16, 0, 2, 0), make([]byte, 64)),
			`tensor "a": dimension 1 is 0, want 1 to 9223372036854775807 (at byte 45)`},
		{"negative dimension", join(head(1, 0), info("a", f16, 0, 1<<64-1), make([]byte, 64)),
			`tensor "a": dimension 0 is -1, want 1 to 9223372036854775807 (at byte 37)`},
		{"size overflows", join(head(1, 0), info("a", f16, 0, 1<<31, 1<<31), make([]byte, 64)),
			`tensor "a": size of F16 [2147483648 2147483648] overflows (at byte 37)`},
		{"size wraps to 0", join(head(1, 0), info("a", f16, 0, 1<<32, 1<<32), make([]byte, 64)),
			`tensor "a": size of F16 [4294967296 4294967296] overflows (at byte 37)`},
		{"elements overflow", join(head(1, 0), info("a", q8, 0, 32, 1<<57, 4), make([]byte, 64)),
			`tensor "a": size of Q8_0 [4 144115188075855872 32] overflows (at byte 37)`},
		{"row of 33", join(head(1, 0), info("a", q8, 0, 33), make([]byte, 64)),
			`tensor "a": row length 33 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"block type scalar", join(head(1, 0), info("a", q8, 0), make([]byte, 64)),
			`tensor "a": row length 1 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"block count in the wrong dimension", join(head(1, 0), info("a", q8, 0, 5, 32), make([]byte, 256)),
			`tensor "a": row length 5 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"removed type", join(head(1, 0), info("a", 4, 0, 32), make([]byte, 64)),
			`tensor "a": element type Q4_2 (id 4) was removed from GGML; convert the model again (at byte 45)`},
		{"removed repack", join(head(1, 0), info("a", 31, 0, 32), make([]byte, 64)),
			`tensor "a": element type Q4_0_4_4 (id 31) was removed from GGML; convert the model again (at byte 45)`},
		{"ik_llama.cpp type", join(head(1, 0), info("a", 139, 0, 32), make([]byte, 64)),
			`tensor "a": element type IQ4_K (id 139) exists in ik_llama.cpp only (at byte 45)`},
		{"ik_llama.cpp repack", join(head(1, 0), info("a", 344, 0, 32), make([]byte, 64)),
			`tensor "a": element type IQ4_KS_R4 (id 344) exists in ik_llama.cpp only (at byte 45)`},
		{"ik_llama.cpp without a name", join(head(1, 0), info("a", 130, 0, 32), make([]byte, 64)),
			`tensor "a": element type id 130 lies in the private range of ik_llama.cpp (at byte 45)`},
		{"unknown type", join(head(1, 0), info("a", 43, 0, 32), make([]byte, 64)),
			`tensor "a": unknown element type id 43 (at byte 45)`},
		{"type 255", join(head(1, 0), info("a", 255, 0, 32), make([]byte, 64)),
			`tensor "a": element type id 255 lies in the private range of ik_llama.cpp (at byte 45)`},
		{"negative type", join(head(1, 0), info("a", 1<<32-1, 0, 32), make([]byte, 64)),
			`tensor "a": unknown element type id 4294967295 (at byte 45)`},

		// Offsets.
		{"unaligned offset", join(head(1, 0), info("a", f16, 16, 1), make([]byte, 99)),
			`tensor "a": offset 16 is not a multiple of the alignment 32 (at byte 49)`},
		{"offset outside", pad(join(head(1, 0), info("a", f16, 1<<40, 1)), 96),
			`tensor "a": data of 2 bytes at offset 1099511627776 of the data section, which has 32 bytes (at byte 49)`},
		{"offset at the end", pad(join(head(1, 0), info("a", f16, 32, 1)), 96),
			`tensor "a": data of 2 bytes at offset 32 of the data section, which has 32 bytes (at byte 49)`},
		{"offset wraps", pad(join(head(1, 0), info("a", f16, 1<<63-32, 1)), 96),
			`tensor "a": data of 2 bytes at offset 9223372036854775776 of the data section, which has 32 bytes (at byte 49)`},
		{"negative offset", pad(join(head(1, 0), info("a", f16, 1<<64-32, 1)), 96),
			`tensor "a": offset 18446744073709551584 is beyond the end of any file (at byte 49)`},
		{"size beyond the file", pad(join(head(1, 0), info("a", f16, 0, 1<<61)), 96),
			`tensor "a": data of 4611686018427387904 bytes at offset 0 of the data section, which has 32 bytes (at byte 49)`},
		{"same bytes twice", join(pad(join(head(2, 0), info("a", f16, 0, 1), info("b", f16, 0, 1)), 32),
			make([]byte, 64)), `tensor "b": data starts at byte 96, inside tensor "a", which ends at 98`},
		{"overlap", join(pad(join(head(2, 0), info("a", f16, 32, 1), info("b", f16, 0, 17)), 32), make([]byte, 64)),
			`tensor "a": data starts at byte 128, inside tensor "b", which ends at 130`},

		// Split models.
		{"part from memory", raw(head(0, 3), keySplitNo, u32(2), u16(0), keySplitCount, u32(2), u16(3),
			keySplitTensors, u32(5), i32(0)), "part 1 of a model split into 3; open it by its path"},
		{"split without number", raw(head(0, 1), keySplitCount, u32(2), u16(3)), `key "split.no": missing key`},
		{"split without total", raw(head(0, 2), keySplitCount, u32(2), u16(3), keySplitNo, u32(2), u16(0)),
			`key "split.tensors.count": missing key`},
		{"split number", raw(head(0, 2), keySplitCount, u32(2), u16(3), keySplitNo, u32(2), u16(3)),
			"split.no is 3 with split.count 3"},
		{"split count", raw(head(0, 1), keySplitCount, u32(4), u32(65536)),
			"split.count is 65536, the limit is 65535"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			if n := allocated(func() { _, err = New(bytes.NewReader(c.data), int64(len(c.data))) }); n > maxWaste {
				t.Errorf("allocated %d bytes", n)
			}
			if want := "gguf: " + c.want; err == nil || err.Error() != want {
				t.Errorf("error\n%v, want\n%s", err, want)
			}
			var format *FormatError
			if err != nil && !errors.As(err, &format) {
				t.Errorf("%T is no FormatError", err)
			}
			path := filepath.Join(t.TempDir(), "broken.gguf")
			if err := os.WriteFile(path, c.data, 0o600); err != nil {
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
