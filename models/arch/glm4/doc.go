// Package glm4 is the architecture of GLM-4. That of April 2025 (9B and 32B, "glm4") has norms before and after each
// half of a layer, gate and up fused into ffn_up, and rotation of the first half of each head, in interleaved pairs.
// GLM-4.5 to 4.7 ("glm4moe") are mixtures of experts with norms before each half, the second of which is called
// post_attention_norm; rotary pairs lie half the rotated elements apart, and some models normalize each head of q and
// k. Their routers take the sigmoid of each expert and choose with a bias; leading layers are dense. In both, q, k and
// v may have biases.
//
// Source: the GGUF files that llama.cpp's converter writes. Defaults: sigmoid without expert_gating_func, weights that
// are not made to sum to one without expert_weights_norm, no shared expert without expert_shared_count, no dense
// layers without leading_dense_block_count; others are those of package nn's Read functions. A layer for speculation
// behind the others, a mixture too, is what package nn makes of it.
package glm4
