// Package kimilinear is the architecture of Kimi Linear: most layers are Kimi Delta Attention, the others multi-head
// latent attention without rotation; the first layers have a dense network, the others a mixture of experts with a
// shared one.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "kimi-linear"), with the matrices of keys and
// values by head (attn_k_b, attn_v_b); of the formulas arXiv 2510.26692. attention.head_count_kv lists a zero for each
// layer of delta attention. Defaults: softmax without expert_gating_func, weights that sum to one without
// expert_weights_norm, no shared expert without expert_shared_count, no dense layers without leading_dense_block_count;
// others are those of package nn's Read functions.
package kimilinear
