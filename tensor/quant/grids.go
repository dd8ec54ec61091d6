package quant

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"strings"
	"sync"
)

// The IQ1, IQ2 and IQ3 types code 4 or 8 elements at once as an index into a grid: a list of points that the
// authors of the formats chose for being common among weights. The lists are constants of the formats; their
// origin is ggml-common.h and ggml-quants.c of ggml-org/ggml (MIT licence). The files of folder grids
// hold each as base64 of little-endian uint16 codes in ascending order, with 2 bits a coordinate in grids of 8
// coordinates and 3 bits in grids of 4.
var (
	//go:embed grids/iq1_s.txt
	codesIQ1S string
	//go:embed grids/iq2_xxs.txt
	codesIQ2XXS string
	//go:embed grids/iq2_xs.txt
	codesIQ2XS string
	//go:embed grids/iq2_s.txt
	codesIQ2S string
	//go:embed grids/iq3_xxs.txt
	codesIQ3XXS string
	//go:embed grids/iq3_s.txt
	codesIQ3S string
)

// The grids, expanded on first use. Their levels are the values of the coordinate digits 0, 1, 2...
var (
	gridIQ1S   = lazyGrid(codesIQ1S, 8, -1, 0, 1)
	gridIQ2XXS = lazyGrid(codesIQ2XXS, 8, 8, 25, 43)
	gridIQ2XS  = lazyGrid(codesIQ2XS, 8, 8, 25, 43)
	gridIQ2S   = lazyGrid(codesIQ2S, 8, 8, 25, 43)
	gridIQ3XXS = lazyGrid(codesIQ3XXS, 4, 4, 12, 20, 28, 36, 44, 52, 62)
	gridIQ3S   = lazyGrid(codesIQ3S, 4, 1, 3, 5, 7, 9, 11, 13, 15)
)

// grid is an expanded list of points.
type grid struct {
	dim    int      // coordinates of a point: 4 or 8
	codes  []uint16 // packed coordinate digits of each point, ascending
	values []int8   // dim values of each point
}

// point returns the values of point i.
func (g *grid) point(i int) []int8 { return g.values[i*g.dim:][:g.dim] }

// digit returns coordinate digit i of the packed code c.
func (g *grid) digit(c uint16, i int) int {
	if g.dim == 4 {
		return int(c >> (3 * i) & 7)
	}
	return int(c >> (2 * i) & 3)
}

// lazyGrid returns a function that decodes a grid once. It panics on codes that are not base64 or have a digit
// beyond levels: the codes are part of the program.
func lazyGrid(codes string, dim int, levels ...int8) func() *grid {
	return sync.OnceValue(func() *grid {
		raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(codes, "\n", ""))
		if err != nil {
			panic("quant: embedded grid: " + err.Error())
		}
		g := &grid{dim: dim}
		for ; len(raw) > 0; raw = raw[2:] {
			c := binary.LittleEndian.Uint16(raw)
			g.codes = append(g.codes, c)
			for i := range dim {
				g.values = append(g.values, levels[g.digit(c, i)])
			}
		}
		return g
	})
}

// paritySigns expands the 7-bit sign index i of IQ2_XXS, IQ2_XS and IQ3_XXS to eight sign bits: the eighth makes
// their number even.
func paritySigns(i uint32) byte {
	s := byte(i & 127)
	return s | onesParity(s)<<7
}

// onesParity returns 1 if the number of set bits of b is odd, else 0.
func onesParity(b byte) byte { return byte(bits.OnesCount8(b) & 1) }

// dequantPoint writes scale times the values of a grid point, negated where the bit of signs is set (least
// significant first).
func dequantPoint(dst []float32, point []int8, scale float32, signs byte) {
	for j, v := range point {
		y := scale * float32(v)
		if signs>>j&1 != 0 {
			y = -y
		}
		dst[j] = y
	}
}
