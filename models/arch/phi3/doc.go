// Package phi3 is the architecture of Phi 3, 3.5 and 4: Llama's graph with fused projections (attn_qkv; ffn_up, which
// holds gate and up), LongRoPE, and in some models a sliding window in all layers.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "phi3"). They hold LongRoPE's factors as
// rope_factors_short.weight and rope_factors_long.weight, or lack them where the context needs none. Defaults are
// those of package nn's Read functions.
package phi3
