package tensor

import (
	"fmt"
	"slices"
	"sync"
)

// DType identifies an element format. Its value is the GGML type id plus one (see [FirstGGML]): those ids are
// the name space that model files share, and the zero DType stays invalid.
type DType uint8

// FirstGGML is the DType whose GGML type id is 0. The block types of package quant are declared as
// FirstGGML + id, each in the file that defines it.
const FirstGGML DType = 1

// The machine types. Invalid is the zero DType. They are named here because graphs are made of them; their
// conversions live in package quant beside those of the block types.
const (
	Invalid DType = 0
	F32           = FirstGGML + 0
	F16           = FirstGGML + 1
	I8            = FirstGGML + 24
	I16           = FirstGGML + 25
	I32           = FirstGGML + 26
	I64           = FirstGGML + 27
	F64           = FirstGGML + 28
	BF16          = FirstGGML + 30
)

// Format describes how one DType is stored: Bytes bytes hold a block of Block consecutive elements of the
// innermost dimension. Machine types have blocks of one element.
type Format struct {
	DType        DType
	Name         string // canonical GGML spelling, for example "Q4_K"
	Block, Bytes int

	// Dequant writes the len(dst) elements that src holds; len(dst) must be a multiple of Block and src must
	// hold exactly their blocks. It is scalar Go and the definition of the format. Nil for types that hold no
	// numbers of a model (the integer types).
	Dequant func(dst []float32, src []byte)

	// Quant is the inverse of Dequant: it writes the blocks of src to dst. Nil where no quantizer exists.
	Quant func(dst []byte, src []float32)

	Activation bool // for activations that meet quantized weights alone: no model file stores it
	Cache      bool // keys and values can be cached in it
}

var (
	formatsMu sync.RWMutex
	formats   [256]*Format
)

// RegisterFormat records f under f.DType. Files of package quant call it from init; it panics on a duplicate
// or an impossible layout, since both are programming errors.
func RegisterFormat(f Format) {
	formatsMu.Lock()
	defer formatsMu.Unlock()
	if f.DType == Invalid || f.Block <= 0 || f.Bytes <= 0 {
		panic(fmt.Sprintf("tensor: impossible format %q", f.Name))
	}
	if formats[f.DType] != nil {
		panic("tensor: duplicate format " + f.Name)
	}
	formats[f.DType] = &f
}

// Format returns the registered format of d. Block types are known only to programs that link package quant.
func (d DType) Format() (Format, bool) {
	formatsMu.RLock()
	defer formatsMu.RUnlock()
	if f := formats[d]; f != nil {
		return *f, true
	}
	return Format{}, false
}

// Formats returns all registered formats in the order of their GGML ids.
func Formats() []Format {
	formatsMu.RLock()
	defer formatsMu.RUnlock()
	var fs []Format
	for _, f := range formats {
		if f != nil {
			fs = append(fs, *f)
		}
	}
	slices.SortFunc(fs, func(a, b Format) int { return int(a.DType) - int(b.DType) })
	return fs
}

// CacheTypes returns the registered types that keys and values can have, in the order of their GGML ids.
func CacheTypes() []DType {
	var ds []DType
	for _, f := range Formats() {
		if f.Cache {
			ds = append(ds, f.DType)
		}
	}
	return ds
}

// GGML returns the id that GGUF files use for d.
func (d DType) GGML() uint32 { return uint32(d - FirstGGML) }

// FromGGML returns the DType of a GGML type id, and whether its format is registered.
func FromGGML(id uint32) (DType, bool) {
	if id >= 255 {
		return Invalid, false
	}
	d := FirstGGML + DType(id)
	_, ok := d.Format()
	return d, ok
}

// ParseDType returns the registered DType with the given canonical name.
func ParseDType(name string) (DType, bool) {
	for _, f := range Formats() {
		if f.Name == name {
			return f.DType, true
		}
	}
	return Invalid, false
}

// String returns the canonical name, or the id of a type that is not registered.
func (d DType) String() string {
	if f, ok := d.Format(); ok {
		return f.Name
	}
	if d == Invalid {
		return "invalid"
	}
	return fmt.Sprintf("ggml(%d)", d.GGML())
}

func init() {
	for _, f := range []Format{
		{DType: I8, Name: "I8", Block: 1, Bytes: 1},
		{DType: I16, Name: "I16", Block: 1, Bytes: 2},
		{DType: I32, Name: "I32", Block: 1, Bytes: 4},
		{DType: I64, Name: "I64", Block: 1, Bytes: 8},
	} {
		RegisterFormat(f)
	}
}
