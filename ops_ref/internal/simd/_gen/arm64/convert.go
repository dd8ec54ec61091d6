package main

// convert writes the conversions of types with blocks of 32, a float16 scale and no minimum to Q8_0.
func convert(f *file) {
	var iq4, fp4 [16]byte
	for i, v := range []int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113} {
		iq4[i] = byte(v)
	}
	for i, v := range []int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12} {
		fp4[i] = byte(v)
	}
	// Q5_0: byte i of each half takes byte i/8 of the half's bits, of which it tests bit i%8.
	var spread [2][16]byte
	var test [16]byte
	for i := range 16 {
		spread[0][i], spread[1][i], test[i] = byte(i/8), byte(2+i/8), 1<<(i%8)
	}
	for _, c := range []struct {
		name     string
		qs, size int
		codes    func(k *kernel, q [2]v, src x)
	}{
		{"Q4_0", 2, 18, func(k *kernel, q [2]v, _ x) {
			for _, r := range q {
				sub16b(k, r, r, k.bytes(8))
			}
		}},
		{"Q5_0", 6, 22, func(k *kernel, q [2]v, src x) {
			bits, mask := k.vec(), k.vec()
			ldrS(k, bits, src, 2)
			for h, r := range q {
				tbl(k, mask, bits, k.table([]string{"spreadLow", "spreadHigh"}[h], spread[h]))
				cmtst(k, mask, mask, k.table("bitTest", test)) // all ones where the bit is set
				// q - 16 without the bit: the upper nibble of the byte is all ones; with it, it is zero.
				bic(k, mask, k.bytes(0xf0), mask)
				orr(k, r, r, mask)
			}
		}},
		{"MXFP4", 1, 17, func(k *kernel, q [2]v, _ x) {
			for _, r := range q {
				tbl(k, r, k.table("fp4Table", fp4), r)
			}
		}},
		{"IQ4_NL", 2, 18, func(k *kernel, q [2]v, _ x) {
			for _, r := range q {
				tbl(k, r, k.table("iq4Table", iq4), r)
			}
		}},
	} {
		k := f.begin("convert"+c.name+"NEON", "dst, src *byte, blocks int", "is convertBlock for blocks blocks of "+c.name+", at least 1, but for the scales of MXFP4.")
		dst, src, n, d := k.load("dst"), k.load("src"), k.load("blocks"), k.gp()
		k.label("block")
		q := [2]v{k.vec(), k.vec()}
		ldrQ(k, q[0], src, c.qs)
		ushr16b(k, q[1], q[0], 4)
		and(k, q[0], q[0], k.bytes(15))
		k.ins("MOVHU (%s), %s", src, d)
		k.ins("MOVH %s, (%s)", d, dst)
		c.codes(k, q, src)
		strQ(k, q[0], dst, 2)
		strQ(k, q[1], dst, 18)
		k.ins("ADD $%d, %s, %s", c.size, src, src)
		k.ins("ADD $34, %s, %s", dst, dst)
		k.ins("SUBS $1, %s, %s", n, n)
		k.ins("BNE block")
		k.end()
	}
}

// expand writes the step from codes and scales to float32.
func expand(f *file) {
	k := f.begin("expandNEON", "dst *float32, codes *byte, subs int, steps, mins *float32", "is expand for subs sub-blocks, at least 1.")
	dst, codes, n, steps, mins := k.load("dst"), k.load("codes"), k.load("subs"), k.load("steps"), k.load("mins")
	step, least := k.vec(), k.vec()
	k.label("sub")
	ld1r(k, step, steps)
	ld1r(k, least, mins)
	y := k.vecs(4)
	ldrQ(k, y[0], codes, 0)
	uxtl2(k, y[2], y[0])
	uxtl(k, y[0], y[0])
	for i, r := range []v{y[0], y[2]} {
		uxtl2H(k, y[2*i+1], r)
		uxtlH(k, r, r)
	}
	for i, r := range y {
		scvtf(k, r, r)
		fmul(k, r, r, step)
		fadd(k, r, r, least)
		strQ(k, r, dst, 16*i)
	}
	k.ins("ADD $64, %s, %s", dst, dst)
	k.ins("ADD $16, %s, %s", codes, codes)
	k.ins("ADD $4, %s, %s", steps, steps)
	k.ins("ADD $4, %s, %s", mins, mins)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE sub")
	k.end()
}
