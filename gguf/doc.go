// Package gguf reads and writes GGUF model files, versions 2 and 3, little-endian, in one part or split into
// several. The layout is that of the GGUF specification (docs/gguf.md of ggml-org/ggml) and of the reader in
// ggml's gguf.cpp, whose limits are the ones checked here or looser than them.
//
// A [File] is the result of reading the metadata section alone: typed key-value pairs ([Meta]) and the list of
// tensors ([TensorInfo]), every one of them checked against the size of the file. Tensor data is read on demand
// ([File.ReadTensor], [File.Reader]) or mapped ([File.Map]). A [Writer] streams a file out, one tensor at a time.
//
// GGUF stores the innermost dimension first. This package reverses the order when it reads and when it writes,
// so that every [github.com/hipengine/hipengine/tensor.Shape] is outermost first; nothing else needs to know.
//
// Files are untrusted input. A broken one gives an error that names the field, the limit and the byte offset;
// memory is allocated only for bytes that the file really holds, and the metadata section is limited to 256 MiB.
//
// Element types are those whose format is registered with package tensor: link package tensor/quant to know
// them all.
package gguf
