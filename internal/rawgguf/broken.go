package rawgguf

import (
	"bytes"
	"math/rand/v2"
	"strings"
)

// Case is a file that no reader can use.
type Case struct {
	Name string
	Data []byte
	Want string // the error, without what it begins with
}

// Broken returns files with one fault each.
func Broken() []Case {
	noise := make([]byte, 1000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	noise[0] = 'N' // never the magic
	const q8, f16 = 8, 1
	const huge = u64(1) << 60
	join := func(bs ...[]byte) []byte { return bytes.Join(bs, nil) }
	good := Small()
	return []Case{
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
		{"version 0", Raw([]byte("GGUF"), u32(0), u64(0), u64(0)), "version 0, want 2 or 3 (at byte 4)"},
		{"version 1", Raw([]byte("GGUF"), u32(1), u32(0), u32(0)),
			"version 1, with 32-bit lengths, is not supported; convert the model again (at byte 4)"},
		{"version 4", Raw([]byte("GGUF"), u32(4), u64(0), u64(0)), "version 4, want 2 or 3 (at byte 4)"},
		{"big-endian", Raw([]byte("GGUF"), u32(3<<24), u64(0), u64(0)),
			"big-endian file, version 3; only little-endian files are supported (at byte 4)"},

		// Counts.
		{"huge tensor count", Head(huge, 0),
			"header: 1152921504606846976 tensors need at least 25 bytes each, 8 left in the file (at byte 8)"},
		{"negative tensor count", Head(1<<64-1, 0),
			"header: 18446744073709551615 tensors need at least 25 bytes each, 8 left in the file (at byte 8)"},
		{"huge key count", Head(0, huge),
			"header: 1152921504606846976 key-value pairs need at least 14 bytes each, 0 left in the file (at byte 16)"},
		{"negative key count", Head(0, 1<<63),
			"header: 9223372036854775808 key-value pairs need at least 14 bytes each, 0 left in the file (at byte 16)"},
		{"one tensor too many", join(Head(2, 0), Info("a", f16, 0, 1), make([]byte, 17)),
			"tensor 2 of 2: empty tensor name (at byte 57)"},

		// Keys.
		{"huge key length", Raw(Head(0, 1), huge, make([]byte, 20)),
			"key 1 of 1: string of 1152921504606846976 bytes, 20 left in the file (at byte 24)"},
		{"key length wraps", Raw(Head(0, 1), u64(1<<64-8), make([]byte, 20)),
			"key 1 of 1: string of 18446744073709551608 bytes, 20 left in the file (at byte 24)"},
		{"key too long", Raw(Head(0, 1), strings.Repeat("k", 65536), u32(0), u8(0)),
			"key 1 of 1: string of 65536 bytes, the limit is 65535 (at byte 24)"},
		{"empty key", Raw(Head(0, 1), "", u32(0), u8(0), u8(0)), "key 1 of 1: empty key (at byte 24)"},
		{"duplicate key", Raw(Head(0, 2), "a", u32(0), u8(0), "a", u32(0), u8(0)),
			`key 2 of 2: duplicate key "a" (at byte 38)`},
		{"value type 13", Raw(Head(0, 1), "a", u32(13), u64(0)),
			`key 1 of 1: "a": unknown value type 13 (at byte 33)`},
		{"negative value type", Raw(Head(0, 1), "a", i32(-1), u64(0)),
			`key 1 of 1: "a": unknown value type 4294967295 (at byte 33)`},
		{"truncated value", Raw(Head(0, 1), "a", u32(10), u32(0)),
			`key 1 of 1: "a": truncated: 8 bytes needed, 4 left in the file (at byte 37)`},
		{"truncated string", Raw(Head(0, 1), "a", u32(8), u64(9), []byte("12345678")),
			`key 1 of 1: "a": string of 9 bytes, 8 left in the file (at byte 37)`},

		// Arrays.
		{"array of arrays", Raw(Head(0, 1), "a", u32(9), u32(9), u64(1), u32(0), u64(0)),
			`key 1 of 1: "a": array of arrays (at byte 37)`},
		{"element type", Raw(Head(0, 1), "a", u32(9), u32(99), u64(1)),
			`key 1 of 1: "a": unknown array element type 99 (at byte 37)`},
		{"huge array", Raw(Head(0, 1), "a", u32(9), u32(4), u64(1<<30)),
			`key 1 of 1: "a": 1073741824 uint32 array elements need at least 4 bytes each, 0 left in the file (at byte 41)`},
		{"huge array of strings", Raw(Head(0, 1), "a", u32(9), u32(8), u64(1<<62)),
			`key 1 of 1: "a": 4611686018427387904 string array elements need at least 8 bytes each, 0 left in the file (at byte 41)`},
		{"array size wraps", Raw(Head(0, 1), "a", u32(9), u32(10), u64(1<<61), u64(0)),
			`key 1 of 1: "a": 2305843009213693952 uint64 array elements need at least 8 bytes each, 8 left in the file (at byte 41)`},
		{"string in array too long", Raw(Head(0, 1), "a", u32(9), u32(8), u64(2), "x", u64(1<<40)),
			`key 1 of 1: "a": string 1: string of 1099511627776 bytes, 0 left in the file (at byte 58)`},

		// Alignment.
		{"alignment 0", Raw(Head(0, 1), "general.alignment", u32(4), u32(0)),
			"general.alignment is 0, want a power of two below 2^32"},
		{"alignment 48", Raw(Head(0, 1), "general.alignment", u32(4), u32(48)),
			"general.alignment is 48, want a power of two below 2^32"},
		{"alignment 2^40", Raw(Head(0, 1), "general.alignment", u32(10), u64(1<<40)),
			"general.alignment is 1099511627776, want a power of two below 2^32"},
		{"alignment of text", Raw(Head(0, 1), "general.alignment", u32(8), "32"),
			`key "general.alignment": found string, want an unsigned integer`},
		{"alignment beyond the file",
			join(Head(1, 1), Raw("general.alignment", u32(4), u32(1<<31)), Info("a", f16, 0, 1), make([]byte, 99)),
			`tensor "a": data of 2 bytes at offset 0 of the data section, which has 0 bytes (at byte 82)`},

		// Tensor infos.
		{"empty name", join(Head(1, 0), Info("", f16, 0, 1), make([]byte, 64)),
			"tensor 1 of 1: empty tensor name (at byte 24)"},
		{"name of 64 bytes", join(Head(1, 0), Info(strings.Repeat("n", 64), f16, 0, 1), make([]byte, 64)),
			"tensor 1 of 1: tensor name of 64 bytes, the limit is 63 (at byte 24)"},
		{"huge name", join(Head(1, 0), Raw(huge), make([]byte, 64)),
			"tensor 1 of 1: string of 1152921504606846976 bytes, 64 left in the file (at byte 24)"},
		{"duplicate name", join(Head(2, 0), Info("a", f16, 0, 1), Info("a", f16, 32, 1), make([]byte, 96)),
			`tensor "a": duplicate name`},
		{"5 dimensions", join(Head(1, 0), Info("a", f16, 0, 1, 1, 1, 1, 1), make([]byte, 64)),
			`tensor "a": 5 dimensions, the limit is 4 (at byte 33)`},
		{"2^32-1 dimensions", join(Head(1, 0), Raw("a", u32(1<<32-1)), make([]byte, 64)),
			`tensor "a": 4294967295 dimensions, the limit is 4 (at byte 33)`},
		{"dimension 0", join(Head(1, 0), Info("a", f16, 0, 2, 0), make([]byte, 64)),
			`tensor "a": dimension 1 is 0, want 1 to 9223372036854775807 (at byte 45)`},
		{"negative dimension", join(Head(1, 0), Info("a", f16, 0, 1<<64-1), make([]byte, 64)),
			`tensor "a": dimension 0 is -1, want 1 to 9223372036854775807 (at byte 37)`},
		{"size overflows", join(Head(1, 0), Info("a", f16, 0, 1<<31, 1<<31), make([]byte, 64)),
			`tensor "a": size of F16 [2147483648 2147483648] overflows (at byte 37)`},
		{"size wraps to 0", join(Head(1, 0), Info("a", f16, 0, 1<<32, 1<<32), make([]byte, 64)),
			`tensor "a": size of F16 [4294967296 4294967296] overflows (at byte 37)`},
		{"elements overflow", join(Head(1, 0), Info("a", q8, 0, 32, 1<<57, 4), make([]byte, 64)),
			`tensor "a": size of Q8_0 [4 144115188075855872 32] overflows (at byte 37)`},
		{"row of 33", join(Head(1, 0), Info("a", q8, 0, 33), make([]byte, 64)),
			`tensor "a": row length 33 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"block type scalar", join(Head(1, 0), Info("a", q8, 0), make([]byte, 64)),
			`tensor "a": row length 1 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"block count in the wrong dimension", join(Head(1, 0), Info("a", q8, 0, 5, 32), make([]byte, 256)),
			`tensor "a": row length 5 is not a multiple of the 32-element blocks of Q8_0 (at byte 37)`},
		{"removed type", join(Head(1, 0), Info("a", 4, 0, 32), make([]byte, 64)),
			`tensor "a": element type Q4_2 (id 4) was removed from GGML; convert the model again (at byte 45)`},
		{"removed repack", join(Head(1, 0), Info("a", 31, 0, 32), make([]byte, 64)),
			`tensor "a": element type Q4_0_4_4 (id 31) was removed from GGML; convert the model again (at byte 45)`},
		{"ik_llama.cpp type", join(Head(1, 0), Info("a", 139, 0, 32), make([]byte, 64)),
			`tensor "a": element type IQ4_K (id 139) exists in ik_llama.cpp only (at byte 45)`},
		{"ik_llama.cpp repack", join(Head(1, 0), Info("a", 344, 0, 32), make([]byte, 64)),
			`tensor "a": element type IQ4_KS_R4 (id 344) exists in ik_llama.cpp only (at byte 45)`},
		{"ik_llama.cpp without a name", join(Head(1, 0), Info("a", 130, 0, 32), make([]byte, 64)),
			`tensor "a": element type id 130 lies in the private range of ik_llama.cpp (at byte 45)`},
		{"unknown type", join(Head(1, 0), Info("a", 43, 0, 32), make([]byte, 64)),
			`tensor "a": unknown element type id 43 (at byte 45)`},
		{"type 255", join(Head(1, 0), Info("a", 255, 0, 32), make([]byte, 64)),
			`tensor "a": element type id 255 lies in the private range of ik_llama.cpp (at byte 45)`},
		{"negative type", join(Head(1, 0), Info("a", 1<<32-1, 0, 32), make([]byte, 64)),
			`tensor "a": unknown element type id 4294967295 (at byte 45)`},

		// Offsets.
		{"unaligned offset", join(Head(1, 0), Info("a", f16, 16, 1), make([]byte, 99)),
			`tensor "a": offset 16 is not a multiple of the alignment 32 (at byte 49)`},
		{"offset outside", Pad(join(Head(1, 0), Info("a", f16, 1<<40, 1)), 96),
			`tensor "a": data of 2 bytes at offset 1099511627776 of the data section, which has 32 bytes (at byte 49)`},
		{"offset at the end", Pad(join(Head(1, 0), Info("a", f16, 32, 1)), 96),
			`tensor "a": data of 2 bytes at offset 32 of the data section, which has 32 bytes (at byte 49)`},
		{"offset wraps", Pad(join(Head(1, 0), Info("a", f16, 1<<63-32, 1)), 96),
			`tensor "a": data of 2 bytes at offset 9223372036854775776 of the data section, which has 32 bytes (at byte 49)`},
		{"negative offset", Pad(join(Head(1, 0), Info("a", f16, 1<<64-32, 1)), 96),
			`tensor "a": offset 18446744073709551584 is beyond the end of any file (at byte 49)`},
		{"size beyond the file", Pad(join(Head(1, 0), Info("a", f16, 0, 1<<61)), 96),
			`tensor "a": data of 4611686018427387904 bytes at offset 0 of the data section, which has 32 bytes (at byte 49)`},
		{"same bytes twice", join(Pad(join(Head(2, 0), Info("a", f16, 0, 1), Info("b", f16, 0, 1)), 32),
			make([]byte, 64)), `tensor "b": data starts at byte 96, inside tensor "a", which ends at 98`},
		{"overlap", join(Pad(join(Head(2, 0), Info("a", f16, 32, 1), Info("b", f16, 0, 17)), 32), make([]byte, 64)),
			`tensor "a": data starts at byte 128, inside tensor "b", which ends at 130`},

		// Split models.
		{"part from memory", Raw(Head(0, 3), "split.no", u32(2), u16(0), "split.count", u32(2), u16(3),
			"split.tensors.count", u32(5), i32(0)), "part 1 of a model split into 3; open it by its path"},
		{"split without number", Raw(Head(0, 1), "split.count", u32(2), u16(3)), `key "split.no": missing key`},
		{"split without total", Raw(Head(0, 2), "split.count", u32(2), u16(3), "split.no", u32(2), u16(0)),
			`key "split.tensors.count": missing key`},
		{"split number", Raw(Head(0, 2), "split.count", u32(2), u16(3), "split.no", u32(2), u16(3)),
			"split.no is 3 with split.count 3"},
		{"split count", Raw(Head(0, 1), "split.count", u32(4), u32(65536)),
			"split.count is 65536, the limit is 65535"},
	}
}
