package codeobj

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Metadata is what an image says of its kernels.
type Metadata struct {
	Target  string // "gfx1100", "sm_90"
	Kernels []Kernel
	PTX     bool // register counts and kinds of arguments are not known
}

// Kernel describes an entry point. Sizes are in bytes.
type Kernel struct {
	Name                   string
	Symbol                 string // of its descriptor; empty in PTX
	Args                   []Arg  // hidden ones included
	KernargSize            int    // of the block of all arguments; 0 in PTX
	Wave                   int    // lanes
	MaxThreads             int    // threads of a block that it was compiled for, at most
	LDS                    int    // static, per block
	Scratch                int    // private memory per thread
	DynamicStack           bool
	VGPRs, SGPRs           int
	VGPRSpills, SGPRSpills int
	Awaits                 bool // PTX: it waits itself for launches before it, and may begin before they have ended
}

// Arg is a parameter of a kernel. Kind and Access are empty in PTX.
type Arg struct {
	Offset, Size int
	Kind         string // "global_buffer", "by_value", "hidden_block_count_x", ...
	Access       string // of buffers: "read_only", "write_only", "read_write"; empty if the compiler does not know
}

// Pointer reports whether a is a pointer to global memory.
func (a Arg) Pointer() bool { return a.Kind == "global_buffer" }

// Hidden reports whether a is filled in by the runtime.
func (a Arg) Hidden() bool { return strings.HasPrefix(a.Kind, "hidden_") }

// Kernel returns the kernel with the given name, and whether there is one.
func (m *Metadata) Kernel(name string) (Kernel, bool) {
	for _, k := range m.Kernels {
		if k.Name == name {
			return k, true
		}
	}
	return Kernel{}, false
}

// maxKernarg bounds the argument block of a kernel in bytes; runtimes pass 4 KiB.
const maxKernarg = 64 << 10

// ReadMetadata reads the metadata of a code object of any target, or of a PTX file. It does not keep image.
func ReadMetadata(image []byte) (*Metadata, error) {
	if !bytes.HasPrefix(image, []byte(elf.ELFMAG)) {
		return parsePTX(string(image))
	}
	f, err := open(image)
	if err != nil {
		return nil, err
	}
	return metadata(f, image)
}

// metadata reads the metadata note of a code object.
func metadata(f *elf.File, data []byte) (*Metadata, error) {
	desc, err := metadataNote(f, data)
	if err != nil {
		return nil, err
	}
	v, err := decode(desc)
	if err != nil {
		return nil, fmt.Errorf("codeobj: metadata: %w", err)
	}
	root, _ := v.(map[string]any)
	target, _ := root["amdhsa.target"].(string)
	m := &Metadata{Target: strings.TrimPrefix(target, "amdgcn-amd-amdhsa--")}
	list, _ := root["amdhsa.kernels"].([]any)
	names := map[string]bool{}
	for _, v := range list {
		fields, _ := v.(map[string]any)
		k, err := kernelOf(fields)
		if err != nil {
			return nil, err
		}
		if names[k.Name] {
			return nil, fmt.Errorf("codeobj: two kernels are called %q", k.Name)
		}
		names[k.Name] = true
		m.Kernels = append(m.Kernels, k)
	}
	return m, nil
}

// kernelOf reads one entry of the list of kernels.
func kernelOf(fields map[string]any) (Kernel, error) {
	n := numbers{fields: fields}
	k := Kernel{KernargSize: n.get(".kernarg_segment_size"), Wave: n.get(".wavefront_size"),
		MaxThreads: n.get(".max_flat_workgroup_size"), LDS: n.get(".group_segment_fixed_size"),
		Scratch: n.get(".private_segment_fixed_size"), VGPRs: n.get(".vgpr_count"), SGPRs: n.get(".sgpr_count"),
		VGPRSpills: n.get(".vgpr_spill_count"), SGPRSpills: n.get(".sgpr_spill_count")}
	k.Name, _ = fields[".name"].(string)
	k.Symbol, _ = fields[".symbol"].(string)
	k.DynamicStack, _ = fields[".uses_dynamic_stack"].(bool)
	if k.Name == "" {
		return k, errors.New("codeobj: kernel without a name")
	}
	if n.err != nil {
		return k, fmt.Errorf("codeobj: kernel %q: %w", k.Name, n.err)
	}
	if k.KernargSize > maxKernarg {
		return k, fmt.Errorf("codeobj: kernel %q: %d bytes of arguments, at most %d", k.Name, k.KernargSize,
			maxKernarg)
	}
	args, _ := fields[".args"].([]any)
	for i, v := range args {
		fields, _ := v.(map[string]any)
		n := numbers{fields: fields}
		a := Arg{Offset: n.get(".offset"), Size: n.get(".size")}
		a.Kind, _ = fields[".value_kind"].(string)
		a.Access, _ = fields[".actual_access"].(string)
		if n.err != nil {
			return k, fmt.Errorf("codeobj: kernel %q: argument %d: %w", k.Name, i, n.err)
		}
		if a.Offset > k.KernargSize || a.Size > k.KernargSize-a.Offset {
			return k, fmt.Errorf("codeobj: kernel %q: argument %d at %d+%d is outside of the %d bytes of arguments",
				k.Name, i, a.Offset, a.Size, k.KernargSize)
		}
		k.Args = append(k.Args, a)
	}
	return k, nil
}

// numbers reads sizes and counts of a map, and keeps the first error.
type numbers struct {
	fields map[string]any
	err    error
}

// get returns a number from 0 to 2³¹-1; 0 if the map does not have it.
func (n *numbers) get(key string) int {
	v, ok := n.fields[key]
	if !ok {
		return 0
	}
	i, ok := v.(int64)
	if (!ok || i < 0 || i > math.MaxInt32) && n.err == nil {
		n.err = fmt.Errorf("%s is %v, want a number from 0 to %d", key, v, math.MaxInt32)
		return 0
	}
	return int(i)
}
