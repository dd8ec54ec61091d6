// Package qwen2 is the architecture of Qwen 2 and 2.5, dense ("qwen2"), and of Qwen 1.5 and 2 as mixture of experts
// ("qwen2moe"): q, k and v have biases. The weights of the chosen experts are their shares of the softmax over all,
// which do not sum to one; a shared expert, gated by a sigmoid, serves every token. Of Qwen 2 VL and 2.5 VL
// ("qwen2vl") this is the language model: the three coordinates that sections of the rotation turn by are equal for
// text.
//
// Source: the GGUF files that llama.cpp's converter writes. Defaults: expert_weights_norm false; others are those of
// package nn's Read functions.
package qwen2
