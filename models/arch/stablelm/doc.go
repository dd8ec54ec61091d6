// Package stablelm is the architecture of StableLM 2 (1.6B) and StableLM 3B: Llama's graph with layer normalization,
// rotation of a part of each head, and in some models biases of q, k and v.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "stablelm"). StableLM 2 12B, whose halves
// stand side by side and whose heads have norms of their own, is not known. Defaults are those of package nn's Read
// functions.
package stablelm
