// Package qwen2 is the architecture of Qwen 2 and 2.5: q, k and v have biases.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "qwen2"). Defaults are those of package nn's
// Read functions.
package qwen2
