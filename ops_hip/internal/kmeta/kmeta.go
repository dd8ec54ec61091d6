package kmeta

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Object is a compiled kernel file.
type Object struct {
	Target  string // "gfx1100", "sm_90"
	Kernels []Kernel
	PTX     bool // register counts and kinds of arguments are not known
}

// Kernel describes an entry point.
type Kernel struct {
	Name                   string
	Args                   []Arg
	Wave                   int // lanes
	MaxThreads             int // threads of a block that it was compiled for, at most
	LDS                    int // bytes per block
	Scratch                int // private memory in bytes per thread
	DynamicStack           bool
	VGPRs, SGPRs           int
	VGPRSpills, SGPRSpills int
}

// Arg is a parameter of a kernel.
type Arg struct {
	Offset, Size int
	Kind         string // "global_buffer", "by_value", "hidden_block_count_x", ...; empty in PTX
}

// Pointer reports whether a is a pointer to global memory.
func (a Arg) Pointer() bool { return a.Kind == "global_buffer" }

// Kernel returns the kernel with the given name, and whether there is one.
func (o *Object) Kernel(name string) (Kernel, bool) {
	for _, k := range o.Kernels {
		if k.Name == name {
			return k, true
		}
	}
	return Kernel{}, false
}

// Parse reads a code object or a PTX file. It never trusts sizes inside of image.
func Parse(image []byte) (*Object, error) {
	if !bytes.HasPrefix(image, []byte(elf.ELFMAG)) {
		return parsePTX(string(image))
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return nil, fmt.Errorf("kmeta: %w", err)
	}
	if f.Machine != elf.EM_AMDGPU {
		return nil, fmt.Errorf("kmeta: object is for machine %v, not %v", f.Machine, elf.EM_AMDGPU)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		if p.Off > uint64(len(image)) || p.Filesz > uint64(len(image))-p.Off {
			return nil, fmt.Errorf("kmeta: note of %d bytes at %d is outside of the file", p.Filesz, p.Off)
		}
		desc, err := note(image[p.Off : p.Off+p.Filesz])
		if err != nil {
			return nil, err
		}
		if desc != nil {
			return parseNote(desc)
		}
	}
	return nil, errors.New("kmeta: code object without metadata note")
}

// noteMetadata is NT_AMDGPU_METADATA of LLVM's ELF.h.
const noteMetadata = 32

// note returns the contents of the metadata note in a note segment, nil if it has none.
func note(b []byte) ([]byte, error) {
	for len(b) >= 12 {
		nameSize, descSize, typ := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		b = b[12:]
		name, desc := (uint64(nameSize)+3)&^3, (uint64(descSize)+3)&^3
		if name > uint64(len(b)) || desc > uint64(len(b))-name {
			return nil, errors.New("kmeta: truncated note")
		}
		if typ == noteMetadata && string(b[:nameSize]) == "AMDGPU\x00" {
			return b[name:][:descSize], nil
		}
		b = b[name+desc:]
	}
	return nil, nil
}

// parseNote reads the metadata document.
func parseNote(desc []byte) (*Object, error) {
	v, err := decode(desc)
	if err != nil {
		return nil, fmt.Errorf("kmeta: metadata: %w", err)
	}
	root, _ := v.(map[string]any)
	target, _ := root["amdhsa.target"].(string)
	o := &Object{Target: strings.TrimPrefix(target, "amdgcn-amd-amdhsa--")}
	ks, _ := root["amdhsa.kernels"].([]any)
	for _, v := range ks {
		m, _ := v.(map[string]any)
		num := func(key string) int { return integer(m[key]) }
		k := Kernel{Wave: num(".wavefront_size"), MaxThreads: num(".max_flat_workgroup_size"), LDS: num(".group_segment_fixed_size"),
			Scratch: num(".private_segment_fixed_size"), VGPRs: num(".vgpr_count"), SGPRs: num(".sgpr_count"),
			VGPRSpills: num(".vgpr_spill_count"), SGPRSpills: num(".sgpr_spill_count")}
		k.Name, _ = m[".name"].(string)
		k.DynamicStack, _ = m[".uses_dynamic_stack"].(bool)
		args, _ := m[".args"].([]any)
		for _, v := range args {
			a, _ := v.(map[string]any)
			kind, _ := a[".value_kind"].(string)
			k.Args = append(k.Args, Arg{integer(a[".offset"]), integer(a[".size"]), kind})
		}
		if k.Name == "" {
			return nil, errors.New("kmeta: kernel without a name")
		}
		o.Kernels = append(o.Kernels, k)
	}
	return o, nil
}

// integer returns a decoded number, clamped to an int32; 0 for anything else.
func integer(v any) int {
	n, _ := v.(int64)
	return int(min(max(n, -1<<31), 1<<31-1))
}
