package decode

// vopdNames are the opcodes of the two halves of VOPD; the Y half has three more
// than the X half. Source: RDNA3 ISA, "VOPD".
var vopdNames = [...]string{"v_dual_fmac_f32", "v_dual_fmaak_f32", "v_dual_fmamk_f32", "v_dual_mul_f32",
	"v_dual_add_f32", "v_dual_sub_f32", "v_dual_subrev_f32", "v_dual_mul_dx9_zero_f32", "v_dual_mov_b32",
	"v_dual_cndmask_b32", "v_dual_max_f32", "v_dual_min_f32", "v_dual_dot2acc_f32_f16", "v_dual_dot2acc_f32_bf16",
	"", "", "v_dual_add_nc_u32", "v_dual_lshlrev_b32", "v_dual_and_b32"}

func (d *Decoder) vopd(r *reader, w uint32) {
	hi := r.next()
	inst := r.inst
	inst.Format = VOPD
	y := &Inst{Offset: inst.Offset, Format: VOPD}
	vdstX := hi >> 24
	vdstY := hi>>16&0xfe | ^vdstX&1 // the low bit of Y's destination is the opposite of X's
	d.vopdHalf(r, inst, w>>22&15, vdstX, w&511, w>>9&255)
	d.vopdHalf(r, y, w>>17&31, vdstY, hi&511, hi>>9&255)
	if w>>22&15 > 13 {
		r.fail("no VOPD opcode for the X half")
	}
	inst.Y = y
}

func (d *Decoder) vopdHalf(r *reader, i *Inst, op, dst, src0, src1 uint32) {
	if op >= uint32(len(vopdNames)) || vopdNames[op] == "" {
		r.fail("no VOPD opcode of this target")
		return
	}
	i.Op = uint16(op)
	i.Mnemonic = vopdNames[op]
	if d.gen == GFX12 {
		switch i.Mnemonic {
		case "v_dual_max_f32":
			i.Mnemonic = "v_dual_max_num_f32"
		case "v_dual_min_f32":
			i.Mnemonic = "v_dual_min_num_f32"
		}
	}
	i.Name = "v_" + i.Mnemonic[len("v_dual_"):]
	reg := Operand{Field: 'D', Kind: VGPR, Code: dst, Width: 1}
	a := d.source(r, Operand{Field: '0', Width: 1}, 'x', src0)
	b := Operand{Field: '1', Kind: VGPR, Code: src1, Width: 1}
	switch i.Name {
	case "v_mov_b32":
		i.Operands = []Operand{reg, a}
	case "v_fmaak_f32":
		i.Operands = []Operand{reg, a, b, {Field: 'L', Kind: Literal, Code: r.literal(), Width: 1}}
	case "v_fmamk_f32":
		i.Operands = []Operand{reg, a, {Field: 'L', Kind: Literal, Code: r.literal(), Width: 1}, b}
	default:
		i.Operands = []Operand{reg, a, b}
	}
}
