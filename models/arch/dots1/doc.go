// Package dots1 is the architecture of dots.llm1: attention of Qwen 3, whose heads of q and k are normalized before
// the rotation, behind leading dense layers a mixture of experts with shared ones, and routers that take the sigmoid
// of each expert and choose with a bias.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "dots1"). Defaults: sigmoid without
// expert_gating_func, weights that are not made to sum to one without expert_weights_norm, no shared expert without
// expert_shared_count, no dense layers without leading_dense_block_count; others are those of package nn's Read
// functions.
package dots1
