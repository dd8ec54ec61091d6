package main

import (
	"fmt"
	"math"
	"strings"

	asm "github.com/mmcloughlin/avo/build"
	op "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// eight returns the memory of eight copies of a float32.
func eight(v float32) op.Mem {
	bits := math.Float32bits(v)
	name := fmt.Sprintf("f%08x", bits)
	if !eights[name] {
		eights[name] = true
		dwords(name, []uint32{bits, bits, bits, bits, bits, bits, bits, bits})
	}
	return sym(name, 0)
}

var eights = map[string]bool{}

// ymm is a vector that a body has made.
type ymm = reg.VecVirtual

// bin returns a f b; only b may be memory.
func bin(f func(...op.Op), a, b op.Op) ymm {
	z := asm.YMM()
	f(b, a, z)
	return z
}

func add(a, b op.Op) ymm { return bin(asm.VADDPS, a, b) }
func mul(a, b op.Op) ymm { return bin(asm.VMULPS, a, b) }
func sub(a, b op.Op) ymm { return bin(asm.VSUBPS, a, b) }
func div(a, b op.Op) ymm { return bin(asm.VDIVPS, a, b) }

func load(m op.Mem) ymm {
	z := asm.YMM()
	asm.VMOVUPS(m, z)
	return z
}

// fma returns x*y + z; y may be memory. It overwrites x if it can: x must not be used again.
func fma(x ymm, y op.Op, z ymm) ymm {
	r := asm.YMM()
	asm.VMOVAPS(z, r)
	asm.VFMADD231PS(y, x, r)
	return r
}

// horner returns x*acc + c, overwriting acc.
func horner(acc, x ymm, c float32) ymm {
	asm.VFMADD213PS(eight(c), x, acc)
	return acc
}

// exp is exp32 of package simd.
func exp(x ymm) ymm {
	over, under, t := asm.YMM(), asm.YMM(), asm.YMM()
	asm.VCMPPS(op.Imm(30), eight(expHigh), x, over)  // x > high
	asm.VCMPPS(op.Imm(17), eight(expLow), x, under)  // x < low
	asm.VROUNDPS(op.Imm(8), mul(x, eight(log2E)), t) // to nearest even
	r := asm.YMM()
	asm.VMOVAPS(x, r)
	asm.VFNMADD231PS(eight(ln2High), t, r)
	asm.VFNMADD231PS(eight(ln2Low), t, r)
	p := load(eight(expPoly[0]))
	for _, c := range expPoly[1:] {
		p = horner(p, r, c)
	}
	asm.VFMADD213PS(r, mul(r, r), p) // p*r² + r
	p = add(p, eight(1))
	n, half := asm.YMM(), asm.YMM()
	asm.VCVTPS2DQ(t, n)
	asm.VPSRAD(op.Imm(1), n, half)
	asm.VPSUBD(half, n, n)
	for _, e := range []ymm{half, n} {
		asm.VPSLLD(op.Imm(23), e, e)
		asm.VPADDD(eight(1), e, e) // the bits of 2^e
		p = mul(p, e)
	}
	asm.VANDNPS(p, under, p)
	asm.VBLENDVPS(over, eight(float32(math.Inf(1))), p, p)
	return p
}

// sigmoid is 1/(1+exp(-x)), silu x/(1+exp(-x)).
func sigmoid(x ymm) ymm { return div(load(eight(1)), add(exp(neg(x)), eight(1))) }
func silu(x ymm) ymm    { return div(x, add(exp(neg(x)), eight(1))) }

func neg(x ymm) ymm {
	z := asm.YMM()
	asm.VXORPS(eight(float32(math.Copysign(0, -1))), x, z)
	return z
}

// gelu is gelu32 of package simd: x/(1+exp(-2z)), z = sqrt(2/π)(x + 0.044715x³).
func gelu(x ymm) ymm {
	u := mul(x, x)
	u = mul(u, eight(geluCubic))
	u = add(u, eight(geluLinear))
	return div(x, add(exp(mul(u, x)), eight(1)))
}

// tanh is tanh32 of package simd.
func tanh(x ymm) ymm {
	a := asm.YMM()
	asm.VANDPS(eight(math.Float32frombits(0x7fffffff)), x, a)
	large := asm.YMM()
	asm.VCMPPS(op.Imm(29), eight(tanhSplit), a, large) // a >= split
	// 1 - 2/(1+exp(2a)), with x's sign
	e := exp(add(a, a))
	e = div(load(eight(2)), add(e, eight(1)))
	e = sub(load(eight(1)), e)
	sign := asm.YMM()
	asm.VANDPS(eight(float32(math.Copysign(0, -1))), x, sign)
	asm.VORPS(sign, e, e)
	// x + x³·p(x²)
	s := mul(x, x)
	p := load(eight(tanhPoly[0]))
	for _, c := range tanhPoly[1:] {
		p = horner(p, s, c)
	}
	p = mul(p, s)
	asm.VFMADD213PS(x, x, p)
	asm.VBLENDVPS(large, e, p, p)
	return p
}

// The constants of package simd's math.go.
const (
	expHigh    = 88.72283
	expLow     = -87.33654
	log2E      = 1.44269504088896341
	ln2High    = 0.693359375
	ln2Low     = -2.12194440e-4
	geluCubic  = -2 * 0.79788456080286535588 * 0.044715
	geluLinear = -2 * 0.79788456080286535588
	tanhSplit  = 0.625
)

var (
	expPoly  = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}
	tanhPoly = []float32{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}
)

// vector writes a loop over n > 0 elements: dst[i] = body(sources[i]).
func vector(name, doc string, sources, params []string, body func(x []ymm, p []ymm) ymm) {
	sig := "func(dst, " + strings.Join(sources, ", ") + " *float32, n int"
	for _, p := range params {
		sig += ", " + p + " float32"
	}
	begin(name, sig+")", doc)
	dst, n := gp("dst"), gp("n")
	var ps []reg.GPVirtual
	for _, s := range sources {
		ps = append(ps, gp(s))
	}
	var consts []ymm
	for _, p := range params {
		y := asm.YMM()
		addr, err := asm.Param(p).Resolve()
		if err != nil {
			panic(err)
		}
		asm.VBROADCASTSS(addr.Addr, y)
		consts = append(consts, y)
	}
	asm.SUBQ(op.Imm(8), n)
	asm.JLT(op.LabelRef("tail"))
	asm.Label("step")
	var x []ymm
	for _, p := range ps {
		x = append(x, load(at(p, 0)))
		asm.ADDQ(op.Imm(32), p)
	}
	asm.VMOVUPS(body(x, consts), at(dst, 0))
	asm.ADDQ(op.Imm(32), dst)
	asm.SUBQ(op.Imm(8), n)
	asm.JGE(op.LabelRef("step"))
	asm.Label("tail")
	asm.ADDQ(op.Imm(8), n)
	asm.JZ(op.LabelRef("done"))
	mask := tail(n)
	x = nil
	for _, p := range ps {
		y := asm.YMM()
		asm.VMASKMOVPS(at(p, 0), mask, y)
		x = append(x, y)
	}
	asm.VMASKMOVPS(body(x, consts), mask, at(dst, 0))
	asm.Label("done")
	end()
}

// tail returns a mask whose first n < 8 dwords are set.
func tail(n reg.GPVirtual) ymm {
	m, t, y := asm.GP64(), asm.GP64(), asm.YMM()
	asm.LEAQ(sym("tailMask", 64), m)
	asm.MOVQ(n, t)
	asm.SHLQ(op.Imm(2), t)
	asm.SUBQ(t, m)
	asm.VMOVDQU(at(m, 0), y)
	return y
}

func vectors() {
	one := func(f func(ymm) ymm) func(x, p []ymm) ymm { return func(x, _ []ymm) ymm { return f(x[0]) } }
	x, xy := []string{"x"}, []string{"x", "y"}
	vector("sigmoidAVX2", "is Sigmoid.", x, nil, one(sigmoid))
	vector("siluAVX2", "is SiLU.", x, nil, one(silu))
	vector("geluAVX2", "is GELU.", x, nil, one(gelu))
	vector("softcapAVX2", "is Softcap.", x, []string{"cap"}, func(x, p []ymm) ymm { return mul(tanh(div(x[0], p[0])), p[0]) })
	vector("swigluAVX2", "is SwiGLU.", xy, nil, func(x, _ []ymm) ymm { return mul(silu(x[0]), x[1]) })
	vector("gegluAVX2", "is GeGLU.", xy, nil, func(x, _ []ymm) ymm { return mul(gelu(x[0]), x[1]) })
	vector("swigluClampedAVX2", "is SwiGLUClamped.", xy, []string{"alpha", "limit"}, func(x, p []ymm) ymm {
		// The second source of MIN and MAX is the result if either is NaN.
		g := bin(asm.VMINPS, p[1], x[0])
		u := bin(asm.VMINPS, p[1], x[1])
		u = bin(asm.VMAXPS, neg(p[1]), u)
		return mul(div(g, add(exp(neg(mul(g, p[0]))), eight(1))), add(u, eight(1)))
	})
	vector("addAVX2", "is Add.", xy, nil, func(x, _ []ymm) ymm { return add(x[0], x[1]) })
	vector("mulAVX2", "is Mul.", xy, nil, func(x, _ []ymm) ymm { return mul(x[0], x[1]) })
	vector("scaleAVX2", "is Scale.", x, []string{"by"}, func(x, p []ymm) ymm { return mul(x[0], p[0]) })
	vector("scaleMulAVX2", "is ScaleMul.", xy, []string{"by"}, func(x, p []ymm) ymm { return mul(mul(x[0], p[0]), x[1]) })
	vector("mulAddAVX2", "is MulAdd.", []string{"x", "y", "z"}, nil, func(x, _ []ymm) ymm { return fma(x[0], x[1], x[2]) })
	vector("addScaledAVX2", "is AddScaled.", xy, []string{"by"}, func(x, p []ymm) ymm { return fma(x[1], p[0], x[0]) })
	sumSquares()
	softmaxParts()
	rotate()
	narrow()
}

// sumSquares writes the sum of squares in float64.
func sumSquares() {
	begin("sumSquaresAVX2", "func(x *float32, eights int, sums *float64)", "adds the squares of element i of 8*eights, at least 8, to sums[i%8].")
	x, n, sums := gp("x"), gp("eights"), gp("sums")
	s := [2]ymm{asm.YMM(), asm.YMM()}
	asm.VMOVUPD(at(sums, 0), s[0])
	asm.VMOVUPD(at(sums, 32), s[1])
	asm.Label("step")
	for h := range 2 {
		d := asm.YMM()
		asm.VCVTPS2PD(at(x, 16*h), d)
		asm.VFMADD231PD(d, d, s[h]) // the product is exact
	}
	asm.ADDQ(op.Imm(32), x)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.VMOVUPD(s[0], at(sums, 0))
	asm.VMOVUPD(s[1], at(sums, 32))
	end()
}

// softmaxParts writes the maximum, and the exponentials with their sum, of rows of scores.
func softmaxParts() {
	begin("maxAVX2", "func(x *float32, eights int, lanes *float32)", "sets lanes[j] to the largest of lanes[j] and elements i of 8*eights, at least 8, with i%8 = j.")
	x, n, lanes := gp("x"), gp("eights"), gp("lanes")
	m := load(at(lanes, 0))
	asm.Label("step")
	asm.VMAXPS(at(x, 0), m, m)
	asm.ADDQ(op.Imm(32), x)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.VMOVUPS(m, at(lanes, 0))
	end()

	begin("expSumAVX2", "func(x *float32, eights int, max float32, lanes *float32)",
		"replaces elements i of 8*eights, at least 8, by exp32(x[i]-max), and adds them to lanes[i%8].")
	x, n, lanes = gp("x"), gp("eights"), gp("lanes")
	top := asm.YMM()
	addr, err := asm.Param("max").Resolve()
	if err != nil {
		panic(err)
	}
	asm.VBROADCASTSS(addr.Addr, top)
	sum := load(at(lanes, 0))
	asm.Label("step")
	e := exp(sub(load(at(x, 0)), top))
	asm.VMOVUPS(e, at(x, 0))
	asm.VADDPS(e, sum, sum)
	asm.ADDQ(op.Imm(32), x)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	asm.VMOVUPS(sum, at(lanes, 0))
	end()
}

// rotate writes the rotation of pairs half a head apart.
func rotate() {
	begin("rotateAVX2", "func(dst, x, cos, sin *float32, half, eights int)",
		"rotates pairs (i, i+half) for i below 8*eights, at least 8.")
	dst, x, cos, sin, half, n := gp("dst"), gp("x"), gp("cos"), gp("sin"), gp("half"), gp("eights")
	asm.SHLQ(op.Imm(2), half)
	asm.Label("step")
	a, b := load(at(x, 0)), load(op.Mem{Base: x, Index: half, Scale: 1})
	c, s := load(at(cos, 0)), load(at(sin, 0))
	asm.VMOVUPS(sub(mul(a, c), mul(b, s)), at(dst, 0))
	asm.VMOVUPS(add(mul(a, s), mul(b, c)), op.Mem{Base: dst, Index: half, Scale: 1})
	for _, p := range []reg.GPVirtual{dst, x, cos, sin} {
		asm.ADDQ(op.Imm(32), p)
	}
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	end()
}

// narrow writes the conversion to float16.
func narrow() {
	begin("narrowF16AVX2", "func(dst *byte, src *float32, eights int)", "converts 8*eights elements, at least 8, to float16, rounding to nearest even.")
	dst, src, n := gp("dst"), gp("src"), gp("eights")
	asm.Label("step")
	y, h := load(at(src, 0)), asm.XMM()
	asm.VCVTPS2PH(op.Imm(0), y, h)
	asm.VMOVDQU(h, at(dst, 0))
	asm.ADDQ(op.Imm(32), src)
	asm.ADDQ(op.Imm(16), dst)
	asm.DECQ(n)
	asm.JNZ(op.LabelRef("step"))
	end()
}
