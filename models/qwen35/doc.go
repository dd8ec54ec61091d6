// Package qwen35 is the dense architecture of Qwen 3.5 and 3.6: gated DeltaNet layers, and gated full attention in
// every fourth layer.
//
// Sources: the GGUF files that llama.cpp's converter writes (architecture "qwen35") and the transformers library's
// qwen3_5 modelling file. Defaults for missing keys: full_attention_interval 4, rope.dimension_count the head
// dimension, rope.freq_base 10000, key_length and value_length embedding_length / head_count.
package qwen35
