// Package seedoss is the architecture of Seed-OSS: Llama's graph with biases of q, k and v, and rotary pairs half a
// head apart.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "seed_oss"), which call the norm of the
// feed-forward network post_attention_norm. Defaults are those of package nn's Read functions.
package seedoss
