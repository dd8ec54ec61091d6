package main

import (
	"math"
	"strings"
)

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

// float returns a vector of four copies of c, throughout the kernel.
func (k *kernel) float(c float32) v { return k.dwords(math.Float32bits(c)) }

// The functions below return a new vector and leave their operands alone.

func (k *kernel) op(f func(k *kernel, d, n, m v), a, b v) v {
	d := k.vec()
	f(k, d, a, b)
	return d
}

// horner returns the polynomial c of x, the highest coefficient first.
func (k *kernel) horner(c []float32, x v) v {
	acc := k.vec()
	mov(k, acc, k.float(c[0]))
	for _, c := range c[1:] {
		next := k.vec()
		mov(k, next, k.float(c))
		fmla(k, next, acc, x)
		k.free(acc)
		acc = next
	}
	return acc
}

// exp is exp32 of package simd.
func (k *kernel) exp(x v) v {
	over, under := k.op(fcmgt, x, k.float(expHigh)), k.op(fcmgt, k.float(expLow), x)
	t := k.op(fmul, x, k.float(log2E))
	frintn(k, t, t)
	r := k.vec()
	mov(k, r, x)
	fmls(k, r, t, k.float(ln2High))
	fmls(k, r, t, k.float(ln2Low))
	p := k.horner(expPoly, r)
	square := k.op(fmul, r, r)
	fmla(k, r, p, square)
	fadd(k, p, r, k.float(1))
	k.free(r, square)
	half := k.vec()
	fcvtns(k, t, t)
	sshr4s(k, half, t, 1)
	sub4s(k, t, t, half)
	for _, e := range []v{half, t} {
		shl4s(k, e, e, 23)
		add4s(k, e, e, k.float(1)) // the bits of 2^e
		fmul(k, p, p, e)
	}
	bic(k, p, p, under)
	bit(k, p, k.float(float32(math.Inf(1))), over)
	k.free(over, under, half, t)
	return p
}

// overOnePlusExp returns n/(1+exp(x)), and frees x.
func (k *kernel) overOnePlusExp(n, x v) v {
	e := k.exp(x)
	fadd(k, e, e, k.float(1))
	fdiv(k, e, n, e)
	k.free(x)
	return e
}

func (k *kernel) neg(x v) v {
	z := k.vec()
	fneg(k, z, x)
	return z
}

// sigmoid is 1/(1+exp(-x)), silu x/(1+exp(-x)).
func (k *kernel) sigmoid(x v) v { return k.overOnePlusExp(k.float(1), k.neg(x)) }
func (k *kernel) silu(x v) v    { return k.overOnePlusExp(x, k.neg(x)) }

// gelu is gelu32 of package simd: x/(1+exp(-2z)), z = sqrt(2/π)(x + 0.044715x³).
func (k *kernel) gelu(x v) v {
	u := k.op(fmul, x, x)
	fmul(k, u, u, k.float(geluCubic))
	fadd(k, u, u, k.float(geluLinear))
	fmul(k, u, u, x)
	return k.overOnePlusExp(x, u)
}

// tanh is tanh32 of package simd.
func (k *kernel) tanh(x v) v {
	// 1 - 2/(1+exp(2a)), with x's sign
	a := k.vec()
	fabs(k, a, x)
	e := k.overOnePlusExp(k.float(2), k.op(fadd, a, a))
	fsub(k, e, k.float(1), e)
	bit(k, e, x, k.dwords(1<<31))
	large := k.op(fcmge, a, k.float(tanhSplit))
	// x + x³·p(x²)
	fmul(k, a, x, x)
	p := k.horner(tanhPoly, a)
	fmul(k, p, p, a)
	mov(k, a, x)
	fmla(k, a, x, p)
	bsl(k, large, e, a)
	k.free(a, e, p)
	return large
}

// min and max are min32 and max32 of package simd: y if either is NaN.
func (k *kernel) min(x, y v) v { return k.choose(y, x, x, y) }
func (k *kernel) max(x, y v) v { return k.choose(x, y, x, y) }

// choose returns x where a > b, else y.
func (k *kernel) choose(a, b, x, y v) v {
	d := k.op(fcmgt, a, b)
	bsl(k, d, x, y)
	return d
}

// vector writes a loop over n > 0 elements: dst[i] = body(sources[i]).
func vector(f *file, name, doc string, sources, params []string, body func(k *kernel, x, p []v) v) {
	sig := "dst, " + strings.Join(sources, ", ") + " *float32, n int"
	for _, p := range params {
		sig += ", " + p + " float32"
	}
	k := f.begin(name+"NEON", sig, doc)
	dst, n := k.load("dst"), k.load("n")
	var ps []x
	for _, s := range sources {
		ps = append(ps, k.load(s))
	}
	var consts []v
	for _, p := range params {
		consts = append(consts, k.broadcast(p))
	}
	// Four elements at a time, and what is left one by one, in lane 0.
	step := func(load, store func(k *kernel, r v, p x, disp int), size int) {
		var xs []v
		for _, p := range ps {
			r := k.vec()
			load(k, r, p, 0)
			k.ins("ADD $%d, %s, %s", size, p, p)
			xs = append(xs, r)
		}
		y := body(k, xs, consts)
		store(k, y, dst, 0)
		k.ins("ADD $%d, %s, %s", size, dst, dst)
		k.used = [32]bool{}
	}
	k.ins("SUBS $4, %s, %s", n, n)
	k.ins("BLT tail")
	k.label("step")
	step(ldrQ, strQ, 16)
	k.ins("SUBS $4, %s, %s", n, n)
	k.ins("BGE step")
	k.label("tail")
	k.ins("ADDS $4, %s, %s", n, n)
	k.ins("BEQ done")
	k.label("one")
	step(ldrS, strS, 4)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE one")
	k.label("done")
	k.end()
}

func vectors(f *file) {
	one := func(g func(k *kernel, x v) v) func(*kernel, []v, []v) v {
		return func(k *kernel, x, _ []v) v { return g(k, x[0]) }
	}
	x, xy := []string{"x"}, []string{"x", "y"}
	vector(f, "sigmoid", "is Sigmoid.", x, nil, one((*kernel).sigmoid))
	vector(f, "silu", "is SiLU.", x, nil, one((*kernel).silu))
	vector(f, "gelu", "is GELU.", x, nil, one((*kernel).gelu))
	vector(f, "softcap", "is Softcap.", x, []string{"cap"}, func(k *kernel, x, p []v) v {
		return k.op(fmul, k.tanh(k.op(fdiv, x[0], p[0])), p[0])
	})
	vector(f, "swiglu", "is SwiGLU.", xy, nil, func(k *kernel, x, _ []v) v { return k.op(fmul, k.silu(x[0]), x[1]) })
	vector(f, "geglu", "is GeGLU.", xy, nil, func(k *kernel, x, _ []v) v { return k.op(fmul, k.gelu(x[0]), x[1]) })
	vector(f, "swigluClamped", "is SwiGLUClamped.", xy, []string{"alpha", "limit"}, func(k *kernel, x, p []v) v {
		g, u := k.min(p[1], x[0]), k.min(p[1], x[1])
		u = k.max(k.neg(p[1]), u)
		y := k.op(fmul, g, p[0])
		fneg(k, y, y)
		y = k.overOnePlusExp(g, y)
		return k.op(fmul, y, k.op(fadd, u, k.float(1)))
	})
	vector(f, "add", "is Add.", xy, nil, func(k *kernel, x, _ []v) v { return k.op(fadd, x[0], x[1]) })
	vector(f, "mul", "is Mul.", xy, nil, func(k *kernel, x, _ []v) v { return k.op(fmul, x[0], x[1]) })
	vector(f, "scale", "is Scale.", x, []string{"by"}, func(k *kernel, x, p []v) v { return k.op(fmul, x[0], p[0]) })
	vector(f, "scaleMul", "is ScaleMul.", xy, []string{"by"}, func(k *kernel, x, p []v) v {
		return k.op(fmul, k.op(fmul, x[0], p[0]), x[1])
	})
	vector(f, "mulAdd", "is MulAdd.", []string{"x", "y", "z"}, nil, func(k *kernel, x, _ []v) v {
		fmla(k, x[2], x[0], x[1])
		return x[2]
	})
	vector(f, "addScaled", "is AddScaled.", xy, []string{"by"}, func(k *kernel, x, p []v) v {
		fmla(k, x[0], x[1], p[0])
		return x[0]
	})
	sumSquares(f)
	softmaxParts(f)
	rotate(f)
	narrow(f)
}

// sumSquares writes the sum of squares in float64.
func sumSquares(f *file) {
	k := f.begin("sumSquaresNEON", "x *float32, eights int, sums *float64", "adds the squares of element i of 8*eights, at least 8, to sums[i%8].")
	src, n, sums := k.load("x"), k.load("eights"), k.load("sums")
	s := k.loads(sums, 0, 4)
	k.label("step")
	for h, r := range k.loads(src, 0, 2) {
		high := k.vec()
		fcvtl2D(k, high, r)
		fcvtlD(k, r, r)
		fmlaD(k, s[2*h], r, r) // the product is exact
		fmlaD(k, s[2*h+1], high, high)
	}
	k.ins("ADD $32, %s, %s", src, src)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	for i, r := range s {
		strQ(k, r, sums, 16*i)
	}
	k.end()
}

// softmaxParts writes the maximum, and the exponentials with their sum, of rows of scores.
func softmaxParts(f *file) {
	k := f.begin("maxNEON", "x *float32, eights int, lanes *float32", "sets lanes[j] to the largest of lanes[j] and elements i of 8*eights, at least 8, with i%8 = j.")
	src, n, lanes := k.load("x"), k.load("eights"), k.load("lanes")
	m := k.loads(lanes, 0, 2)
	k.label("step")
	for h, r := range k.loads(src, 0, 2) {
		larger := k.op(fcmgt, m[h], r)
		bif(k, m[h], r, larger)
	}
	k.ins("ADD $32, %s, %s", src, src)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	for h, r := range m {
		strQ(k, r, lanes, 16*h)
	}
	k.end()

	k = f.begin("expSumNEON", "x *float32, eights int, max float32, lanes *float32",
		"replaces elements i of 8*eights, at least 8, by exp32(x[i]-max), and adds them to lanes[i%8].")
	src, n, lanes = k.load("x"), k.load("eights"), k.load("lanes")
	sums := k.loads(lanes, 0, 2)
	k.label("step")
	for h, r := range k.loads(src, 0, 2) {
		fsub(k, r, r, k.broadcast("max"))
		e := k.exp(r)
		strQ(k, e, src, 16*h)
		fadd(k, sums[h], sums[h], e)
		k.free(r, e)
	}
	k.ins("ADD $32, %s, %s", src, src)
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	for h, r := range sums {
		strQ(k, r, lanes, 16*h)
	}
	k.end()
}

// rotate writes the rotation of pairs half a head apart.
func rotate(f *file) {
	k := f.begin("rotateNEON", "dst, x, cos, sin *float32, half, eights int", "rotates pairs (i, i+half) for i below 8*eights, at least 8.")
	dst, src, cos, sin, half, n := k.load("dst"), k.load("x"), k.load("cos"), k.load("sin"), k.load("half"), k.load("eights")
	k.ins("LSL $2, %s, %s", half, half)
	k.ins("LSL $1, %s, %s", n, n) // fours
	k.label("step")
	a, b, c, s := k.vec(), k.vec(), k.vec(), k.vec()
	ldrQ(k, a, src, 0)
	ldrQX(k, b, src, half)
	ldrQ(k, c, cos, 0)
	ldrQ(k, s, sin, 0)
	first, second := k.op(fmul, a, c), k.op(fmul, b, s)
	fsub(k, first, first, second)
	strQ(k, first, dst, 0)
	fmul(k, first, a, s)
	fmul(k, second, b, c)
	fadd(k, first, first, second)
	strQX(k, first, dst, half)
	for _, p := range []x{dst, src, cos, sin} {
		k.ins("ADD $16, %s, %s", p, p)
	}
	k.ins("SUBS $1, %s, %s", n, n)
	k.ins("BNE step")
	k.end()
}
