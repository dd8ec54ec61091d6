// Package nemotronh is the architecture of Nemotron H ("nemotron_h") and of Nemotron 3 ("nemotron_h_moe"): each layer
// is a state-space mixer of Mamba 2, attention without rotation, or a feed-forward network with squared ReLU, of the
// latter a mixture of experts without gates. Routers take the sigmoid of each expert; a shared expert serves every
// token.
//
// Source: the GGUF files that llama.cpp's converter writes. A layer is a feed-forward network where feed_forward_length
// lists its width, attention where attention.head_count_kv lists its heads, and a mixer where both list zero. Defaults:
// expert_weights_norm false; others are those of package nn's Read functions.
package nemotronh
