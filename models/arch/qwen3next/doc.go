// Package qwen3next is the architecture of Qwen3-Next: that of the Qwen 3.5 mixture models, with value heads in the
// order of their key heads and projections that are fused by key head.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "qwen3next") and the transformers library's
// qwen3_next modelling file. Defaults for missing keys: full_attention_interval 4, which attention.recurrent_layers
// overrides; no shared expert without expert_shared_feed_forward_length; others are those of package nn's Read
// functions.
package qwen3next
