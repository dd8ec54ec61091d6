// Package olmohybrid is the architecture of OLMo Hybrid: layers of gated DeltaNet with norms before each half, whose
// keys are smaller than their values and whose β may be up to two, between others of OLMo 3, with norms behind each
// half and queries and keys that are normalized over all heads together.
//
// Source: the transformers library's olmo_hybrid modelling file, and the GGUF files that package hf makes of folders;
// llama.cpp does not know the architecture, so that the names (architecture "olmo-hybrid") are ours, after those of
// qwen3next and olmo2. Defaults: no rotation without rope.freq_base; ssm.norm_epsilon 1e-5; ssm.allow_negative false;
// others are those of package nn's Read functions.
package olmohybrid
