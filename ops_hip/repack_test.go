package opship

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/fakert"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// readers return element i of a repacked row of k elements, straight from the descriptions in kernels/quant_*.h.
var readers = map[tensor.DType]func(row []byte, k, i int) float32{
	quant.Q8_0: func(row []byte, k, i int) float32 {
		return half(row[k+i/32*2:]) * float32(int8(row[i]))
	},
	quant.Q4_K: func(row []byte, k, i int) float32 {
		blocks, b, s := k/256, i/256, i%256/32 // s: sub-block
		q := row[128*b+s/2*32+i%32] >> (4 * (s % 2)) & 15
		head := row[128*blocks+20*b:][:20]
		codes, d := head[4*(s/2):], head[16:]
		return half(d)*float32(codes[s%2])*float32(q) - half(d[2:])*float32(codes[2+s%2])
	},
	quant.Q6_K: func(row []byte, k, i int) float32 {
		blocks, b, r := k/256, i/256, i%256/16 // r: run of 16, of which run%8 = c or c+4 shares ql with another
		half4, e := r/8, r%8/4
		strip, l := 4*half4+r%4, i%16
		low := row[128*b+16*strip+l] >> (4 * e) & 15
		high := row[128*blocks+64*b+8*strip+l%8] >> (4*(l/8) + 2*e) & 3
		head := row[192*blocks+18*b:][:18]
		return half(head[16:]) * float32(int8(head[2*strip+e])) * float32(int8((low|high<<4)<<2)>>2)
	},
	quant.Q5_K: func(row []byte, k, i int) float32 {
		blocks, b, s := k/256, i/256, i%256/32
		q := row[128*b+s/2*32+i%32]>>(4*(s%2))&15 | fifthBit(row[148*blocks+32*b+4*(s&6+i/16%2):], 16*(s%2)+i%16)
		head := row[128*blocks+20*b:][:20]
		codes, d := head[4*(s/2):], head[16:]
		return half(d)*float32(codes[s%2])*float32(q) - half(d[2:])*float32(codes[2+s%2])
	},
	quant.Q4_0: func(row []byte, k, i int) float32 {
		return half(row[k/2+i/32*2:]) * float32(int(nibble(row, i))-8)
	},
	quant.Q4_1: func(row []byte, k, i int) float32 {
		d := row[k/2+i/32*4:]
		return half(d)*float32(nibble(row, i)) + half(d[2:])
	},
	quant.Q5_0: func(row []byte, k, i int) float32 {
		q := nibble(row, i) | fifthBit(row[k/2+i/32*4:], i%32)
		return half(row[k/32*20+i/32*2:]) * float32(int(q)-16)
	},
	quant.Q5_1: func(row []byte, k, i int) float32 {
		q, d := nibble(row, i)|fifthBit(row[k/2+i/32*4:], i%32), row[k/32*20+i/32*4:]
		return half(d)*float32(q) + half(d[2:])
	},
	quant.IQ4_NL: func(row []byte, k, i int) float32 {
		return half(row[k/2+i/32*2:]) * float32(levelsIQ4[nibble(row, i)])
	},
	quant.IQ4_XS: func(row []byte, k, i int) float32 {
		scale := int8(row[k/2+i/32])
		return half(row[k/256*136+i/256*2:]) * float32(scale) * float32(levelsIQ4[nibble(row, i)])
	},
	quant.MXFP4: func(row []byte, k, i int) float32 {
		return float32(math.Ldexp(1, int(row[k/2+i/32])-128)) * float32(valuesFP4[nibble(row, i)])
	},
	quant.NVFP4: func(row []byte, k, i int) float32 {
		x := int(row[k/2+i/16])
		if x == 127 {
			return 0
		}
		d := math.Ldexp(float64(8+x&7), x>>3&15-11)
		if x>>3&15 == 0 {
			d = math.Ldexp(float64(x&7), -10)
		}
		return float32(d) * float32(valuesFP4[nibble(row, i)])
	},
	quant.Q2_K: func(row []byte, k, i int) float32 {
		blocks, b, strip, run := k/256, i/256, i%256/128*2+i/16%2, i/32%4
		code, d := row[64*blocks+16*b+4*strip+run], row[80*blocks+4*b:]
		q := row[64*b+16*strip+i%16] >> (2 * run) & 3
		return half(d)*float32(code&15)*float32(q) - half(d[2:])*float32(code>>4)
	},
	quant.Q3_K: func(row []byte, k, i int) float32 {
		blocks, b, strip, run := k/256, i/256, i%256/128*2+i/16%2, i/32%4
		q := row[64*b+16*strip+i%16] >> (2 * run) & 3
		high := row[64*blocks+32*b+8*strip+4*(run/2)+i%4]>>(4*(run%2)+i%16/4)&1 ^ 1
		return half(row[112*blocks+2*b:]) * float32(int8(row[96*blocks+16*b+4*strip+run])) * float32(int(q|high<<2)-4)
	},
	quant.IQ2_XXS: func(row []byte, k, i int) float32 {
		c := block32(row, 8, i)
		word := binary.LittleEndian.Uint32(c[4:])
		d := half(row[k/4+i/256*2:]) * (0.5 + float32(word>>28)) * 0.25
		return signed(d, levelsIQ2[digit("iq2_xxs", int(c[i%32/8]), 2, i%8)], paritySigns(word, i), i)
	},
	quant.IQ2_XS: func(row []byte, k, i int) float32 {
		c := binary.LittleEndian.Uint16(block32(row, 8, i)[i%32/8*2:])
		d := half(row[k/256*72+i/256*2:]) * (0.5 + float32(row[k/4+i/32]>>(i%32/16*4)&15)) * 0.25
		return signed(d, levelsIQ2[digit("iq2_xs", int(c&511), 2, i%8)], paritySigns(uint32(c>>9), 0), i)
	},
	quant.IQ2_S: func(row []byte, k, i int) float32 {
		c, more := block32(row, 8, i), block32(row[k/4:], 2, i)
		n := int(c[i%32/8]) | int(more[0]>>(i%32/8*2)&3)<<8
		d := half(row[k/256*80+i/256*2:]) * (0.5 + float32(more[1]>>(i%32/16*4)&15)) * 0.25
		return signed(d, levelsIQ2[digit("iq2_s", n, 2, i%8)], c[4+i%32/8], i)
	},
	quant.IQ3_XXS: func(row []byte, k, i int) float32 {
		word := binary.LittleEndian.Uint32(block32(row[k/4:], 4, i))
		d := half(row[k/256*96+i/256*2:]) * (0.5 + float32(word>>28)) * 0.5
		return signed(d, levelsIQ3XXS[digit("iq3_xxs", int(row[i/4]), 3, i%4)], paritySigns(word, i), i)
	},
	quant.IQ3_S: func(row []byte, k, i int) float32 {
		n := int(row[i/4]) | int(row[k/256*96+i/32]>>(i%32/4)&1)<<8
		d := half(row[k/256*108+i/256*2:]) * float32(1+2*(row[k/256*104+i/64]>>(i%64/32*4)&15))
		return signed(d, int8(1+2*digit("iq3_s", n, 3, i%4)), row[k/4+i/8], i)
	},
	quant.IQ1_S: func(row []byte, k, i int) float32 {
		high := binary.LittleEndian.Uint16(block32(row[k/8:], 2, i))
		n := int(row[i/8]) | int(high>>(i%32/8*3)&7)<<8
		d := half(row[k/256*48+i/256*2:]) * float32(2*(high>>12&7)+1)
		return d * (float32(digit("iq1_s", n, 2, i%8)-1) + delta(high>>15))
	},
	quant.IQ1_M: func(row []byte, k, i int) float32 {
		high := row[k/8+i/16] >> (i / 8 % 2 * 4)
		n := int(row[i/8]) | int(high&7)<<8
		d := half(row[k/256*56+i/256*2:]) * float32(2*(row[k/256*48+i/32]>>(i%32/16*3)&7)+1)
		return d * (float32(digit("iq1_s", n, 2, i%8)-1) + delta(uint16(high>>3&1)))
	},
}

// delta is what IQ1 types add to coordinates.
func delta(negative uint16) float32 { return 0.125 - 0.25*float32(negative) }

// block32 returns the given number of bytes of a plane that has as many for each 32 elements, those of element i.
func block32(plane []byte, bytes, i int) []byte { return plane[i/32*bytes:][:bytes] }

// signed returns d·v, or -d·v if bit i%8 of signs is set.
func signed(d float32, v int8, signs byte, i int) float32 {
	if signs>>(i%8)&1 != 0 {
		v = -v
	}
	return d * float32(v)
}

// paritySigns returns the signs of element i%32, of four indices of seven bits.
func paritySigns(word uint32, i int) byte {
	s := byte(word>>(7*(i%32/8))) & 127
	return s | byte(bits.OnesCount8(s)&1)<<7
}

// digit returns coordinate i of a point of the grid of that name in tensor/quant/grids: number n, digits of the given
// number of bits.
func digit(grid string, n int, bits, i int) int {
	return int(gridCodes(grid)[n]) >> (bits * i) & (1<<bits - 1)
}

// gridCodes are the codes of a grid.
var gridCodes = func() func(string) []uint16 {
	known := map[string][]uint16{}
	return func(name string) []uint16 {
		if known[name] == nil {
			text, err := os.ReadFile("../tensor/quant/grids/" + name + ".txt")
			if err != nil {
				panic(err)
			}
			b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
			if err != nil {
				panic(err)
			}
			for ; len(b) > 0; b = b[2:] {
				known[name] = append(known[name], binary.LittleEndian.Uint16(b))
			}
		}
		return known[name]
	}
}()

// nibble returns element i of a plane of nibbles, 16 bytes for 32 elements.
func nibble(row []byte, i int) byte { return row[i/32*16+i%16] >> (4 * (i / 16 % 2)) & 15 }

// fifthBit returns the fifth bit of element e of 32, from four bytes that have all.
func fifthBit(high []byte, e int) byte { return high[e%4] >> (e / 4) & 1 << 4 }

var (
	levelsIQ4    = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	levelsIQ2    = [3]int8{8, 25, 43}
	levelsIQ3XXS = [8]int8{4, 12, 20, 28, 36, 44, 52, 62}

	valuesFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

func half(b []byte) float32 { return quant.HalfToFloat(uint16(b[0]) | uint16(b[1])<<8) }

// TestRepack uploads matrices of random blocks, in pieces of whole rows, and reads every element back.
func TestRepack(t *testing.T) {
	if len(layouts) != len(readers) {
		t.Fatalf("%d layouts, %d readers", len(layouts), len(readers))
	}
	for dt, l := range layouts {
		t.Run(dt.String(), func(t *testing.T) {
			f, _ := dt.Format()
			if l.block != f.Block || l.file != f.Bytes {
				t.Errorf("blocks of %d elements and %d bytes, the type has %d and %d", l.block, l.file, f.Block,
					f.Bytes)
			}
			d, rt := fakeDevice(t, Options{})
			defer closing(t, d.Close)
			many := 97
			if testing.Short() {
				many = 33
			}
			for _, shape := range []tensor.Shape{{1, f.Block}, {3, 5, 3 * f.Block}, {many, 16 * max(f.Block, 256)}} {
				k, rows := shape.Last(), shape[:len(shape)-1].Elems()
				size, err := ops.WeightBytes(planed(dt, shape...))
				must(t, err)
				if want := int64(rows) * l.row(k); size != want || l.row(k)%rowAlign != 0 {
					t.Fatalf("%v takes %d bytes, want %d", shape, size, want)
				}
				file := randomBlocks(rows*k/f.Block, f.Bytes)
				uploadWeight(t, d, rt, dt, shape, file, func(row func(r int) []byte) {
					want := make([]float32, rows*k)
					must(t, quant.Dequantize(dt, want, file))
					for r := range rows {
						for i := range k {
							if got, w := readers[dt](row(r), k, i), want[r*k+i]; got != w && (got == got || w == w) {
								t.Fatalf("%v: element %d of row %d is %v, want %v", shape, i, r, got, w)
							}
						}
					}
				})
			}
		})
	}
}

// randomBlocks returns blocks of random bits.
func randomBlocks(n, size int) []byte {
	b := make([]byte, n*size)
	rand.NewChaCha8([32]byte{1, 2}).Read(b)
	return b
}

// uploadWeight uploads file in two pieces and calls check with the rows as they lie on the device.
func uploadWeight(t *testing.T, d *Device, rt *fakert.Runtime, dt tensor.DType, shape tensor.Shape, file []byte,
	check func(row func(int) []byte)) {
	t.Helper()
	whole := planed(dt, shape...)
	size, err := ops.WeightBytes(whole)
	must(t, err)
	buf, err := d.Alloc(size, ops.MemWeights)
	must(t, err)
	defer closing(t, buf.Free)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	k, rows := shape.Last(), shape[:len(shape)-1].Elems()
	onDevice, stored, first := int(size)/rows, len(file)/rows, rows/3
	piece := func(lo, hi int) {
		w := tensor.Tensor{Name: "w", DType: dt, Shape: tensor.Shape{hi - lo, k}, Layout: whole.Layout, Buf: buf,
			Off: int64(lo * onDevice)}
		if lo < hi {
			must(t, s.Upload(w, file[lo*stored:hi*stored]))
		}
	}
	piece(0, first)
	piece(first, rows)
	must(t, s.Sync(t.Context()))
	check(func(r int) []byte { return rt.Bytes(buf.(*buffer).addr, int(size))[r*onDevice:][:onDevice] })
}

// planed returns a weight in its layout without memory.
func planed(dt tensor.DType, shape ...int) tensor.Tensor {
	w := tensor.Tensor{Name: "w", DType: dt, Shape: shape}
	w.Layout = LayoutOf(ops.WeightUse{Name: w.Name, DType: dt, Shape: w.Shape})
	return w
}

// TestRepackRefuses covers what has no meaning for repacked rows. What says no layout lies as in files, in any memory.
func TestRepackRefuses(t *testing.T) {
	d, _ := fakeDevice(t, Options{})
	defer closing(t, d.Close)
	s, err := d.Stream()
	must(t, err)
	defer closing(t, s.Close)
	file := randomBlocks(4, 144)
	for _, kind := range []ops.MemKind{ops.MemWeights, ops.MemState} {
		buf, err := d.Alloc(4096, kind)
		must(t, err)
		defer closing(t, buf.Free)
		w := planed(quant.Q4_K, 4, 256)
		w.Buf = buf
		plain := w
		plain.Layout = tensor.Layout{}
		got := make([]byte, len(file))
		must(t, s.Upload(plain, file[:100]))
		must(t, s.Upload(plain, file))
		must(t, s.Download(got, plain))
		must(t, s.Sync(t.Context()))
		if !bytes.Equal(got, file) {
			t.Errorf("%s: a matrix that lies as in files came back changed", kindName(kind))
		}
		wantError(t, s.Upload(w, file[:100]), `"w"`, "100 bytes are not whole rows of 144")
		wantError(t, s.Download(got, w), `"w"`, `layout "planes"`)
		wantError(t, s.Upload(w, make([]byte, 5*144)), "720 bytes in a tensor of 576")
		far := w
		far.Off = 4096 - 3*160
		wantError(t, s.Upload(far, file), "outside of its buffer")
		odd := w
		odd.Layout.Name = "tiles"
		wantError(t, s.Upload(odd, file), `layout "tiles" of type Q4_K is not known`)
	}
}

// TestLayouts covers which weights have a layout, and what a plan says of weights that lie otherwise.
func TestLayouts(t *testing.T) {
	for _, bad := range []tensor.Shape{{3, 100}, {0, 256}, {1 << 40, 1 << 40}} {
		if l := LayoutOf(ops.WeightUse{DType: quant.Q4_K, Shape: bad}); !l.IsZero() {
			t.Errorf("shape %v has layout %+v", bad, l)
		}
	}
	if l := LayoutOf(ops.WeightUse{DType: tensor.F16, Shape: tensor.Shape{4, 256}}); !l.IsZero() {
		t.Errorf("F16 has layout %+v", l)
	}
	if l, want := planed(quant.Q4_K, 2, 3, 256).Layout,
		(tensor.Layout{Name: "planes", Bytes: 6 * 160, Rows: 1}); l != want {
		t.Errorf("layout %+v, want %+v", l, want)
	}
	// the product's kernels
	d, err := openOn(fakert.New("gfx1100", nil), "hip:0", 0, Options{CodeObjects: objectDir(t)})
	must(t, err)
	defer closing(t, d.Close)
	buf, err := d.Alloc(1<<20, ops.MemWeights)
	must(t, err)
	defer closing(t, buf.Free)
	product := func(w tensor.Tensor) (*ops.Graph, ops.Value) {
		g := &ops.Graph{}
		w.Buf = buf
		return g, ops.MulMat(g, g.Input("x", tensor.F32, 3, w.Shape[1]), g.Weight(w))
	}
	for _, c := range []struct {
		name string
		edit func(*tensor.Tensor)
		dt   tensor.DType
		want []string
	}{
		{"as in files", func(w *tensor.Tensor) { w.Layout = tensor.Layout{} }, quant.Q4_K,
			[]string{`weight "w" of type Q4_K lies as in files`, `layout "planes"`}},
		{"of another name", func(w *tensor.Tensor) { w.Layout.Name = "tiles" }, quant.Q4_K,
			[]string{`lies in layout "tiles"`, `layout "planes"`}},
		{"where there is none", func(w *tensor.Tensor) { w.Layout = tensor.Layout{Name: "planes", Bytes: 5, Rows: 1} },
			tensor.F16, []string{`type F16 lies in layout "planes"`, "read it as in files"}},
		{"of another size", func(w *tensor.Tensor) { w.Layout.Bytes++ }, quant.Q4_K,
			[]string{"Bytes:641", "Bytes:640"}},
		{"larger than its memory", func(w *tensor.Tensor) { w.Off = 1<<20 - 639 }, quant.Q4_K,
			[]string{"640 bytes at", "outside of its buffer"}},
	} {
		w := planed(c.dt, 4, 256)
		c.edit(&w)
		g, y := product(w)
		_, err := d.Compile(g, nil, y)
		wantError(t, err, c.want...)
		unsupported := w.Layout.Name != "planes" || c.dt == tensor.F16
		if errors.Is(err, ops.ErrUnsupported) != unsupported {
			t.Errorf("%s: that error %v wraps ErrUnsupported is not %v", c.name, err, unsupported)
		}
		if _, err := d.Caps().PlanBytes(g, y); (err != nil) != unsupported {
			t.Errorf("%s: planning says %v", c.name, err)
		}
	}
	g, y := product(planed(quant.Q4_K, 4, 256))
	n, err := d.Caps().PlanBytes(g, y)
	must(t, err)
	if n < 4*3*(256+4) {
		t.Errorf("a product takes %d bytes", n)
	}
	g = &ops.Graph{}
	st := planed(quant.Q4_K, 4, 256)
	st.Buf = buf
	_, err = d.Compile(g, nil, g.State(st))
	wantError(t, err, "states lie as in files", "planes")
}

// TestRepackRows compares the rows that several cores write with those of one.
func TestRepackRows(t *testing.T) {
	l, rows, k := layouts[quant.Q6_K], 600, 2048
	src := randomBlocks(rows*k/256, l.file)
	got, want := make([]byte, rows*int(l.row(k))), make([]byte, rows*int(l.row(k)))
	l.repackRows(got, src, k)
	for r := range rows {
		l.repackRows(want[r*int(l.row(k)):][:l.row(k)], src[r*k/256*l.file:][:k/256*l.file], k)
	}
	if !bytes.Equal(got, want) {
		t.Error("rows differ")
	}
}

func BenchmarkRepack(b *testing.B) {
	for dt, l := range layouts {
		b.Run(dt.String(), func(b *testing.B) {
			const k = 4096
			src := randomBlocks(256*k/l.block, l.file)
			dst := make([]byte, 256*int(l.row(k)))
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				l.repackRows(dst, src, k)
			}
		})
	}
}
