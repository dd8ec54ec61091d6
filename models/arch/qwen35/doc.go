// Package qwen35 is the architecture of Qwen 3.5 and 3.6, dense ("qwen35") and mixture of experts ("qwen35moe"):
// gated DeltaNet layers, and gated full attention in every fourth layer. post_attention_norm is the norm in front of
// the feed-forward network. Experts are chosen as in Qwen 3; a shared expert, gated by a sigmoid, serves every token.
//
// Sources: the GGUF files that llama.cpp's converter writes and the transformers library's qwen3_5 and qwen3_5_moe
// modelling files. For text, their multi-section rotary embedding is the plain one. Defaults for missing keys:
// full_attention_interval 4, which attention.recurrent_layers (a bool per layer, true for DeltaNet) overrides; no
// shared expert without expert_shared_feed_forward_length; others are those of package nn's Read functions.
package qwen35
