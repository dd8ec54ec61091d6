package synth

import (
	"fmt"

	"github.com/hipengine/hipengine/tensor"
	"github.com/hipengine/hipengine/tensor/quant"
)

// codeBytes says which bytes of a block, from lo to hi, are codes: any value of them is valid and keeps the size of
// the weights. The other bytes are scales and minima.
var codeBytes = map[tensor.DType]struct{ lo, hi int }{
	quant.Q8_0: {2, 34}, quant.Q4_0: {2, 18}, quant.Q4_1: {4, 20}, quant.Q5_0: {2, 22}, quant.Q5_1: {4, 24},
	quant.Q2_K: {16, 80}, quant.Q3_K: {0, 96}, quant.Q4_K: {16, 144}, quant.Q5_K: {16, 176}, quant.Q6_K: {0, 192},
	quant.IQ4_NL: {2, 18}, quant.IQ4_XS: {8, 136}, quant.MXFP4: {1, 17},
}

// floatMasks are sign and mantissa, low byte first: an exponent stays what it is.
var floatMasks = map[tensor.DType][]byte{
	tensor.F32: {0xff, 0xff, 0x7f, 0x80}, tensor.F16: {0xff, 0x83}, tensor.BF16: {0x7f, 0x80},
}

// codeMask returns the bits of a block that may have any value.
func codeMask(dt tensor.DType) ([]byte, error) {
	if m, ok := floatMasks[dt]; ok {
		return m, nil
	}
	c, ok := codeBytes[dt]
	f, known := dt.Format()
	if !ok || !known {
		return nil, fmt.Errorf("random codes of %v are not known", dt)
	}
	m := make([]byte, f.Bytes)
	for i := c.lo; i < c.hi; i++ {
		m[i] = 0xff
	}
	return m, nil
}
