package codeobj

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
)

// maxImage bounds the loaded size in bytes of a code object; shipped kernels are a few kilobytes.
const maxImage = 64 << 20

// Object is a code object for execution. Addresses are relative to the load address.
type Object struct {
	Target   string // from the ELF flags, such as "gfx1100"
	Image    []byte // segments at their virtual addresses, before relocation
	Segments []Segment
	Kernels  []Function // sorted by name
	Relocs   []Reloc
	Symbols  []Symbol // defined global objects other than kernels and descriptors
}

// Segment is one loadable segment.
type Segment struct {
	Addr, Size  uint64
	Write, Exec bool
	FileSize    uint64
	fileOff     uint64
}

// Reloc asks for the 64-bit word at Addr to become load address plus Value.
type Reloc struct {
	Addr  uint64
	Value uint64
}

// Symbol is a global variable of the code object.
type Symbol struct {
	Name       string
	Addr, Size uint64
}

// machines maps the EF_AMDGPU_MACH field of the ELF flags to targets.
var machines = map[uint32]string{0x41: "gfx1100", 0x46: "gfx1101", 0x47: "gfx1102", 0x44: "gfx1103", 0x43: "gfx1150",
	0x4a: "gfx1151", 0x48: "gfx1200", 0x4e: "gfx1201"}

const (
	relocAbs64     = 3
	relocRelative  = 13
	descriptorSize = 64
)

// open reads the ELF headers of a code object.
func open(data []byte) (*elf.File, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("codeobj: %w", err)
	}
	if f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB || f.Machine != elf.EM_AMDGPU || f.Type != elf.ET_DYN {
		return nil, fmt.Errorf("codeobj: class %v, data %v, machine %v, type %v: no 64-bit AMDGPU shared object",
			f.Class, f.Data, f.Machine, f.Type)
	}
	return f, nil
}

// Parse reads a code object for execution. It does not keep data.
func Parse(data []byte) (*Object, error) {
	f, err := open(data)
	if err != nil {
		return nil, err
	}
	flags := binary.LittleEndian.Uint32(data[48:]) // e_flags; the header was read, so the file is long enough
	o := &Object{Target: machines[flags&0xff]}
	if o.Target == "" {
		return nil, fmt.Errorf("codeobj: machine %#x is no known gfx11 or gfx12 target", flags&0xff)
	}
	if err := o.load(f, data); err != nil {
		return nil, err
	}
	if err := o.relocations(f); err != nil {
		return nil, err
	}
	meta, err := metadata(f, data)
	if err != nil {
		return nil, err
	}
	// Features such as ":xnack-" follow the name in the note; the flags have bits for them.
	if base, _, _ := strings.Cut(meta.Target, ":"); base != "" && base != o.Target {
		return nil, fmt.Errorf("codeobj: metadata is for %q, the ELF flags say %q", base, o.Target)
	}
	if err := o.kernels(f, meta); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *Object) load(f *elf.File, data []byte) error {
	var end uint64
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Memsz > maxImage || p.Vaddr > maxImage || p.Filesz > p.Memsz || p.Off > uint64(len(data)) ||
			p.Filesz > uint64(len(data))-p.Off {
			return fmt.Errorf("codeobj: segment at %#x: file range %#x+%#x or memory size %#x beyond the file (%d bytes) "+
				"or the limit of %d", p.Vaddr, p.Off, p.Filesz, p.Memsz, len(data), maxImage)
		}
		end = max(end, p.Vaddr+p.Memsz)
		o.Segments = append(o.Segments, Segment{Addr: p.Vaddr, Size: p.Memsz, FileSize: p.Filesz, fileOff: p.Off,
			Write: p.Flags&elf.PF_W != 0, Exec: p.Flags&elf.PF_X != 0})
	}
	if len(o.Segments) == 0 {
		return fmt.Errorf("codeobj: no loadable segment")
	}
	o.Image = make([]byte, end)
	for _, s := range o.Segments {
		copy(o.Image[s.Addr:], data[s.fileOff:s.fileOff+s.FileSize])
	}
	return nil
}

// relocations reads the dynamic relocations with addends.
func (o *Object) relocations(f *elf.File) error {
	for _, s := range f.Sections {
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		rela, err := s.Data()
		if err != nil {
			return fmt.Errorf("codeobj: relocations %q: %w", s.Name, err)
		}
		syms, _ := f.DynamicSymbols()
		for ; len(rela) >= 24; rela = rela[24:] {
			addr := binary.LittleEndian.Uint64(rela)
			info := binary.LittleEndian.Uint64(rela[8:])
			value := binary.LittleEndian.Uint64(rela[16:])
			if addr > uint64(len(o.Image)) || uint64(len(o.Image))-addr < 8 {
				return fmt.Errorf("codeobj: relocation at %#x is outside the image of %#x bytes", addr, len(o.Image))
			}
			switch uint32(info) {
			case relocRelative:
			case relocAbs64:
				k := info >> 32
				if k == 0 || k > uint64(len(syms)) || syms[k-1].Section == elf.SHN_UNDEF {
					return fmt.Errorf("codeobj: relocation at %#x: symbol %d is not defined here", addr, k)
				}
				value += syms[k-1].Value
			default:
				return fmt.Errorf("codeobj: relocation at %#x: type %d is not supported", addr, uint32(info))
			}
			o.Relocs = append(o.Relocs, Reloc{addr, value})
		}
	}
	return nil
}

// kernels joins descriptors, code symbols and metadata.
func (o *Object) kernels(f *elf.File, meta *Metadata) error {
	described := map[string]Kernel{} // by the symbol of the descriptor
	for _, k := range meta.Kernels {
		described[k.Symbol] = k
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("codeobj: dynamic symbols: %w", err)
	}
	code := map[string]elf.Symbol{}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			code[s.Name] = s
		}
	}
	for _, s := range syms {
		name, isKD := strings.CutSuffix(s.Name, ".kd")
		if elf.ST_TYPE(s.Info) == elf.STT_OBJECT && !isKD && s.Section != elf.SHN_UNDEF {
			o.Symbols = append(o.Symbols, Symbol{s.Name, s.Value, s.Size})
		}
		if !isKD || elf.ST_TYPE(s.Info) != elf.STT_OBJECT {
			continue
		}
		m, ok := described[s.Name]
		if !ok {
			return fmt.Errorf("codeobj: kernel %q: no metadata", name)
		}
		if s.Size != descriptorSize || s.Value > uint64(len(o.Image)) ||
			uint64(len(o.Image))-s.Value < descriptorSize {
			return fmt.Errorf("codeobj: kernel %q: descriptor %#x+%#x is not %d bytes of the image",
				name, s.Value, s.Size, descriptorSize)
		}
		k := Function{Kernel: m, DescriptorAddr: s.Value, Descriptor: parseDescriptor(o.Image[s.Value:])}
		k.Entry = s.Value + uint64(k.Descriptor.EntryOffset)
		k.CodeEnd = k.Entry
		if c, ok := code[name]; ok && c.Value == k.Entry && c.Size <= uint64(len(o.Image)) {
			k.CodeEnd = c.Value + c.Size
		}
		if !o.executable(k.Entry, k.CodeEnd) {
			return fmt.Errorf("codeobj: kernel %q: code %#x to %#x is not in an executable segment",
				name, k.Entry, k.CodeEnd)
		}
		o.Kernels = append(o.Kernels, k)
	}
	if len(o.Kernels) == 0 {
		return fmt.Errorf("codeobj: no kernel")
	}
	sort.Slice(o.Kernels, func(i, j int) bool { return o.Kernels[i].Name < o.Kernels[j].Name })
	return nil
}

func (o *Object) executable(from, to uint64) bool {
	for _, s := range o.Segments {
		if s.Exec && from >= s.Addr && from < s.Addr+s.Size && to <= s.Addr+s.Size {
			return true
		}
	}
	return false
}

// Kernel returns the kernel of a name, or nil.
func (o *Object) Kernel(name string) *Function {
	for i := range o.Kernels {
		if o.Kernels[i].Name == name {
			return &o.Kernels[i]
		}
	}
	return nil
}

// Text returns the executable segment and its address.
func (o *Object) Text() (code []byte, addr uint64) {
	for _, s := range o.Segments {
		if s.Exec {
			return o.Image[s.Addr : s.Addr+s.Size], s.Addr
		}
	}
	return nil, 0
}
