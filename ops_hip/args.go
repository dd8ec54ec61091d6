package opship

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/hiprt"
)

// Args builds the argument block of a launch in the order of the kernel's parameters, each at its natural
// alignment, as the compilers lay them out. Methods return the extended block, so that they chain from the zero
// value:
//
//	Args{}.Ptr(n.In[0]).Ptr(n.Result(0)).U32(uint32(rows)).F32(eps)
//
// Addresses are known only to the compiled plan; the block records which values they stand for. When a code
// object is loaded, the layout is compared with what the object says of its parameters.
type Args struct {
	buf    []byte
	fields []Field
	relocs []reloc
}

// Field is one argument of a block.
type Field struct {
	Offset, Size int
	Pointer      bool // to global memory
}

// reloc is an address to be filled in.
type reloc struct {
	at    int       // offset of the pointer in the block
	value ops.Value // storage that it points to; the zero Value is the node's scratch memory, or the plan's counters
	off   int64     // bytes from there

	counters bool
}

// Ptr adds the address of v: an input or result of the node.
func (a Args) Ptr(v ops.Value) Args { return a.PtrAt(v, 0) }

// PtrAt adds the address of byte off of v.
func (a Args) PtrAt(v ops.Value, off int64) Args {
	return a.ptr(reloc{value: v, off: off})
}

// ScratchPtr adds the address of byte off of the node's scratch memory, which is aligned to 256 bytes.
func (a Args) ScratchPtr(off int64) Args { return a.ptr(reloc{off: off}) }

// CounterPtr adds the address of the launch's counters.
func (a Args) CounterPtr() Args { return a.ptr(reloc{counters: true}) }

// without makes the address of v null, where a kernel need not write a result.
func (a Args) without(v ops.Value) Args {
	a.relocs = slices.DeleteFunc(slices.Clone(a.relocs), func(r reloc) bool { return r.value == v && !r.counters })
	return a
}

// NullPtr adds a null pointer, for an optional operand that the node does not have.
func (a Args) NullPtr() Args { return a.add(8, 0, true) }

// U32 adds an unsigned int.
func (a Args) U32(x uint32) Args { return a.add(4, uint64(x), false) }

// I32 adds an int.
func (a Args) I32(x int32) Args { return a.add(4, uint64(uint32(x)), false) }

// F32 adds a float.
func (a Args) F32(x float32) Args { return a.add(4, uint64(math.Float32bits(x)), false) }

// U64 adds an unsigned long long.
func (a Args) U64(x uint64) Args { return a.add(8, x, false) }

// Layout returns the arguments in order.
func (a Args) Layout() []Field { return a.fields }

// offsets returns where in the block each argument lies.
func (a Args) offsets() []int {
	at := make([]int, len(a.fields))
	for i, f := range a.fields {
		at[i] = f.Offset
	}
	return at
}

// Size returns the length of the block in bytes, without padding after the last argument.
func (a Args) Size() int { return len(a.buf) }

func (a Args) ptr(r reloc) Args {
	a = a.add(8, 0, true)
	r.at = a.fields[len(a.fields)-1].Offset
	a.relocs = append(a.relocs[:len(a.relocs):len(a.relocs)], r)
	return a
}

// add appends the low size bytes of x, padded to a multiple of size. It never writes into memory that another
// block shares.
func (a Args) add(size int, x uint64, pointer bool) Args {
	off := (len(a.buf) + size - 1) / size * size
	buf := make([]byte, off+8)
	copy(buf, a.buf)
	binary.LittleEndian.PutUint64(buf[off:], x)
	a.buf = buf[:off+size]
	a.fields = append(a.fields[:len(a.fields):len(a.fields)], Field{off, size, pointer})
	return a
}

// bytes returns a copy of the block, addresses still zero.
func (a Args) bytes() []byte { return append([]byte(nil), a.buf...) }

// putPtr stores an address in a block.
func putPtr(b []byte, p hiprt.Ptr) { binary.LittleEndian.PutUint64(b, uint64(p)) }
