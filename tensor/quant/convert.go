package quant

import (
	"fmt"
	"math"

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

// A rowQuantizer writes the blocks of src, one row or several, to dst. importance is nil or has one weight for
// each element of src, which then is one row.
type rowQuantizer func(dst []byte, src, importance []float32)

// weighted are the quantizers that use an importance matrix, by type. Those whose type has no plain quantizer
// need one.
var weighted = map[tensor.DType]rowQuantizer{}

// registerWeighted registers f with a quantizer that takes an importance matrix or, unless needsImatrix is
// set, none.
func registerWeighted(f tensor.Format, q rowQuantizer, needsImatrix bool) {
	if !needsImatrix {
		f.Quant = func(dst []byte, src []float32) { q(dst, src, nil) }
	}
	weighted[f.DType] = q
	tensor.RegisterFormat(f)
}

// blockwise returns a quantizer that calls one for each block of elems elements and size bytes.
func blockwise(elems, size int, one func(block []byte, x, importance []float32)) rowQuantizer {
	return func(dst []byte, src, importance []float32) {
		for ; len(src) > 0; dst, src = dst[size:], src[elems:] {
			if importance == nil {
				one(dst[:size], src[:elems], nil)
				continue
			}
			one(dst[:size], src[:elems], importance[:elems])
			importance = importance[elems:]
		}
	}
}

// RequiresImatrix reports whether d can be quantized only with an importance matrix: with so few bits a plain
// search is useless.
func RequiresImatrix(d tensor.DType) bool {
	f, ok := d.Format()
	return ok && f.Quant == nil && weighted[d] != nil
}

// Quantize writes the blocks of src, rows of rowLen elements each, to dst. imatrix is nil or an importance
// matrix: one weight of at least zero for each of the rowLen columns, typically the mean square of the activation
// that meets the column. Types that cannot use it ignore it. Rows are independent: callers may quantize parts of
// a tensor concurrently and get the same bytes.
//
// It returns an error, and leaves dst alone, when d has no quantizer or requires an importance matrix that is
// missing, when lengths do not fit together, when a weight is negative or not finite, or when src holds a NaN
// or an infinity that d cannot represent (the floating-point types keep them). Finite elements give finite blocks:
// elements beyond the range of a block type saturate.
func Quantize(d tensor.DType, dst []byte, src []float32, rowLen int, imatrix []float32) error {
	f, ok := d.Format()
	if !ok || f.Quant == nil && weighted[d] == nil {
		return fmt.Errorf("quant: quantize %v: the type has no quantizer", d)
	}
	if f.Quant == nil && imatrix == nil {
		return fmt.Errorf("quant: quantize %v: the type requires an importance matrix", d)
	}
	if rowLen <= 0 || rowLen%f.Block != 0 || len(src)%rowLen != 0 {
		return fmt.Errorf("quant: quantize %v: %d elements are not rows of %d in blocks of %d", d, len(src), rowLen,
			f.Block)
	}
	if err := checkLengths(f, len(src), len(dst)); err != nil {
		return fmt.Errorf("quant: quantize %v: %w", d, err)
	}
	if imatrix != nil && len(imatrix) != rowLen {
		return fmt.Errorf("quant: quantize %v: importance matrix has %d weights for rows of %d", d, len(imatrix),
			rowLen)
	}
	for i, w := range imatrix {
		if !(w >= 0) || w > math.MaxFloat32 {
			return fmt.Errorf("quant: quantize %v: importance of column %d is %v", d, i, w)
		}
	}
	if f.Block > 1 {
		for i, x := range src {
			if !(abs(x) <= math.MaxFloat32) {
				return fmt.Errorf("quant: quantize %v: element %d of row %d is %v", d, i%rowLen, i/rowLen, x)
			}
		}
	}
	q := weighted[d]
	if imatrix == nil || q == nil {
		f.Quant(dst, src)
		return nil
	}
	rowBytes := rowLen / f.Block * f.Bytes
	for ; len(src) > 0; dst, src = dst[rowBytes:], src[rowLen:] {
		q(dst[:rowBytes], src[:rowLen], imatrix)
	}
	return nil
}

// checkLengths reports whether size bytes are the blocks of n elements of f.
func checkLengths(f tensor.Format, n, size int) error {
	if n%f.Block != 0 {
		return fmt.Errorf("%d elements are not a whole number of %d-element blocks", n, f.Block)
	}
	// Compared as block counts: n/f.Block*f.Bytes could overflow on 32-bit machines.
	if size%f.Bytes != 0 || size/f.Bytes != n/f.Block {
		return fmt.Errorf("%d elements need %d blocks of %d bytes, but there are %d bytes", n, n/f.Block, f.Bytes,
			size)
	}
	return nil
}
