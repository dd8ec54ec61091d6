package quant

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// quantizable returns the formats of blocks that Quantize can write.
func quantizable() (fs []tensor.Format) {
	for _, f := range tensor.Formats() {
		if f.Block > 1 {
			fs = append(fs, f)
		}
	}
	return fs
}

// repeat returns 512 elements of the given pattern.
func repeat(pattern ...float32) []float32 {
	return slices.Repeat(pattern, 512/len(pattern)+1)[:512]
}

// spike returns 512 zeros but for one element.
func spike(x float32) []float32 {
	xs := make([]float32, 512)
	xs[77] = x
	return xs
}

var adversarial = map[string][]float32{
	"zero":                  repeat(0),
	"negative zero":         repeat(negZero),
	"one":                   repeat(1),
	"minus one":             repeat(-1),
	"alternating":           repeat(1, -1),
	"positive spike":        spike(1),
	"negative spike":        spike(-1),
	"largest":               repeat(math.MaxFloat32),
	"largest of both signs": repeat(math.MaxFloat32, -math.MaxFloat32),
	"largest spike":         spike(-math.MaxFloat32),
	"beyond binary16":       repeat(1e6, -3e7, 12, 0),
	"squares overflow":      repeat(1e20, -1e19, 3e19),
	"least subnormal":       repeat(math.SmallestNonzeroFloat32),
	"subnormal":             repeat(1e-40, -3e-41, 0),
	"squares underflow":     repeat(1e-23, -2e-24, 0),
	"scale underflow":       repeat(1e-8, -2e-9, 3e-9),
	"subnormal scale":       repeat(1e-5, -2e-6, 3e-6),
	"below the epsilon":     repeat(9e-16, -1e-16),
	"wide range":            repeat(1e-30, 1, -1e30, 1e-3, 0, -1e10),
	"all positive":          repeat(5, 6, 7, 8, 9),
	"all negative":          repeat(-5, -6, -7, -8, -9),
	"one ulp apart":         repeat(1, 1+0x1p-23),
}

func adversarialImatrices() map[string][]float32 {
	return map[string][]float32{
		"none": nil, "ones": repeat(1), "zeros": repeat(0), "some zeros": repeat(0, 1, 0, 0, 3),
		"huge": repeat(math.MaxFloat32, 1e30), "tiny": repeat(math.SmallestNonzeroFloat32, 1e-40), "spike": spike(1),
	}
}

func TestQuantizeAdversarial(t *testing.T) {
	for _, f := range quantizable() {
		for name, x := range adversarial {
			for imName, imatrix := range adversarialImatrices() {
				if imatrix == nil && RequiresImatrix(f.DType) {
					continue
				}
				t.Run(f.Name+"/"+name+"/"+imName, func(t *testing.T) {
					blocks := make([]byte, len(x)/f.Block*f.Bytes)
					for i := range blocks {
						blocks[i] = 0xA5
					}
					if err := Quantize(f.DType, blocks, x, 512, imatrix); err != nil {
						t.Fatal(err)
					}
					y := make([]float32, len(x))
					if err := Dequantize(f.DType, y, blocks); err != nil {
						t.Fatal(err)
					}
					zero := strings.Contains(name, "zero")
					for i, v := range y {
						if !finite(v) {
							t.Fatalf("element %d, %v, became %v", i, x[i], v)
						}
						if zero && v != 0 {
							t.Fatalf("zero became %v", v)
						}
					}
					again := make([]byte, len(blocks))
					if err := Quantize(f.DType, again, x, 512, imatrix); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(blocks, again) {
						t.Fatal("blocks depend on what dst held")
					}
				})
			}
		}
	}
}

// TestQuantizeScaleFree checks that no search depends on the unit of the weights: as long as nothing leaves the
// range of normal numbers, a power of two in the weights is the same power of two in the result.
func TestQuantizeScaleFree(t *testing.T) {
	x, importance := oracleWeights()
	x = x[:1024]
	small, large := make([]float32, len(x)), make([]float32, len(x))
	for i := range x {
		small[i], large[i] = x[i]*64, x[i]*4096
	}
	for _, f := range quantizable() {
		t.Run(f.Name, func(t *testing.T) {
			quantize := func(x []float32) []float32 {
				blocks, y := make([]byte, len(x)/f.Block*f.Bytes), make([]float32, len(x))
				if err := Quantize(f.DType, blocks, x, 1024, importance); err != nil {
					t.Fatal(err)
				}
				f.Dequant(y, blocks)
				return y
			}
			y := quantize(small)
			for i, v := range quantize(large) {
				if v != 64*y[i] {
					t.Fatalf("element %d became %v, and 64 times it %v", i, y[i], v)
				}
			}
		})
	}
}

func TestQuantizeRowsAreIndependent(t *testing.T) {
	x, importance := oracleWeights()
	x = x[:3*1024]
	for _, f := range quantizable() {
		t.Run(f.Name, func(t *testing.T) {
			rowBytes := 1024 / f.Block * f.Bytes
			whole := make([]byte, 3*rowBytes)
			if err := Quantize(f.DType, whole, x, 1024, importance); err != nil {
				t.Fatal(err)
			}
			for r := range 3 {
				row := make([]byte, rowBytes)
				if err := Quantize(f.DType, row, x[1024*r:][:1024], 1024, importance); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(row, whole[r*rowBytes:][:rowBytes]) {
					t.Errorf("row %d has other blocks alone than among others", r)
				}
			}
		})
	}
}

// TestActivationSums checks the sums that the activation formats keep beside their codes.
func TestActivationSums(t *testing.T) {
	x, _ := oracleWeights()
	x = x[:512]
	t.Run("Q8_1", func(t *testing.T) {
		b := make([]byte, 512/32*36)
		if err := Quantize(Q8_1, b, x, 512, nil); err != nil {
			t.Fatal(err)
		}
		for i := range 512 / 32 {
			block := b[36*i:][:36]
			sum := 0
			for _, q := range block[4:] {
				sum += int(int8(q))
			}
			// s is the sum times d before d was rounded: two roundings to 11 bits apart.
			s, want := float64(halfAt(block[2:])), float64(halfAt(block))*float64(sum)
			if math.Abs(s-want) > 0x1p-10*math.Abs(want) {
				t.Errorf("block %d: s = %v, d*sum = %v", i, s, want)
			}
		}
	})
	t.Run("Q8_K", func(t *testing.T) {
		b, y := make([]byte, 2*292), make([]float32, 512)
		if err := Quantize(Q8_K, b, x, 512, nil); err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(Q8_K, y, b); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			block := b[292*i:][:292]
			d := float64(math.Float32frombits(binary.LittleEndian.Uint32(block)))
			if m := float64(signedMax(x[256*i:][:256])); math.Abs(d*-127-m) > 1e-6*math.Abs(m) {
				t.Errorf("block %d: code -127 stands for %v, not for the largest element %v", i, d*-127, m)
			}
			for k := range 16 {
				sum := 0
				for _, q := range block[4+16*k:][:16] {
					sum += int(int8(q))
				}
				if got := int(int16(binary.LittleEndian.Uint16(block[260+2*k:]))); got != sum {
					t.Errorf("block %d: sum %d is %d, want %d", i, k, got, sum)
				}
			}
			for j, v := range y[256*i:][:256] {
				// Half a step; and codes beyond 127, which a -127 of the other sign allows not to occur.
				if diff := math.Abs(float64(v - x[256*i+j])); diff > math.Abs(d)*0.5001 {
					t.Errorf("element %d is off by %v steps", 256*i+j, diff/math.Abs(d))
				}
			}
		}
	})
}

func TestRequiresImatrix(t *testing.T) {
	var got []string
	for _, f := range tensor.Formats() {
		if RequiresImatrix(f.DType) {
			got = append(got, f.Name)
		}
	}
	if want := []string{"IQ2_XXS", "IQ2_XS", "IQ1_S"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestQuantizeErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	with := func(i int, x float32) []float32 {
		xs := make([]float32, 512)
		xs[i] = x
		return xs
	}
	zeros := make([]float32, 512)
	for _, c := range []struct {
		name    string
		d       tensor.DType
		dst     int
		src     []float32
		rowLen  int
		imatrix []float32
		want    string
	}{
		{"unknown type", 200, 0, nil, 1, nil, "quant: quantize ggml(199): the type has no quantizer"},
		{"integers", tensor.I32, 4, zeros[:1], 1, nil, "I32: the type has no quantizer"},
		{"imatrix missing", IQ2_XXS, 132, zeros, 512, nil, "IQ2_XXS: the type requires an importance matrix"},
		{"no row", Q8_0, 0, nil, 0, nil, "0 elements are not rows of 0"},
		{"negative row", Q8_0, 0, nil, -32, nil, "rows of -32"},
		{"part of a row", Q8_0, 544, zeros, 192, nil, "512 elements are not rows of 192 in blocks of 32"},
		{"part of a block", Q4_K, 288, zeros, 128, nil, "512 elements are not rows of 128 in blocks of 256"},
		{"short dst", Q4_K, 287, zeros, 256, nil, "512 elements need 2 blocks of 144 bytes, but there are 287 bytes"},
		{"long dst", Q4_K, 432, zeros, 256, nil, "but there are 432 bytes"},
		{"short imatrix", Q4_K, 288, zeros, 256, zeros[:255], "importance matrix has 255 weights for rows of 256"},
		{"negative importance", Q4_K, 288, zeros, 512, with(3, -1), "importance of column 3 is -1"},
		{"NaN importance", Q4_K, 288, zeros, 512, with(4, nan), "importance of column 4 is NaN"},
		{"infinite importance", Q8_0, 544, zeros, 512, with(5, inf), "importance of column 5 is +Inf"},
		{"NaN", Q8_0, 544, with(300, nan), 256, nil, "element 44 of row 1 is NaN"},
		{"infinity", IQ4_NL, 288, with(511, -inf), 512, nil, "element 511 of row 0 is -Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Quantize(c.d, make([]byte, c.dst), c.src, c.rowLen, c.imatrix)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestDequantizeErrors(t *testing.T) {
	for _, c := range []struct {
		name     string
		d        tensor.DType
		dst, src int
		want     string
	}{
		{"invalid type", tensor.Invalid, 0, 0, "quant: dequantize invalid: the type has no dequantizer"},
		{"integers", tensor.I8, 1, 1, "I8: the type has no dequantizer"},
		{"part of a block", Q6_K, 255, 210, "255 elements are not a whole number of 256-element blocks"},
		{"short src", Q6_K, 512, 419, "512 elements need 2 blocks of 210 bytes, but there are 419 bytes"},
		{"long src", Q6_K, 256, 420, "256 elements need 1 blocks of 210 bytes, but there are 420 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Dequantize(c.d, make([]float32, c.dst), make([]byte, c.src))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// TestQuantNotFinite checks that the quantizers themselves, whose callers may skip the checks of Quantize, survive
// NaN and infinities.
func TestQuantNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, f := range quantizable() {
		t.Run(f.Name, func(t *testing.T) {
			for _, x := range [][]float32{repeat(nan), repeat(inf), repeat(-inf, inf), repeat(1, nan, -2),
				repeat(1, inf, 0), spike(nan), spike(-inf)} {
				blocks := make([]byte, len(x)/f.Block*f.Bytes)
				if f.Quant != nil {
					f.Quant(blocks, x)
				}
				if q := weighted[f.DType]; q != nil {
					q(blocks, x, repeat(1, 2, 0))
				}
			}
		})
	}
}

// FuzzQuantize checks that finite weights of any bits give finite elements, and that blocks of any bytes dequantize.
func FuzzQuantize(f *testing.F) {
	f.Add(uint8(Q4_K), []byte{0, 0, 128, 63})
	f.Add(uint8(IQ2_XXS), []byte{255, 255, 127, 127, 1, 0, 0, 128})
	f.Add(uint8(NVFP4), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, id uint8, pattern []byte) {
		format, ok := tensor.DType(id).Format()
		if !ok || format.Block == 1 || len(pattern) < 4 {
			return
		}
		x, imatrix := make([]float32, format.Block), make([]float32, format.Block)
		for i := range x {
			v := math.Float32frombits(binary.LittleEndian.Uint32(pattern[4*i%(len(pattern)-3):]))
			if !finite(v) {
				v = 1
			}
			x[i], imatrix[i] = v, abs(v)
		}
		blocks, y := make([]byte, format.Bytes), make([]float32, format.Block)
		for i := range blocks {
			blocks[i] = pattern[i%len(pattern)]
		}
		if err := Dequantize(format.DType, y, blocks); err != nil {
			t.Fatal(err)
		}
		for _, im := range [][]float32{nil, imatrix} {
			if im == nil && RequiresImatrix(format.DType) {
				continue
			}
			if err := Quantize(format.DType, blocks, x, len(x), im); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(format.DType, y, blocks); err != nil {
				t.Fatal(err)
			}
			for i, v := range y {
				if !finite(v) {
					t.Fatalf("%v: element %d, %v, became %v", format.DType, i, x[i], v)
				}
			}
		}
	})
}

// Benchmarks count the bytes of the float32 side.

func BenchmarkDequantize(b *testing.B) {
	for _, f := range tensor.Formats() {
		if f.Dequant == nil {
			continue
		}
		b.Run(f.Name, func(b *testing.B) {
			g := lcg(1)
			src, y := make([]byte, 4096/f.Block*f.Bytes), make([]float32, 4096)
			for i := range src {
				src[i] = byte(g.nx())
			}
			b.SetBytes(4 * 4096)
			for b.Loop() {
				f.Dequant(y, src)
			}
		})
	}
}

func BenchmarkQuantize(b *testing.B) {
	x, importance := oracleWeights()
	x = x[:4096]
	for _, f := range tensor.Formats() {
		run := func(name string, imatrix []float32) {
			b.Run(f.Name+"/"+name, func(b *testing.B) {
				dst := make([]byte, 4096/f.Block*f.Bytes)
				b.SetBytes(4 * 4096)
				if q := weighted[f.DType]; q != nil {
					q(dst, x, slices.Repeat(importance, 4)) // builds the search of a grid
				}
				for b.Loop() {
					if err := Quantize(f.DType, dst, x, 1024, imatrix); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		if f.Quant != nil {
			run("plain", nil)
		}
		if weighted[f.DType] != nil {
			run("imatrix", importance)
		}
	}
}
