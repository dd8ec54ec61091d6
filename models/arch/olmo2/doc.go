// Package olmo2 is the architecture of OLMo 2 and 3: norms behind each half of a layer and none before, and queries
// and keys that are normalized over all heads together. OLMo 3 has a sliding window in three of four layers, whose
// rotary frequencies are not scaled.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "olmo2" for both). Defaults: no windows
// without attention.sliding_window; others are those of package nn's Read functions.
package olmo2
