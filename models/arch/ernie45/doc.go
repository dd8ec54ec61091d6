// Package ernie45 is the architecture of Ernie 4.5, dense ("ernie4_5") and mixture of experts ("ernie4_5-moe"):
// Llama's graph. The router of a mixture takes the softmax over all experts, chooses with a bias, and makes the weights
// of the chosen ones sum to one; leading layers are dense, and shared experts are one wide one.
//
// Source: the GGUF files that llama.cpp's converter writes, whose rotary pairs are interleaved as in checkpoints.
// Defaults: no dense layers without leading_dense_block_count, no shared expert without
// expert_shared_feed_forward_length; others are those of package nn's Read functions.
package ernie45
