package decode

func (d *Decoder) ds(r *reader, w uint32) {
	hi := r.next()
	info := d.begin(r, DS, w>>18&255)
	if info == nil || r.err != nil {
		return
	}
	i := r.inst
	i.GDS = w>>17&1 != 0
	f := fields{addr: hi & 255, d: hi >> 24, src: [3]uint32{256 + hi>>8&255, 256 + hi>>16&255}}
	if dsTwoOffsets(info.base) {
		i.MemOffset, i.Offset1 = int32(w&255), uint8(w>>8)
	} else {
		i.MemOffset = int32(w & 0xffff)
	}
	d.operands(r, info, &f)
}

// flat11 decodes FLAT, GLOBAL and SCRATCH of GFX11.
func (d *Decoder) flat11(r *reader, w uint32) {
	hi := r.next()
	seg := w >> 16 & 3
	if d.gen == GFX12 || seg == 3 {
		r.fail("encoding is not of this target")
		return
	}
	info := d.begin(r, FLAT+Format(seg), w>>18&127)
	if info == nil || r.err != nil {
		return
	}
	i := r.inst
	i.MemOffset = int32(w<<19) >> 19
	if seg == 0 {
		i.MemOffset = int32(w & 0x1fff) // FLAT offsets are unsigned on GFX11
	}
	i.DLC, i.GLC, i.SLC = w>>13&1 != 0, w>>14&1 != 0, w>>15&1 != 0
	i.SVE = hi>>23&1 != 0
	d.vmem(r, info, hi>>24, hi&255, hi>>8&255, hi>>16&127)
}

// flat12 decodes VFLAT, VSCRATCH and VGLOBAL of GFX12.
func (d *Decoder) flat12(r *reader, w uint32) {
	hi := r.next()
	ext := r.next()
	seg := w>>24&255 - 0xec
	if d.gen != GFX12 || seg > 2 {
		r.fail("encoding is not of this target")
		return
	}
	info := d.begin(r, FLAT+Format(seg), w>>14&255)
	if info == nil || r.err != nil {
		return
	}
	i := r.inst
	i.MemOffset = int32(ext) >> 8
	i.SVE, i.Scope, i.TH = hi>>17&1 != 0, uint8(hi>>18&3), uint8(hi>>20&7)
	d.vmem(r, info, hi&255, ext&255, hi>>23&255, w&127)
}

// vmem builds the operands of a FLAT, GLOBAL or SCRATCH instruction. The table
// lists destination and data; the address operands depend on the segment, on
// saddr and on SVE.
func (d *Decoder) vmem(r *reader, info *opInfo, vdst, vaddr, vdata, saddr uint32) {
	i := r.inst
	ret := i.GLC
	if d.gen == GFX12 {
		ret = i.TH&1 != 0
	}
	addr := Operand{Field: 'A', Kind: VGPR, Code: vaddr, Width: 2}
	scalar := Operand{Field: 'M', Kind: Off}
	if saddr != Null {
		scalar = d.register(r, Operand{Field: 'M', Width: 2}, 's', saddr)
	}
	switch i.Format {
	case SCRATCH:
		addr.Width = 1
		if !i.SVE {
			addr = Operand{Field: 'A', Kind: Off}
		}
		scalar.Width = 1
	case GLOBAL:
		if scalar.Kind == SGPR {
			addr.Width = 1
		}
	}
	if addr.Kind == VGPR && addr.Code+uint32(addr.Width) > 256 {
		r.fail("register range ends beyond v255")
	}
	var dst, data []Operand
	for _, s := range info.specs {
		o := Operand{Field: s.field, Width: s.width}
		switch s.field {
		case 'D':
			dst = append(dst, d.register(r, o, s.class, vdst))
		case '0':
			data = append(data, d.register(r, o, s.class, vdata))
		}
	}
	if isAtomic(info.base) && ret && dst == nil {
		w := data[0].Width
		if isCmpswap(info.base) {
			w /= 2
		}
		dst = []Operand{d.register(r, Operand{Field: 'D', Width: w}, 'v', vdst)}
	}
	if len(info.specs) == 0 {
		return
	}
	i.Operands = append(append(append([]Operand{}, dst...), addr), data...)
	if i.Format != FLAT {
		i.Operands = append(i.Operands, scalar)
	}
}

// mubuf decodes the cache invalidations of GFX11, the only MUBUF instructions in
// compute code without buffer resources.
func (d *Decoder) mubuf(r *reader, w uint32) {
	r.next()
	if d.gen == GFX12 {
		r.fail("encoding is not of this target")
		return
	}
	if info := d.begin(r, MUBUF, w>>18&255); info != nil {
		d.operands(r, info, &fields{})
	}
}
