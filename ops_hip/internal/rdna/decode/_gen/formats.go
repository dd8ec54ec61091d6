package main

const (
	v10, v20, v30, v40 = 256 + 10, 256 + 20, 256 + 30, 256 + 40
	s10, s20, s30, s40 = 10, 20, 30, 40
)

var valu = map[string]string{
	"v10": "D", "s10": "D", "s0": "S", "v20": "0", "s20": "0", "v30": "1", "s30": "1", "v40": "2", "s40": "2",
}

// formats lists the encodings of a generation with the bit positions of their
// fields, as in AMD's RDNA3 and RDNA4 instruction set documents, chapter
// "Microcode Formats".
func formats(gen string) []format {
	one := func(f func(fl fill, op int) probe, fills ...fill) []fill {
		for i := range fills {
			fills[i].enc = f
		}
		return fills
	}
	src := func(f func(fl fill, op int) probe, set func(*fill, uint32)) func(fill, int, uint32) probe {
		return func(fl fill, op int, code uint32) probe {
			set(&fl, code)
			p := f(fl, op)
			if code == 255 && p[len(p)-1] != literal {
				p = append(p, literal)
			}
			return p
		}
	}
	set0 := func(f *fill, c uint32) { f.s0 = c }
	set1 := func(f *fill, c uint32) { f.s1 = c }
	set2 := func(f *fill, c uint32) { f.s2 = c }
	sop2 := func(f fill, op int) probe { return probe{2<<30 | uint32(op)<<23 | 12<<16 | f.s1<<8 | f.s0, literal} }
	sop1 := func(f fill, op int) probe { return probe{0x17d<<23 | 12<<16 | uint32(op)<<8 | f.s0} }
	sopc := func(f fill, op int) probe { return probe{0x17e<<23 | uint32(op)<<16 | f.s1<<8 | f.s0} }
	sopk := func(f fill, op int) probe { return probe{11<<28 | uint32(op)<<23 | f.hi<<16 | 0x1234, literal} }
	sopp := func(f fill, op int) probe { return probe{0x17f<<23 | uint32(op)<<16 | f.hi} }
	vop1 := func(f fill, op int) probe { return probe{0x3f<<25 | f.hi<<17 | uint32(op)<<9 | f.s0} }
	vop2 := func(f fill, op int) probe {
		return probe{uint32(op)<<25 | 10<<17 | 30<<9 | f.s0, literal}
	}
	vopc := func(f fill, op int) probe { return probe{0x3e<<25 | uint32(op)<<17 | 30<<9 | f.s0} }
	vop3 := func(f fill, op int) probe {
		return probe{0x35<<26 | uint32(op)<<16 | f.hi, f.s0 | f.s1<<9 | f.s2<<18}
	}
	vop3p := func(f fill, op int) probe {
		return probe{0xcc<<24 | uint32(op)<<16 | f.hi | 10, f.s0 | f.s1<<9 | f.s2<<18 | 3<<27}
	}
	ds := func(f fill, op int) probe {
		return probe{0x36<<26 | uint32(op)<<18, f.s0 | f.s1<<8 | f.s2<<16 | f.hi<<24}
	}
	scalar := map[string]string{"s12": "D", "s20": "0", "s24": "1", "s10": "D"}
	v3types := map[string]func(fill, int, uint32) probe{"0": src(vop3, set0), "1": src(vop3, set1),
		"2": src(vop3, set2)}
	fs := []format{
		{name: "SOP2", ops: 96, fill: one(sop2, fill{s0: 20, s1: 24}), field: scalar,
			typed: map[string]func(fill, int, uint32) probe{"0": src(sop2, set0), "1": src(sop2, set1)}},
		{name: "SOP1", ops: 256, fill: one(sop1, fill{s0: 20}), field: scalar,
			typed: map[string]func(fill, int, uint32) probe{"0": src(sop1, set0)}},
		{name: "SOPC", ops: 128, fill: one(sopc, fill{s0: 20, s1: 24}), field: scalar,
			typed: map[string]func(fill, int, uint32) probe{"0": src(sopc, set0), "1": src(sopc, set1)}},
		{name: "SOPK", ops: 29, fill: one(sopk, fill{hi: 12}, fill{hi: 124}), field: map[string]string{
			"s12": "D", "null": "Ds1", "hwreg(52, 8, 3)": "Hk1"}},
		{name: "SOPP", ops: 128, fill: one(sopp, fill{hi: 0x1234}, fill{}), field: map[string]string{}},
		{name: "VOP1", ops: 128, fill: one(vop1, fill{s0: v20, hi: 10}, fill{s0: s20, hi: 10}, fill{s0: 0, hi: 0}),
			field: valu,
			typed: map[string]func(fill, int, uint32) probe{"0": src(vop1, set0)}},
		{name: "VOP2", ops: 62, fill: one(vop2, fill{s0: v20}), field: valu},
		{name: "VOPC", ops: 256, fill: one(vopc, fill{s0: v20}), field: valu,
			typed: map[string]func(fill, int, uint32) probe{"0": src(vopc, set0)}},
		{name: "VOP3", ops: 1024, field: valu, typed: v3types, fill: one(vop3,
			fill{s0: v20, s1: v30, s2: v40, hi: 10}, fill{s0: v20, s1: v30, s2: s40, hi: 10},
			fill{s0: v20, s1: s30, s2: s40, hi: 10},
			fill{s0: v20, s1: v30, hi: 10}, fill{s0: v20, s1: s30, hi: 10}, fill{s0: s20, s1: s30, hi: 10},
			fill{s0: v20, hi: 10},
			fill{s0: s20, hi: 10}, fill{hi: 10}, fill{hi: 0},
			fill{s0: v20, s1: v30, hi: 126}, fill{s0: v20, s1: s30, hi: 126})},
		{name: "VOP3P", ops: 128, field: valu, fill: one(vop3p,
			fill{s0: v20, s1: v30, s2: v40, hi: 1 << 14}, fill{s0: v20, s1: v30, hi: 1 << 14},
			fill{s0: v20, s1: v30, hi: 0},
			fill{s0: v20, s1: v30, s2: v40, hi: 0}),
			typed: map[string]func(fill, int, uint32) probe{"0": src(vop3p, set0), "1": src(vop3p, set1),
				"2": src(vop3p, set2)}},
		{name: "DS", ops: 256, field: map[string]string{"v10": "D", "v20": "A", "v30": "0", "v40": "1"}, fill: one(ds,
			fill{s0: 20, s1: 30, s2: 40, hi: 10}, fill{s0: 20, s1: 30, hi: 10}, fill{s0: 20, hi: 10}, fill{hi: 10},
			fill{s0: 20, s1: 30, s2: 40}, fill{s0: 20, s1: 30}, fill{s0: 20}, fill{})},
	}
	vop2lit := func(fl fill, op int, code uint32) probe {
		return probe{uint32(op)<<25 | 10<<17 | 30<<9 | code, literal}
	}
	for i := range fs {
		if fs[i].name == "VOP2" {
			fs[i].typed = map[string]func(fill, int, uint32) probe{"0": vop2lit}
		}
	}
	mem := map[string]string{"v10": "D", "v20": "A", "v30": "0", "off": "S"}
	smem := map[string]string{"s20": "D", "s12": "A", "null": "Ms1", "20": "Nk1"}
	if gen == "gfx11" {
		sm := func(f fill, op int) probe { return probe{0x3d<<26 | uint32(op)<<18 | 20<<6 | 6, 0xf8000040} }
		fs = append(fs, format{name: "SMEM", ops: 256, field: smem, fill: one(sm, fill{})})
		for seg, name := range []string{"FLAT", "SCRATCH", "GLOBAL"} {
			flat := func(f fill, op int) probe {
				return probe{0x37<<26 | uint32(op)<<18 | uint32(seg)<<16 | f.hi<<14, 20 | 30<<8 | 0x7c<<16 | 10<<24}
			}
			fs = append(fs, format{name: name, ops: 128, field: mem, fill: one(flat, fill{}, fill{hi: 1})})
		}
		mubuf := func(f fill, op int) probe { return probe{0x38<<26 | uint32(op)<<18, 0} }
		fs = append(fs, format{name: "MUBUF", ops: 256, field: map[string]string{}, fill: one(mubuf, fill{})})
	} else {
		sm := func(f fill, op int) probe { return probe{0x3d<<26 | uint32(op)<<13 | 20<<6 | 6, 0xf8000040} }
		fs = append(fs, format{name: "SMEM", ops: 64, field: smem, fill: one(sm, fill{})})
		for seg, name := range []string{"FLAT", "SCRATCH", "GLOBAL"} {
			flat := func(f fill, op int) probe {
				return probe{0xec<<24 | uint32(seg)<<24 | uint32(op)<<14 | 0x7c, 10 | 30<<23 | f.hi, 20}
			}
			fs = append(fs, format{name: name, ops: 256, field: mem,
				fill: one(flat, fill{}, fill{hi: 1 << 17}, fill{hi: 1 << 20})})
		}
	}
	return fs
}
