package main

import "fmt"

// The instructions that kernels use, with operands in Arm's order: the destination first. Encodings are those of the
// Arm Architecture Reference Manual (A64, chapter C7); TestEncodings compares them with an assembler's.

// three returns an instruction of three vectors of the same arrangement.
func three(name string, code uint32, arrangement string) func(k *kernel, d, n, m v) {
	return func(k *kernel, d, n, m v) {
		k.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, arrangement, n, arrangement, m, arrangement)
	}
}

var (
	fadd   = three("fadd", 0x4e20d400, "4s")
	fsub   = three("fsub", 0x4ea0d400, "4s")
	fmul   = three("fmul", 0x6e20dc00, "4s")
	fdiv   = three("fdiv", 0x6e20fc00, "4s")
	fmla   = three("fmla", 0x4e20cc00, "4s") // d += n*m with one rounding
	fmls   = three("fmls", 0x4ea0cc00, "4s") // d -= n*m with one rounding
	fmlaD  = three("fmla", 0x4e60cc00, "2d")
	faddp  = three("faddp", 0x6e20d400, "4s") // sums of neighbours: n's, then m's
	fcmgt  = three("fcmgt", 0x6ea0e400, "4s")
	fcmge  = three("fcmge", 0x6e20e400, "4s")
	and    = three("and", 0x4e201c00, "16b")
	orr    = three("orr", 0x4ea01c00, "16b")
	bic    = three("bic", 0x4e601c00, "16b") // n and not m
	bsl    = three("bsl", 0x6e601c00, "16b") // d = n where d has ones, else m
	bit    = three("bit", 0x6ea01c00, "16b") // d = n where m has ones
	bif    = three("bif", 0x6ee01c00, "16b") // d = n where m has zeros
	add4s  = three("add", 0x4ea08400, "4s")
	add8h  = three("add", 0x4e608400, "8h")
	sub4s  = three("sub", 0x6ea08400, "4s")
	sub16b = three("sub", 0x6e208400, "16b")
	addp   = three("addp", 0x4ea0bc00, "4s")
	mla    = three("mla", 0x4ea09400, "4s")
	umax   = three("umax", 0x6ea06400, "4s")
	cmhs   = three("cmhs", 0x6ea03c00, "4s") // unsigned n >= m
	cmhi   = three("cmhi", 0x6ea03400, "4s") // unsigned n > m
	cmtst  = three("cmtst", 0x4e208c00, "16b")
	uzp1h  = three("uzp1", 0x4e401800, "8h")
	uzp1b  = three("uzp1", 0x4e001800, "16b")
	zip1s  = three("zip1", 0x4e803800, "4s")
	zip1d  = three("zip1", 0x4ec03800, "2d")
	zip2d  = three("zip2", 0x4ec07800, "2d")
	trn1   = three("trn1", 0x4e802800, "4s")
	trn2   = three("trn2", 0x4e806800, "4s")
)

// mixed returns an instruction of three vectors of which the sources have another arrangement.
func mixed(name string, code uint32, to, from string) func(k *kernel, d, n, m v) {
	return func(k *kernel, d, n, m v) {
		k.word(code|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s, v%d.%s", name, d, to, n, from, m, from)
	}
}

var (
	sdot    = mixed("sdot", 0x4e809400, "4s", "16b") // needs the extension for dot products
	smull   = mixed("smull", 0x0e20c000, "8h", "8b")
	smlal2  = mixed("smlal2", 0x4e208000, "8h", "16b")
	smullH  = mixed("smull", 0x0e60c000, "4s", "4h")
	smlalH  = mixed("smlal", 0x0e608000, "4s", "4h")
	smlal2H = mixed("smlal2", 0x4e608000, "4s", "8h")
)

// two returns an instruction of two vectors.
func two(name string, code uint32, to, from string) func(k *kernel, d, n v) {
	return func(k *kernel, d, n v) {
		k.word(code|uint32(n)<<5|uint32(d), "%s v%d.%s, v%d.%s", name, d, to, n, from)
	}
}

var (
	scvtf   = two("scvtf", 0x4e21d800, "4s", "4s")
	fcvtns  = two("fcvtns", 0x4e21a800, "4s", "4s") // to nearest even; NaN becomes 0
	frintn  = two("frintn", 0x4e218800, "4s", "4s")
	fneg    = two("fneg", 0x6ea0f800, "4s", "4s")
	fabs    = two("fabs", 0x4ea0f800, "4s", "4s")
	neg     = two("neg", 0x6ea0b800, "4s", "4s")
	fcvtl   = two("fcvtl", 0x0e217800, "4s", "4h")
	fcvtl2  = two("fcvtl2", 0x4e217800, "4s", "8h")
	fcvtlD  = two("fcvtl", 0x0e617800, "2d", "2s")
	fcvtl2D = two("fcvtl2", 0x4e617800, "2d", "4s")
	fcvtn   = two("fcvtn", 0x0e216800, "4h", "4s")
	fcvtn2  = two("fcvtn2", 0x4e216800, "8h", "4s")
	sxtl    = two("sxtl", 0x0f08a400, "8h", "8b")
	sxtlH   = two("sxtl", 0x0f10a400, "4s", "4h")
	sxtl2H  = two("sxtl2", 0x4f10a400, "4s", "8h")
	uxtl    = two("uxtl", 0x2f08a400, "8h", "8b")
	uxtl2   = two("uxtl2", 0x6f08a400, "8h", "16b")
	uxtlH   = two("uxtl", 0x2f10a400, "4s", "4h")
	uxtl2H  = two("uxtl2", 0x6f10a400, "4s", "8h")
	saddlpH = two("saddlp", 0x4e602800, "4s", "8h")
	sadalp  = two("sadalp", 0x4e606800, "4s", "8h")
	xtn     = two("xtn", 0x0e612800, "4h", "4s")
)

// shll16 and shll16hi move halves to the upper halves of dwords.
func shll16(k *kernel, d, n v) {
	k.word(0x2e613800|uint32(n)<<5|uint32(d), "shll v%d.4s, v%d.4h, #16", d, n)
}

func shll16hi(k *kernel, d, n v) {
	k.word(0x6e613800|uint32(n)<<5|uint32(d), "shll2 v%d.4s, v%d.8h, #16", d, n)
}

// mov copies a vector.
func mov(k *kernel, d, n v) {
	k.word(0x4ea01c00|uint32(n)<<16|uint32(n)<<5|uint32(d), "mov v%d.16b, v%d.16b", d, n)
}

func zero(k *kernel, d v) { k.word(0x4f00e400|uint32(d), "movi v%d.16b, #0", d) }

// Shifts by a constant.
func ushr16b(k *kernel, d, n v, by int) {
	k.word(0x6f000400|uint32(16-by)<<16|uint32(n)<<5|uint32(d), "ushr v%d.16b, v%d.16b, #%d", d, n, by)
}

func sshr4s(k *kernel, d, n v, by int) {
	k.word(0x4f000400|uint32(64-by)<<16|uint32(n)<<5|uint32(d), "sshr v%d.4s, v%d.4s, #%d", d, n, by)
}

func shl4s(k *kernel, d, n v, by int) {
	k.word(0x4f005400|uint32(32+by)<<16|uint32(n)<<5|uint32(d), "shl v%d.4s, v%d.4s, #%d", d, n, by)
}

// sli16b inserts n, shifted left, above the low bits of d.
func sli16b(k *kernel, d, n v, by int) {
	k.word(0x6f005400|uint32(8+by)<<16|uint32(n)<<5|uint32(d), "sli v%d.16b, v%d.16b, #%d", d, n, by)
}

// byElement returns an instruction of two vectors and element i of a third.
func byElement(name string, code uint32) func(k *kernel, d, n, m v, i int) {
	return func(k *kernel, d, n, m v, i int) {
		k.word(code|uint32(i&1)<<21|uint32(i>>1)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d), "%s v%d.4s, v%d.4s, v%d.s[%d]", name, d, n, m, i)
	}
}

var (
	mlaElement  = byElement("mla", 0x6f800000)
	fmulElement = byElement("fmul", 0x4f809000)
	fmlaElement = byElement("fmla", 0x4f801000)
)

// sdotElement is sdot with the four bytes of dword i of m.
func sdotElement(k *kernel, d, n, m v, i int) {
	k.word(0x4f80e000|uint32(i&1)<<21|uint32(i>>1)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d), "sdot v%d.4s, v%d.16b, v%d.4b[%d]", d, n, m, i)
}

// smlalElement and smlal2Element multiply the lower and the upper halves of n with half i of m, one of the first 16.
func smlalElement(k *kernel, d, n, m v, i int) {
	k.word(0x0f402000|elementH(k, m, i)|uint32(n)<<5|uint32(d), "smlal v%d.4s, v%d.4h, v%d.h[%d]", d, n, m, i)
}

func smlal2Element(k *kernel, d, n, m v, i int) {
	k.word(0x4f402000|elementH(k, m, i)|uint32(n)<<5|uint32(d), "smlal2 v%d.4s, v%d.8h, v%d.h[%d]", d, n, m, i)
}

func elementH(k *kernel, m v, i int) uint32 {
	if m > 15 {
		panic(k.name + ": element of a high vector")
	}
	return uint32(i>>2)<<11 | uint32(i>>1&1)<<21 | uint32(i&1)<<20 | uint32(m)<<16
}

// insH sets half i of d to the first of n.
func insH(k *kernel, d v, i int, n v) {
	k.word(0x6e000400|uint32(4*i+2)<<16|uint32(n)<<5|uint32(d), "mov v%d.h[%d], v%d.h[0]", d, i, n)
}

// insS sets dword i of d to the first of n.
func insS(k *kernel, d v, i int, n v) {
	k.word(0x6e000400|uint32(8*i+4)<<16|uint32(n)<<5|uint32(d), "mov v%d.s[%d], v%d.s[0]", d, i, n)
}

// dup fills d with dword i of n.
func dup(k *kernel, d, n v, i int) {
	k.word(0x4e040400|uint32(i)<<19|uint32(n)<<5|uint32(d), "dup v%d.4s, v%d.s[%d]", d, n, i)
}

// fmovD sets the lower half of d to r, and clears the upper.
func fmovD(k *kernel, d v, r x) {
	k.word(0x9e670000|r.number()<<5|uint32(d), "fmov d%d, x%d", d, r.number())
}

// dupR fills d with the dword r.
func dupR(k *kernel, d v, r x) {
	k.word(0x4e040c00|r.number()<<5|uint32(d), "dup v%d.4s, w%d", d, r.number())
}

// Reductions over a vector.
func umaxv(k *kernel, d, n v) {
	k.word(0x6eb0a800|uint32(n)<<5|uint32(d), "umaxv s%d, v%d.4s", d, n)
}

func saddlv(k *kernel, d, n v) {
	k.word(0x4e303800|uint32(n)<<5|uint32(d), "saddlv h%d, v%d.16b", d, n)
}

// tbl looks up the bytes of m in the table n.
func tbl(k *kernel, d, n, m v) {
	k.word(0x4e000000|uint32(m)<<16|uint32(n)<<5|uint32(d), "tbl v%d.16b, { v%d.16b }, v%d.16b", d, n, m)
}

// memory returns a load or store of size bytes at p+disp: scaled offsets if there is one, else unscaled.
func memory(name, reg string, size int, scaled, unscaled uint32) func(k *kernel, r v, p x, disp int) {
	return func(k *kernel, r v, p x, disp int) {
		at := fmt.Sprintf("[x%d, #%d]", p.number(), disp)
		if disp == 0 {
			at = fmt.Sprintf("[x%d]", p.number())
		}
		if disp >= 0 && disp%size == 0 && disp/size < 4096 {
			k.word(scaled|uint32(disp/size)<<10|p.number()<<5|uint32(r), "%sr %s%d, %s", name, reg, r, at)
			return
		}
		if disp < -256 || disp > 255 {
			panic(fmt.Sprintf("%s: offset %d", k.name, disp))
		}
		k.word(unscaled|uint32(disp)&0x1ff<<12|p.number()<<5|uint32(r), "%sur %s%d, %s", name, reg, r, at)
	}
}

var (
	ldrQ = memory("ld", "q", 16, 0x3dc00000, 0x3cc00000)
	ldrD = memory("ld", "d", 8, 0xfd400000, 0xfc400000)
	ldrS = memory("ld", "s", 4, 0xbd400000, 0xbc400000)
	ldrH = memory("ld", "h", 2, 0x7d400000, 0x7c400000)
	strQ = memory("st", "q", 16, 0x3d800000, 0x3c800000)
	strD = memory("st", "d", 8, 0xfd000000, 0xfc000000)
	strS = memory("st", "s", 4, 0xbd000000, 0xbc000000)
	strH = memory("st", "h", 2, 0x7d000000, 0x7c000000)
)

// ld1r fills d with the dword at p.
func ld1r(k *kernel, d v, p x) {
	k.word(0x4d40c800|p.number()<<5|uint32(d), "ld1r { v%d.4s }, [x%d]", d, p.number())
}

// ldrQX and strQX load and store 16 bytes at p+i.
func ldrQX(k *kernel, d v, p, i x) {
	k.word(0x3ce06800|i.number()<<16|p.number()<<5|uint32(d), "ldr q%d, [x%d, x%d]", d, p.number(), i.number())
}

func strQX(k *kernel, d v, p, i x) {
	k.word(0x3ca06800|i.number()<<16|p.number()<<5|uint32(d), "str q%d, [x%d, x%d]", d, p.number(), i.number())
}
