package codeobj

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
)

// metadata returns the kernels of the metadata note by descriptor symbol.
func (o *Object) metadata(f *elf.File, data []byte) (map[string]*Kernel, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Off > uint64(len(data)) || p.Filesz > uint64(len(data))-p.Off {
			continue
		}
		b := data[p.Off : p.Off+p.Filesz]
		for len(b) >= 12 {
			nameLen, descLen, typ := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:])), binary.LittleEndian.Uint32(b[8:])
			b = b[12:]
			nameEnd, descEnd := (nameLen+3)&^3, (nameLen+3)&^3+descLen
			if descEnd > uint64(len(b)) {
				return nil, fmt.Errorf("codeobj: note of %d+%d bytes ends beyond its segment", nameLen, descLen)
			}
			if typ == noteMetadata && strings.TrimRight(string(b[:nameLen]), "\x00") == "AMDGPU" {
				return o.parseMetadata(b[nameEnd:descEnd])
			}
			b = b[min((descEnd+3)&^3, uint64(len(b))):]
		}
	}
	return nil, fmt.Errorf("codeobj: no AMDGPU metadata note")
}

func (o *Object) parseMetadata(b []byte) (map[string]*Kernel, error) {
	v, err := (&msgpack{b}).value(0)
	if err != nil {
		return nil, err
	}
	root, _ := v.(map[string]any)
	if t, _ := root["amdhsa.target"].(string); t != "" {
		if _, after, ok := strings.Cut(t, "--"); ok {
			base, _, _ := strings.Cut(after, ":")
			if base != o.Target {
				return nil, fmt.Errorf("codeobj: metadata is for %q, the ELF flags say %q", base, o.Target)
			}
		}
	}
	list, _ := root["amdhsa.kernels"].([]any)
	kernels := map[string]*Kernel{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		u := func(key string) uint32 {
			n, _ := m[key].(uint64)
			return uint32(n)
		}
		k := &Kernel{KernargSize: u(".kernarg_segment_size"), KernargAlign: u(".kernarg_segment_align"),
			WavefrontSize: u(".wavefront_size"), MaxWorkgroupSize: u(".max_flat_workgroup_size"),
			VGPRs: u(".vgpr_count"), SGPRs: u(".sgpr_count"), VGPRSpills: u(".vgpr_spill_count"), SGPRSpills: u(".sgpr_spill_count"),
			LDS: u(".group_segment_fixed_size"), Private: u(".private_segment_fixed_size")}
		k.Name, _ = m[".name"].(string)
		k.DynamicStack, _ = m[".uses_dynamic_stack"].(bool)
		symbol, _ := m[".symbol"].(string)
		args, _ := m[".args"].([]any)
		for _, a := range args {
			am, _ := a.(map[string]any)
			arg := Arg{}
			arg.Name, _ = am[".name"].(string)
			arg.Kind, _ = am[".value_kind"].(string)
			arg.AddressSpace, _ = am[".address_space"].(string)
			arg.Access, _ = am[".actual_access"].(string)
			off, _ := am[".offset"].(uint64)
			size, _ := am[".size"].(uint64)
			if off > uint64(k.KernargSize) || size > uint64(k.KernargSize)-off {
				return nil, fmt.Errorf("codeobj: kernel %q: argument %q at %d+%d is outside the kernarg segment of %d bytes", k.Name, arg.Name, off, size, k.KernargSize)
			}
			arg.Offset, arg.Size = uint32(off), uint32(size)
			k.Args = append(k.Args, arg)
		}
		kernels[symbol] = k
	}
	return kernels, nil
}
