package opship

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hipengine/hipengine/ops"
	"github.com/hipengine/hipengine/ops_hip/internal/kmeta"
	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// TestWeightTypes compares types.def with the registered types: each that has numbers has kernels, under the layout
// that the definition has.
func TestWeightTypes(t *testing.T) {
	want := map[string]bool{}
	for _, f := range tensor.Formats() {
		if f.Dequant == nil {
			continue
		}
		want[f.Name] = true
		line := fmt.Sprintf("(%s, %s, %d, %d)", strings.ToLower(f.Name), f.Name, f.Block, f.Bytes)
		switch w := weightTypes[f.Name]; {
		case f.Name == "F32" || f.Name == "F64":
			line = "TYPE_WIDE" + line
		case w.dot.few:
			line = "TYPE_DOT" + line
		case w.dot.number > 0:
			line = "TYPE_DOT1" + line
		case w.dot.grid:
			line = "TYPE_GRID" + line
		default:
			line = "TYPE" + line
		}
		if !strings.Contains(typesDef, "\n"+line+"\n") {
			t.Errorf("types.def lacks %s", line)
		}
	}
	for name := range weightTypes {
		if !want[name] {
			t.Errorf("types.def has %s, which package quant has not", name)
		}
	}
}

// TestGrids compares the tables of grids.h with the codes of package quant.
func TestGrids(t *testing.T) {
	header, err := os.ReadFile("kernels/grids.h")
	must(t, err)
	tables := regexp.MustCompile(`(?s)TABLE u16 grid_(\w+)\[(\d+)\] = \{(.*?)\};`).
		FindAllStringSubmatch(string(header), -1)
	if len(tables) != 6 {
		t.Fatalf("%d tables, want 6", len(tables))
	}
	for _, table := range tables {
		codes, err := os.ReadFile("../tensor/quant/grids/" + table[1] + ".txt")
		must(t, err)
		want, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(codes), "\n", ""))
		must(t, err)
		var got []byte
		for f := range strings.FieldsFuncSeq(table[3], func(r rune) bool { return r < '0' || r > '9' }) {
			n, err := strconv.ParseUint(f, 10, 16)
			must(t, err)
			got = binary.LittleEndian.AppendUint16(got, uint16(n))
		}
		if !bytes.Equal(got, want) || table[2] != fmt.Sprint(len(want)/2) {
			t.Errorf("table %s[%s] differs from the codes", table[1], table[2])
		}
	}
}

// TestStaticLDS checks what kmeta.Check cannot know: an NVIDIA driver refuses kernels that declare more than 48 KiB.
func TestStaticLDS(t *testing.T) {
	for _, target := range []string{"sm_80", "sm_90"} {
		set := objects(t, target)
		for _, name := range set.Names() {
			b, err := set.Read(name)
			must(t, err)
			o, err := kmeta.Read(b)
			must(t, err)
			for _, k := range o.Kernels {
				if k.LDS > 48<<10 {
					t.Errorf("%s: %s declares %d bytes, at most %d", target, k.Name, k.LDS, 48<<10)
				}
			}
		}
	}
}

// TestRandomBlocks dequantizes blocks of random bits, every code and every scale (NaN and infinite ones too), through
// embed. Products are exact or rounded once on both sides; where a minimum is subtracted, the kernel may fuse.
func TestRandomBlocks(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			e := newEmulator(t, target)
			for _, f := range weightFormats() {
				t.Run(f.Name, func(t *testing.T) {
					const rows = 64
					width := max(f.Block, 256)
					p := newProblem(t, ops.EmbedOp,
						ops.Case{Name: f.Name, Args: []ops.Arg{weight(f.DType, rows, width), every(rows)}})
					r := rand.New(rand.NewPCG(7, uint64(f.DType)))
					for i := range p.data[0] {
						p.data[0][i] = byte(r.Uint32())
					}
					want := make([]float32, rows*width)
					must(t, quant.Dequantize(f.DType, want, p.data[0]))
					got := floats(e.run(t, p, kernels[ops.EmbedOp][0])[0])
					for i, w := range want {
						top := 0.0 // largest magnitude of the block: what was subtracted is not larger
						for _, v := range want[i/f.Block*f.Block:][:f.Block] {
							if a := math.Abs(float64(v)); a <= math.MaxFloat32 {
								top = max(top, a)
							}
						}
						same := got[i] == w || got[i] != got[i] && w != w ||
							math.Abs(float64(got[i])-float64(w)) <= 0x1p-22*top
						if !same {
							t.Fatalf("element %d of row %d: got %g, want %g", i%width, i/width, got[i], w)
						}
					}
				})
			}
		})
	}
}

// every is the operand 0, 1, ... n-1.
func every(n int) ops.Arg {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(i)
	}
	return ints(v...)
}

// TestFragments checks each element of each fragment type of mma.h: products of small integers are exact, and with one
// nonzero element of A and of B at a time only the right element of C may be.
func TestFragments(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves the emulator out; make emulator runs it")
	}
	for _, target := range emulated {
		t.Run(target, func(t *testing.T) {
			e := newEmulator(t, target)
			e.checks.WaveSeed = 1
			r := rand.New(rand.NewPCG(3, 4))
			t.Run("f16", func(t *testing.T) {
				a, b := smallInts(r, 256), smallInts(r, 256)
				got := e.tile(t, "mma_test_f16", halves(a), halves(b), 256)
				for i := range 256 {
					if want := product(a, b, i/16, i%16, 16); math.Float32frombits(got[i]) != float32(want) {
						t.Fatalf("row %d column %d: got %g, want %d", i/16, i%16, math.Float32frombits(got[i]), want)
					}
				}
			})
			t.Run("bf16", func(t *testing.T) {
				a, b := smallInts(r, 256), smallInts(r, 256)
				got := e.tile(t, "mma_test_bf16", bhalves(a), bhalves(b), 256)
				for i := range 256 {
					if want := product(a, b, i/16, i%16, 16); math.Float32frombits(got[i]) != float32(want) {
						t.Fatalf("row %d column %d: got %g, want %d", i/16, i%16, math.Float32frombits(got[i]), want)
					}
				}
			})
			t.Run("s8", func(t *testing.T) {
				a, b := smallInts(r, 512), smallInts(r, 512)
				got := e.tile(t, "mma_test_s8", int8s(a), int8s(b), 256)
				for i := range 256 {
					if want := product(a, b, i/16, i%16, 32); int32(got[i]) != int32(want) {
						t.Fatalf("row %d column %d: got %d, want %d", i/16, i%16, int32(got[i]), want)
					}
				}
			})
			t.Run("rows", func(t *testing.T) {
				a, b := smallInts(r, 256), smallInts(r, 256)
				got := e.tile(t, "mma_test_rows", halves(a), halves(b), 32)
				for i := range 16 {
					most, sum := math.MinInt, 0
					for j := range 16 {
						c := product(a, b, i, j, 16)
						most, sum = max(most, c), sum+c
					}
					if m, s := math.Float32frombits(got[i]), math.Float32frombits(got[16+i]); m != float32(most) ||
						s != float32(sum) {
						t.Fatalf("row %d: largest %g and sum %g, want %d and %d", i, m, s, most, sum)
					}
				}
			})
			t.Run("unit", func(t *testing.T) {
				for i := range 16 {
					for j := range 16 {
						a, b := make([]int, 256), make([]int, 256)
						k := (i + 3*j) % 16
						a[16*i+k], b[16*j+k] = 1, 1
						got := e.tile(t, "mma_test_f16", halves(a), halves(b), 256)
						for c, v := range got {
							if (v != 0) != (c == 16*i+j) {
								t.Fatalf("A[%d][%d]·B[%d][%d] gave C[%d][%d] = %g", i, k, k, j, c/16, c%16,
									math.Float32frombits(v))
							}
						}
					}
				}
			})
		})
	}
}

// tile runs a kernel of mma_test.hip and returns n words.
func (e *emulator) tile(t testing.TB, symbol string, a, b []byte, n int) []uint32 {
	t.Helper()
	if e.modules["mma_test"] == nil {
		image, err := os.ReadFile(filepath.Join("testdata", "fragments", e.target.Name, "mma_test.co"))
		must(t, err)
		e.modules["mma_test"], err = e.dev.Load(e.target.Name, image)
		must(t, err)
	}
	at := map[ops.Value]uint64{}
	g := &ops.Graph{}
	var args Args
	for i, data := range [][]byte{a, b, make([]byte, 4*n)} {
		v := g.Input(fmt.Sprint(i), tensor.I8, len(data))
		addr, err := e.dev.Alloc(int64(len(data)))
		must(t, err)
		must(t, e.dev.Write(addr, data))
		defer func() { must(t, e.dev.Free(addr)) }()
		at[v], args = addr, args.Ptr(v)
		if i == 2 {
			e.launch(t, &Launch{Object: "mma_test", Symbol: symbol, Block: [3]uint32{32}, Args: args}, at)
			must(t, e.dev.Read(data, addr))
			words := make([]uint32, n)
			for j := range words {
				words[j] = binary.LittleEndian.Uint32(data[4*j:])
			}
			return words
		}
	}
	return nil
}

func smallInts(r *rand.Rand, n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = r.IntN(33) - 16
	}
	return v
}

// product is Σ_k a[i][k]·b[j][k].
func product(a, b []int, i, j, k int) int {
	s := 0
	for l := range k {
		s += a[i*k+l] * b[j*k+l]
	}
	return s
}

func halves(v []int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, quant.FloatToHalf(float32(x)))
	}
	return b
}

func bhalves(v []int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, quant.FloatToBFloat(float32(x)))
	}
	return b
}

func int8s(v []int) []byte {
	b := make([]byte, len(v))
	for i, x := range v {
		b[i] = byte(int8(x))
	}
	return b
}
