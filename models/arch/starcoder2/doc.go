// Package starcoder2 is the architecture of StarCoder 2: layer normalization, a feed-forward network without a gate,
// GELU, and biases everywhere. The checkpoints were trained with a sliding window in all layers.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "starcoder2"), which lack the window.
// Defaults: none without attention.sliding_window; others are those of package nn's Read functions.
package starcoder2
