// Package hf opens model folders in the form of Hugging Face: weights in safetensors, config.json, tokenizer.json.
// It presents one as what a GGUF file of the same model would be: metadata under the keys that llama.cpp's converter
// (convert_hf_to_gguf.py) writes, and tensors under its names, shapes and row orders, so that everything that takes a
// GGUF file takes a folder too.
//
// Nothing is converted ahead of time. A tensor is a recipe over stored tensors (matrix.go): rows are picked,
// stacked, scaled or widened while they are read, so that memory stays at a few rows whatever the model's size.
//
// Each family of models is one file that registers it in init: the architecture's name, its metadata keys beyond the
// common ones, and a table of rules from stored names to GGUF names. Tensors that no rule takes are an error, so that
// no weight is dropped in silence; those of vision and audio towers are skipped with a note.
//
// Element types: matrices keep F32, F16, BF16 and MXFP4. Vectors, routers, convolutions and all tensors that
// arithmetic changes are F32. Weights of quantized checkpoints (quantization.go) keep their values in the blocks of
// GGUF that hold them exactly: integers of GPTQ, AWQ and compressed-tensors in Q4_0, Q5_0 or Q8_0, MXFP4 as it is,
// NVFP4 with a tensor X.scale beside X.weight. Others (FP8, integers in the order of activations) are presented in
// BF16, with a note of the error; [Folder.ReadRows] gives their exact product. What is not read is refused by name.
//
// Folders are untrusted input. Broken ones give errors that name the file, the thing and the limit; memory is
// allocated for bytes that a file really holds. Formats: safetensors (huggingface/safetensors, README.md), and the
// configuration classes of huggingface/transformers.
package hf
