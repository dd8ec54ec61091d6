package decode

import (
	"fmt"
	"math"
	"strings"
)

// String prints the instruction in LLVM 22's syntax, without address or encoding.
func (i *Inst) String() string {
	var b strings.Builder
	i.half(&b)
	if i.Y != nil {
		b.WriteString(" :: ")
		i.Y.half(&b)
	}
	return b.String()
}

func (i *Inst) half(b *strings.Builder) {
	b.WriteString(i.Mnemonic)
	if i.Mnemonic == "s_endpgm" && i.Imm == 0 {
		return
	}
	sep := " "
	for k := range i.Operands {
		b.WriteString(sep)
		sep = ", "
		i.operand(b, &i.Operands[k])
	}
	i.modifiers(b)
}

func (i *Inst) operand(b *strings.Builder, o *Operand) {
	switch o.Field {
	case 'W':
		b.WriteString(i.special())
		return
	case 'K':
		b.WriteString(i.simm())
		return
	case 'B', 'N':
		fmt.Fprintf(b, "%d", o.Code)
		return
	case 'H':
		b.WriteString(hwreg(i.genHint, i.Imm))
		return
	case 'O':
		if i.MemOffset == 0 && i.genHint != GFX12 { // LLVM then prints the absent scalar offset
			b.WriteString("null")
			return
		}
		b.WriteString(i.smemOffset())
		return
	case 'L':
		if i.Name == "s_setreg_imm32_b32" {
			b.WriteString(immediate(o.Code, B32, 1))
		} else {
			fmt.Fprintf(b, "%#x", o.Code)
		}
		return
	}
	neg := o.Neg && !o.Abs && (o.Kind == Const || o.Kind == Literal)
	switch {
	case neg:
		b.WriteString("neg(")
	case o.Neg:
		b.WriteByte('-')
	}
	if o.Abs {
		b.WriteByte('|')
	}
	switch o.Kind {
	case VGPR:
		regRange(b, "v", o.Code, o.Width)
	case SGPR:
		b.WriteString(scalarName(o.Code, o.Width))
	case Const:
		b.WriteString(constText(o))
	case Literal:
		if o.Width == 2 && strings.Contains(i.Name, "_f64") {
			fmt.Fprintf(b, "%#x", o.Code)
			break
		}
		b.WriteString(literal(o.Code, o.Type, o.Width))
	case Off:
		b.WriteString("off")
	default:
		fmt.Fprintf(b, "%#x", o.Code)
	}
	if o.Abs {
		b.WriteByte('|')
	}
	if neg {
		b.WriteByte(')')
	}
}

func regRange(b *strings.Builder, prefix string, n uint32, width uint8) {
	if width <= 1 {
		fmt.Fprintf(b, "%s%d", prefix, n)
		return
	}
	fmt.Fprintf(b, "%s[%d:%d]", prefix, n, n+uint32(width)-1)
}

var scalarNames = map[uint32]string{VCCLo: "vcc_lo", VCCHi: "vcc_hi", Null: "null", M0: "m0", ExecLo: "exec_lo",
	ExecHi:     "exec_hi",
	SharedBase: "src_shared_base", SharedLimit: "src_shared_limit", PrivateBase: "src_private_base",
	PrivateLimit: "src_private_limit", SCC: "src_scc"}

// scalarName prints a scalar register operand of width dwords.
func scalarName(code uint32, width uint8) string {
	if width > 1 {
		switch code {
		case VCCLo:
			return "vcc"
		case ExecLo:
			return "exec"
		}
	}
	if n, ok := scalarNames[code]; ok {
		return n
	}
	var b strings.Builder
	if code >= TTMP0 {
		if width > 1 {
			regRange(&b, "ttmp", code-TTMP0, width)
		} else {
			fmt.Fprintf(&b, "ttmp%d", code-TTMP0)
		}
	} else {
		regRange(&b, "s", code, width)
	}
	return b.String()
}

var floatConsts = [...]float64{0.5, -0.5, 1, -1, 2, -2, 4, -4, 1 / (2 * math.Pi)}

var floatConstText = [...]string{"0.5", "-0.5", "1.0", "-1.0", "2.0", "-2.0", "4.0", "-4.0", "0.15915494"}

var f16Consts = [...]uint16{0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000, 0xc000, 0x4400, 0xc400, 0x3118}

// constText prints an inline constant.
func constText(o *Operand) string {
	if o.Code <= 208 {
		return fmt.Sprintf("%d", intConst(o.Code))
	}
	k := o.Code - 240
	switch {
	case o.Type == I16:
		return fmt.Sprintf("%#x", f16Consts[k])
	case k == 8 && o.Type == B32 && o.Width == 2:
		return "0.15915494309189532"
	}
	return floatConstText[k]
}

// intConst returns the value of the inline integer constants 128..208.
func intConst(code uint32) int32 {
	if code <= 192 {
		return int32(code) - 128
	}
	return 192 - int32(code)
}

// literal prints a literal, marked where it has the bits of an inline constant that the encoding could have had.
func literal(v uint32, t Type, width uint8) string {
	s := immediate(v, t, width)
	if strings.HasPrefix(s, "0x") {
		return s
	}
	if t != B32 {
		v &= 0xffff
	}
	return fmt.Sprintf("lit(%#x)", v)
}

// immediate prints a number: as a constant where one has the same bits.
func immediate(v uint32, t Type, width uint8) string {
	if t != B32 {
		h := uint16(v)
		if s := int16(h); t == F16 && s >= -16 && s <= 64 {
			return fmt.Sprintf("%d", s)
		}
		if s := int32(v); t == I16 && s >= -16 && s <= 64 {
			return fmt.Sprintf("%d", s)
		}
		if t == F16 {
			for k, c := range f16Consts {
				if c == h {
					return floatConstText[k]
				}
			}
		}
		return fmt.Sprintf("%#x", h)
	}
	if width > 1 {
		if v <= 64 {
			return fmt.Sprintf("%d", v)
		}
		return fmt.Sprintf("%#x", v)
	}
	if s := int32(v); s >= -16 && s <= 64 {
		return fmt.Sprintf("%d", s)
	}
	for k, c := range floatConsts {
		if math.Float32bits(float32(c)) == v {
			return floatConstText[k]
		}
	}
	return fmt.Sprintf("%#x", v)
}

// modifiers prints what follows the operands.
func (i *Inst) modifiers(b *strings.Builder) {
	switch i.Format {
	case VOP3:
		if i.OpSel != 0 {
			n := 0
			for _, o := range i.Operands {
				if o.Field >= '0' && o.Field <= '2' {
					n++
				}
			}
			if strings.HasPrefix(i.Name, "v_permlane") {
				writeBits(b, " op_sel:", uint32(i.OpSel), 2)
			} else {
				writeBits(b, " op_sel:", uint32(i.OpSel&(1<<n-1))|uint32(i.OpSel>>3)<<n, n+1)
			}
		}
		i.clampOmod(b)
	case VOP3P:
		i.packed(b)
	case DS:
		i.dsOffsets(b)
	case FLAT, GLOBAL, SCRATCH:
		if i.MemOffset != 0 && len(i.Operands) > 0 {
			fmt.Fprintf(b, " offset:%d", i.MemOffset)
		}
		i.cache(b)
	case SMEM:
		if i.Find('D') == nil { // prefetches and invalidations print no cache policy
			break
		}
		if m := i.Find('M'); m != nil && i.Find('O') == nil {
			if i.MemOffset != 0 || i.genHint == GFX12 {
				b.WriteString(" offset:" + i.smemOffset())
			}
		}
		i.cache(b)
	}
	i.dppText(b)
}

func (i *Inst) clampOmod(b *strings.Builder) {
	if i.Clamp {
		b.WriteString(" clamp")
	}
	b.WriteString([...]string{"", " mul:2", " mul:4", " div:2"}[i.Omod])
}

func writeBits(b *strings.Builder, name string, v uint32, n int) {
	b.WriteString(name)
	for k := 0; k < n; k++ {
		b.WriteByte("[,"[min(k, 1)])
		b.WriteByte('0' + byte(v>>k&1))
	}
	b.WriteByte(']')
}

func (i *Inst) packed(b *strings.Builder) {
	n := 0
	for _, o := range i.Operands {
		if o.Field >= '0' && o.Field <= '2' {
			n++
		}
	}
	mask := uint8(1<<n - 1)
	has, ones := usesOpSelHi(i.Name)
	opSel := has || strings.HasPrefix(i.Name, "v_wmma_f16") || strings.HasPrefix(i.Name, "v_wmma_bf16") ||
		strings.HasPrefix(i.Name, "v_swmmac")
	if opSel && i.OpSel&mask != 0 {
		writeBits(b, " op_sel:", uint32(i.OpSel), n)
	}
	if has && (ones && i.OpSelHi&mask != mask || !ones && i.OpSelHi&mask != 0) {
		writeBits(b, " op_sel_hi:", uint32(i.OpSelHi), n)
	}
	if !strings.HasPrefix(i.Name, "v_fma_mix") {
		if i.NegLo&mask != 0 {
			writeBits(b, " neg_lo:", uint32(i.NegLo), n)
		}
		if i.NegHi&mask != 0 && !strings.Contains(i.Name, "_iu") {
			writeBits(b, " neg_hi:", uint32(i.NegHi), n)
		}
	}
	i.clampOmod(b)
}

func (i *Inst) dsOffsets(b *strings.Builder) {
	switch {
	case i.Name == "ds_swizzle_b32":
		b.WriteString(swizzle(uint16(i.MemOffset)))
	case dsTwoOffsets(i.Name):
		if i.MemOffset != 0 {
			fmt.Fprintf(b, " offset0:%d", i.MemOffset)
		}
		if i.Offset1 != 0 {
			fmt.Fprintf(b, " offset1:%d", i.Offset1)
		}
	case i.MemOffset != 0:
		fmt.Fprintf(b, " offset:%d", i.MemOffset)
	}
	if i.GDS {
		b.WriteString(" gds")
	}
}

func (i *Inst) dppText(b *strings.Builder) {
	p := &i.DPP
	switch p.Kind {
	case NoDPP:
		return
	case DPP8:
		b.WriteString(" dpp8:")
		for k, l := range p.Lanes {
			b.WriteByte("[,"[min(k, 1)])
			b.WriteByte('0' + l)
		}
		b.WriteByte(']')
		if p.FI {
			b.WriteString(" fi:1")
		}
		return
	}
	c := p.Ctrl
	switch n := c & 15; {
	case c <= 0xff:
		fmt.Fprintf(b, " quad_perm:[%d,%d,%d,%d]", c&3, c>>2&3, c>>4&3, c>>6)
	case c == 0x140:
		b.WriteString(" row_mirror")
	case c == 0x141:
		b.WriteString(" row_half_mirror")
	default:
		name := map[uint16]string{0x10: "row_shl", 0x11: "row_shr", 0x12: "row_ror", 0x15: "row_share",
			0x16: "row_xmask"}[c>>4]
		fmt.Fprintf(b, " %s:%d", name, n)
	}
	fmt.Fprintf(b, " row_mask:%#x bank_mask:%#x", p.RowMask, p.BankMask)
	if p.BoundCtrl {
		b.WriteString(" bound_ctrl:1")
	}
	if p.FI {
		b.WriteString(" fi:1")
	}
}
