// Package rawgguf writes GGUF files byte by byte, as the specification lays them out and independently of package gguf,
// for tests of what reads them.
package rawgguf

import (
	"bytes"
	"encoding/binary"
)

// Short names for the field types of hand-made files.
type (
	u8  = uint8
	u16 = uint16
	u32 = uint32
	i32 = int32
	u64 = uint64
)

// Raw lays out fields as the specification says, independently of the package's encoder: integers and floats
// little-endian, strings after their length, []byte as it is.
func Raw(fields ...any) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			binary.Write(&b, binary.LittleEndian, u64(len(f)))
			b.WriteString(f)
		case []byte:
			b.Write(f)
		default:
			if err := binary.Write(&b, binary.LittleEndian, f); err != nil {
				panic(err)
			}
		}
	}
	return b.Bytes()
}

// Head is the start of a version 3 file.
func Head(tensors, pairs u64) []byte { return Raw([]byte("GGUF"), u32(3), tensors, pairs) }

// Pad appends zeros up to a multiple of n.
func Pad(b []byte, n int) []byte {
	for len(b)%n != 0 {
		b = append(b, 0)
	}
	return b
}

// pattern returns n bytes that differ from their neighbours.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*7 + seed
	}
	return b
}

// Small is a whole file, byte by byte as the specification lays it out.
func Small() []byte {
	b := Raw(
		[]byte{'G', 'G', 'U', 'F', 3, 0, 0, 0},
		u64(2), u64(3),
		"general.architecture", u32(8), "llama",
		"llama.block_count", u32(4), u32(7),
		"ids", u32(9), u32(5), u64(2), i32(-1), i32(2),
		"w", u32(2), u64(32), u64(3), u32(8), u64(0), // [in=32, out=3] in file order, Q8_0: 102 bytes
		"bias", u32(1), u64(5), u32(1), u64(128), // F16: 10 bytes
	)
	b = Pad(b, 32)
	b = Pad(append(b, pattern(102, 1)...), 32)
	return Pad(append(b, pattern(10, 2)...), 32)
}

// Info is a tensor info.
func Info(name string, id u32, off u64, dims ...u64) []byte {
	return Raw(name, u32(len(dims)), dims, id, off)
}
