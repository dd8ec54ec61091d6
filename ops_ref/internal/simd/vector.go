package simd

// Unary is an elementwise function of one operand.
type Unary uint8

// The functions, with parameter p.
const (
	Sigmoid Unary = iota // 1/(1+exp(-x))
	SiLU                 // x/(1+exp(-x))
	GELU                 // see gelu32
	Softcap              // p·tanh(x/p)
	Scale                // x·p
)

// Apply sets dst[i] to u of x[i]. dst may be x.
func (u Unary) Apply(dst, x []float32, p float32) {
	x = x[:len(dst)]
	if len(dst) == 0 || asmUnary(u, &dst[0], &x[0], len(dst), p) {
		return
	}
	for i, v := range x {
		dst[i] = u.one(v, p)
	}
}

// one is the definition of u.
func (u Unary) one(x, p float32) float32 {
	switch u {
	case Sigmoid:
		return sigmoid32(x)
	case SiLU:
		return silu32(x)
	case GELU:
		return gelu32(x)
	case Softcap:
		return tanh32(x/p) * p
	default:
		return x * p
	}
}

// Binary is an elementwise function of two operands.
type Binary uint8

// The functions, with parameters p and q.
const (
	Add           Binary = iota // x+y
	Mul                         // x·y
	SwiGLU                      // silu(x)·y
	GeGLU                       // gelu(x)·y
	SwiGLUClamped               // g/(1+exp(-p·g))·(u+1), g = min(x, q), u = min(max(y, -q), q)
	ScaleMul                    // (x·p)·y
	AddScaled                   // x + p·y with one rounding
)

// Apply sets dst[i] to b of x[i] and y[i]. dst may be x or y.
func (b Binary) Apply(dst, x, y []float32, p, q float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if len(dst) == 0 || asmBinary(b, &dst[0], &x[0], &y[0], len(dst), p, q) {
		return
	}
	for i, v := range x {
		dst[i] = b.one(v, y[i], p, q)
	}
}

// one is the definition of b.
func (b Binary) one(x, y, p, q float32) float32 {
	switch b {
	case Add:
		return x + y
	case Mul:
		return x * y
	case SwiGLU:
		return float32(silu32(x)) * y
	case GeGLU:
		return float32(gelu32(x)) * y
	case SwiGLUClamped:
		g, u := min32(q, x), max32(-q, min32(q, y))
		return float32(g/(exp32(-float32(g*p))+1)) * (u + 1)
	case ScaleMul:
		return float32(x*p) * y
	default:
		return fma(y, p, x)
	}
}

// MulAdd sets dst[i] to x[i]·y[i] + z[i] with one rounding. dst may be any of them.
func MulAdd(dst, x, y, z []float32) {
	x, y, z = x[:len(dst)], y[:len(dst)], z[:len(dst)]
	if len(dst) == 0 || asmMulAdd(&dst[0], &x[0], &y[0], &z[0], len(dst)) {
		return
	}
	for i := range dst {
		dst[i] = fma(x[i], y[i], z[i])
	}
}

// SumSquares returns Σ x[i]² in float64: element i goes to partial sum i mod 8, and the sums are added in order.
func SumSquares(x []float32) float64 {
	var s [8]float64
	n := len(x) / 8
	if n == 0 || !asmSumSquares(&x[0], n, &s) {
		n = 0
	}
	for i := 8 * n; i < len(x); i++ {
		s[i%8] += float64(x[i]) * float64(x[i]) // exact before the addition
	}
	var sum float64
	for _, v := range s {
		sum += v
	}
	return sum
}

// Max returns the largest of x and least, or something else if one is NaN.
func Max(x []float32, least float32) float32 {
	lanes := [8]float32{least, least, least, least, least, least, least, least}
	n := len(x) / 8
	if n == 0 || !asmMax(&x[0], n, &lanes) {
		n = 0
	}
	for i := 8 * n; i < len(x); i++ {
		lanes[i%8] = max32(lanes[i%8], x[i])
	}
	for _, v := range lanes[1:] {
		lanes[0] = max32(lanes[0], v)
	}
	return lanes[0]
}

// ExpSum replaces x[i] by exp32(x[i]-m) and returns the sum of the results: element i goes to partial sum i mod 8.
func ExpSum(x []float32, m float32) float32 {
	var s [8]float32
	n := len(x) / 8
	if n == 0 || !asmExpSum(&x[0], n, m, &s) {
		n = 0
	}
	for i := 8 * n; i < len(x); i++ {
		x[i] = exp32(x[i] - m)
		s[i%8] += x[i]
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

// Exp returns e^x, see exp32.
func Exp(x float32) float32 { return exp32(x) }

// Rotate rotates pairs (i, i+n) of x, n = len(cos): dst[i] = x[i]·cos[i] - x[i+n]·sin[i] and dst[i+n] = x[i]·sin[i] +
// x[i+n]·cos[i], every operation rounded. dst may be x.
func Rotate(dst, x, cos, sin []float32) {
	n := len(cos)
	dst, x, sin = dst[:2*n], x[:2*n], sin[:n]
	done := n / 8
	if done == 0 || !asmRotate(&dst[0], &x[0], &cos[0], &sin[0], n, done) {
		done = 0
	}
	for i := 8 * done; i < n; i++ {
		a, b := x[i], x[i+n]
		dst[i] = float32(a*cos[i]) - float32(b*sin[i])
		dst[i+n] = float32(a*sin[i]) + float32(b*cos[i])
	}
}

// NarrowF16 converts src to float16, 2*len(src) bytes of dst, rounding to nearest even.
func NarrowF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	n := len(src) / 8
	if n == 0 || !asmNarrow(&dst[0], &src[0], n) {
		n = 0
	}
	for i := 8 * n; i < len(src); i++ {
		h := toHalf(src[i])
		dst[2*i], dst[2*i+1] = byte(h), byte(h>>8)
	}
}
