// Package deepseek2 is the architecture of DeepSeek V2, V2.5, V3 and R1, of models that are built alike (Kimi K2) and of
// GLM-4.7-Flash: multi-head latent attention, leading layers with a dense network, and a mixture of experts with shared
// ones in the others, whose experts may lie in groups of which a token uses the best.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "deepseek2"), with the matrices of keys and
// values by head (attn_k_b, attn_v_b); of the formulas arXiv 2405.04434 and 2412.19437. Rotary pairs are neighbours.
// rope.scaling.yarn_log_multiplier is a tenth of mscale_all_dim, whose factor, squared, is one on the dot products;
// that on cosine and sine is one then, as mscale is the same in all models. Defaults: no latent vector of queries
// without attention.q_lora_rank; dense layers alone without expert_count; softmax without expert_gating_func, but
// sigmoid in models with the vocabulary of 154880 and the 47 or 48 layers of GLM-4.7-Flash; weights that are not made to
// sum to one without expert_weights_norm; no shared expert without expert_shared_count, no dense layers without
// leading_dense_block_count; others are those of package nn's Read functions. Layers for speculation are not run.
package deepseek2
