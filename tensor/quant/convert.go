package quant

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
)

// Dequantize writes to dst the len(dst) elements that the blocks src of type d hold. It returns an error,
// and leaves dst alone, when d holds no numbers of a model, when len(dst) is not a multiple of its block, or
// when src is not exactly the blocks of dst. It does not judge content: NaN and infinite scales yield NaN and
// infinite elements.
func Dequantize(d tensor.DType, dst []float32, src []byte) error {
	f, ok := d.Format()
	if !ok || f.Dequant == nil {
		return fmt.Errorf("quant: dequantize %v: the type has no dequantizer", d)
	}
	if err := checkLengths(f, len(dst), len(src)); err != nil {
		return fmt.Errorf("quant: dequantize %v: %w", d, err)
	}
	f.Dequant(dst, src)
	return nil
}

// checkLengths reports whether size bytes are the blocks of n elements of f.
func checkLengths(f tensor.Format, n, size int) error {
	if n%f.Block != 0 {
		return fmt.Errorf("%d elements are not a whole number of %d-element blocks", n, f.Block)
	}
	// Compared as block counts: n/f.Block*f.Bytes could overflow on 32-bit machines.
	if size%f.Bytes != 0 || size/f.Bytes != n/f.Block {
		return fmt.Errorf("%d elements need %d blocks of %d bytes, but there are %d bytes", n, n/f.Block, f.Bytes, size)
	}
	return nil
}
