// Package lfm2 is the architecture of LFM 2, dense ("lfm2") and mixture of experts ("lfm2moe"): layers of a gated short
// convolution between few of attention, whose queries and keys are normalized. The mixture's first layers are dense;
// routers take the sigmoid of each expert, choose with a bias, and make the weights of the chosen ones sum to one.
//
// Source: the GGUF files that llama.cpp's converter writes. A layer is a convolution where attention.head_count_kv
// lists zero; the final norm is called token_embd_norm. Defaults: sigmoid without expert_gating_func,
// expert_weights_norm true; others are those of package nn's Read functions.
package lfm2
