// Package quant defines the element and block formats of model files: one file per type, holding the layout,
// the scalar dequantizer that is the definition of the type, and the quantizer. Linking it registers all types
// with [github.com/hipengine/hipengine/tensor.RegisterFormat].
//
// Layouts are those of GGML (ggml-common.h, ggml-quants.c of ggml-org/ggml, MIT licence), described from the
// format, not copied. All multi-byte fields are little-endian. Products are formed in float32, left to right, and
// never fused with an addition: results are the same bits on every machine.
//
// [Dequantize] and [Quantize] check lengths and content; a Format's own Dequant and Quant trust their caller with
// lengths. Quantizers come in two kinds: most types can be quantized from the weights alone, and the searching
// ones also with an importance matrix, which some require (see [RequiresImatrix]). Both give the bytes that GGML
// gives. The searches live in fit.go (scales), iq_fit.go and iq_search.go (grids) and iq1_fit.go.
//
// Content is never a reason to panic. Dequantizers pass NaN and infinite scales on to the elements. Quantizers turn
// finite weights into finite blocks, saturating where a scale exceeds binary16, where GGML would write an
// infinity; blocks made of weights that are not finite (which Quantize refuses) are unspecified.
package quant
