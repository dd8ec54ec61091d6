package decode

import (
	"encoding/binary"
	"strings"
)

// fields holds the raw operand codes of one instruction by field letter.
type fields struct {
	d, s     uint32
	src      [3]uint32
	addr     uint32
	m, n     uint32
	neg, abs uint32 // bits 0..2 by source
}

// reader walks the dwords of one instruction.
type reader struct {
	code []byte
	off  int
	inst *Inst
	err  *UnknownError
}

func (r *reader) next() uint32 {
	i := r.inst.Size / 4
	if r.err != nil || r.off+r.inst.Size+4 > len(r.code) || i >= len(r.inst.Words) {
		r.fail("instruction ends beyond the code")
		return 0
	}
	w := binary.LittleEndian.Uint32(r.code[r.off+r.inst.Size:])
	r.inst.Words[i] = w
	r.inst.Size += 4
	return w
}

func (r *reader) fail(reason string) {
	if r.err == nil {
		r.err = &UnknownError{Offset: r.off, Word: r.inst.Words[0], Reason: reason}
	}
}

// Decode decodes the instruction at byte offset off of code. The error is a
// *UnknownError.
func (d *Decoder) Decode(code []byte, off int) (Inst, error) {
	inst := Inst{Offset: off, genHint: d.gen}
	if off < 0 || off%4 != 0 || off+4 > len(code) {
		return inst, &UnknownError{Offset: off, Reason: "offset is not a dword of the code"}
	}
	r := &reader{code: code, off: off, inst: &inst}
	w := r.next()
	switch {
	case w>>31 == 0:
		d.vop12c(r, w)
	case w>>30 == 2:
		d.scalar(r, w)
	default:
		switch w >> 26 {
		case 0x33:
			d.vop3p(r, w)
		case 0x32:
			d.vopd(r, w)
		case 0x35:
			d.vop3(r, w)
		case 0x36:
			d.ds(r, w)
		case 0x37:
			d.flat11(r, w)
		case 0x38:
			d.mubuf(r, w)
		case 0x3b:
			d.flat12(r, w)
		case 0x3d:
			d.smem(r, w)
		default:
			r.fail("encoding is not of this target or not for compute")
		}
	}
	if r.err != nil {
		return inst, r.err
	}
	return inst, nil
}

// begin looks an opcode up and names the instruction.
func (d *Decoder) begin(r *reader, f Format, op uint32) *opInfo {
	info := d.lookup(f, op)
	if info == nil {
		r.fail("no " + f.String() + " opcode of this target")
		return nil
	}
	r.inst.Format, r.inst.Op, r.inst.Mnemonic, r.inst.Name = f, uint16(op), info.mnemonic, info.base
	return info
}

// operands fills the operand list from the raw fields.
func (d *Decoder) operands(r *reader, info *opInfo, f *fields) {
	inst := r.inst
	ops := make([]Operand, 0, len(info.specs))
	for _, s := range info.specs {
		o := Operand{Field: s.field, Width: s.width}
		switch s.class {
		case 'h':
			o.Type = F16
		case 'w':
			o.Type = I16
		}
		switch s.field {
		case 'D':
			o = d.register(r, o, s.class, f.d)
		case 'S':
			o = d.register(r, o, s.class, f.s)
		case '0', '1', '2':
			k := s.field - '0'
			o = d.source(r, o, s.class, f.src[k])
			o.Neg, o.Abs = f.neg>>k&1 != 0, f.abs>>k&1 != 0
		case 'A':
			o = d.register(r, o, s.class, f.addr)
		case 'M':
			o = d.register(r, o, s.class, f.m)
		case 'N':
			o.Kind, o.Code = Imm, f.n
		case 'L':
			o.Kind, o.Code = Literal, r.literal()
		default:
			o.Kind, o.Code = Imm, uint32(inst.Imm)
		}
		ops = append(ops, o)
	}
	inst.Operands = ops
}

func (d *Decoder) register(r *reader, o Operand, class byte, code uint32) Operand {
	switch class {
	case 'v':
		o.Kind, o.Code = VGPR, code&255
		if o.Code+uint32(o.Width) > 256 {
			r.fail("register range ends beyond v255")
		}
	case 'c':
		o.Kind, o.Code = SGPR, VCCLo
	default:
		if code > 127 {
			r.fail("scalar destination is no register")
		}
		o.Kind, o.Code = SGPR, code
		checkAligned(r, o)
	}
	return o
}

// source decodes a source operand code: 0..255 scalar, 256.. a VGPR.
func (d *Decoder) source(r *reader, o Operand, class byte, code uint32) Operand {
	switch {
	case class == 'c':
		o.Kind, o.Code = SGPR, VCCLo
	case code >= firstVGPRCode:
		if class == 's' {
			r.fail("operand must be scalar")
		}
		o.Kind, o.Code = VGPR, code-firstVGPRCode
		if o.Code+uint32(o.Width) > 256 {
			r.fail("register range ends beyond v255")
		}
	case class == 'v':
		r.fail("operand must be a VGPR")
	case code < 128, code >= SharedBase && code <= PrivateLimit, code == SCC:
		o.Kind, o.Code = SGPR, code
		checkAligned(r, o)
	case code <= 208, code >= 240 && code <= 248:
		o.Kind, o.Code = Const, code
	case code == codeLiteral:
		o.Kind, o.Code = Literal, r.literal()
	default:
		r.fail("source operand code is reserved")
	}
	return o
}

// checkAligned refuses scalar register ranges that hardware cannot address.
func checkAligned(r *reader, o Operand) {
	align := uint32(min(o.Width, 4))
	if align == 3 {
		align = 4
	}
	switch {
	case align <= 1 || o.Code == Null || o.Code >= SharedBase:
	case o.Code%align != 0:
		r.fail("scalar register range is not aligned")
	case o.Code < VCCLo && o.Code+uint32(o.Width) > VCCLo, o.Code >= VCCLo && o.Code < TTMP0 && o.Width > 2:
		r.fail("scalar register range ends beyond s105")
	}
}

// literal returns the literal dword, which all operands of an instruction share.
func (r *reader) literal() uint32 {
	n := r.inst.Size / 4
	if r.inst.literalAt == 0 {
		if r.next(); r.err != nil {
			return 0
		}
		r.inst.literalAt = uint8(n)
	}
	return r.inst.Words[r.inst.literalAt]
}

// vop12c decodes VOP1, VOP2 and VOPC.
func (d *Decoder) vop12c(r *reader, w uint32) {
	f := fields{d: w >> 17 & 255, src: [3]uint32{w & 511, 256 + w>>9&255}}
	var info *opInfo
	switch w >> 25 {
	case 0x3f:
		info = d.begin(r, VOP1, w>>9&255)
	case 0x3e:
		info = d.begin(r, VOPC, w>>17&255)
	default:
		info = d.begin(r, VOP2, w>>25&63)
	}
	if info == nil {
		return
	}
	suffix := "_dpp"
	if r.inst.Format == VOPC { // LLVM prints compares with DPP without the suffix
		suffix = ""
	}
	d.dpp(r, &f, suffix)
	d.operands(r, info, &f)
}

// dpp reads the DPP dword when source 0 asks for one.
func (d *Decoder) dpp(r *reader, f *fields, suffix string) {
	inst := r.inst
	p := &inst.DPP
	switch f.src[0] {
	case codeDPP16:
		w := r.next()
		p.Kind, p.Ctrl = DPP16, uint16(w>>8&511)
		p.FI, p.BoundCtrl = w>>18&1 != 0, w>>19&1 != 0
		p.BankMask, p.RowMask = uint8(w>>24&15), uint8(w>>28)
		if !dppCtrlValid(p.Ctrl) {
			r.fail("DPP control is reserved")
		}
		f.src[0] = firstVGPRCode + w&255
		if inst.Format == VOP1 || inst.Format == VOP2 || inst.Format == VOPC {
			f.neg = w>>20&1 | w>>22&1<<1
			f.abs = w>>21&1 | w>>23&1<<1
		}
	case codeDPP8, codeDPP8FI:
		p.Kind, p.FI = DPP8, f.src[0] == codeDPP8FI
		w := r.next()
		f.src[0] = firstVGPRCode + w&255
		for i := range p.Lanes {
			p.Lanes[i] = uint8(w >> (8 + 3*i) & 7)
		}
	default:
		return
	}
	inst.Mnemonic = inst.Name + suffix
}

func dppCtrlValid(c uint16) bool {
	switch {
	case c <= 0xff, c >= 0x101 && c <= 0x10f, c >= 0x111 && c <= 0x11f, c >= 0x121 && c <= 0x12f,
		c == 0x140, c == 0x141, c >= 0x150 && c <= 0x16f:
		return true
	}
	return false
}

// vop3 decodes VOP3 and VOP3SD.
func (d *Decoder) vop3(r *reader, w uint32) {
	hi := r.next()
	info := d.begin(r, VOP3, w>>16&1023)
	if info == nil || r.err != nil {
		return
	}
	f := fields{d: w & 255, src: [3]uint32{hi & 511, hi >> 9 & 511, hi >> 18 & 511}, neg: hi >> 29}
	r.inst.Omod = uint8(hi >> 27 & 3)
	r.inst.Clamp = w>>15&1 != 0
	if hasField(info, 'S') {
		f.s = w >> 8 & 127
	} else {
		f.abs = w >> 8 & 7
		r.inst.OpSel = uint8(w >> 11 & 15)
	}
	d.dpp(r, &f, "_e64_dpp")
	d.operands(r, info, &f)
}

func hasField(info *opInfo, field byte) bool {
	for _, s := range info.specs {
		if s.field == field {
			return true
		}
	}
	return false
}

func (d *Decoder) vop3p(r *reader, w uint32) {
	hi := r.next()
	if w>>24 != 0xcc {
		r.fail("encoding is reserved")
		return
	}
	info := d.begin(r, VOP3P, w>>16&127)
	if info == nil || r.err != nil {
		return
	}
	f := fields{d: w & 255, src: [3]uint32{hi & 511, hi >> 9 & 511, hi >> 18 & 511}}
	i := r.inst
	i.NegHi, i.OpSel, i.Clamp = uint8(w>>8&7), uint8(w>>11&7), w>>15&1 != 0
	i.OpSelHi, i.NegLo = uint8(hi>>27&3|w>>14&1<<2), uint8(hi>>29)
	d.dpp(r, &f, "_e64_dpp")
	d.operands(r, info, &f)
	// mixed precision spells its modifiers as the full-precision form does
	if strings.HasPrefix(info.base, "v_fma_mix") {
		for k := range i.Operands {
			if s := i.Operands[k].Field; s >= '0' && s <= '2' {
				i.Operands[k].Neg = i.NegLo>>(s-'0')&1 != 0
				i.Operands[k].Abs = i.NegHi>>(s-'0')&1 != 0
			}
		}
	}
}
