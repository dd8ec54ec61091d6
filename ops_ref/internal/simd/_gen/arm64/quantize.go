package main

import "math"

// scaleOf turns the bits of the largest magnitude of a block, in all lanes of m, into its scale and the factor of its
// codes: see blockScale of package simd. It overwrites m.
func scaleOf(k *kernel, m v) (d, id v) {
	const infinity, nan, tiniest = 0x7f800000, 0x7fc00000, 0x0d800000
	d, id = k.vec(), k.vec()
	ok := k.vec()
	c127 := k.dwords(math.Float32bits(127))
	fdiv(k, d, m, c127)
	fdiv(k, id, c127, m)
	cmhs(k, ok, m, k.dwords(tiniest))
	and(k, d, d, ok)
	and(k, id, id, ok)
	cmhi(k, ok, k.dwords(infinity), m) // finite
	and(k, id, id, ok)
	bif(k, d, k.dwords(nan), ok)
	k.free(ok)
	return d, id
}

// magnitude returns the bits of the largest magnitude of 4*n elements at p, n even, in all lanes.
func magnitude(k *kernel, p x, n int) v {
	m := k.vecs(2)
	for i := 0; i < n; i += 2 {
		for j, r := range k.loads(p, 16*i, 2) {
			if i == 0 {
				fabs(k, m[j], r)
			} else {
				fabs(k, r, r)
				umax(k, m[j], m[j], r)
			}
			k.free(r)
		}
	}
	umax(k, m[0], m[0], m[1])
	umaxv(k, m[0], m[0])
	dup(k, m[0], m[0], 0)
	k.free(m[1])
	return m[0]
}

// codes16 returns 16 elements at p+disp times id as bytes. A factor of zero gives zero for every element, as NaN
// becomes zero too.
func codes16(k *kernel, p x, disp int, id v) v {
	q := k.loads(p, disp, 4)
	for _, r := range q {
		fmul(k, r, r, id)
		fcvtns(k, r, r)
	}
	uzp1h(k, q[0], q[0], q[1])
	uzp1h(k, q[2], q[2], q[3])
	uzp1b(k, q[0], q[0], q[2])
	k.free(q[1:]...)
	return q[0]
}

func quantizeK(f *file) {
	k := f.begin("quantizeKNEON", "dst *byte, x *float32, blocks int", "is quantizeKBlock for blocks blocks, at least 1.")
	dst, src, n := k.load("dst"), k.load("x"), k.load("blocks")
	k.label("block")
	m := magnitude(k, src, 64)
	d, id := scaleOf(k, m)
	strS(k, d, dst, superD)
	k.free(m, d)
	for s := range 8 {
		var sums [2]v
		for h := range sums {
			q := codes16(k, src, 128*s+64*h, id)
			strQ(k, q, dst, 32*s+16*h)
			sums[h] = k.vec()
			saddlv(k, sums[h], q)
			strH(k, sums[h], dst, superSums16+4*s+2*h)
			k.free(q)
		}
		add8h(k, sums[0], sums[0], sums[1])
		strH(k, sums[0], dst, superSums32+2*s)
		k.free(sums[:]...)
	}
	k.ins("ADD $1024, %s, %s", src, src)
	k.ins("ADD $%d, %s, %s", superSize, dst, dst)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE block")
	k.end()
}

func quantize32(f *file) {
	k := f.begin("quantize32NEON", "dst *byte, x *float32, groups int", "is quantize32Block for groups groups of four blocks, at least 1.")
	dst, src, n := k.load("dst"), k.load("x"), k.load("groups")
	k.label("group")
	for b := range 4 {
		m := magnitude(k, src, 8)
		d, id := scaleOf(k, m)
		strS(k, d, dst, groupD+4*b)
		k.free(m, d)
		var sums [2]v
		for h := range sums {
			q := codes16(k, src, 64*h, id)
			strQ(k, q, dst, 32*b+16*h)
			sums[h] = k.vec()
			saddlv(k, sums[h], q)
			k.free(q)
		}
		add8h(k, sums[0], sums[0], sums[1])
		sxtlH(k, sums[0], sums[0])
		strS(k, sums[0], dst, groupSums+4*b)
		k.free(sums[:]...)
		k.free(id)
		k.ins("ADD $128, %s, %s", src, src)
	}
	k.ins("ADD $%d, %s, %s", groupSize, dst, dst)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE group")
	k.end()
}
