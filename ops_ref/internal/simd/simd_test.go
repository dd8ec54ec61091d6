package simd

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// levels runs f once for every level, with the level forced. A level that the machine lacks is skipped loudly.
func levels(t *testing.T, f func(t *testing.T)) {
	for _, l := range Levels() {
		t.Run(l.String(), func(t *testing.T) {
			restore, ok := Force(l)
			defer restore()
			if !ok {
				t.Skipf("SKIPPED: this machine or build has %v at most", best)
			}
			f(t)
		})
	}
}

// with computes f at level Generic, the definition.
func generic(f func()) {
	restore, _ := Force(Generic)
	defer restore()
	f()
}

func TestForceRestores(t *testing.T) {
	before := Current()
	restore, ok := Force(Generic)
	if !ok || Current() != Generic {
		t.Fatalf("forced generic: ok %v, level %v", ok, Current())
	}
	restore()
	if Current() != before {
		t.Errorf("restored %v, want %v", Current(), before)
	}
	if _, ok := Force(AMX + 1); ok || Current() != before {
		t.Errorf("forced a level that does not exist")
	}
}

// sameBits reports whether x and y are the same number, or both NaN.
func sameBits(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

// normal returns n normal numbers.
func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// activations are named rows of k elements on which quantizers go wrong.
func activations(r *rand.Rand, k int) map[string][]float32 {
	m := map[string][]float32{"normal": normal(r, k), "zero": make([]float32, k)}
	edit := func(name string, f func(i int, v float32) float32) {
		x := normal(r, k)
		for i := range x {
			x[i] = f(i, x[i])
		}
		m[name] = x
	}
	inf := float32(math.Inf(1))
	edit("outlier", func(i int, v float32) float32 {
		if i == 5 {
			return -1000
		}
		return v
	})
	edit("nan", func(i int, v float32) float32 {
		if i == k-3 {
			return float32(math.NaN())
		}
		return v
	})
	edit("infinite", func(i int, v float32) float32 {
		if i == 7 {
			return -inf
		}
		return v
	})
	edit("huge", func(i int, v float32) float32 { return math.MaxFloat32 * float32(1-2*(i&1)) })
	edit("subnormal", func(i int, v float32) float32 { return v * 0x1p-140 })
	edit("tiny", func(i int, v float32) float32 { return v * 0x1p-100 })
	edit("halves", func(i int, v float32) float32 { // ties between two codes
		if i%32 == 0 {
			return 127
		}
		return float32(i%64) + 0.5
	})
	edit("saturated", func(i int, v float32) float32 { return float32(1 - 2*(i>>1&1)) })
	edit("one sign", func(i int, v float32) float32 { return -1 })
	return m
}

func TestQuantizeIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for _, f := range []Format{Q8_0, Q4_K} {
			for _, k := range []int{f.Block(), 256, 768, 4096, 3 * f.Block()} {
				for name, x := range activations(r, k) {
					got, want := make([]byte, f.ActBytes(k)), make([]byte, f.ActBytes(k))
					f.Quantize(got, x)
					generic(func() { f.Quantize(want, x) })
					for i := range want {
						if got[i] != want[i] {
							t.Fatalf("block of %d, k %d, %s: byte %d is %d, want %d", f.Block(), k, name, i, got[i],
								want[i])
						}
					}
				}
			}
		}
	})
}

// TestQuantizeError checks the bound that the doc comment states, and that bad blocks are NaN.
func TestQuantizeError(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, f := range []Format{Q8_0, Q4_K} {
		for name, x := range activations(r, 1024) {
			back := dequantizeAct(f, x)
			for b := 0; b < len(x); b += f.Block() {
				var m float64
				for _, v := range x[b:][:f.Block()] {
					m = math.Max(m, math.Abs(float64(v)))
				}
				for i, v := range x[b:][:f.Block()] {
					e := math.Abs(back[b+i] - float64(v))
					switch {
					case m > math.MaxFloat32 || m != m:
						if back[b+i] == back[b+i] {
							t.Fatalf("%s: element %d of a bad block is %v", name, b+i, back[b+i])
						}
					case m < tiniest:
						if back[b+i] != 0 {
							t.Fatalf("%s: element %d of a tiny block is %v", name, b+i, back[b+i])
						}
					case !(e <= m/254*(1+1e-5)):
						t.Fatalf("%s: element %d is off by %g of %g", name, b+i, e, m)
					}
				}
			}
		}
	}
}

// dequantizeAct returns what the quantized x stand for.
func dequantizeAct(f Format, x []float32) []float64 {
	act := make([]byte, f.ActBytes(len(x)))
	f.Quantize(act, x)
	back := make([]float64, len(x))
	for i := range x {
		if f.super() {
			a := act[i/256*ActKBytes:]
			back[i] = float64(floatAt(a[actKD:])) * float64(int8(a[i%256]))
		} else {
			a := act[i/128*Act32Bytes:]
			back[i] = float64(floatAt(a[act32D+i%128/32*4:])) * float64(int8(a[i%128]))
		}
	}
	return back
}

var dtypes = map[Format]tensor.DType{Q8_0: quant.Q8_0, Q4_K: quant.Q4_K, Q5_K: quant.Q5_K, Q6_K: quant.Q6_K}

// weights are named matrices of rows by k elements: quantized ones, random bytes with finite scales, and scales on
// which arithmetic goes wrong.
func weights(r *rand.Rand, f Format, rows, k int) map[string][]byte {
	format, _ := dtypes[f].Format()
	n := rows * k / format.Block
	m := map[string][]byte{}
	quantized := make([]byte, n*format.Bytes)
	format.Quant(quantized, normal(r, rows*k))
	m["quantized"] = quantized
	add := func(name string, scale func(block int) uint16) {
		b := make([]byte, n*format.Bytes)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for i := range n {
			block := b[i*format.Bytes:][:format.Bytes]
			switch f {
			case Q8_0:
				binary.LittleEndian.PutUint16(block, scale(i))
			case Q6_K:
				binary.LittleEndian.PutUint16(block[208:], scale(i))
			default:
				binary.LittleEndian.PutUint16(block, scale(i))
				binary.LittleEndian.PutUint16(block[2:], scale(i+1))
			}
		}
		m[name] = b
	}
	add("random", func(int) uint16 { return uint16(r.Uint32()) & 0xbbff })
	add("subnormal", func(int) uint16 { return uint16(r.Uint32()) & 0x83ff })
	add("zero", func(int) uint16 { return 0 })
	add("negative", func(int) uint16 { return 0xbc00 })
	add("largest", func(int) uint16 { return 0x7bff })
	add("nan", func(b int) uint16 {
		if b == 3%n {
			return 0x7e01
		}
		return 0x2c00
	})
	add("infinite", func(b int) uint16 {
		if b == 2%n {
			return 0xfc00
		}
		return 0x2c00
	})
	extreme := make([]byte, n*format.Bytes)
	for i := range extreme {
		extreme[i] = byte(0x80 * (1 + i/format.Bytes%2)) // codes and scales at the ends of their ranges
		if i/format.Bytes%4 > 1 {
			extreme[i] = 0xff
		}
	}
	for i := range n {
		binary.LittleEndian.PutUint16(extreme[i*format.Bytes+map[Format]int{Q6_K: 208}[f]:], 0x3c00)
		if f == Q4_K || f == Q5_K {
			binary.LittleEndian.PutUint16(extreme[i*format.Bytes+2:], 0x3800)
		}
	}
	m["extreme"] = extreme
	return m
}

// TestDotIsItsDefinition compares all levels with the row functions, bit by bit.
func TestDotIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for f := range dtypes {
			for _, s := range [][2]int{{1, f.Block()}, {3, 256}, {4, 256}, {7, 1024}, {9, 768 + f.Block()}} {
				rows, k := s[0], s[1]
				if k%f.Block() != 0 {
					continue
				}
				acts := activations(r, k)
				for wname, w := range weights(r, f, rows, k) {
					size := len(w) / rows
					for xname, x := range acts {
						act := make([]byte, f.ActBytes(k))
						f.Quantize(act, x)
						out := make([]float32, rows)
						Dot(f, out, w, size, act, k)
						for i, got := range out {
							if want := dotRow(f, 0, w[i*size:][:size], act, 0); !sameBits(got, want) {
								t.Fatalf("format %d, %dx%d, %s·%s: row %d is %v, want %v", f, rows, k, wname, xname,
									i, got, want)
							}
						}
					}
				}
			}
		}
	})
}

// TestDotMatchesFormats compares the row functions with the definitions of the weight types in float64, with the
// rounding that a sum of that many terms can have.
func TestDotMatchesFormats(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for f, dt := range dtypes {
		format, _ := dt.Format()
		const k = 1024
		for name, w := range weights(r, f, 3, k) {
			for i := range 3 {
				row := w[i*len(w)/3:][:len(w)/3]
				x := normal(r, k)
				act := make([]byte, f.ActBytes(k))
				f.Quantize(act, x)
				y := dequantizeAct(f, x)
				dense := make([]float32, k)
				format.Dequant(dense, row)
				var want, size float64
				for j, v := range dense {
					want += float64(v) * y[j]
					size += math.Abs(float64(v) * y[j])
				}
				// the two parts of an affine type cancel: their rounding is relative to each
				if f == Q4_K || f == Q5_K {
					size = affineSize(f, row, y)
				}
				got := float64(dotRow(f, 0, row, act, 0))
				if want-want != 0 {
					if got-got == 0 {
						t.Errorf("%v %s row %d: %v, want %v", dt, name, i, got, want)
					}
					continue
				}
				// At most four roundings for each block and one for each addition.
				if e := math.Abs(got - want); !(e <= float64(k/f.Block()+5)*0x1p-24*size) {
					t.Errorf("%v %s row %d: %v is off by %g, sum of magnitudes %g", dt, name, i, got, e, size)
				}
			}
		}
	}
}

// affineSize returns Σ (|d·scale·q| + |dmin·min|)·|y| of a row of Q4_K or Q5_K.
func affineSize(f Format, row []byte, y []float64) (size float64) {
	bytes := layouts[f].bytes
	for b := range len(row) / bytes {
		block := row[bytes*b:][:bytes]
		for j := range 8 {
			scale, min := scaleMin(block[4:16], j)
			for l := range 32 {
				q := block[bytes-128+j/2*32+l] >> (4 * (j & 1)) & 15
				if f == Q5_K {
					q |= block[16+l] >> j & 1 << 4
				}
				size += (math.Abs(float64(halfAt(block))*float64(scale)*float64(q)) +
					math.Abs(float64(halfAt(block[2:]))*float64(min))) * math.Abs(y[256*b+32*j+l])
			}
		}
	}
	return size
}

func TestMulFloatIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 5))
		for _, typ := range []FloatType{F32, F16, BF16} {
			for _, s := range [][3]int{{1, 1, 1}, {4, 1, 16}, {5, 7, 64}, {8, 2, 33}, {3, 3, 17}, {12, 13, 257},
				{4, 4, 4096}} {
				rows, cols, k := s[0], s[1], s[2]
				for _, special := range []bool{false, true} {
					w, x := make([]byte, rows*k*typ.Size()), normal(r, cols*k)
					for i := range rows * k {
						v := math.Float32bits(float32(r.NormFloat64()))
						switch typ {
						case F32:
							binary.LittleEndian.PutUint32(w[4*i:], v)
						case BF16:
							binary.LittleEndian.PutUint16(w[2*i:], uint16(v>>16))
						case F16:
							binary.LittleEndian.PutUint16(w[2*i:], uint16(r.Uint32())&0xbfff)
						}
					}
					if special {
						x[len(x)/2] = float32(math.Inf(1))
						x[0] = float32(math.NaN())
						x[len(x)-1] = math.MaxFloat32
					}
					const gap = 3
					out := make([]float32, cols*(rows+gap))
					MulFloat(out, rows+gap, Matrix{typ, w, k * typ.Size()}, rows, x, k, cols, k)
					for c := range cols {
						for i := range rows {
							want := dotF32Row(typ, w[i*k*typ.Size():][:k*typ.Size()], x[c*k:][:k])
							if got := out[c*(rows+gap)+i]; !sameBits(got, want) {
								t.Fatalf("type %d %dx%dx%d: row %d column %d is %v, want %v", typ, rows, cols, k, i,
									c, got, want)
							}
						}
						for _, v := range out[c*(rows+gap)+rows:][:gap] {
							if v != 0 {
								t.Fatalf("type %d %dx%dx%d: wrote between columns", typ, rows, cols, k)
							}
						}
					}
				}
			}
		}
	})
}

// TestFMA compares with math.FMA, which rounds to 53 bits first, on operands for which that is exact, and on a case
// that two roundings get wrong.
func TestFMA(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 100000 {
		x, y := float32(r.IntN(4096)-2048), float32(r.IntN(4096)-2048)
		z := float32(r.NormFloat64()) * 0x1p10
		if got, want := fma(x, y, z), float32(math.FMA(float64(x), float64(y), float64(z))); got != want {
			t.Fatalf("fma(%v, %v, %v) = %v, want %v", x, y, z, got, want)
		}
	}
	// 1 + 2^-24 lies between two float32; adding 2^-60 must round up, which float64 cannot see.
	if got := fma(0x1p-30, 0x1p-30, 0); got != 0x1p-60 {
		t.Errorf("fma of tiny numbers is %v", got)
	}
	x := float32(1 + 0x1p-12) // x² = 1 + 2^-11 + 2^-24
	if got, want := fma(x, x, 0x1p-60), float32(1+0x1p-11+0x1p-23); got != want {
		t.Errorf("fma of a near tie is %x, want %x", got, want)
	}
	if got, want := fma(x, x, -0x1p-60), float32(1+0x1p-11); got != want {
		t.Errorf("fma of a near tie is %x, want %x", got, want)
	}
}

func TestWiden(t *testing.T) {
	levels(t, func(t *testing.T) {
		src := make([]byte, 2<<16)
		for i := range 1 << 16 {
			binary.LittleEndian.PutUint16(src[2*i:], uint16(i))
		}
		for typ, dt := range map[FloatType]tensor.DType{F16: tensor.F16, BF16: tensor.BF16} {
			format, _ := dt.Format()
			want, got := make([]float32, 1<<16), make([]float32, 1<<16)
			format.Dequant(want, src)
			Widen(typ, got[:len(got)-3], src)
			Widen(typ, got[len(got)-3:], src[len(src)-6:])
			for i := range want {
				if !sameBits(got[i], want[i]) {
					t.Fatalf("%v %#04x is %v, want %v", dt, i, got[i], want[i])
				}
			}
		}
	})
}

// BenchmarkDot measures matrix-vector products over a matrix of half a megabyte, which stays in the second cache.
func BenchmarkDot(b *testing.B) {
	const k = 4096
	r := rand.New(rand.NewPCG(7, 7))
	x := normal(r, k)
	for _, l := range Levels()[1:] {
		restore, ok := Force(l)
		if !ok {
			continue
		}
		for _, f := range []Format{Q8_0, Q4_K, Q6_K} {
			b.Run(fmt.Sprintf("%v/%v", dtypes[f], l), func(b *testing.B) {
				format, _ := dtypes[f].Format()
				size := k / format.Block * format.Bytes
				rows := 1 << 19 / size / 4 * 4
				w := cast.Bytes(int64(rows * size))
				act := cast.Bytes(int64(f.ActBytes(k)))
				f.Quantize(act, x)
				out := make([]float32, rows)
				b.SetBytes(int64(rows * size))
				for b.Loop() {
					Dot(f, out, w, size, act, k)
				}
			})
		}
		for typ, name := range map[FloatType]string{F32: "F32", F16: "F16", BF16: "BF16"} {
			b.Run(fmt.Sprintf("%s/%v", name, l), func(b *testing.B) {
				rows := 1 << 19 / k / typ.Size()
				w := cast.Bytes(1 << 19)
				out := make([]float32, rows)
				b.SetBytes(1 << 19)
				for b.Loop() {
					MulFloat(out, rows, Matrix{typ, w, k * typ.Size()}, rows, x, k, 1, k)
				}
			})
		}
		restore()
	}
}

// TestConvert compares with the definitions of the types and of what they become, on all blocks' worth of random bytes.
func TestConvert(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 15))
		for c, dt := range map[Conversion]tensor.DType{Q4_0: quant.Q4_0, Q5_0: quant.Q5_0, IQ4_NL: quant.IQ4_NL,
			MXFP4: quant.MXFP4} {
			f, _ := dt.Format()
			to, _ := dtypes[c.Format()].Format()
			const blocks = 500
			src, dst := make([]byte, blocks*f.Bytes), make([]byte, blocks*to.Bytes)
			for i := range src {
				src[i] = byte(r.Uint32())
			}
			if c == MXFP4 {
				for b := range blocks {
					src[b*17] = byte(104 + b%40) // the scales of which float16 has half
				}
			}
			if !c.Convert(dst, src) {
				t.Fatalf("%v cannot be converted", dt)
			}
			if c == MXFP4 {
				for _, e := range []byte{0, 103, 144, 255} {
					if one := append([]byte{e}, src[1:17]...); c.Convert(make([]byte, 34), one) {
						t.Errorf("%v with scale %d fits", dt, e)
					}
				}
			}
			got, want := make([]float32, f.Block*blocks), make([]float32, f.Block*blocks)
			to.Dequant(got, dst)
			f.Dequant(want, src)
			equal(t, dt.String(), got, want)
		}
	})
}

// TestExpand compares with the definitions of the types, on random bytes.
func TestExpand(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(16, 16))
		for e, dt := range map[Expansion]tensor.DType{Q4_1: quant.Q4_1, Q5_1: quant.Q5_1, Q2_K: quant.Q2_K} {
			f, _ := dt.Format()
			for _, n := range []int{f.Block, 256, 256 + f.Block, 256 * 50} {
				src := make([]byte, n/f.Block*f.Bytes)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				got, want := make([]float32, n), make([]float32, n)
				e.Floats(got, src)
				f.Dequant(want, src)
				for i := range want {
					if got[i] != want[i] && !sameBits(got[i], want[i]) { // zeros may have another sign
						t.Fatalf("%v: element %d is %v, want %v", dt, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// BenchmarkExpand measures expansion beside the definitions of the types.
func BenchmarkExpand(b *testing.B) {
	for e, dt := range map[Expansion]tensor.DType{Q4_1: quant.Q4_1, Q5_1: quant.Q5_1, Q2_K: quant.Q2_K} {
		f, _ := dt.Format()
		dst, src := make([]float32, 4096), make([]byte, 4096/f.Block*f.Bytes)
		for name, run := range map[string]func(){"definition": func() { f.Dequant(dst, src) },
			"kernel": func() { e.Floats(dst, src) }} {
			b.Run(fmt.Sprintf("%v/%s", dt, name), func(b *testing.B) {
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/weight")
			})
		}
	}
}
