// Package phimoe is the architecture of Phi-3.5-MoE: layer normalization, biases in attention and, in most files, of
// the output matrix, LongRoPE, and a mixture of experts in every layer, of which a token uses two that a SparseMixer
// routes to.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "phimoe"), in which the epsilon of the norms
// is attention.layer_norm_rms_epsilon; of the routing the model's published inference code, see package nn's
// SparseMixer. llama.cpp itself normalizes without subtracting the mean, and weighs the two experts by softmax, so
// that its logits are others. Defaults: router_jitter_noise 0.01, which published models have; expert_gating_func,
// which files of llama.cpp lack, is 1 for a router by softmax in place of the SparseMixer; others are those of package
// nn's Read functions.
package phimoe
