package hf

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/hipengine/hipengine/tensor"
)

// TestConcat reads every range of rows of matrices of several heights behind each other, of one type and of two.
func TestConcat(t *testing.T) {
	const cols = 3
	next := float32(0)
	part := func(rows int) *matrix {
		x := make([]float32, rows*cols)
		for i := range x {
			x[i], next = next, next+1
		}
		return values(x).reshape(cols)
	}
	for _, mixed := range []bool{false, true} {
		next = 0
		ms := []*matrix{part(2), part(5), part(1), part(4)}
		if mixed {
			ms[1], ms[2] = ms[1].narrowed(), ms[2].narrowed() // numbers below 256, which BF16 has
		}
		m := concat(ms)
		if m.rows != 12 || m.cols != cols || m.dtype != tensor.F32 {
			t.Fatalf("%d rows of %d in %v", m.rows, m.cols, m.dtype)
		}
		for lo := range m.rows {
			for hi := lo + 1; hi <= m.rows; hi++ {
				b := make([]byte, (hi-lo)*m.rowBytes())
				if err := m.read(b, lo, hi); err != nil {
					t.Fatal(err)
				}
				for i := range (hi - lo) * cols {
					if got := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])); got != float32(lo*cols+i) {
						t.Fatalf("rows %d to %d: element %d is %v, want %d", lo, hi, i, got, lo*cols+i)
					}
				}
			}
		}
	}
}
