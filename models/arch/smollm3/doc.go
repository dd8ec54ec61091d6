// Package smollm3 is the architecture of SmolLM 3: Llama's graph without rotation in every fourth layer.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "smollm3"), whose rows of attn_q and attn_k
// are permuted so that rotary pairs are interleaved. Defaults are those of package nn's Read functions.
package smollm3
