// Package qwen35 is the dense architecture of Qwen 3.5 and 3.6: gated DeltaNet layers, and gated full attention in
// every fourth layer. post_attention_norm is the norm in front of the feed-forward network.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "qwen35") and the transformers library's
// qwen3_5 modelling file. For text, its multi-section rotary embedding is the plain one. Defaults for missing keys:
// full_attention_interval 4, which attention.recurrent_layers (a bool per layer, true for DeltaNet) overrides; others
// are those of package nn's Read functions.
package qwen35
