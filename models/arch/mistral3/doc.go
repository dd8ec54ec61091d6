// Package mistral3 is the architecture of Ministral 3 and of newer files of Mistral Small 3: Llama's graph with YaRN,
// and queries that grow with the logarithm of their position.
//
// Source: the GGUF files that llama.cpp's converter writes (architecture "mistral3"), whose rows of attn_q and attn_k
// are permuted so that rotary pairs are interleaved. Defaults: no temperature without attention.temperature_scale;
// others are those of package nn's Read functions.
package mistral3
