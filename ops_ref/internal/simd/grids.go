package simd

import (
	"encoding/binary"
	"sync"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// grid holds the points of four or eight elements that a weight type codes as an index. Kernels want them as words, in
// which each element has the place of its value among all: those with even numbers in the low byte, the others above
// them in the same order, of two bits each for eight elements and of four for four.
type grid struct {
	words  []uint16
	values [16]byte // by place: codes of Codes
	factor float32  // of d, for scales that are odd integers
	points []uint64 // eight values of [Codes] each, or four
}

// eight returns the codes of a point of eight elements.
func (g *grid) eight(index uint16) uint64 { return g.points[index] }

// four returns the codes of two points of four elements.
func (g *grid) four(first, second uint16) uint64 { return g.points[first] | g.points[second]<<32 }

// grid returns the grid of c, which has one.
func (c Conversion) grid() *grid { return grids[c]() }

// grids read points from blocks that name all indexes, with signs that are plus and scales such that elements are those
// of the grid (eight times them for IQ1, of which the offset of an eighth is taken away).
var grids = [...]func() *grid{
	IQ3_S: sync.OnceValue(func() *grid {
		return newGrid(quant.IQ3_S, 512, 4, 1, 1, func(block []byte, i, index int) {
			block[2+i] = byte(index)
			block[66+i/8] |= byte(index >> 8 << (i % 8))
		})
	}),
	IQ3_XXS: sync.OnceValue(func() *grid {
		return newGrid(quant.IQ3_XXS, 256, 4, 4, 0x1p-2, func(block []byte, i, index int) { block[2+i] = byte(index) })
	}),
	IQ2_XXS: sync.OnceValue(func() *grid {
		return newGrid(quant.IQ2_XXS, 256, 8, 8, 0x1p-3, func(block []byte, i, index int) {
			block[2+i/4*8+i%4] = byte(index)
		})
	}),
	IQ2_XS: sync.OnceValue(func() *grid {
		return newGrid(quant.IQ2_XS, 512, 8, 8, 0x1p-3, func(block []byte, i, index int) {
			binary.LittleEndian.PutUint16(block[2+2*i:], uint16(index))
		})
	}),
	IQ2_S: sync.OnceValue(func() *grid {
		return newGrid(quant.IQ2_S, 1024, 8, 8, 0x1p-3, func(block []byte, i, index int) {
			block[2+i] = byte(index)
			block[66+i/4] |= byte(index >> 8 << (2 * (i % 4)))
		})
	}),
	IQ1_S: gridIQ1,
	IQ1_M: gridIQ1,
}

var gridIQ1 = sync.OnceValue(func() *grid {
	return newGrid(quant.IQ1_S, 2048, 8, 8, 0x1p-3, func(block []byte, i, index int) {
		block[2+i] = byte(index)
		h := block[34+i/4*2:]
		binary.LittleEndian.PutUint16(h, binary.LittleEndian.Uint16(h)|uint16(index>>8<<(3*(i%4))))
	})
})

// newGrid reads n points of size elements from blocks of type dt, in which put names point i of a block. by makes
// integers of the elements of blocks with a scale of 1.
func newGrid(dt tensor.DType, n, size int, by, factor float32, put func(block []byte, i, index int)) *grid {
	f, _ := dt.Format()
	g := &grid{factor: factor}
	places := map[byte]uint16{}
	x := make([]float32, f.Block)
	for first := 0; first < n; first += f.Block / size {
		block := make([]byte, f.Bytes)
		binary.LittleEndian.PutUint16(block, 0x3c00)
		for i := range f.Block / size {
			put(block, i, first+i)
		}
		f.Dequant(x, block)
		for p := x; len(p) > 0; p = p[size:] {
			var word uint16
			var point uint64
			for i, v := range p[:size] {
				code := byte(int(v*by)) + 128
				if dt == quant.IQ1_S {
					code--
				}
				place, ok := places[code]
				if !ok {
					place = uint16(len(places))
					places[code] = place
					g.values[place] = code
				}
				point |= uint64(code) << (8 * i)
				word |= place << (i/2*16/size + i%2*8)
			}
			g.words, g.points = append(g.words, word), append(g.points, point)
		}
	}
	return g
}
