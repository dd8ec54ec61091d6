// Package glm4 is the architecture of GLM-4 of April 2025 (9B and 32B): norms before and after each half of a layer,
// gate and up fused into ffn_up, and rotation of the first half of each head, in interleaved pairs. q, k and v may
// have biases.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "glm4"). Defaults are those of package nn's
// Read functions.
package glm4
