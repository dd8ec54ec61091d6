package quant

import (
	"math"
	"sync"
)

// gridSearch finds the grid point for elements that are to be quantized. Its coordinates are the levels 2*digit+1,
// not the values of [grid].
type gridSearch struct {
	dim, bits, levels int      // coordinates of a point; bits and levels of a digit
	digits            []byte   // dim digits of each point
	at                []int32  // by packed code: a point, or -1-k if neighbours[k:] is the list of a code off the grid
	neighbours        []uint16 // lists: a length, then as many points
}

// The searches, built when a quantizer first needs one. The last argument says how many distances a list of
// neighbours spans.
var (
	searchIQ1S   = lazySearch(gridIQ1S, 3)
	searchIQ2XXS = lazySearch(gridIQ2XXS, 2)
	searchIQ2XS  = lazySearch(gridIQ2XS, 2)
	searchIQ2S   = lazySearch(gridIQ2S, 1)
	searchIQ3XXS = lazySearch(gridIQ3XXS, 2)
	searchIQ3S   = lazySearch(gridIQ3S, 3)
)

// lazySearch returns a function that builds the search of a grid once. For each code off the grid it lists the
// points within the spread smallest distinct distances, ordered by distance and then index.
func lazySearch(of func() *grid, spread int) func() *gridSearch {
	return sync.OnceValue(func() *gridSearch {
		g := of()
		s := &gridSearch{dim: g.dim, bits: 2, levels: 3}
		if g.dim == 4 {
			s.bits, s.levels = 3, 8
		}
		for _, c := range g.codes {
			for i := range g.dim {
				s.digits = append(s.digits, byte(g.digit(c, i)))
			}
		}

		// Squared distances between half a code and the same half of all points: a distance is the sum of two.
		n, halfBits := len(g.codes), s.bits*s.dim/2
		halves := [2][][]byte{make([][]byte, 1<<halfBits), make([][]byte, 1<<halfBits)}
		for h := range halves {
			for c := range 1 << halfBits {
				row := make([]byte, n)
				for p := range row {
					for i := range s.dim / 2 {
						diff := g.digit(uint16(c), i) - int(s.digits[p*s.dim+h*s.dim/2+i])
						row[p] += byte(diff * diff)
					}
				}
				halves[h][c] = row
			}
		}

		s.at = make([]int32, 1<<(2*halfBits))
		distances := make([]byte, n)
		for c := range s.at {
			if !s.valid(g, uint16(c)) {
				continue
			}
			low, high := halves[0][c&(1<<halfBits-1)], halves[1][c>>halfBits]
			var count [256]int
			for p := range distances {
				distances[p] = low[p] + high[p]
				count[distances[p]]++
			}
			start := len(s.neighbours)
			s.at[c] = int32(-1 - start)
			s.neighbours = append(s.neighbours, 0)
			for d, left := 0, spread; left > 0 && d < len(count); d++ {
				if count[d] == 0 {
					continue
				}
				left--
				for p, x := range distances {
					if int(x) == d {
						s.neighbours = append(s.neighbours, uint16(p))
					}
				}
			}
			s.neighbours[start] = uint16(len(s.neighbours) - start - 1)
		}
		for p, c := range g.codes {
			s.at[c] = int32(p)
		}
		return s
	})
}

// valid reports whether all digits of c are levels: two bits can also hold a digit 3, which no code has.
func (s *gridSearch) valid(g *grid, c uint16) bool {
	for i := range s.dim {
		if g.digit(c, i) >= s.levels {
			return false
		}
	}
	return true
}

// point returns the digits of point p.
func (s *gridSearch) point(p int) []byte { return s.digits[p*s.dim:][:s.dim] }

// find returns the point of a packed code and whether the code is on the grid. If it is not, the point is the
// neighbour with the least Σ w*(scale*level - x)², where levels are those of the digits.
func (s *gridSearch) find(code uint16, x, w []float32, scale float32, levels *[8]float32) (p int, onGrid bool) {
	at := s.at[code]
	if at >= 0 {
		return int(at), true
	}
	list := s.neighbours[-1-at:]
	list = list[1:][:list[0]]
	p = int(list[0]) // for distances that overflow
	best := float32(math.Inf(1))
	for _, candidate := range list {
		var d2 float32
		for i, digit := range s.point(int(candidate)) {
			diff := float32(scale*levels[digit]) - x[i]
			d2 += float32(w[i] * diff * diff)
		}
		if d2 < best {
			best, p = d2, int(candidate)
		}
	}
	return p, false
}
