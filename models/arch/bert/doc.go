// Package bert is the architecture of BERT ("bert"; XLM-RoBERTa and RoBERTa are the same with other tokenizers) and of
// Nomic's variant ("nomic-bert"): encoders whose norms stand behind each half of a block. BERT adds learned positions to
// its token embeddings and has a feed-forward network with x·Φ(x); Nomic's rotates, and gates with SiLU. Tokens have
// types, the first one but in the second of two texts that are read together.
//
// Source: the GGUF files that llama.cpp's converter writes; positions count from 0 there, also for models of RoBERTa's
// kind, which count from the padding token's id plus 1. Defaults: no token types without
// tokenizer.ggml.token_type_count; others are those of package nn's Read functions.
package bert
