// Package convert writes GGUF files: [Convert] from a Hugging Face folder, [Quantize] from another GGUF file.
//
// Both go through one pipeline (stream.go): rows of a tensor are read as F32, quantized by package tensor/quant and
// written in order, a few rows at a time and several workers at once, so that memory does not grow with the model.
// Rows are independent, hence the bytes do not depend on the number of workers. Files appear under their names when
// they are complete.
//
// Which tensor gets which type is up to the [FType] (mix.go): the mixtures of llama.cpp's llama-quantize, described
// from its behaviour (llama-quant.cpp of ggml-org/llama.cpp). Order of keys and tensors is that of its output too.
package convert
