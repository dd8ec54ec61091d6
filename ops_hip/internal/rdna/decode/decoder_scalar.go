package decode

// scalar decodes SOP1, SOP2, SOPC, SOPK and SOPP.
func (d *Decoder) scalar(r *reader, w uint32) {
	f := fields{src: [3]uint32{w & 255, w >> 8 & 255}, d: w >> 16 & 127}
	r.inst.Imm = uint16(w)
	var info *opInfo
	switch {
	case w>>23 == 0x17d:
		info = d.begin(r, SOP1, w>>8&255)
	case w>>23 == 0x17e:
		info = d.begin(r, SOPC, w>>16&127)
	case w>>23 == 0x17f:
		info = d.begin(r, SOPP, w>>16&127)
	case w>>28 == 0xb:
		info = d.begin(r, SOPK, w>>23&31)
	default:
		info = d.begin(r, SOP2, w>>23&127)
	}
	if info != nil {
		d.operands(r, info, &f)
	}
}

// smem decodes scalar memory instructions of both generations.
func (d *Decoder) smem(r *reader, w uint32) {
	hi := r.next()
	op := w >> 18 & 255
	if d.gen == GFX12 {
		op = w >> 13 & 63
	}
	info := d.begin(r, SMEM, op)
	if info == nil || r.err != nil {
		return
	}
	f := fields{d: w >> 6 & 127, n: w >> 6 & 127, addr: w & 63 << 1, m: hi >> 25}
	i := r.inst
	if d.gen == GFX12 {
		i.MemOffset = int32(hi<<8) >> 8
		i.Scope, i.TH = uint8(w>>21&3), uint8(w>>23&3)
	} else {
		i.MemOffset = int32(hi<<11) >> 11
		i.DLC, i.GLC = w>>13&1 != 0, w>>14&1 != 0
	}
	d.operands(r, info, &f)
	for k := range i.Operands {
		if i.Operands[k].Field == 'O' {
			i.Operands[k].Code = uint32(i.MemOffset)
			if f.m != Null && !hasField(info, 'M') { // register offset takes the place of the immediate in print
				i.Operands[k] = d.register(r, Operand{Field: 'M', Width: 1}, 's', f.m)
			}
		}
	}
}
