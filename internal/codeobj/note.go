package codeobj

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// typeMetadata is NT_AMDGPU_METADATA of LLVM's ELF.h.
const typeMetadata = 32

// metadataNote returns the contents of the metadata note, a part of data.
func metadataNote(f *elf.File, data []byte) ([]byte, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		if p.Off > uint64(len(data)) || p.Filesz > uint64(len(data))-p.Off {
			return nil, fmt.Errorf("codeobj: notes of %d bytes at %d are outside of the file", p.Filesz, p.Off)
		}
		desc, err := findNote(data[p.Off : p.Off+p.Filesz])
		if err != nil || desc != nil {
			return desc, err
		}
	}
	return nil, errors.New("codeobj: code object without metadata note")
}

// findNote returns the contents of the metadata note in a segment of notes, nil if it has none.
func findNote(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	for len(b) >= 12 {
		nameSize, descSize, typ := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		b = b[12:]
		start := (nameSize + 3) &^ 3
		if start > uint64(len(b)) || descSize > uint64(len(b))-start {
			return nil, fmt.Errorf("codeobj: note of %d+%d bytes ends beyond its segment", nameSize, descSize)
		}
		if typ == typeMetadata && strings.TrimRight(string(b[:nameSize]), "\x00") == "AMDGPU" {
			return b[start : start+descSize], nil
		}
		b = b[min((start+descSize+3)&^3, uint64(len(b))):] // the last note need not be padded
	}
	return nil, nil
}
