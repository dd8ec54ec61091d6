// Package quant defines the element and block formats of model files: one file per type, holding the layout,
// the scalar dequantizer that is the definition of the type, and the quantizer. Linking it registers all types
// with [github.com/hipengine/hipengine/tensor.RegisterFormat].
//
// Layouts are those of GGML (ggml-common.h, ggml-quants.c of ggml-org/ggml, MIT licence), described from the
// format, not copied. All multi-byte fields are little-endian. Products are formed in float32, left to right.
package quant
