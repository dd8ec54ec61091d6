package decode

import (
	"fmt"
	"math"
)

// Gen is an instruction set generation. The zero value is GFX11.
type Gen uint8

// Generations in order of appearance.
const (
	GFX11  Gen = iota // RDNA3: gfx1100, gfx1101, gfx1102, gfx1103
	GFX115            // RDNA3.5: gfx1150, gfx1151
	GFX12             // RDNA4: gfx1200, gfx1201
)

// GenOf returns the generation of a target such as "gfx1100".
func GenOf(target string) (Gen, error) {
	switch target {
	case "gfx1100", "gfx1101", "gfx1102", "gfx1103":
		return GFX11, nil
	case "gfx1150", "gfx1151":
		return GFX115, nil
	case "gfx1200", "gfx1201":
		return GFX12, nil
	}
	return 0, fmt.Errorf("decode: target %q: not one of gfx1100-1103, gfx1150, gfx1151, gfx1200, gfx1201", target)
}

// Format is an instruction encoding.
type Format uint8

// Encodings. FLAT, SCRATCH and GLOBAL stand for VFLAT, VSCRATCH and VGLOBAL on
// GFX12, DS for VDS.
const (
	SOP2 Format = iota
	SOPK
	SOP1
	SOPC
	SOPP
	SMEM
	VOP2
	VOP1
	VOPC
	VOP3
	VOP3P
	VOPD
	DS
	FLAT
	SCRATCH
	GLOBAL
	MUBUF
	numFormats
)

var formatNames = [numFormats]string{"SOP2", "SOPK", "SOP1", "SOPC", "SOPP", "SMEM", "VOP2", "VOP1", "VOPC",
	"VOP3", "VOP3P", "VOPD", "DS", "FLAT", "SCRATCH", "GLOBAL", "MUBUF"}

// String returns the name of the encoding as AMD's documents spell it.
func (f Format) String() string {
	if f < numFormats {
		return formatNames[f]
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// Kind says what an operand is.
type Kind uint8

// Kinds of operands.
const (
	NoOperand Kind = iota
	VGPR           // Code is the register number, 0..255
	SGPR           // Code is the scalar operand code, 0..127 or a special register from 235
	Const          // Code is the code of the inline constant, 128..208 or 240..248
	Literal        // Code is the 32-bit literal
	Imm            // Code is the immediate
	Off            // an absent address
)

// Special scalar operand codes.
const (
	VCCLo         = 106
	VCCHi         = 107
	TTMP0         = 108
	Null          = 124
	M0            = 125
	ExecLo        = 126
	ExecHi        = 127
	SharedBase    = 235
	SharedLimit   = 236
	PrivateBase   = 237
	PrivateLimit  = 238
	SCC           = 253
	codeDPP8      = 233
	codeDPP8FI    = 234
	codeDPP16     = 250
	codeLiteral   = 255
	firstVGPRCode = 256
)

// Type says how a source operand reads constants.
type Type uint8

// Operand types.
const (
	B32 Type = iota // 32 or 64 bits, by Width
	F16             // binary16
	I16             // 16-bit integer
)

// Operand is one printed operand.
type Operand struct {
	Kind  Kind
	Field byte // letter of the field that it came from, see the package comment
	Type  Type
	Width uint8 // dwords
	Neg   bool
	Abs   bool
	Code  uint32
}

// DPPKind tells the data-parallel-primitive forms apart.
type DPPKind uint8

// DPP forms.
const (
	NoDPP DPPKind = iota
	DPP16
	DPP8
)

// DPP is the lane permutation applied to source 0.
type DPP struct {
	Kind      DPPKind
	Ctrl      uint16 // DPP16 control
	BankMask  uint8
	RowMask   uint8
	BoundCtrl bool
	FI        bool
	Lanes     [8]uint8 // DPP8 selectors
}

// Inst is one decoded instruction. A dual-issue instruction is two: the X half
// with the Y half behind it.
type Inst struct {
	Offset   int // bytes from the start of the decoded code
	Size     int // bytes, literal and DPP dword included
	Words    [3]uint32
	Format   Format
	Op       uint16
	Mnemonic string // as printed
	Name     string // without encoding suffix: v_add_f32 for v_add_f32_e32, _e64 and _dpp
	Operands []Operand
	DPP      DPP

	Clamp   bool
	Omod    uint8 // 0 none, 1 times 2, 2 times 4, 3 divided by 2
	OpSel   uint8 // bits 0..2 sources, bit 3 destination
	OpSelHi uint8 // VOP3P, bits 0..2
	NegLo   uint8 // VOP3P, bits 0..2
	NegHi   uint8 // VOP3P, bits 0..2

	MemOffset int32 // FLAT, SMEM, DS offset0 (or the 16-bit offset)
	Offset1   uint8 // DS two-address forms
	GDS       bool
	GLC, SLC  bool  // GFX11 cache bits
	DLC       bool  // GFX11 cache bit
	TH, Scope uint8 // GFX12 temporal hint and scope
	SVE       bool  // scratch: a VGPR address is present

	Imm uint16 // SOPP and SOPK immediate
	Y   *Inst  // second half of VOPD

	literalAt uint8 // index in Words of the literal, 0 for none
	genHint   Gen   // generation, which decides some names in print
}

// Find returns the operand of a field, or nil.
func (i *Inst) Find(field byte) *Operand {
	for k := range i.Operands {
		if i.Operands[k].Field == field {
			return &i.Operands[k]
		}
	}
	return nil
}

// Target returns the byte offset that a direct branch jumps to.
func (i *Inst) Target() int { return i.Offset + 4 + 4*int(int16(i.Imm)) }

// UnknownError reports bytes that are no instruction of the target.
type UnknownError struct {
	Offset int
	Word   uint32
	Reason string
}

// Error implements error.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("decode: word %#08x at offset %#x: %s", e.Word, e.Offset, e.Reason)
}

// Const32 returns the bits of an inline constant as a 32-bit operand reads it.
func (o *Operand) Const32() uint32 {
	if o.Code <= 208 {
		return uint32(intConst(o.Code))
	}
	return math.Float32bits(float32(floatConsts[o.Code-240]))
}

// Const64 returns the bits of an inline constant as a 64-bit operand reads it.
func (o *Operand) Const64() uint64 {
	if o.Code <= 208 {
		return uint64(int64(intConst(o.Code)))
	}
	return math.Float64bits(floatConsts[o.Code-240])
}

// ConstF16 returns the bits of an inline constant as a binary16 operand reads
// it; integers are sign-extended to 32 bits.
func (o *Operand) ConstF16() uint32 {
	if o.Code <= 208 {
		return uint32(intConst(o.Code))
	}
	return uint32(f16Consts[o.Code-240])
}
