package simd

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hipengine/hipengine/ops_ref/internal/cast"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// codesTypes are the conversions to Codes.
var codesTypes = map[Conversion]tensor.DType{Q3_K: quant.Q3_K, IQ4_XS: quant.IQ4_XS, IQ3_S: quant.IQ3_S,
	IQ3_XXS: quant.IQ3_XXS, IQ2_S: quant.IQ2_S, IQ2_XS: quant.IQ2_XS, IQ2_XXS: quant.IQ2_XXS, IQ1_M: quant.IQ1_M,
	IQ1_S: quant.IQ1_S, TQ2_0: quant.TQ2_0, TQ1_0: quant.TQ1_0}

// TestConvertCodes compares all levels with the definition, byte by byte, and that with the types, on random bytes.
func TestConvertCodes(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(50, 50))
		for c, dt := range codesTypes {
			const blocks = 60
			f, _ := dt.Format()
			src := make([]byte, blocks*f.Bytes)
			for i := range src {
				src[i] = byte(r.Uint32())
			}
			got, want := make([]byte, blocks*codesBytes), make([]byte, blocks*codesBytes)
			if !c.Convert(got, src) {
				t.Fatalf("%v cannot be converted", dt)
			}
			generic(func() { c.Convert(want, src) })
			x := make([]float32, f.Block)
			for b := range blocks {
				g, w := got[b*codesBytes:][:codesBytes], want[b*codesBytes:][:codesBytes]
				if !bytes.Equal(g[:codesD], w[:codesD]) || !sameBits(floatAt(g[codesD:]), floatAt(w[codesD:])) {
					t.Fatalf("%v: block %d is not that of the definition", dt, b)
				}
				f.Dequant(x, src[b*f.Bytes:][:f.Bytes])
				for i, v := range x {
					if w[i] == 0 {
						t.Fatalf("%v: element %d of block %d is the code -128", dt, i, b)
					}
					back := floatAt(w[codesD:]) * float32(int8(w[codesScale+i/16])) * float32(int(w[i])-128)
					if back != v && (back == back || v == v) {
						t.Fatalf("%v: element %d of block %d is %v, want %v", dt, i, b, back, v)
					}
				}
			}
		}
	})
}

// codesRows are named matrices of rows by k elements of Codes: random ones, and those with the largest products.
func codesRows(r *rand.Rand, rows, k int) map[string][]byte {
	m := map[string][]byte{}
	add := func(name string, code func() int, scale func() int, d func(block int) float32) {
		w := cast.Bytes(int64(rows * Codes.Bytes(k)))
		for b := range len(w) / codesBytes {
			block := w[b*codesBytes:][:codesBytes]
			for i := range 256 {
				block[i] = byte(code() + 128)
			}
			for j := range 16 {
				block[codesScale+j] = byte(scale())
			}
			putFloat(block[codesD:], d(b))
		}
		m[name] = w
	}
	code, scale := func() int { return r.IntN(255) - 127 }, func() int { return r.IntN(64) - 32 }
	add("random", code, scale, func(int) float32 { return float32(r.NormFloat64()) })
	add("largest", func() int { return 127 }, func() int { return 63 }, func(b int) float32 { return float32(1 - b%3) })
	add("least", func() int { return -127 }, func() int { return -64 }, func(int) float32 { return 0x1p-27 })
	add("nan", code, scale, func(b int) float32 {
		if b == 1 {
			return float32(math.NaN())
		}
		return 1
	})
	return m
}

// TestDotCodesIsItsDefinition compares all levels with the row function, bit by bit, whatever the numbers of rows and
// columns.
func TestDotCodesIsItsDefinition(t *testing.T) {
	levels(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 51))
		for _, s := range [][2]int{{1, 256}, {4, 512}, {9, 768}} {
			rows, k := s[0], s[1]
			acts := activations(r, k)
			for name, w := range codesRows(r, rows, k) {
				for _, cols := range []int{1, 2, 3, 4, 7} {
					columnsAreDot(t, Codes, name, w, rows, k, cols, acts,
						func(out []float32, stride int, columns []byte) {
							DotColumns(Codes, out, stride, w, Codes.Bytes(k), rows, columns, cols, k)
						})
				}
			}
		}
	})
}

// TestPanelsOfCodesAreDot compares panels with rows, bit by bit.
func TestPanelsOfCodesAreDot(t *testing.T) {
	levels(t, func(t *testing.T) {
		if !Codes.HasPanels(256) || RoundsColumns() {
			t.Skipf("SKIPPED: no panels of integers at level %v", Current())
		}
		r := rand.New(rand.NewPCG(52, 52))
		for _, s := range [][3]int{{256, 1, 256}, {768, 17, 512}} {
			k, cols := s[0], s[1]
			var x [][]float32
			for _, v := range activations(r, k) {
				x = append(x, v)
			}
			for len(x) < cols {
				x = append(x, normal(r, k))
			}
			const rows, stride = 2 * TileRows, 2*TileRows + 3
			for name, w := range codesRows(r, rows, k) {
				got := mulPanels(Codes, w, x[:cols], k, s[2])
				for c := range cols {
					act := make([]byte, Codes.ActBytes(k))
					Codes.Quantize(act, x[c])
					for i := range rows {
						want := dotCodesRow(0, w[i*len(w)/rows:][:len(w)/rows], act)
						if g := got[c*stride+i]; !sameBits(g, want) {
							t.Fatalf("k %d, %s, column %d of %d: row %d is %v, want %v", k, name, c, cols, i, g, want)
						}
					}
				}
			}
		}
	})
}

// BenchmarkCodes measures what makes panels and products of a matrix of half a megabyte of weights: conversion alone,
// and with the product for one token.
func BenchmarkCodes(b *testing.B) {
	const k, rows = 1024, 512
	for c, dt := range codesTypes {
		f, _ := dt.Format()
		size, to := k/f.Block*f.Bytes, Codes.Bytes(k)
		w, converted := cast.Bytes(int64(rows*size)), cast.Bytes(int64(4*to))
		act := cast.Bytes(int64(Codes.ActBytes(k)))
		Codes.Quantize(act, normal(rand.New(rand.NewPCG(53, 53)), k))
		out := make([]float32, 4)
		for name, dot := range map[string]bool{"convert": false, "dot": true} {
			b.Run(dt.String()+"/"+name, func(b *testing.B) {
				for b.Loop() {
					for r := 0; r < rows; r += 4 {
						if dot && c.Dot(out, 4, w[r*size:], size, 4, act, 1, k) {
							continue
						}
						for i := range 4 {
							c.Convert(converted[i*to:][:to], w[(r+i)*size:][:size])
						}
						if dot {
							Dot(Codes, out, converted, to, act, k)
						}
					}
				}
				n := float64(b.N) * rows * k / float64(b.Elapsed().Nanoseconds())
				b.ReportMetric(n, "weights/ns")
				b.ReportMetric(n*float64(f.Bytes)/float64(f.Block), "GB/s")
			})
		}
	}
}
